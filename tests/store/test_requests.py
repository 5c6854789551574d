"""Requests and votes: stored whole, changed once by compare-and-set, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Attempt, Request, State
from bot.store import queue, requests, tables
from bot.store.audit import Event
from bot.store.database import Store
from bot.store.queue import Queue
from tests.support.values import NOON, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

CREATED = Event(AuditEvent.REQUEST_CREATED, "UALICE00", "R-00000001")


def add(store: Store, number: int = 1) -> None:
    with store.write() as connection:
        requests.add(connection, request(number=number), CREATED, NOON)


def test_a_group_has_one_open_request(store: Store) -> None:
    add(store)
    with pytest.raises(requests.AlreadyOpen), store.write() as connection:
        requests.add(connection, request(number=2), CREATED, NOON)
    with store.write() as connection:
        old = requests.lock(connection, "R-00000001")
        assert old is not None
        requests.save(connection, old, old.with_state(State.CANCELLED, at=NOON), NOON)
    add(store, 2)
    elsewhere = replace(request(number=3), plan=replace(request().plan, project_id="1" * 32))
    with store.write() as connection:
        requests.add(connection, elsewhere, CREATED, NOON)
        assert requests.find_open(connection, elsewhere.group_key) == elsewhere


def test_a_message_creates_one_request_for_a_group_even_after_that_request_has_ended(store: Store) -> None:
    first, second = (request(number=number, origin_key="trigger-1") for number in (1, 2))
    with store.write() as connection:
        requests.add(connection, first, CREATED, NOON)
        requests.save(connection, first, first.with_state(State.DENIED, at=NOON), NOON)
    with pytest.raises(requests.AlreadyOpen), store.write() as connection:
        requests.add(connection, second, CREATED, NOON)
    with store.read() as connection:
        found = requests.find_by_origin(connection, "trigger-1", second.group.group_id)
    assert found is not None
    assert (found.id, found.state) == (first.id, State.DENIED)


def test_open_requests_are_listed_oldest_first_and_requests_of_a_group_newest_first(store: Store) -> None:
    states = (State.CANCELLED, State.DONE, State.PENDING)
    made = [request(state, number, created_at=NOON + timedelta(minutes=number)) for number, state in enumerate(states)]
    other = request(number=9, created_at=NOON - timedelta(minutes=1), group=replace(request().group, group_id="other"))
    with store.write() as connection:
        for one in (*made, other):
            requests.add(connection, one, CREATED, NOON)
    with store.read() as connection:
        assert requests.open_requests(connection, ["media"]) == [other, made[2]]
        assert requests.open_requests(connection, ["elsewhere"]) == []
        assert requests.of_group(connection, made[0].group.group_id) == made[::-1]


def test_the_last_end_of_each_group_leaves_out_open_requests(store: Store) -> None:
    ended = [request(State.DONE, number, ended_at=NOON + timedelta(minutes=number)) for number in range(1, 3)]
    other = request(number=9, group=replace(request().group, group_id="other"))
    with store.write() as connection:
        for one in (*reversed(ended), request(number=3), other):
            requests.add(connection, one, CREATED, NOON)
    with store.read() as connection:
        group_id = ended[0].group.group_id
        many = [str(number) for number in range(requests.IDS_AT_ONCE)]
        assert requests.last_ends(connection, [*many, group_id, "other"]) == {group_id: NOON + timedelta(minutes=2)}
        assert requests.last_ends(connection, []) == {}


def test_a_request_is_read_as_it_was_stored(store: Store) -> None:
    for number, state in enumerate(State, start=1):
        written = replace(request(state, number), group=replace(request().group, group_id=f"g{number}"))
        with store.write() as connection:
            requests.add(connection, written, CREATED, NOON)
        with store.read() as connection:
            assert requests.get(connection, written.id) == written


def test_a_change_makes_the_card_of_the_request_due_and_no_other(store: Store) -> None:
    add(store)
    other = replace(request(number=2), group=replace(request().group, group_id="other"))
    with store.write() as connection:
        requests.add(connection, other, CREATED, NOON)
        connection.execute(tables.cards.update().values(due_at=None))
        saved = requests.save(connection, other, other.with_state(State.CANCELLED, at=NOON), NOON)
    assert saved.version == other.version + 1
    with store.read() as connection:
        assert queue.next_due(connection, NOON)[Queue(tables.cards)] == NOON
        due = connection.execute(select(tables.cards.c.request_id).where(tables.cards.c.due_at.is_not(None)))
        assert due.scalars().all() == [other.id]


def test_a_change_of_an_older_version_is_stale(store: Store) -> None:
    add(store)
    with store.read() as connection:
        old = requests.get(connection, "R-00000001")
    assert old is not None
    with store.write() as connection:
        requests.save(connection, old, old.with_state(State.CANCELLED, at=NOON), NOON)
    with pytest.raises(requests.Stale), store.write() as connection:
        requests.save(connection, old, old.with_state(State.DENIED, at=NOON), NOON)


def approved_request(store: Store) -> Request:
    add(store)
    with store.write() as connection:
        pending = requests.lock(connection, "R-00000001")
        assert pending is not None
        approved = replace(pending, attempt=Attempt(1, "UCAROL00", NOON)).with_state(State.APPROVED, at=NOON)
        return requests.save(connection, pending, approved, NOON)


def start_sending(store: Store, approved: Request) -> bool:
    try:
        with store.write() as connection:
            requests.save(connection, approved, approved.with_state(State.SENDING, at=NOON), NOON)
    except requests.Stale:
        return False
    return True


def test_one_of_many_workers_starts_sending(store: Store) -> None:
    approved = approved_request(store)
    started: list[bool] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        started.append(start_sending(store, approved))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(started) == [False] * 7 + [True]


def test_a_worker_that_waited_for_a_cancellation_to_commit_does_not_send(store: Store) -> None:
    approved = approved_request(store)
    started: list[bool] = []
    sender = threading.Thread(target=lambda: started.append(start_sending(store, approved)))
    with store.write() as connection:
        current = requests.lock(connection, "R-00000001")
        assert current is not None
        sender.start()
        while not store.is_sqlite and not another_transaction_waits(store):
            pass
        requests.save(connection, current, current.with_state(State.CANCELLED, at=NOON), NOON)
    sender.join()
    assert started == [False]


def another_transaction_waits(store: Store) -> bool:
    with store.read() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(connection.execute(text(query)).scalar())
