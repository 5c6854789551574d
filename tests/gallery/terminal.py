"""Builds tests/terminal_gallery.md: the sentences of `check`, the settings, the log and `--help`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from bot.cli import main as cli
from tests.gallery import source

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
        "## `--help`",
        *(f"```text\n{text}\n```" for text in _help_texts()),
    ]
    return "\n\n".join(sections) + "\n"


def _help_texts() -> Iterator[str]:
    yield _help("taskgroup-bot", cli)
    for name, command in sorted(_commands(cli.commands)):
        yield _help(f"taskgroup-bot {name}", command)


def _commands(commands: Mapping[str, click.Command]) -> Iterator[tuple[str, click.Command]]:
    for name, command in commands.items():
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", found) for below, found in _commands(command.commands))


def _help(name: str, command: click.Command) -> str:
    return command.get_help(click.Context(command, info_name=name, terminal_width=100, max_content_width=100))
