"""The worker: it stores the result of each job whatever fails, claims no active job again, and keeps to its limits."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from bot.domain.audit_events import AuditEvent
from bot.domain.request import State
from bot.jobs.active_claims import ActiveClaims
from bot.jobs.lanes import APPROVED_REQUESTS, FAST_MESSAGES, OTHER_REQUESTS, SLOW_MESSAGES
from bot.jobs.worker import MAX_BACKOFF_AFTER_BUG, Finished, Handler, Rescheduled, Result, Worker, backoff
from bot.store import inbox, outbox, queue, requests, tables
from bot.store.audit import Event
from bot.store.database import Store, open_store
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from tests.support.postgres import Postgres
from tests.support.values import GROUP, PLAN, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

WAIT_SECONDS = 20.0
TRIGGERS = itertools.count()


def utc_now() -> datetime:
    return datetime.now(UTC)


def finish(claim: Claim) -> Result:
    return Finished()


def add_notices(store: Store, count: int) -> None:
    with store.write() as connection:
        for number in range(count):
            outbox.add_notice(connection, Notice(Delivery.DIRECT, "U", str(number)), utc_now())


def add_requests(
    store: Store, count: int, state: State = State.PENDING, *, first: int = 0, projects: int = 1
) -> set[str]:
    """Adds requests that are due, each for a group of its own, and returns their ids. Their cards are not due."""
    made = [
        request(
            state,
            number,
            group=replace(GROUP, group_id=f"g{number}"),
            plan=replace(PLAN, project=f"media-{number % projects}"),
        )
        for number in range(first, first + count)
    ]
    with store.write() as connection:
        for one in made:
            requests.add(connection, one, Event(AuditEvent.REQUEST_CREATED, "UALICE00", one.id), utc_now())
        connection.execute(tables.cards.update().values(due_at=None))
    return {one.id for one in made}


@contextmanager
def running(
    store: Store, handlers: Mapping[str, Handler], report_bug: Callable[[Claim, str], None] = lambda *_: None
) -> Iterator[tuple[Worker, ActiveClaims]]:
    """Runs a worker with these handlers. The jobs of other tables finish at once."""
    active_claims = ActiveClaims()
    for_all_tables = {table.name: handlers.get(table.name, finish) for table in queue.TABLES}
    worker = Worker(store, "me", utc_now, for_all_tables, report_bug, active_claims)
    other_threads = set(threading.enumerate())
    worker.start()
    threads = set(threading.enumerate()) - other_threads
    try:
        yield worker, active_claims
    finally:
        assert worker.stop(WAIT_SECONDS)
        for thread in threads:
            thread.join()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def notice_due_at(store: Store) -> datetime | None:
    """When the one notice is due."""
    with store.read() as connection:
        due_at: datetime | None = connection.execute(select(tables.notices.c.due_at)).scalar_one()
        return due_at


def request_claimed_until(store: Store) -> datetime:
    """When the lease of the one request ends."""
    with store.read() as connection:
        claimed_until: datetime = connection.execute(select(tables.requests.c.claimed_until)).scalar_one()
        return claimed_until


@pytest.mark.parametrize("bug", [RuntimeError("a bug"), ValueError("another bug")])
def test_a_job_that_raises_is_postponed_even_if_the_report_of_the_bug_raises(store: Store, bug: Exception) -> None:
    add_notices(store, 1)
    reported: list[str] = []

    def fail(claim: Claim) -> Result:
        raise bug

    def report_bug(claim: Claim, reference: str) -> None:
        reported.append(reference)
        raise bug

    begun = utc_now()
    with running(store, {"notices": fail}, report_bug) as (_, active_claims):
        wait_until(lambda: bool(reported) and not active_claims.all())
        with store.read() as connection:
            query = select(tables.notices.c.tries, tables.notices.c.claimed_by, tables.notices.c.due_at)
            tries, claimed_by, due_at = connection.execute(query).one()
    assert (tries, claimed_by) == (1, None)
    assert due_at >= begun + timedelta(seconds=5)


def test_of_several_exceptions_in_a_row_the_first_is_reported(store: Store) -> None:
    add_notices(store, 1)
    runs: list[int] = []
    reported: list[int] = []

    def fail(claim: Claim) -> Result:
        runs.append(claim.tries)
        raise RuntimeError("a bug")

    with running(store, {"notices": fail}, lambda claim, _: reported.append(claim.tries)) as (worker, active_claims):
        wait_until(lambda: runs == [0] and not active_claims.all())
        with store.write() as connection:
            connection.execute(update(tables.notices).values(due_at=utc_now()))
        worker.wake()
        wait_until(lambda: runs == [0, 1] and not active_claims.all())
    assert reported == [0]


def test_a_lost_database_connection_in_a_job_is_no_bug_and_the_job_runs_again(postgres: Postgres) -> None:
    runs: list[int] = []
    reported: list[str] = []

    def lose_connection_once(claim: Claim) -> Result:
        runs.append(claim.tries)
        if len(runs) == 1:
            with store.read() as connection:
                connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return Finished()

    with closing(open_store(postgres.new_database())) as store:
        add_notices(store, 1)
        with running(store, {"notices": lose_connection_once}, lambda _, reference: reported.append(reference)):
            wait_until(lambda: notice_due_at(store) is None)
    assert (runs, reported) == ([0, 1], [])


def test_an_active_job_is_not_claimed_again_after_its_lease_ended(store: Store) -> None:
    add_requests(store, 1)
    started: list[Claim] = []
    go_on = threading.Event()

    def work(claim: Claim) -> Result:
        started.append(claim)
        go_on.wait(WAIT_SECONDS)
        return Finished()

    with running(store, {"requests": work}) as (worker, _):
        wait_until(lambda: bool(started))
        with store.write() as connection:
            # As after a stall of this process: the end of the lease is moved into the past.
            connection.execute(text("UPDATE requests SET claimed_until = '2020-01-01 00:00:00'"))
            assert not queue.claim_one(connection, tables.requests, started[0].key, "me")
        # Once this notice is sent, the worker has looked for due rows again.
        add_notices(store, 1)
        worker.wake()
        wait_until(lambda: notice_due_at(store) is None)
        assert len(started) == 1
        go_on.set()


def test_a_job_can_store_itself_when_its_row_is_due_again(store: Store) -> None:
    add_notices(store, 1)
    later = utc_now().replace(microsecond=0) + timedelta(hours=1)

    def work(claim: Claim) -> Result:
        with store.write() as connection:
            connection.execute(tables.notices.update().values(due_at=later))
        return Rescheduled()

    with running(store, {"notices": work}) as (_, active_claims):
        wait_until(lambda: not active_claims.all() and notice_due_at(store) == later)
    assert notice_due_at(store) == later


def test_a_lease_is_renewed_while_the_job_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.jobs.worker.RENEW_EVERY_SECONDS", 0.05)
    add_requests(store, 1)
    go_on = threading.Event()

    def work(claim: Claim) -> Result:
        with store.write() as connection:
            connection.execute(text("UPDATE requests SET claimed_until = '2020-01-01 00:00:00'"))
        wait_until(lambda: request_claimed_until(store) > utc_now())
        go_on.set()
        return Finished()

    with running(store, {"requests": work}):
        assert go_on.wait(WAIT_SECONDS)


def test_a_stopped_worker_runs_no_more_jobs(store: Store) -> None:
    handled: list[Claim] = []

    def work(claim: Claim) -> Result:
        handled.append(claim)
        return Finished()

    with running(store, {"notices": work}) as (worker, active_claims):
        assert worker.stop(WAIT_SECONDS)
        worker.submit(Claim("notices", 1, 0))
        assert active_claims.all() == []
    assert handled == []


def test_requests_go_on_while_slack_hangs(store: Store) -> None:
    slack_answers = threading.Event()
    handled: list[Claim] = []

    def hang(claim: Claim) -> Result:
        slack_answers.wait(WAIT_SECONDS)
        return Finished()

    def work(claim: Claim) -> Result:
        handled.append(claim)
        return Finished()

    add_requests(store, 40)
    with store.write() as connection:
        connection.execute(tables.requests.update().values(due_at=None))
        connection.execute(tables.cards.update().values(due_at=utc_now()))
    add_notices(store, 40)
    with running(store, {"notices": hang, "cards": hang, "requests": work}) as (worker, active_claims):
        wait_until(lambda: {claim.queue for claim in active_claims.all()} == {"notices", "cards"})
        with store.write() as connection:
            connection.execute(tables.requests.update().values(due_at=utc_now()))
        worker.wake()
        wait_until(lambda: len(handled) == 40)
        assert not slack_answers.is_set()
        slack_answers.set()


def receive(store: Store, worker: Worker, kind: Kind, person: str, count: int = 1) -> None:
    """Stores and submits messages as the listener does."""
    for _ in range(count):
        message = Message(kind, f"trigger-{next(TRIGGERS)}", person, "T0TEST0001")
        with store.write() as connection:
            claim = inbox.put(connection, message, "me", utc_now())
        assert claim is not None
        worker.submit(claim)


def test_many_messages_of_one_person_hold_up_neither_actions_nor_other_people(store: Store) -> None:
    oms_answers = threading.Event()
    running_now: Counter[str] = Counter()
    most_at_once: Counter[str] = Counter()
    handled: list[Claim] = []
    lock = threading.Lock()

    def work(claim: Claim) -> Result:
        with lock:
            running_now[claim.fairness_key] += 1
            most_at_once[claim.fairness_key] = max(most_at_once[claim.fairness_key], running_now[claim.fairness_key])
        if claim.fairness_key == "UBOB0000":
            oms_answers.wait(WAIT_SECONDS)
        with lock:
            running_now[claim.fairness_key] -= 1
            handled.append(claim)
        return Finished()

    limit = (SLOW_MESSAGES.max_per_key or 0) + (FAST_MESSAGES.max_per_key or 0)
    with running(store, {"inbox": work}) as (worker, active_claims):
        receive(store, worker, Kind.CREATE_REQUEST, "UBOB0000", 40)
        wait_until(lambda: running_now["UBOB0000"] == SLOW_MESSAGES.max_per_key)
        receive(store, worker, Kind.APPROVE, "UCAROL00")
        receive(store, worker, Kind.APPROVE, "UBOB0000", 20)
        receive(store, worker, Kind.APPROVE, "UDAVE000")
        receive(store, worker, Kind.LIST, "UDAVE000", 20)
        wait_until(lambda: len(handled) == 22)
        assert {claim.fairness_key for claim in handled} == {"UCAROL00", "UDAVE000"}
        assert sum(claim.fairness_key == "UBOB0000" for claim in active_claims.all()) <= limit
        oms_answers.set()
        wait_until(lambda: len(handled) == 82)
    assert len({claim.key for claim in handled}) == 82, "no message is lost, and none is handled twice"
    assert most_at_once["UBOB0000"] <= limit


def test_a_project_whose_oms_hangs_does_not_hold_up_other_projects(store: Store) -> None:
    oms_answers = threading.Event()
    handled: list[Claim] = []

    def work(claim: Claim) -> Result:
        if claim.fairness_key == "hangs":
            oms_answers.wait(WAIT_SECONDS)
        handled.append(claim)
        return Finished()

    for number in range(60):
        project = "media" if number >= 50 else "hangs"
        made = replace(request(number=number), plan=replace(PLAN, project=project, project_id=str(number)))
        with store.write() as connection:
            requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, "UALICE00", made.id), utc_now())
    with store.write() as connection:
        connection.execute(tables.requests.update().values(due_at=utc_now()))
    with running(store, {"requests": work}) as (_, active_claims):
        wait_until(lambda: len(handled) == 10)
        assert {claim.fairness_key for claim in handled} == {"media"}
        assert sum(claim.fairness_key == "hangs" for claim in active_claims.all()) == OTHER_REQUESTS.max_per_key
        oms_answers.set()
        wait_until(lambda: len(handled) == 60)


@pytest.mark.parametrize("projects", [1, 50])
def test_approved_requests_that_hang_do_not_hold_up_other_requests(store: Store, projects: int) -> None:
    vault_answers = threading.Event()
    handled: list[int | str] = []
    hung: set[str] = set()

    def work(claim: Claim) -> Result:
        if claim.key in approved:
            hung.add(claim.fairness_key)
            vault_answers.wait(WAIT_SECONDS)
        handled.append(claim.key)
        return Finished()

    approved = add_requests(store, 200, State.APPROVED, projects=projects)
    with running(store, {"requests": work}) as (worker, active_claims):
        wait_until(lambda: len(hung) == min(projects, 8))
        others: set[int | str] = set()
        for number, state in enumerate(set(State) - {State.APPROVED}):
            others |= add_requests(store, 1, state, first=1000 + number, projects=projects)
        with store.write() as connection:
            # All are due, whatever their state, and the approved ones have been due for longer.
            connection.execute(
                tables.requests.update().where(tables.requests.c.id.in_(others)).values(due_at=utc_now())
            )
        worker.wake()
        wait_until(lambda: set(handled) == others)
        claims = Counter(one.fairness_key for one in active_claims.all() if APPROVED_REQUESTS.holds(one))
        assert max(claims.values()) <= (APPROVED_REQUESTS.max_per_key or 0)
        vault_answers.set()
        wait_until(lambda: set(handled) == others | approved)
    assert all(Counter(handled)[one] == 1 for one in approved), "no request is worked on twice"


def test_a_notice_that_hangs_holds_up_only_notices_of_its_own_thread(store: Store) -> None:
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
        assert not {1, 11, 21} & set(sent), "the notices of its own thread wait"
        slack_answers.set()
        wait_until(lambda: len(sent) == 30)
    assert [key for key in sent if key in (1, 11, 21)] == [1, 11, 21]


def test_a_claim_that_was_added_twice_stays_active_until_it_is_removed_twice() -> None:
    active_claims, claim = ActiveClaims(), Claim("cards", "R-00000001", 0)
    with active_claims.holding(claim):
        active_claims.add(claim)
    assert active_claims.all() == [claim]
    active_claims.remove(claim)
    assert active_claims.all() == []


def test_the_backoff_doubles_up_to_half_a_minute_and_after_a_bug_up_to_two_minutes() -> None:
    assert [backoff(tries).seconds for tries in (0, 3, 5, 40)] == [1, 8, 30, 30]
    assert backoff(40, MAX_BACKOFF_AFTER_BUG) == timedelta(minutes=2)
