"""What cannot be written down in time is not taken, and then it does not count, whenever the database comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select

from bot.listeners import receiver as door_module
from bot.listeners.receiver import OurApp, Receiver
from bot.store import inbox, queue, tables
from bot.store.audit import Event, Verified, append, rows, verify
from bot.store.database import Store
from bot.store.inbox import Kind, Message
from bot.store.queue import Claim, Queue
from tests.support.values import NOON

CLICK = Message(Kind.APPROVE, "trigger-1", "UCAROL00", "T0TEST0001", request_id="R-00000001", response_url="https://x")


class Prompt(ThreadPoolExecutor):
    """Begins at once where a writer is free: a slow machine is not to pass for a slow database."""

    def __init__(self) -> None:
        super().__init__(door_module.WRITERS)
        self._writing: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        is_free = sum(future.running() for future in self._writing) < door_module.WRITERS
        future = super().submit(fn, *args, **kwargs)
        self._writing.append(future)
        while is_free and not (future.running() or future.done()):
            threading.Event().wait(0.001)
        return future


class Taken:
    """A door, and what it handed over."""

    def __init__(self, store: Store, within_seconds: float) -> None:
        self.store = store
        self.now = NOON
        self.handed_over: list[Claim] = []
        ours = OurApp("T0TEST0001", "A0TEST0001")
        self.receiver = Receiver(store, ours, "me", lambda: self.now, self.handed_over.append, within_seconds)
        self.receiver._writers = Prompt()

    def settle(self) -> None:
        """Returns when every writer has ended."""
        self.receiver._writers.shutdown(wait=True)

    def written(self) -> Message:
        """The message of the newest row."""
        with self.store.read() as connection:
            number = connection.execute(select(func.max(tables.inbox.c.id))).scalar_one()
            return inbox.get(connection, number)[0]

    def due(self) -> list[Claim]:
        """What any process could claim, once the lease of this one is over."""
        with self.store.write() as connection:
            connection.execute(tables.inbox.update().values(claimed_until=None))
            return queue.claim_due(connection, Queue(tables.inbox), "another", NOON, 10)

    def events(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            assert isinstance(verify(connection), Verified)
            return [(link.actor, link.event) for link in rows(connection)]


@contextmanager
def active_claims(store: Store, moment: str) -> Iterator[None]:
    """Every transaction waits at this moment until the block ends: `commit`, or `before_cursor_execute`."""
    released = threading.Event()

    def wait(*_: object) -> None:
        released.wait(20)

    event.listen(store.engine, moment, wait)
    try:
        yield
    finally:
        released.set()


def test_a_message_is_handed_over_once(store: Store) -> None:
    taken = Taken(store, 20.0)
    assert taken.receiver.take(CLICK)
    assert taken.receiver.take(CLICK), "a redelivery"
    taken.settle()
    assert len(taken.handed_over) == 1


@pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
def test_what_is_written_too_late_does_not_count(store: Store, moment: str) -> None:
    taken = Taken(store, 0.3)
    with active_claims(store, moment):
        assert not taken.receiver.take(CLICK)
    taken.settle()
    assert taken.handed_over == []
    assert taken.due() == []
    assert taken.events() == [("UCAROL00", "not taken")]
    again = Taken(store, 20.0)
    assert not again.receiver.take(CLICK), "the same press, delivered once more"
    again.settle()
    assert again.handed_over == []


FORM = Message(Kind.DENY, "V0TEST0001", "UCAROL00", "T0TEST0001", request_id="R-00000001", press="trigger-1")
PRESSED_AGAIN = replace(FORM, press="trigger-2", text="with another reason")


@pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
def test_a_form_that_was_not_taken_is_taken_once_when_it_is_pressed_again(store: Store, moment: str) -> None:
    taken = Taken(store, 0.3)
    with active_claims(store, moment):
        assert not taken.receiver.take(FORM)
    taken.settle()
    again = Taken(store, 20.0)
    assert not again.receiver.take(FORM), "Slack delivers the first press once more"
    assert again.receiver.take(PRESSED_AGAIN)
    assert again.receiver.take(PRESSED_AGAIN), "a redelivery"
    assert again.receiver.take(FORM), "what is taken is taken, whichever press comes late"
    again.settle()
    [claim] = again.handed_over
    with store.read() as connection:
        assert inbox.get(connection, int(claim.key))[0].text == "with another reason"
        assert inbox.mark_of(connection, FORM.key) is None
    assert len(again.due()) == 1
    assert again.events() == [("UCAROL00", "not taken")]


def test_a_form_pressed_again_before_it_was_written_off_is_lost_to_nobody(store: Store) -> None:
    with store.write() as connection:
        first = inbox.put(connection, FORM, "me", NOON)
    assert first is not None
    again = Taken(store, 20.0)
    assert again.receiver.take(PRESSED_AGAIN)
    again.settle()
    with store.write() as connection:
        assert not inbox.discard(connection, FORM, "me"), "whoever was too slow with the first press"
    assert again.handed_over == []
    assert [claim.key for claim in again.due()] == [first.key], "worked on once its lease is over"


def test_what_still_waits_for_a_writer_is_never_written(store: Store) -> None:
    taken = Taken(store, 0.3)
    with active_claims(store, "before_cursor_execute"):
        waiting = [Message(Kind.LIST, f"other-{number}", "U", "T") for number in range(door_module.WRITERS)]
        threads = [threading.Thread(target=taken.receiver.take, args=(message,)) for message in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not taken.receiver.take(CLICK)
    taken.settle()
    assert taken.handed_over == []
    assert ("UCAROL00", "not taken") not in taken.events()
    assert Taken(store, 20.0).receiver.take(CLICK)


COMMAND = {"team_id": "T0ELSEWHER", "api_app_id": "A0TEST0001", "user_id": "UEVE0000", "text": "x" * 9_000}
PRESS = {"team": {"id": "T0TEST0001"}, "api_app_id": "A0ELSEWHER", "user": {"id": "UEVE0000"}}


def test_whatever_comes_from_one_sender_in_one_minute_is_one_row(store: Store) -> None:
    taken = Taken(store, 20.0)
    for seconds in (0, 1, 59):
        taken.now = NOON + timedelta(seconds=seconds)
        for body in (COMMAND, COMMAND | {"user_id": "UMALLORY"}, PRESS):
            assert not taken.receiver.is_ours(body)
            taken.receiver.reject_foreign(body)
    assert len(taken.handed_over) == 2
    taken.now = NOON + timedelta(seconds=60)
    taken.receiver.reject_foreign(COMMAND)
    assert len(taken.handed_over) == 3
    said = taken.written()
    assert (said.kind, said.person) == (Kind.FOREIGN_PAYLOAD, "UEVE0000")
    assert (said.team_id, said.app_id, said.text) == ("T0ELSEWHER", "A0TEST0001", "")


@pytest.mark.parametrize("odd", [None, 7, [], "x" * 9_000, "T0 or *", {"id": {"id": "T"}}, {}, "\ud800"])
def test_a_sender_that_is_no_id_is_not_known(store: Store, odd: object) -> None:
    taken = Taken(store, 20.0)
    body = {"team": odd, "api_app_id": odd, "user": odd}
    assert not taken.receiver.is_ours(body)
    taken.receiver.reject_foreign(body)
    said = taken.written()
    assert (said.person, said.team_id, said.app_id) == ("unknown", "unknown", "unknown")


def test_what_no_database_takes_is_left_at_the_door(store: Store) -> None:
    taken = Taken(store, 20.0)
    odd = "no\x00 \ud83d\x07\ny\udc00es"
    assert taken.receiver.take(Message(Kind.DENY, f"V0{odd}", f"U{odd}", f"T{odd}", odd, odd, odd, odd, odd, odd, odd))
    assert len(taken.handed_over) == 1
    said = taken.written()
    assert (said.kind, said.text) == (Kind.DENY, "no     y es")
    with store.write() as connection:
        append(connection, Event("deny", said.person, None, {"reason": said.text}), NOON)
    assert taken.events() == [(said.person, "deny")]
