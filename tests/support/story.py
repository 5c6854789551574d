"""Short words for what tests wait for in a town."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from bot.sandbox.journal import Call
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from bot.store import tables
from bot.store.engine import open_store


def the_card(town: Town) -> Posted:
    """The one card in the channel, waited for."""
    town.wait_until(lambda: bool(town.workspace.of(w.MIGRATIONS)), what="the card")
    return town.workspace.of(w.MIGRATIONS)[0]


def ask(town: Town, person: str = w.ALICE, text: str = f"{NIGHTLY_IMAGES} network is back") -> Posted:
    """Asks, and gives the card, once whoever asked was told where it is."""
    ack = town.people.type(person, text)
    assert ack.failure is None
    card = the_card(town)
    is_told(town, person, "Asked.")
    return card


def ask_for(town: Town, group_id: str, more: str = "", person: str = w.ALICE) -> Posted:
    """The card of a new request for this group."""
    town.slack.api._buckets.clear()
    told = len(town.workspace.told(person))
    assert town.people.type(person, f"{group_id} {more}").failure is None

    def found() -> list[Posted]:
        return [one for one in town.workspace.of(w.MIGRATIONS) if group_id in one.text and "approve" in buttons(one)]

    town.wait_until(lambda: bool(found()), what=f"the card of {group_id}, but told {town.workspace.told(person)[-2:]}")
    # Only then does the bot know where the card is.
    town.wait_until(lambda: any("Asked." in text for text in town.workspace.told(person)[told:]), what="the answer")
    return found()[0]


def says(town: Town, posted: Posted, words: str, timeout_seconds: float = 40) -> None:
    """Waits until a message says these words, in its text or its blocks."""
    town.wait_until(lambda: words in whole(posted), timeout_seconds, f"{words!r} on the card")


def has_said(town: Town, words: str, timeout_seconds: float = 40) -> None:
    """Waits until some card was given these words in its text, whatever it came to say since."""

    def said() -> bool:
        return any(call.path == "chat.update" and words in call.note for call in town.journal.since())

    town.wait_until(said, timeout_seconds, f"{words!r} on a card")


def is_accepted(town: Town, posted: Posted) -> None:
    """Waits until a card says that OMS took the call: nothing has moved yet, or it moves by then."""
    said = ("Accepted by OMS", "Resumed, moving", "Done")
    town.wait_until(lambda: any(words in whole(posted) for words in said), 40, "the card accepted")


def whole(posted: Posted) -> str:
    """All that a message says."""
    return posted.text + "\n" + "\n".join(_texts(posted.blocks))


def obeyed(posted: Posted) -> str:
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


def is_told(town: Town, person: str, words: str, timeout_seconds: float = 40) -> str:
    """Waits until this person alone was told something with these words; the whole of it."""
    found: list[str] = []

    def told() -> bool:
        found[:] = [text for text in town.workspace.told(person) if words in text]
        return bool(found)

    town.wait_until(told, timeout_seconds, f"{person} told {words!r}, but told {town.workspace.told(person)}")
    return found[0]


def thread_of(town: Town, posted: Posted) -> list[str]:
    """The replies in the thread of a message, in order."""
    return [one.text for one in town.workspace.of(posted.channel, posted.ts)]


def thread_says(town: Town, posted: Posted, words: str, timeout_seconds: float = 40) -> str:
    """Waits for a reply in the thread of a message; the whole of it."""

    def found() -> list[str]:
        return [text for text in thread_of(town, posted) if words in text]

    town.wait_until(lambda: bool(found()), timeout_seconds, f"{words!r} in the thread")
    return found()[0]


def starts(town: Town) -> list[Call]:
    """The calls to start that reached OMS, whatever came of them."""
    return [call for call in town.journal.since() if call.service == "oms" and call.method == "PUT"]


def key_reads(town: Town) -> list[Call]:
    """The reads of source and destination keys that reached Vault."""
    calls = [call for call in town.journal.since() if call.service == "vault" and "/data/" in call.path]
    return [call for call in calls if not call.path.endswith("/caller")]


def buttons(posted: Posted) -> list[str]:
    """The action ids of a message's buttons."""
    return [
        element["action_id"] for block in posted.blocks if block["type"] == "actions" for element in block["elements"]
    ]


def opened_by(town: Town, person: str, act: Callable[[], object]) -> str:
    """Does what opens a view before a person; the id of that view, once it is filled."""
    before = town.people.form_of(person)
    act()
    return filled_view(town, person, before)


def filled_view(town: Town, person: str, before: str | None = None) -> str:
    """The id of the view that stands before a person, once it is another than `before`, and filled."""

    def filled() -> bool:
        found = town.people.form_of(person)
        return found is not None and found != before and "One moment." not in said_in(town, found)

    town.wait_until(filled, what=f"a filled view before {person}")
    found = town.people.form_of(person)
    assert found is not None
    return found


def said_in(town: Town, view_id: str) -> str:
    """All that a view says."""
    return "\n".join(_texts(town.workspace.views[view_id].view["blocks"]))


def deny(town: Town, person: str, posted: Posted, reason: str = "") -> None:
    """Presses Deny and sends the form in."""
    form = opened_by(town, person, lambda: town.people.press(person, posted, "deny"))
    town.people.submit(person, form, {"reason": reason})


def audit(town: Town, *events: str) -> list[dict[str, Any]]:
    """The rows of these events in the audit, as `audit export` writes them."""
    written = subprocess.run(
        [sys.executable, "-m", "bot", "audit", "export"],
        env=town.environment(),
        cwd=town.directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [json.loads(line) for line in written.splitlines()]
    return [row for row in rows if row["event"] in events]


def all_seen(town: Town) -> str:
    """All that anybody in Slack was ever left with: messages and forms, private ones too."""
    seen = town.workspace
    places = [one.view for one in (*seen.views.values(), *seen.homes.values())]
    messages = [(one.text, one.blocks) for one in seen.messages]
    return json.dumps([messages, places, [one.text for one in seen.privates]])


def all_kept(town: Town) -> str:
    """All that a bot that has ended left behind: every row of its database, the files of it, its log."""
    with closing(open_store(town.database_url)) as store, store.read() as connection:
        rows = [repr(connection.execute(table.select()).all()) for table in tables.metadata.sorted_tables]
    files = [path.read_bytes().decode("latin-1") for path in sorted(town.directory.glob("bot.*"))]
    return "\n".join([*rows, *files])
