"""The loop: whatever fails, the end of a piece of work is written down, and what is in hand is nobody else's."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from bot.domain.audit_events import AuditEvent
from bot.jobs.active_claims import ActiveClaims
from bot.jobs.notify.cards import CARDS_WAIT_AT_MOST
from bot.jobs.worker import ASKS, CLICKS, REQUESTS, Finished, Rescheduled, Result, Step, Worker, backoff
from bot.store import inbox, outbox, queue, requests, tables
from bot.store.audit import Event
from bot.store.database import Store
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from tests.support.values import PLAN, request

pytestmark = pytest.mark.usefixtures("patient")

WAIT_SECONDS = 20.0
TRIGGERS = itertools.count()


def utc_now() -> datetime:
    return datetime.now(UTC)


def nothing(claim: Claim) -> Result:
    return Finished()


def add_notices(store: Store, count: int) -> None:
    with store.write() as connection:
        for number in range(count):
            outbox.add_notice(connection, Notice(Delivery.DIRECT, "U", str(number)), utc_now())


def add_requests(store: Store, count: int) -> None:
    """Requests that are due, their cards not."""
    for number in range(count):
        made = replace(request(number=number), group=replace(request().group, group_id=f"g{number}"))
        with store.write() as connection:
            requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, "UALICE00", made.id), utc_now())
    with store.write() as connection:
        connection.execute(tables.cards.update().values(due_at=None))


@contextmanager
def running(
    store: Store, steps: Mapping[str, Step], report_bug: Callable[[Claim, str], None] = lambda *_: None
) -> Iterator[tuple[Worker, ActiveClaims]]:
    active_claims = ActiveClaims()
    every = {queue.name: steps.get(queue.name, nothing) for queue in queue.TABLES}
    threads_before = set(threading.enumerate())
    loop = Worker(store, "me", utc_now, every, report_bug, active_claims)
    loop.start()
    try:
        yield loop, active_claims
    finally:
        assert loop.stop(WAIT_SECONDS)
        for thread in set(threading.enumerate()) - threads_before:
            thread.join(WAIT_SECONDS)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.mark.parametrize("fault", [RuntimeError("in the step"), ValueError("in the words for it")])
def test_what_fails_is_postponed_also_when_that_cannot_be_told(store: Store, fault: Exception) -> None:
    add_notices(store, 1)
    told: list[str] = []

    def fail(*arguments: object) -> Result:
        raise fault

    def report_bug(claim: Claim, reference: str) -> None:
        told.append(reference)
        raise fault

    begun = utc_now()
    with running(store, {"notices": fail}, report_bug) as (_, active_claims):
        wait_until(lambda: bool(told) and not active_claims.all())
        with store.read() as connection:
            query = select(tables.notices.c.tries, tables.notices.c.claimed_by, tables.notices.c.due_at)
            tries, claimed_by, due_at = connection.execute(query).one()
    assert (tries, claimed_by) == (1, None)
    assert due_at >= begun + timedelta(seconds=5)


def test_what_is_in_hand_is_not_claimed_again_when_its_lease_is_over(store: Store) -> None:
    add_requests(store, 1)
    started: list[Claim] = []
    go_on = threading.Event()

    def work(claim: Claim) -> Result:
        started.append(claim)
        go_on.wait(WAIT_SECONDS)
        return Finished()

    with running(store, {"requests": work}) as (loop, _):
        wait_until(lambda: bool(started))
        with store.write() as connection:
            # As after a stall: the lease is turned back instead of waited for.
            connection.execute(text("UPDATE requests SET claimed_until = '2020-01-01 00:00:00'"))
            assert not queue.claim_one(connection, tables.requests, started[0].key, "me")
        # Another row is claimed meanwhile, so the loop has looked.
        add_notices(store, 1)
        loop.wake()
        wait_until(lambda: _is_done(store))
        assert len(started) == 1
        go_on.set()


def test_what_is_due_again_by_its_own_row_stays_so(store: Store) -> None:
    add_notices(store, 1)
    later = utc_now().replace(microsecond=0) + timedelta(hours=1)

    def work(claim: Claim) -> Result:
        with store.write() as connection:
            connection.execute(tables.notices.update().values(due_at=later))
        return Rescheduled()

    with running(store, {"notices": work}) as (_, active_claims):
        wait_until(lambda: not active_claims.all() and _due_at(store) == later)
    assert _due_at(store) == later


def test_a_lease_is_renewed_while_the_work_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.jobs.worker.RENEW_EVERY_SECONDS", 0.05)
    add_requests(store, 1)
    go_on = threading.Event()

    def work(claim: Claim) -> Result:
        with store.write() as connection:
            connection.execute(text("UPDATE requests SET claimed_until = '2020-01-01 00:00:00'"))
        wait_until(lambda: _claimed_until(store) > utc_now())
        go_on.set()
        return Finished()

    with running(store, {"requests": work}):
        assert go_on.wait(WAIT_SECONDS)


def test_who_stops_takes_nothing_more_in_hand(store: Store) -> None:
    worked: list[Claim] = []

    def work(claim: Claim) -> Result:
        worked.append(claim)
        return Finished()

    with running(store, {"notices": work}) as (loop, active_claims):
        assert loop.stop(WAIT_SECONDS)
        loop.submit(Claim("notices", 1, 0))
        assert active_claims.all() == []
    assert worked == []


def _due_at(store: Store) -> datetime | None:
    with store.read() as connection:
        found: datetime | None = connection.execute(select(tables.notices.c.due_at)).scalar_one()
        return found


def _claimed_until(store: Store) -> datetime:
    with store.read() as connection:
        found: datetime = connection.execute(select(tables.requests.c.claimed_until)).scalar_one()
        return found


def _is_done(store: Store) -> bool:
    with store.read() as connection:
        return connection.execute(select(tables.notices.c.due_at)).scalar_one() is None


def test_a_slack_that_hangs_keeps_no_request_waiting(store: Store) -> None:
    slack_answers = threading.Event()
    worked: list[Claim] = []

    def hang(claim: Claim) -> Result:
        slack_answers.wait(WAIT_SECONDS)
        return Finished()

    def work(claim: Claim) -> Result:
        worked.append(claim)
        return Finished()

    add_requests(store, 40)
    with store.write() as connection:
        connection.execute(tables.requests.update().values(due_at=None))
        connection.execute(tables.cards.update().values(due_at=utc_now()))
    add_notices(store, 40)
    with running(store, {"notices": hang, "cards": hang, "requests": work}) as (loop, active_claims):
        wait_until(lambda: {claim.queue for claim in active_claims.all()} == {"notices", "cards"})
        with store.write() as connection:
            connection.execute(tables.requests.update().values(due_at=utc_now()))
        loop.wake()
        wait_until(lambda: len(worked) == 40)
        assert not slack_answers.is_set()
        slack_answers.set()


def hand_in(store: Store, loop: Worker, kind: Kind, person: str, count: int = 1) -> None:
    """As the door does: written down claimed, and handed over."""
    for _ in range(count):
        message = Message(kind, f"trigger-{next(TRIGGERS)}", person, "T0TEST0001")
        with store.write() as connection:
            claim = inbox.put(connection, message, "me", utc_now())
        assert claim is not None
        loop.submit(claim)


def test_what_one_person_asks_keeps_neither_a_click_nor_what_others_ask_waiting(store: Store) -> None:
    oms_answers = threading.Event()
    in_hand: Counter[str] = Counter()
    most: Counter[str] = Counter()
    worked: list[Claim] = []
    lock = threading.Lock()

    def work(claim: Claim) -> Result:
        with lock:
            in_hand[claim.fairness_key] += 1
            most[claim.fairness_key] = max(most[claim.fairness_key], in_hand[claim.fairness_key])
        if claim.fairness_key == "UBOB0000":
            oms_answers.wait(WAIT_SECONDS)
        with lock:
            in_hand[claim.fairness_key] -= 1
            worked.append(claim)
        return Finished()

    with running(store, {"inbox": work}) as (loop, active_claims):
        hand_in(store, loop, Kind.CREATE_REQUEST, "UBOB0000", 40)
        wait_until(lambda: in_hand["UBOB0000"] == ASKS.max_per_key)
        hand_in(store, loop, Kind.APPROVE, "UCAROL00")
        hand_in(store, loop, Kind.APPROVE, "UBOB0000", 20)
        hand_in(store, loop, Kind.APPROVE, "UDAVE000")
        hand_in(store, loop, Kind.LIST, "UDAVE000", 20)
        wait_until(lambda: len(worked) == 22)
        assert {claim.fairness_key for claim in worked} == {"UCAROL00", "UDAVE000"}
        assert sum(claim.fairness_key == "UBOB0000" for claim in active_claims.all()) <= (ASKS.max_per_key or 0) + (
            CLICKS.max_per_key or 0
        )
        oms_answers.set()
        wait_until(lambda: len(worked) == 82)
    assert len({claim.key for claim in worked}) == 82, "nothing is lost, and nothing done twice"
    assert most["UBOB0000"] <= (ASKS.max_per_key or 0) + (CLICKS.max_per_key or 0)


def test_a_project_whose_oms_hangs_keeps_no_other_project_waiting(store: Store) -> None:
    oms_answers = threading.Event()
    worked: list[Claim] = []

    def work(claim: Claim) -> Result:
        if claim.fairness_key == "hangs":
            oms_answers.wait(WAIT_SECONDS)
        worked.append(claim)
        return Finished()

    for number in range(60):
        project = "media" if number >= 50 else "hangs"
        made = replace(request(number=number), plan=replace(PLAN, project=project, project_id=str(number)))
        with store.write() as connection:
            requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, "UALICE00", made.id), utc_now())
    with store.write() as connection:
        connection.execute(tables.requests.update().values(due_at=utc_now()))
    with running(store, {"requests": work}) as (_, active_claims):
        wait_until(lambda: len(worked) == 10)
        assert {claim.fairness_key for claim in worked} == {"media"}
        assert sum(claim.fairness_key == "hangs" for claim in active_claims.all()) == REQUESTS.max_per_key
        oms_answers.set()
        wait_until(lambda: len(worked) == 60)


def test_a_notice_that_hangs_keeps_none_of_another_thread_waiting(store: Store) -> None:
    slack_answers = threading.Event()
    sent: list[int | str] = []

    def send(claim: Claim) -> Result:
        if claim.key == 1:
            slack_answers.wait(WAIT_SECONDS)
        sent.append(claim.key)
        return Finished()

    with store.write() as connection:
        for number in range(30):
            outbox.add_notice(connection, Notice(Delivery.THREAD, "", "x", f"R-{number % 10}"), utc_now())
    with running(store, {"notices": send}):
        wait_until(lambda: len(sent) == 27)
        assert not slack_answers.is_set()
        assert not {1, 11, 21} & set(sent), "its own thread waits for it"
        slack_answers.set()
        wait_until(lambda: len(sent) == 30)
    assert [key for key in sent if key in (1, 11, 21)] == [1, 11, 21]


def test_a_claim_taken_anew_is_held_though_the_last_hand_lets_go_of_it() -> None:
    active_claims, claim = ActiveClaims(), Claim("cards", "R-00000001", 0)
    with active_claims.holding(claim):
        active_claims.take(claim)
    assert active_claims.all() == [claim]
    active_claims.let_go(claim)
    assert active_claims.all() == []


def test_a_card_waits_for_half_a_minute_at_most() -> None:
    assert [backoff(tries, CARDS_WAIT_AT_MOST).seconds for tries in (0, 3, 5, 40)] == [1, 8, 30, 30]
    assert backoff(40) == timedelta(minutes=2)
