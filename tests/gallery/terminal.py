"""Builds tests/terminal_gallery.md: the sentences of `check`, the settings, the log, `report` and `--help`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from bot.cli import main as cli
from bot.ui import report_file
from tests.gallery import source
from tests.gallery.report import IN_PARTS, NOT_APPROVED, REPORT

INTRODUCTION = """\
# Every sentence in the terminal

`.venv/bin/python -m tests.ui_gallery` writes this page. The sentences in Slack are in [ui_gallery.md](ui_gallery.md).
What `check` says about errors of Huawei Cloud and Vault is in [errors_gallery.md](errors_gallery.md). Braces stand for
values."""


def terminal_page() -> str:
    """The whole page."""
    sections = [
        INTRODUCTION,
        "## `check`, settings and errors",
        *(
            f"### {name}\n\n" + "\n".join(f"- {sentence}" for sentence in found)
            for name, found in source.templates(source.TERMINAL)
        ),
        "## `report`",
        *(f"```text\n{report_file.report_markdown(one)}\n```" for one in (REPORT, IN_PARTS, NOT_APPROVED)),
        f"```json\n{report_file.report_json(replace(REPORT, rates=REPORT.rates[:1]))}\n```",
        "## `--help`",
        *(f"```text\n{text}\n```" for text in _help_texts()),
    ]
    return "\n\n".join(sections) + "\n"


def _help_texts() -> Iterator[str]:
    yield from _help("taskgroup-bot", cli, None)


def _help(name: str, command: click.Command, parent: click.Context | None) -> Iterator[str]:
    """The help of a command, and then of the commands below it."""
    # As the command line makes it. Subcommands inherit the names of the help option.
    settings: dict[str, Any] = {"terminal_width": 100, "max_content_width": 100, **command.context_settings}
    context = click.Context(command, parent, name, **settings)
    yield command.get_help(context)
    if isinstance(command, click.Group):
        for below, found in sorted(command.commands.items()):
            yield from _help(below, found, context)
