"""Each identity has its own stored circuit breaker, and concurrent changes are serialised."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from bot.domain.circuit_breaker import BreakerState, CircuitBreaker
from bot.store.circuit_breakers import CircuitBreakers
from bot.store.database import Store
from tests.support.values import NOON

pytestmark = pytest.mark.usefixtures("slow_database_locks")

PATH = "secret/caller"
NEW = CircuitBreaker("one", PATH, 3)
OPEN = CircuitBreaker(
    "one",
    PATH,
    3,
    BreakerState.OPEN,
    "APIG.0301",
    (NOON, NOON + timedelta(microseconds=1)),
    NOON + timedelta(seconds=9),
)


@pytest.fixture
def rows(store: Store) -> CircuitBreakers:
    return CircuitBreakers(store.read, store.write)


def put(rows: CircuitBreakers, *breakers: CircuitBreaker) -> None:
    for breaker in breakers:
        rows.update(breaker, becomes(breaker))


def becomes(after: CircuitBreaker) -> Callable[[CircuitBreaker], CircuitBreaker]:
    return lambda before: after


def test_a_circuit_breaker_is_read_as_it_was_stored(rows: CircuitBreakers) -> None:
    assert rows.get("one", PATH) is None
    assert rows.update(NEW, becomes(OPEN)) == NEW
    assert rows.get("one", PATH) == OPEN
    assert rows.update(NEW, becomes(NEW)) == OPEN
    assert rows.get("one", PATH) == NEW


def test_each_identity_has_its_own_circuit_breaker(rows: CircuitBreakers) -> None:
    other = CircuitBreaker("other", PATH, None, BreakerState.CLOSED)
    put(rows, OPEN, other, replace(OPEN, fingerprint="elsewhere", path="secret/elsewhere"))
    put(rows, replace(OPEN, code="IAM.0061"))
    assert rows.get("other", PATH) == other
    assert {row.fingerprint: row.code for row in rows.at_path(PATH)} == {"one": "IAM.0061", "other": ""}
    rows.delete(PATH, lambda breaker: breaker.fingerprint == "one")
    assert (rows.get("one", PATH), rows.get("other", PATH)) == (None, other)


def test_the_refusals_of_an_identity_at_other_paths_are_read_with_it(rows: CircuitBreakers) -> None:
    put(rows, OPEN, replace(NEW, path="secret/elsewhere"), replace(OPEN, fingerprint="other", path="secret/third"))
    elsewhere = rows.get("one", "secret/elsewhere")
    assert elsewhere is not None
    assert (elsewhere.state, elsewhere.refused_elsewhere) == (NEW.state, OPEN.refused_at)
    assert rows.get("one", PATH) == OPEN


def test_the_probes_of_a_process_that_ended_end_with_it(rows: CircuitBreakers) -> None:
    put(rows, OPEN)
    rows.end_probes()
    assert rows.get("one", PATH) == replace(OPEN, probe_until=None)


def test_no_concurrent_change_is_lost(rows: CircuitBreakers) -> None:
    def count(_: int) -> None:
        rows.update(NEW, lambda before: replace(before, refused_at=(*before.refused_at, NOON)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(24)))
    found = rows.get("one", PATH)
    assert found is not None
    assert found.refused_at == (NOON,) * 24


def test_a_change_within_a_transaction_is_rolled_back_with_it(rows: CircuitBreakers, store: Store) -> None:
    put(rows, NEW)
    with store.write() as connection:
        put(CircuitBreakers.within(connection), OPEN)
        assert CircuitBreakers.within(connection).at_path(PATH) == [OPEN]
        connection.rollback()
    assert rows.get("one", PATH) == NEW
    with store.write() as connection:
        put(CircuitBreakers.within(connection), OPEN)
    assert rows.get("one", PATH) == OPEN


def test_the_circuit_breakers_at_a_path_are_read_in_one_query(rows: CircuitBreakers, store: Store) -> None:
    put(rows, OPEN, replace(NEW, path="secret/elsewhere"), replace(NEW, fingerprint="other"))
    put(rows, replace(OPEN, path="secret/third"))
    said: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    found = {breaker.fingerprint: breaker for breaker in rows.at_path(PATH)}
    assert found == {
        "one": replace(OPEN, refused_elsewhere=OPEN.refused_at),
        "other": replace(NEW, fingerprint="other"),
    }
    assert [words.split()[0] for words in said if not words.startswith("BEGIN")] == ["SELECT"]
