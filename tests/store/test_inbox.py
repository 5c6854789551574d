"""The inbox: a redelivery is the same row, a message decides once, and finished messages keep no response_url."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.store import inbox, queue, tables
from bot.store.database import Store
from bot.store.inbox import Kind, Message
from bot.store.queue import Queue
from tests.support.values import NOON

pytestmark = pytest.mark.usefixtures("patient")


def test_a_redelivery_is_the_same_row(store: Store) -> None:
    message = Message(Kind.CREATE_REQUEST, "trigger-1", "UALICE00", "T0TEST0001", text="x")
    with store.write() as connection:
        first = inbox.put(connection, message, "me", NOON)
    with store.write() as connection:
        assert inbox.put(connection, message, "me", NOON) is None
    assert first is not None
    with store.read() as connection:
        assert inbox.get(connection, int(first.key)) == (message, NOON)


def test_a_finished_message_keeps_no_answer_address(store: Store) -> None:
    message = Message(Kind.CREATE_REQUEST, "t", "U", "T", response_url="https://hooks.slack.com/commands/secret")
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        inbox.forget_address(connection, int(claim.key))
    with store.read() as connection:
        assert inbox.get(connection, int(claim.key))[0].response_url == ""


def test_a_message_decides_once_and_what_was_not_taken_decides_nothing(store: Store) -> None:
    message = Message(Kind.CREATE_REQUEST, "t", "U", "T", response_url="https://hooks.slack.com/commands/secret")
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        assert not inbox.discard(connection, message, "somebody else"), "who works on it decides"
        assert inbox.mark_decided(connection, "t")
        assert not inbox.mark_decided(connection, "t")
        assert not inbox.discard(connection, message, "me")
        inbox.unmark_decided(connection, "t")
        assert inbox.discard(connection, message, "me")
        inbox.unmark_decided(connection, "t")
        assert not inbox.mark_decided(connection, "t")
        assert inbox.mark_of(connection, "t") == inbox.DISCARDED
        assert inbox.get(connection, int(claim.key))[0] == replace(message, response_url="")
        assert queue.claim_due(connection, Queue(tables.inbox), "me", NOON, 1) == []
