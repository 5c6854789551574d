"""The inbox: a redelivery is the same row, a message decides once, and handled messages keep no response_url."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.command import ResumeGroups, ShowList, ShowStatus
from bot.domain.request_record import Authenticity
from bot.store import inbox, queue, tables
from bot.store.database import Store
from bot.store.inbox import Kind, Message, StoredMessage
from bot.store.queue import Queue
from tests.support.values import NOON, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

GROUP, OTHER = request().group.group_id, "11878453-3402-4a86-9e2a-5d5217cd35b2"


def test_a_redelivery_is_the_same_row(store: Store) -> None:
    message = Message(Kind.APPROVE, "trigger-1", "UALICE00", "T0TEST0001", request_id="R-00000001")
    with store.write() as connection:
        first = inbox.put(connection, message, "me", NOON)
    with store.write() as connection:
        assert inbox.put(connection, message, "me", NOON) is None
    assert first is not None
    with store.read() as connection:
        assert inbox.get(connection, int(first.key)) == StoredMessage(message, NOON, None, Authenticity.AUTHENTIC)


@pytest.mark.parametrize(
    "command",
    [
        None,
        ResumeGroups((GROUP,), ""),
        ResumeGroups((GROUP, OTHER), 'a <b> & "c" ⇒', "media", (9, 5)),
        ResumeGroups((GROUP,), "at midnight", at=(0, 0)),
        ShowStatus(request_id="R-00000001"),
        ShowStatus(group_id=GROUP),
        ShowStatus(name=("nightly",)),
        ShowList(2, name=("nightly",)),
    ],
)
def test_a_command_is_read_as_it_was_stored(store: Store, command: ResumeGroups | ShowList | ShowStatus | None) -> None:
    message = Message(Kind.CREATE_REQUEST, "trigger-1", "UALICE00", "T0TEST0001", command=command)
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        assert inbox.get(connection, int(claim.key)).message == message


def test_a_handled_message_keeps_no_response_url(store: Store) -> None:
    message = Message(Kind.CREATE_REQUEST, "t", "U", "T", response_url="https://hooks.slack.com/commands/secret")
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        inbox.clear_response_url(connection, int(claim.key), inbox.get(connection, int(claim.key)))
    with store.read() as connection:
        assert inbox.get(connection, int(claim.key)).message == replace(message, response_url="")


def test_a_message_decides_once_and_a_discarded_message_never_decides(store: Store) -> None:
    message = Message(Kind.CREATE_REQUEST, "t", "U", "T", response_url="https://hooks.slack.com/commands/secret")
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        assert not inbox.discard(connection, message, "somebody else"), "another process has claimed it"
        assert inbox.mark_decided(connection, "t")
        assert not inbox.mark_decided(connection, "t")
        assert not inbox.discard(connection, message, "me")
        inbox.unmark_decided(connection, "t")
        assert inbox.discard(connection, message, "me")
        inbox.unmark_decided(connection, "t")
        assert not inbox.mark_decided(connection, "t")
        assert inbox.mark_of(connection, "t") == inbox.DISCARDED
        assert inbox.get(connection, int(claim.key)).message == replace(message, response_url="")
        assert queue.claim_due(connection, Queue(tables.inbox), "me", NOON, 1) == []
