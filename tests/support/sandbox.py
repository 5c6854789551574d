"""Short words for what tests wait for in a town."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from bot.sandbox.call_log import Call
from bot.sandbox.oms_state import NIGHTLY_IMAGES
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.workspace import Posted
from bot.sandbox.system import Sandbox
from bot.store import tables
from bot.store.database import open_store


def wait_for_card(sandbox: Sandbox) -> Posted:
    """The one card in the channel, waited for."""
    sandbox.wait_until(lambda: bool(sandbox.workspace.of(w.MIGRATIONS)), what="the card")
    return sandbox.workspace.of(w.MIGRATIONS)[0]


def create_request(sandbox: Sandbox, person: str = w.ALICE, text: str = f"{NIGHTLY_IMAGES} network is back") -> Posted:
    """Asks, and gives the card, once whoever asked was told where it is."""
    ack = sandbox.people.type(person, text)
    assert ack.failure is None
    card = wait_for_card(sandbox)
    wait_for_reply(sandbox, person, "Asked.")
    return card


def create_request_for(sandbox: Sandbox, group_id: str, more: str = "", person: str = w.ALICE) -> Posted:
    """The card of a new request for this group."""
    sandbox.slack.api._buckets.clear()
    told = len(sandbox.workspace.told(person))
    assert sandbox.people.type(person, f"{group_id} {more}").failure is None

    def found() -> list[Posted]:
        return [one for one in sandbox.workspace.of(w.MIGRATIONS) if group_id in one.text and "approve" in buttons(one)]

    sandbox.wait_until(
        lambda: bool(found()), what=f"the card of {group_id}, but told {sandbox.workspace.told(person)[-2:]}"
    )
    # Only then does the bot know where the card is.
    sandbox.wait_until(
        lambda: any("Asked." in text for text in sandbox.workspace.told(person)[told:]), what="the answer"
    )
    return found()[0]


def wait_for_text(sandbox: Sandbox, posted: Posted, words: str, timeout_seconds: float = 40) -> None:
    """Waits until a message says these words, in its text or its blocks."""
    sandbox.wait_until(lambda: words in full_text(posted), timeout_seconds, f"{words!r} on the card")


def wait_for_update(sandbox: Sandbox, words: str, timeout_seconds: float = 40) -> None:
    """Waits until some card was given these words in its text, whatever it came to say since."""

    def said() -> bool:
        return any(call.path == "chat.update" and words in call.note for call in sandbox.call_log.since())

    sandbox.wait_until(said, timeout_seconds, f"{words!r} on a card")


def wait_for_accepted(sandbox: Sandbox, posted: Posted) -> None:
    """Waits until a card says that OMS took the call: nothing has moved yet, or it moves by then."""
    said = ("Accepted by OMS", "Resumed, moving", "Done")
    sandbox.wait_until(lambda: any(words in full_text(posted) for words in said), 40, "the card accepted")


def full_text(posted: Posted) -> str:
    """All that a message says."""
    return posted.text + "\n" + "\n".join(_texts(posted.blocks))


def mrkdwn_text(posted: Posted) -> str:
    """All of a message in which Slack looks for mentions, links and marks."""
    return posted.text + "\n" + "\n".join(_mrkdwn(posted.blocks))


def _mrkdwn(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["text"])] if value.get("type") == "mrkdwn" else []
        return own + [text for item in value.values() for text in _mrkdwn(item)]
    return [text for item in value for text in _mrkdwn(item)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def wait_for_reply(sandbox: Sandbox, person: str, words: str, timeout_seconds: float = 40) -> str:
    """Waits until this person alone was told something with these words; the whole of it."""
    found: list[str] = []

    def told() -> bool:
        found[:] = [text for text in sandbox.workspace.told(person) if words in text]
        return bool(found)

    sandbox.wait_until(told, timeout_seconds, f"{person} told {words!r}, but told {sandbox.workspace.told(person)}")
    return found[0]


def thread_lines(sandbox: Sandbox, posted: Posted) -> list[str]:
    """The replies in the thread of a message, in order."""
    return [one.text for one in sandbox.workspace.of(posted.channel, posted.ts)]


def wait_for_thread_line(sandbox: Sandbox, posted: Posted, words: str, timeout_seconds: float = 40) -> str:
    """Waits for a reply in the thread of a message; the whole of it."""

    def found() -> list[str]:
        return [text for text in thread_lines(sandbox, posted) if words in text]

    sandbox.wait_until(lambda: bool(found()), timeout_seconds, f"{words!r} in the thread")
    return found()[0]


def put_calls(sandbox: Sandbox) -> list[Call]:
    """The calls to start that reached OMS, whatever came of them."""
    return [call for call in sandbox.call_log.since() if call.service == "oms" and call.method == "PUT"]


def key_reads(sandbox: Sandbox) -> list[Call]:
    """The reads of source and destination keys that reached Vault."""
    calls = [call for call in sandbox.call_log.since() if call.service == "vault" and "/data/" in call.path]
    return [call for call in calls if not call.path.endswith("/caller")]


def buttons(posted: Posted) -> list[str]:
    """The action ids of a message's buttons."""
    return [
        element["action_id"] for block in posted.blocks if block["type"] == "actions" for element in block["elements"]
    ]


def open_form(sandbox: Sandbox, person: str, act: Callable[[], object]) -> str:
    """Does what opens a view before a person; the id of that view, once it is filled."""
    before = sandbox.people.form_of(person)
    act()
    return wait_for_view(sandbox, person, before)


def wait_for_view(sandbox: Sandbox, person: str, before: str | None = None) -> str:
    """The id of the view that stands before a person, once it is another than `before`, and filled."""

    def filled() -> bool:
        found = sandbox.people.form_of(person)
        return found is not None and found != before and "One moment." not in view_text(sandbox, found)

    sandbox.wait_until(filled, what=f"a filled view before {person}")
    found = sandbox.people.form_of(person)
    assert found is not None
    return found


def view_text(sandbox: Sandbox, view_id: str) -> str:
    """All that a view says."""
    return "\n".join(_texts(sandbox.workspace.views[view_id].view["blocks"]))


def deny(sandbox: Sandbox, person: str, posted: Posted, reason: str = "") -> None:
    """Presses Deny and sends the form in."""
    form = open_form(sandbox, person, lambda: sandbox.people.press(person, posted, "deny"))
    sandbox.people.submit(person, form, {"reason": reason})


def audit(sandbox: Sandbox, *events: str) -> list[dict[str, Any]]:
    """The rows of these events in the audit, as `audit export` writes them."""
    written = subprocess.run(
        [sys.executable, "-m", "bot", "audit", "export"],
        env=sandbox.environment(),
        cwd=sandbox.directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [json.loads(line) for line in written.splitlines()]
    return [row for row in rows if row["event"] in events]


def everything_shown(sandbox: Sandbox) -> str:
    """All that anybody in Slack was ever left with: messages and forms, private ones too."""
    seen = sandbox.workspace
    slots = [one.view for one in (*seen.views.values(), *seen.homes.values())]
    messages = [(one.text, one.blocks) for one in seen.messages]
    return json.dumps([messages, slots, [one.text for one in seen.privates]])


def everything_stored(sandbox: Sandbox) -> str:
    """All that a bot that has ended left behind: every row of its database, the files of it, its log."""
    with closing(open_store(sandbox.database_url)) as store, store.read() as connection:
        rows = [repr(connection.execute(table.select()).all()) for table in tables.metadata.sorted_tables]
    files = [path.read_bytes().decode("latin-1") for path in sorted(sandbox.directory.glob("bot.*"))]
    return "\n".join([*rows, *files])
