"""A response_url, with which anyone can post in Slack, is in no file of the database after it was used."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bot.sandbox.slack.ids import ALICE, BOB, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store import inbox
from bot.store.database import open_store
from bot.store.inbox import Kind, Message
from tests.support.sandbox import create_request, wait_for_reply
from tests.support.values import NOON


def files_with(directory: Path, canary: str) -> list[str]:
    return [path.name for path in directory.glob("bot.sqlite*") if canary.encode() in path.read_bytes()]


def test_no_file_of_the_database_contains_a_response_url_that_was_used(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    canary = sandbox.slack.response_url(ALICE, MIGRATIONS).rpartition("/")[0]
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.press(BOB, card, "approve")
    wait_for_reply(sandbox, BOB, "You can't approve or deny this")
    assert sandbox.people.type(BOB, "list").failure is None
    sandbox.wait_until(lambda: files_with(sandbox.directory, canary) == [], 10, "the files without a response_url")


def test_a_cleared_response_url_leaves_the_files_without_waiting_for_a_reader(tmp_path: Path) -> None:
    canary = "https://hooks.slack.com/commands/canary"
    store = open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")
    with store.write() as connection:
        message = Message(Kind.LIST, "1", ALICE, "T0TEST0001", response_url=canary)
        claim = inbox.put(connection, message, "me", NOON)
    assert claim is not None
    assert files_with(tmp_path, canary) != [], "while it is needed"
    with store.read() as reader:
        stored = inbox.get(reader, int(claim.key))
        with store.write() as connection:
            inbox.clear_response_url(connection, int(claim.key), stored)
        started = time.monotonic()
        store.erase_deleted()
        assert time.monotonic() - started < 1
        assert inbox.get(reader, int(claim.key)).message.response_url == canary
    store.erase_deleted()
    assert files_with(tmp_path, canary) == []
    store.close()
