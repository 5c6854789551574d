"""Builds tests/ui_gallery.md. Samples are in `requests` and `calls`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from types import ModuleType

from slack_sdk.models.views import View

from bot.domain.command import InvalidCommand, parse
from bot.domain.decisions import ActionKind
from bot.domain.request import Request, State
from bot.jobs.problems import failure_to_retry
from bot.ui.blocks import SlackMessage, text_message
from bot.ui.card import card
from bot.ui.formatting import flatten_user_text
from bot.ui.receipts import receipt
from bot.ui.replies import request_created
from bot.ui.states import ended_as
from bot.ui.status import status_text
from bot.ui.thread import thread_line
from bot.ui.usage import invalid_command
from tests.gallery.calls import LINK, call, constants, functions, results, text_modules
from tests.gallery.reader import BlockReader, as_read
from tests.gallery.requests import REQUEST_ID, REQUESTS
from tests.gallery.shown import Shown
from tests.support.values import GROUP_ID

INTRODUCTION = """\
# Every sentence in Slack

`.venv/bin/python -m tests.ui_gallery` writes this page, and `tests/ui/test_gallery.py` keeps it current.
Causes from Huawei Cloud and Vault are in [errors_gallery.md](errors_gallery.md), the sentences in the terminal in
[terminal_gallery.md](terminal_gallery.md).

Each sentence is shown once: `…` stands for sentences shown before, and lines without a new one are left out.
Ids are cut. Times are those of a reader in Berlin. In a card, `#` is the headline, `small:` is small text, `[...]` is a
button, and `*` marks bold text."""

#: The action whose receipt a person gets when their click moves a request to a state.
RECEIPTS = {
    State.APPROVED: ActionKind.APPROVE,
    State.DENIED: ActionKind.DENY,
    State.CANCELLED: ActionKind.CANCEL,
    State.PAUSING: ActionKind.PAUSE,
}
#: The sentences with the ids, which the first row of the table shows.
IDENTITY = (f"Project media, group {GROUP_ID}, R-00000001.", f"Group `{GROUP_ID}` in project media.")
TABLE_HEAD = """\
| State | Headline | Text | Buttons | Thread | Only one person sees | App Home, list, status |
|---|---|---|---|---|---|---|"""

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
    "status r-1",
    "status R-00000001 R-00000002",
    f"list {'nightly ' * 20}",
)


def page() -> str:
    """The whole page."""
    reader, shown = BlockReader(), Shown()
    sections = [
        INTRODUCTION,
        "## States and messages\n\nThe first card of each state. In a row, `…` stands for the headline and the ids.",
        "\n".join([TABLE_HEAD, *_rows(shown)]),
        "## Cards",
        *_cards(reader, shown),
        "## Forms, App Home, replies, direct messages, thread lines",
        *(_module(reader, shown, module) for module in text_modules()),
        "## Commands that are not valid\n\n" + listed(_typed(shown)),
        "## Labels for screen readers",
        listed(f"[{button}] {label}" for button, label in reader.labels.items()),
    ]
    return _with_short_ids("\n\n".join(filter(None, sections))) + "\n"


def _rows(shown: Shown) -> Iterator[str]:
    """A row for each state, with the first sample of the state."""
    for state, (request, *_) in groupby(REQUESTS.values(), lambda one: one.state):
        message = card(request, failure=failure_to_retry(request))
        headline, *lines = BlockReader().lines(message.blocks)
        buttons = " ".join(line for line in lines if line.startswith("["))
        line = call(thread_line, request=request)
        if state is State.PENDING:
            receipt_text = call(request_created, request=request, permalink=LINK)
        else:
            receipt_text = call(receipt, kind=RECEIPTS[state], request=request) if state in RECEIPTS else ""
        texts = [
            as_read(message.text),
            buttons,
            *map(_text, (line or "", receipt_text, call(status_text, request=request))),
        ]
        row = Shown(() if state is State.PENDING else IDENTITY)
        cells = [ended_as(state), headline.removeprefix("# "), *texts]
        yield "| " + " | ".join(row.new(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        for cell in cells:
            shown.new(cell)


def _cards(reader: BlockReader, shown: Shown) -> Iterator[str]:
    """The lines of each sample that no other sample has."""
    for title, request in REQUESTS.items():
        lines = list(filter(None, map(shown.new, _card(reader, request))))
        if lines:
            yield f"### {title}\n\n{_fenced(lines)}"


def _card(reader: BlockReader, request: Request) -> Iterator[str]:
    message = card(request, failure=failure_to_retry(request))
    yield from reader.lines(message.blocks)
    yield f"Notification: {as_read(message.text)}"
    thread = call(thread_line, request=request)
    if thread:
        yield f"Thread: {_text(thread)}"
    yield f"Status: {_text(call(status_text, request=request))}"


def _module(reader: BlockReader, shown: Shown, module: ModuleType) -> str:
    """What the public functions of a module return, if it is text, a message or a view."""
    found = [shown.new(_text(constant)) for constant in constants(module)]
    views: list[str] = []
    for name, function in functions(module):
        if name == "usage.invalid_command":
            continue  # Shown with the commands that are not valid.
        for one in results(name, function):
            match one:
                case str():
                    found.append("\n".join(filter(None, map(shown.new, _text(one).splitlines()))))
                case View():
                    views.append(_new_lines(shown, reader.view(one.to_dict())))
                case SlackMessage():
                    views.append(_new_lines(shown, [*reader.lines(one.blocks), as_read(one.text)]))
                case [*lines] if lines and all(isinstance(line, str) for line in lines):
                    views.append(_new_lines(shown, map(_text, lines)))
    parts = list(filter(None, [listed(found), *views]))
    title = module.__name__.rsplit(".", 1)[1].replace("_", " ")
    return "\n\n".join([f"### {title}", *parts]) if parts else ""


def _new_lines(shown: Shown, lines: Iterable[str]) -> str:
    found = list(filter(None, map(shown.new, lines)))
    return _fenced(found) if found else ""


def _typed(shown: Shown) -> Iterator[str]:
    for typed in TYPED:
        parsed = parse(typed)
        text = invalid_command(parsed, "/resume-taskgroup") if isinstance(parsed, InvalidCommand) else "(valid)"
        reply = shown.new(as_read(text))
        if reply:
            yield f"`{_shortened(typed)}`: {reply}"


def _text(text: str) -> str:
    """A line as a reader sees it. Text that a person typed is unchanged."""
    message = text_message(text)
    if not message.blocks:
        return as_read(flatten_user_text(text))
    return " ".join(BlockReader().lines(message.blocks))


def _with_short_ids(text: str) -> str:
    for long, short in ((GROUP_ID, f"{GROUP_ID[:8]}-…"), (REQUEST_ID, f"{REQUEST_ID[:4]}…"), ("3f" * 32, "3f3f…")):
        text = text.replace(long, short)
    return text.replace("R-00000001", "R-1")


def _shortened(text: str, characters: int = 60) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"


def listed(lines: Iterable[str]) -> str:
    return "\n".join("- " + line.strip().replace("\n", "\n  ") for line in lines if line)


def _fenced(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```"])
