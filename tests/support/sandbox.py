"""What tests do and wait for in a sandbox with a bot, and what they read from it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import requests

from bot.sandbox.call_log import Call
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.slack.ids import ALICE, MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import tables
from bot.store.database import open_to_read
from tests.support.blocks import mrkdwn_texts, strings

#: In the reply to a command that created a request.
CREATED = "Created R-"


def create_request(
    sandbox: Sandbox, person: str = ALICE, text: str = f"{NIGHTLY_IMAGES} network is back"
) -> PostedMessage:
    """Types the command, and returns the first card in the channel, once the person has got the link to it."""
    ack = sandbox.people.type(person, text)
    assert ack.failure is None
    card = wait_for_card(sandbox)
    wait_for_reply(sandbox, person, CREATED)
    return card


def create_request_for(sandbox: Sandbox, group_id: str, more: str = "", person: str = ALICE) -> PostedMessage:
    """Types the command for a group, and returns its card, once the person has got the link to it."""
    sandbox.slack.api.reset_rate_limits()
    replies_before = len(sandbox.workspace.private_texts(person))
    assert sandbox.people.type(person, f"{group_id} {more}").failure is None

    def cards() -> list[PostedMessage]:
        messages = sandbox.workspace.messages_in(MIGRATIONS)
        return [one for one in messages if group_id in one.text and "approve" in button_ids(one)]

    replies = sandbox.workspace.private_texts(person)[-2:]
    sandbox.wait_until(lambda: bool(cards()), what=f"the card of {group_id}, last replies: {replies}")
    # Only then does the bot know where the card is.
    sandbox.wait_until(
        lambda: any(CREATED in text for text in sandbox.workspace.private_texts(person)[replies_before:]),
        what="the reply to the command",
    )
    # A card that had to wait for Slack's rate limit comes after the reply, and has its link a moment later.
    card = cards()[0]
    sandbox.call_log.wait_for(lambda call: call.path == "chat.getPermalink" and call.note == card.ts)
    return card


def deny(sandbox: Sandbox, person: str, posted: PostedMessage, reason: str = "") -> None:
    """Presses Deny and submits the form."""
    form = open_view(sandbox, person, lambda: sandbox.people.press(person, posted, "deny"))
    sandbox.people.submit(person, form, {"reason": reason})


def open_view(sandbox: Sandbox, person: str, act: Callable[[], object]) -> str:
    """Does what opens a view for a person, and returns the id of the view once the bot has filled it."""
    before = sandbox.people.open_view_id(person)
    act()
    return wait_for_view(sandbox, person, before)


def run_concurrently(*actions: Callable[[], object]) -> None:
    """Runs all at the same moment, each in a thread of its own, and waits for all."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        barrier.wait()
        action()

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_for_card(sandbox: Sandbox) -> PostedMessage:
    """Waits for the first message in the channel of the cards."""
    sandbox.wait_until(lambda: bool(sandbox.workspace.messages_in(MIGRATIONS)), what="the card")
    return sandbox.workspace.messages_in(MIGRATIONS)[0]


def wait_for_text(sandbox: Sandbox, posted: PostedMessage, words: str, timeout_seconds: float = 40) -> None:
    """Waits until a message has these words, in its text or its blocks."""
    sandbox.wait_until(lambda: words in full_text(posted), timeout_seconds, f"{words!r} on the card")


def wait_for_update(sandbox: Sandbox, words: str, timeout_seconds: float = 40) -> None:
    """Waits until some message was updated to a text with these words, even if it has another text by now."""

    def was_updated() -> bool:
        return any(call.path == "chat.update" and words in call.note for call in sandbox.call_log.since())

    sandbox.wait_until(was_updated, timeout_seconds, f"an update to {words!r}")


def wait_for_accepted(sandbox: Sandbox, posted: PostedMessage) -> None:
    """Waits until a card says that OMS accepted the call, or that the migration moves or is done."""
    texts = ("OMS accepted", "Resumed, moving", "is done")
    sandbox.wait_until(lambda: any(words in full_text(posted) for words in texts), 40, "an accepted call on the card")


def wait_for_reply(sandbox: Sandbox, person: str, words: str, timeout_seconds: float = 40) -> str:
    """Waits until a person is sent an ephemeral or direct message with these words, and returns its text."""
    found: list[str] = []

    def is_there() -> bool:
        found[:] = [text for text in sandbox.workspace.private_texts(person) if words in text]
        return bool(found)

    so_far = sandbox.workspace.private_texts(person)
    sandbox.wait_until(is_there, timeout_seconds, f"a reply to {person} with {words!r}, so far: {so_far}")
    return found[0]


