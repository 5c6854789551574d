"""Calls that overlap in one process: on KV version 1, only the process itself can tell whether a credential changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.circuit_breaker import MAX_REFUSALS, BreakerState, BreakerStep, CircuitBreaker
from bot.huawei.circuit_breaker import IdentityBreaker, InMemoryRows, Permit
from bot.huawei.credential import LoadedCredential
from bot.huawei.errors import Answer, Rejected, Suspended
from bot.huawei.signing import AccessKey
from bot.redaction import Secret
from tests.support.identity import Clock

RIGHT = LoadedCredential("kv1/caller", None, AccessKey(Secret("AK"), Secret("right")), "fingerprint")
WRONG = replace(RIGHT, credential=AccessKey(Secret("AK"), Secret("wrong")))


class ObservedRows(InMemoryRows):
    """Counts deletions, and runs a function once, after a row was read or updated and before the caller gets it."""

    def __init__(self) -> None:
        super().__init__()
        self.after_get: Callable[[], None] | None = None
        self.after_update: Callable[[], None] | None = None
        self.deletes = 0

    def get(self, fingerprint: str, path: str) -> CircuitBreaker | None:
        row = super().get(fingerprint, path)
        run, self.after_get = self.after_get, None
        if run is not None:
            run()
        return row

    def update(self, new: CircuitBreaker, change: Callable[[CircuitBreaker], CircuitBreaker]) -> CircuitBreaker:
        before = super().update(new, change)
        run, self.after_update = self.after_update, None
        if run is not None:
            run()
        return before

    def delete(self, path: str, condition: Callable[[CircuitBreaker], bool]) -> None:
        self.deletes += 1
        super().delete(path, condition)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rows(clock: Clock) -> ObservedRows:
    """What an earlier process stored: the right key was accepted."""
    rows = ObservedRows()
    accept(begin_probe(new_breaker(rows, clock), RIGHT))
    return rows


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def new_breaker(rows: InMemoryRows, clock: Clock) -> IdentityBreaker:
    return IdentityBreaker(rows, RIGHT.fingerprint, clock)


def begin_probe(breaker: IdentityBreaker, loaded: LoadedCredential) -> Permit:
    permit = breaker.begin_probe(loaded)
    assert permit is not None
    return permit


def accept(probe: Permit) -> None:
    with probe.observing():
        pass


def refuse(probe: Permit) -> None:
    with suppress(Rejected), probe.observing():
        raise Rejected(Answer(401, "APIG.0301", "", "", None))


def test_a_call_that_read_the_row_before_a_refusal_is_not_sent(rows: ObservedRows, clock: Clock) -> None:
    breaker = new_breaker(rows, clock)
    probe = begin_probe(breaker, WRONG)
    rows.after_get = lambda: refuse(probe)
    assert breaker.next_step(WRONG) is BreakerStep.WAIT
    assert breaker.next_step(WRONG) is BreakerStep.FAIL


@pytest.mark.parametrize("has_used_the_right_key", [False, True])
def test_a_call_that_begins_while_a_refusal_is_stored_is_not_sent(
    rows: ObservedRows, clock: Clock, pool: ThreadPoolExecutor, has_used_the_right_key: bool
) -> None:
    breaker = new_breaker(rows, clock)
    if has_used_the_right_key:
        accept(begin_probe(breaker, RIGHT))
    probe = begin_probe(breaker, WRONG)
    others: list[Future[Permit | None]] = []

    def begin_another() -> None:
        others.append(pool.submit(breaker.begin_probe, WRONG))
        wait(others, timeout=0.2)  # it ends at once, or waits for the refusal

    rows.after_update = begin_another
    refuse(probe)
    with pytest.raises(Suspended):
        others[0].result(10)


def test_a_changed_key_is_sent_once_after_the_one_before_was_refused(rows: ObservedRows, clock: Clock) -> None:
    breaker = new_breaker(rows, clock)
    refuse(begin_probe(breaker, WRONG))
    clock.now += timedelta(seconds=1)
    probe = begin_probe(breaker, RIGHT)
    assert breaker.next_step(RIGHT) is BreakerStep.WAIT
    accept(probe)
    assert breaker.next_step(RIGHT) is BreakerStep.SEND


def test_an_accepted_probe_deletes_rows_only_if_a_replaced_identity_is_stored(rows: ObservedRows, clock: Clock) -> None:
    assert rows.deletes == 0
    other = replace(RIGHT, fingerprint="another")
    accept(begin_probe(IdentityBreaker(rows, other.fingerprint, clock), other))
    assert rows.deletes == 1
    assert [row.fingerprint for row in rows.at_path(RIGHT.path)] == ["another"]


def test_a_row_that_someone_closes_in_the_database_lets_a_process_send_a_refused_key_three_times(clock: Clock) -> None:
    rows, key = InMemoryRows(), replace(RIGHT, version=1)
    breaker, sent = new_breaker(rows, clock), 0
    closed = CircuitBreaker(key.fingerprint, key.path, key.version, BreakerState.CLOSED)
    for _ in range(10):
        rows.update(closed, lambda row: closed)
        if breaker.next_step(key) is BreakerStep.SEND:
            refuse(Permit(breaker, key))
            sent += 1
    assert sent == MAX_REFUSALS
    with pytest.raises(Suspended) as raised:
        breaker.begin_probe(key)
    assert raised.value.is_close_to_lock
    clock.now += timedelta(minutes=5)
    assert breaker.next_step(key) is BreakerStep.SEND
