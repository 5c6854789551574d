"""The sections of tests/ui_gallery.md. Samples are in `requests` and `calls`, templates of other code in `source`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from types import ModuleType
from typing import Any

import click
from slack_sdk.models.views import View

from bot.cli import main as cli
from bot.domain.command import InvalidCommand, parse
from bot.domain.request import Request
from bot.huawei.error_catalogue import CATALOGUE, meaning_of
from bot.ui.blocks import SlackMessage, text_message
from bot.ui.card import card
from bot.ui.formatting import flatten_user_text
from bot.ui.status import status_text
from bot.ui.thread import thread_line
from bot.ui.usage import invalid_command
from tests.gallery import source
from tests.gallery.calls import call, constants, functions, results, text_modules
from tests.gallery.reader import BlockReader, as_read
from tests.gallery.requests import REQUESTS
from tests.support.values import GROUP_ID

INTRODUCTION = """\
# Every sentence that people see

`.venv/bin/python -m tests.ui_gallery > tests/ui_gallery.md` writes this page, and
`tests/ui/test_gallery.py` keeps it current.

Times are those of a reader in Berlin on March 2, 2026. In a card, `#` is the headline, `small:` is small text and
`[...]` is a button. A confirmation dialog is shown once: title, text, buttons. `*` marks bold text. A long line that
an earlier card shows too ends with `…`."""

REPEATED_CHARACTERS = 40

#: What people may type after the command, other than valid commands.
TYPED = (
    "network is back",
    "0087845",
    "00878453-3402-4a86-9e2a",
    "https://console.huaweicloud.com/oms/",
    f"{GROUP_ID} at=25:00",
    f"{GROUP_ID} at=",
    f"{GROUP_ID} at 22:30 network is back",
    f"{GROUP_ID} start=22:30",
    f"{GROUP_ID} project=",
    f"{GROUP_ID} project=media project=archive",
    f"{GROUP_ID} as well as 1a2b3c4d-0000-4000-8000-000000000001",
    f"{GROUP_ID} {'because ' * 70}",
    f"{GROUP_ID} {'because ' * 300}",
    " ".join(f"1a2b3c4d-0000-4000-8000-{number:012d}" for number in range(11)),
    "status",
    "status nightly",
    "status R-00000001 R-00000002",
)


def page() -> str:
    """The whole page."""
    reader = BlockReader()
    sections = [
        INTRODUCTION,
        *_cards(reader),
        "## Other sentences\n\nBy module of `bot/ui`, with sample values.",
        *(_module(reader, module) for module in text_modules()),
        "## Commands that are not valid\n\n" + _listed(f"`{_shortened(typed)}`: {_reply(typed)}" for typed in TYPED),
        "## Error codes of Huawei Cloud\n\n" + "\n\n".join(_catalogue()),
        "## Other errors, `check` and settings\n\nTemplates from the source code; `{}` stands for a value.",
        *(f"### {name}\n\n{_listed(found)}" for name, found in source.templates()),
        "## `--help`\n\n" + "\n\n".join(_help_texts()),
    ]
    return "\n\n".join(sections) + "\n"


def _cards(reader: BlockReader) -> Iterator[str]:
    known: set[str] = set()
    for state, found in groupby(REQUESTS.items(), lambda item: item[1].state):
        yield f"## State: {state.value}"
        for title, request in found:
            lines = _card(reader, request)
            yield f"### {title}\n\n{_fenced(_repeated(line) if line in known else line for line in lines)}"
            known.update(lines)


def _card(reader: BlockReader, request: Request) -> list[str]:
    message = call(card, request=request)
    lines = [*reader.lines(message.blocks), "", f"Notification: {as_read(message.text)}"]
    thread = call(thread_line, request=request)
    lines.append(f"Thread: {_text(thread)}" if thread else "Thread: (nothing)")
    lines.append(f"Status, list, App Home: {_text(call(status_text, request=request))}")
    return lines


def _repeated(line: str) -> str:
    return _shortened(line, REPEATED_CHARACTERS)


def _module(reader: BlockReader, module: ModuleType) -> str:
    parts = [f"### {module.__name__}", _listed(map(_text, constants(module)))]
    for name, function in functions(module):
        if name.endswith((".thread_line",)):
            continue  # Shown with the cards.
        parts.append(_shown(reader, name, results(name, function)))
    return "\n\n".join(filter(None, parts))


def _shown(reader: BlockReader, name: str, found: list[Any]) -> str:
    """What a function of this name returned, if it returned texts, messages or views."""
    title = f"`{name.rsplit('.', 1)[1]}`"
    texts = [one for one in found if isinstance(one, str) and one]
    if texts:
        return f"{title}\n\n{_listed(map(_text, texts))}"
    shown: list[str] = []
    for one in found:
        match one:
            case View():
                shown.append(_fenced(reader.view(one.to_dict())))
            case SlackMessage():
                shown.append(_fenced([*reader.lines(one.blocks), "", f"Notification: {as_read(one.text)}"]))
            case [*lines] if lines and all(isinstance(line, str) for line in lines):
                shown.append(_fenced(map(_text, lines)))
    return "\n\n".join([title, *shown]) if shown else ""


def _catalogue() -> Iterator[str]:
    """The meanings of all codes, under their cause and next step."""
    meanings: dict[tuple[str, str], list[str]] = {}
    for code in CATALOGUE:
        meaning = meaning_of(code, 400)
        meanings.setdefault((meaning.side.value, meaning.remedy), []).append(f"{code}: {meaning.sentence}")
    for (side, remedy), sentences in sorted(meanings.items()):
        yield f"Cause: {side}. Next: {remedy}\n\n{_listed(sentences)}"


def _reply(typed: str) -> str:
    parsed = parse(typed)
    if isinstance(parsed, InvalidCommand):
        return as_read(invalid_command(parsed, "/resume-taskgroup"))
    return f"(valid: {type(parsed).__name__})"


def _help_texts() -> Iterator[str]:
    yield _fenced([_help("taskgroup-bot", cli)])
    for name, command in sorted(_commands(cli.commands)):
        yield _fenced([_help(f"taskgroup-bot {name}", command)])


def _commands(commands: Mapping[str, click.Command]) -> Iterator[tuple[str, click.Command]]:
    for name, command in commands.items():
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", found) for below, found in _commands(command.commands))


def _help(name: str, command: click.Command) -> str:
    return command.get_help(click.Context(command, info_name=name, terminal_width=100, max_content_width=100))


def _text(text: str) -> str:
    """A line as a reader sees it. Text that a person typed is unchanged."""
    message = text_message(text)
    if not message.blocks:
        return as_read(flatten_user_text(text))
    return " ".join(BlockReader().lines(message.blocks))


def _shortened(text: str, characters: int = 80) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join("- " + line.strip().replace("\n", "\n  ") for line in lines)


def _fenced(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```"])