def wait_for_thread_line(sandbox: Sandbox, posted: PostedMessage, words: str, timeout_seconds: float = 40) -> str:
    """Waits for a reply with these words in the thread of a message, and returns its text."""

    def found() -> list[str]:
        return [text for text in thread_lines(sandbox, posted) if words in text]

    sandbox.wait_until(lambda: bool(found()), timeout_seconds, f"{words!r} in the thread")
    return found()[0]


def wait_for_view(sandbox: Sandbox, person: str, before: str | None = None) -> str:
    """Waits until a person has another view open than `before` and the bot has filled it. Returns its id."""

    def is_filled() -> bool:
        found = sandbox.people.open_view_id(person)
        return found is not None and found != before and "One moment." not in view_text(sandbox, found)

    sandbox.wait_until(is_filled, what=f"a filled view for {person}")
    found = sandbox.people.open_view_id(person)
    assert found is not None
    return found


def full_text(posted: PostedMessage) -> str:
    """Every text of a message, including its blocks."""
    return posted.text + "\n" + "\n".join(strings(posted.blocks))


def mrkdwn_text(posted: PostedMessage) -> str:
    """Every text of a message that Slack parses for mentions, links and formatting."""
    return posted.text + "\n" + "\n".join(mrkdwn_texts(posted.blocks))


def view_text(sandbox: Sandbox, view_id: str) -> str:
    """Every text of a view."""
    return "\n".join(strings(sandbox.workspace.views[view_id].view["blocks"]))


def thread_lines(sandbox: Sandbox, posted: PostedMessage) -> list[str]:
    """The texts in the thread of a message, oldest first."""
    return [one.text for one in sandbox.workspace.messages_in(posted.channel, posted.ts)]


def button_ids(posted: PostedMessage) -> list[str]:
    """The action ids of the buttons of a message."""
    return [
        element["action_id"] for block in posted.blocks if block["type"] == "actions" for element in block["elements"]
    ]


def put_calls(sandbox: Sandbox) -> list[Call]:
    """The PUT calls that reached OMS, whatever it answered."""
    return [call for call in sandbox.call_log.since() if call.service == "oms" and call.method == "PUT"]


def key_reads(sandbox: Sandbox) -> list[Call]:
    """The reads of source and destination keys that reached Vault."""
    calls = [call for call in sandbox.call_log.since() if call.service == "vault" and "/data/" in call.path]
    return [call for call in calls if not call.path.endswith("/caller")]


def readiness(sandbox: Sandbox, query: str = "") -> tuple[int, str]:
    """The status and body of /readyz."""
    answer = requests.get(f"http://127.0.0.1:{sandbox.ops_port}/readyz{query}", timeout=5)
    return answer.status_code, answer.text


def exported_audit(sandbox: Sandbox) -> str:
    """The output of `audit export`."""
    return subprocess.run(
        [sys.executable, "-m", "bot", "audit", "export"],
        env=sandbox.environment(),
        cwd=sandbox.directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def audit_rows(sandbox: Sandbox, *events: str) -> list[dict[str, Any]]:
    """The audit rows of these events, as `audit export` writes them."""
    rows = [json.loads(line) for line in exported_audit(sandbox).splitlines()]
    return [row for row in rows if row["event"] in events]


def everything_shown(sandbox: Sandbox) -> str:
    """Every message, ephemeral message, modal and App Home in the workspace."""
    workspace = sandbox.workspace
    views = [one.view for one in (*workspace.views.values(), *workspace.homes.values())]
    messages = [(one.text, one.blocks) for one in workspace.messages]
    return json.dumps([messages, views, [one.text for one in workspace.ephemerals]])


def everything_stored(sandbox: Sandbox) -> dict[str, str]:
    """Every row of the database, the files of a SQLite database, and the log, each by its name."""
    with closing(open_to_read(sandbox.database_url)) as store, store.read() as connection:
        rows = [repr(connection.execute(table.select()).all()) for table in tables.metadata.sorted_tables]
    # Not in this process: SQLite loses its locks when a file of the database is closed in the process that has it open.
    paths = sorted(sandbox.directory.glob("bot.sqlite*"))
    files = subprocess.run(["cat", "/dev/null", *paths], capture_output=True, check=True).stdout.decode(
        errors="replace"
    )
    return {"rows": "\n".join(rows), "files of the database": files, "log": sandbox.log()}
