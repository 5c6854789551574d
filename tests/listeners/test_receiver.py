"""A message that is not stored in time is not accepted, and never has an effect, however late the database answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, event, func, select

from bot.domain.audit_events import AuditEvent
from bot.listeners.payloads import MalformedPayload, to_message
from bot.listeners.receiver import WRITER_THREADS, Receiver
from bot.store import inbox, queue, tables
from bot.store.audit import Event, append, rows
from bot.store.database import Store, open_store
from bot.store.inbox import Kind, Message
from bot.store.queue import Claim, Queue
from bot.store.verification import Verified, verify
from tests.store.test_connections import make_read_only, make_writable
from tests.support.executors import PromptExecutor
from tests.support.postgres import Postgres
from tests.support.values import NOON

CLICK = Message(Kind.APPROVE, "trigger-1", "UCAROL00", "T0TEST0001", request_id="R-00000001", response_url="https://x")


class Inbox:
    """A receiver, and the claims that it submits."""

    def __init__(self, store: Store, within_seconds: float) -> None:
        self.store = store
        self.now = NOON
        self.submitted: list[Claim] = []
        self._writers = PromptExecutor(WRITER_THREADS)
        self.receiver = Receiver(
            store, "me", lambda: self.now, self.submitted.append, within_seconds, writers=self._writers
        )

    def settle(self) -> None:
        """Returns once every writer has ended."""
        self._writers.shutdown(wait=True)

    def newest(self) -> Message:
        """The message of the newest row."""
        with self.store.read() as connection:
            number = connection.execute(select(func.max(tables.inbox.c.id))).scalar_one()
            return inbox.get(connection, number).message

    def due(self) -> list[Claim]:
        """The rows that another process can claim once the leases of this one have ended."""
        with self.store.write() as connection:
            connection.execute(tables.inbox.update().values(claimed_until=None))
            return queue.claim_due(connection, Queue(tables.inbox), "another", NOON, 10)

    def events(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            assert isinstance(verify(connection), Verified)
            return [(row.actor, row.event) for row in rows(connection)]


@contextmanager
def stalled_transactions(store: Store, moment: str) -> Iterator[None]:
    """Every transaction stalls at this moment, `commit` or `before_cursor_execute`, until the block ends."""
    released = threading.Event()

    def wait(*_: object) -> None:
        released.wait(20)

    event.listen(store.engine, moment, wait)
    try:
        yield
    finally:
        released.set()


def test_a_redelivered_message_is_submitted_once(store: Store) -> None:
    first = Inbox(store, 20.0)
    assert first.receiver.accept(CLICK)
    assert first.receiver.accept(CLICK), "a redelivery"
    first.settle()
    assert len(first.submitted) == 1


@pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
def test_a_message_that_is_stored_too_late_is_discarded(store: Store, moment: str) -> None:
    first = Inbox(store, 0.3)
    with stalled_transactions(store, moment):
        assert not first.receiver.accept(CLICK)
    first.settle()
    assert first.submitted == []
    assert first.due() == []
    assert first.events() == [("UCAROL00", "message.discarded")]
    again = Inbox(store, 20.0)
    assert not again.receiver.accept(CLICK), "a redelivery of the same press"
    again.settle()
    assert again.submitted == []


FORM = Message(Kind.DENY, "V0TEST0001", "UCAROL00", "T0TEST0001", request_id="R-00000001", trigger_id="trigger-1")
SUBMITTED_AGAIN = replace(FORM, trigger_id="trigger-2", reason="with another reason")


@pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
def test_a_discarded_form_is_accepted_once_when_it_is_submitted_again(store: Store, moment: str) -> None:
    first = Inbox(store, 0.3)
    with stalled_transactions(store, moment):
        assert not first.receiver.accept(FORM)
    first.settle()
    again = Inbox(store, 20.0)
    assert not again.receiver.accept(FORM), "a redelivery of the first submission"
    assert again.receiver.accept(SUBMITTED_AGAIN)
    assert again.receiver.accept(SUBMITTED_AGAIN), "a redelivery"
    assert again.receiver.accept(FORM), "an accepted form is accepted, also for a late redelivery"
    again.settle()
    [claim] = again.submitted
    with store.read() as connection:
        assert inbox.get(connection, int(claim.key)).message.reason == "with another reason"
        assert inbox.mark_of(connection, FORM.key) is None
    assert len(again.due()) == 1
    assert again.events() == [("UCAROL00", "message.discarded")]


def test_a_form_submitted_again_is_not_discarded_for_its_first_submission(store: Store) -> None:
    with store.write() as connection:
        first = inbox.put(connection, FORM, "me", NOON)
    assert first is not None
    again = Inbox(store, 20.0)
    assert again.receiver.accept(SUBMITTED_AGAIN)
    again.settle()
    with store.write() as connection:
        assert not inbox.discard(connection, FORM, "me"), "the writer of the first submission was too slow"
    assert again.submitted == []
    assert [claim.key for claim in again.due()] == [first.key], "handled once its lease is over"


def test_a_message_that_still_waits_for_a_writer_is_never_stored(store: Store) -> None:
    first = Inbox(store, 0.3)
    with stalled_transactions(store, "before_cursor_execute"):
        waiting = [Message(Kind.LIST, f"other-{number}", "U", "T") for number in range(WRITER_THREADS)]
        threads = [threading.Thread(target=first.receiver.accept, args=(message,)) for message in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not first.receiver.accept(CLICK)
    first.settle()
    assert first.submitted == []
    assert ("UCAROL00", "message.discarded") not in first.events()
    assert Inbox(store, 20.0).receiver.accept(CLICK)


@contextmanager
def lost_commits(store: Store, lose: Callable[[Connection], object]) -> Iterator[None]:
    """The next transaction is committed, and its connection is lost before the answer to the COMMIT."""

    def commit_and_lose(connection: Connection) -> None:
        event.remove(store.engine, "commit", commit_and_lose)
        connection.exec_driver_sql("COMMIT")
        lose(connection)
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    event.listen(store.engine, "commit", commit_and_lose)
    yield


def test_a_message_whose_commit_was_not_answered_is_accepted_and_stored_once(postgres: Postgres) -> None:
    with closing(open_store(postgres.new_database())) as store:
        first = Inbox(store, 20.0)
        with lost_commits(store, lambda _: None):
            assert first.receiver.accept(CLICK)
        first.settle()
        assert len(first.due()) == 1


def test_a_message_is_accepted_although_the_pool_has_only_lost_connections(postgres: Postgres) -> None:
    url = postgres.new_database()
    with closing(open_store(url)) as store:
        first = Inbox(store, 20.0)
        assert first.receiver.accept(CLICK)
        make_read_only(url)
        make_writable(url)
        assert first.receiver.accept(replace(CLICK, key="trigger-2"))
        first.settle()
        assert len(first.submitted) == 2


def test_a_refused_message_that_was_stored_is_discarded_once_the_database_can_be_written(postgres: Postgres) -> None:
    url = postgres.new_database()
    with closing(open_store(url)) as store:
        first = Inbox(store, 20.0)
        with lost_commits(store, lambda _: make_read_only(url)):
            assert not first.receiver.accept(CLICK)
        make_writable(url)
        deadline = time.monotonic() + 20
        while first.events() != [("UCAROL00", "message.discarded")]:
            assert time.monotonic() < deadline, "the message is not discarded"
        assert first.due() == []
        assert first.submitted == []


COMMAND = {"team_id": "T0ELSEWHER", "api_app_id": "A0TEST0001", "user_id": "UEVE0000", "text": "x" * 9_000}
PRESS = {"team": {"id": "T0TEST0001"}, "api_app_id": "A0ELSEWHER", "user": {"id": "UEVE0000"}}


def test_rejected_payloads_of_one_workspace_and_app_are_one_row_a_minute(store: Store) -> None:
    first = Inbox(store, 20.0)
    for seconds in (0, 1, 59):
        first.now = NOON + timedelta(seconds=seconds)
        for body in (COMMAND, COMMAND | {"user_id": "UMALLORY"}, PRESS):
            first.receiver.reject(body)
    assert len(first.submitted) == 2
    first.now = NOON + timedelta(seconds=60)
    first.receiver.reject(COMMAND)
    assert len(first.submitted) == 3
    message = first.newest()
    assert (message.kind, message.person) == (Kind.FOREIGN_PAYLOAD, "UEVE0000")
    assert (message.team_id, message.app_id) == ("T0ELSEWHER", "A0TEST0001")
    assert "x" * 9 not in repr(message), "only ids are kept"


def test_a_malformed_payload_is_not_accepted_and_the_log_says_what_is_missing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first = Inbox(store, 20.0)
    assert not first.receiver.accept(MalformedPayload(("trigger_id", "user")))
    assert first.due() == []
    assert "it has no valid trigger_id, user" in caplog.text


def test_characters_that_databases_refuse_are_replaced_before_a_message_is_stored(store: Store) -> None:
    odd = "no\x00 \ud83d\x07\ny\udc00es"
    body = {
        "type": "view_submission",
        "team": {"id": "T0TEST0001"},
        "user": {"id": "UCAROL00"},
        "trigger_id": odd,
        "response_url": odd,
        "view": {
            "id": f"V0{odd}",
            "private_metadata": "R-00000001 C1 1.2",
            "state": {"values": {"reason": {"text": {"value": odd}}}},
        },
    }
    first = Inbox(store, 20.0)
    assert first.receiver.accept(to_message(body, Kind.DENY))
    assert len(first.submitted) == 1
    message = first.newest()
    assert (message.kind, message.reason) == (Kind.DENY, "no     y es")
    with store.write() as connection:
        append(connection, Event(AuditEvent.REQUEST_DENIED, message.person, None, {"reason": message.reason}), NOON)
    assert first.events() == [("UCAROL00", "request.denied")]
