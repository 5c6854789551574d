"""Seats are shared by processes, waited for, and free when whoever had one is gone."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from bot.store.database import BUSY_TIMEOUT_SECONDS, Store, open_store
from bot.store.seats import seat
from tests.support.postgres import Postgres

NUMBERS = (2, 1, 0)
SITS = """
import sys
from bot.store.database import open_store
from bot.store.seats import seat

with seat(open_store(sys.argv[1]), "secret/caller", (0,)):
    print("sits", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def shared(url: str) -> Iterator[Store]:
    with closing(open_store(url)) as store:
        yield store


def waits(store: Store, numbers: tuple[int, ...]) -> tuple[threading.Thread, threading.Event]:
    """Somebody who waits for a seat, and what tells that they have it."""
    has_it = threading.Event()

    def sit() -> None:
        with seat(store, "secret/caller", numbers):
            has_it.set()

    thread = threading.Thread(target=sit)
    thread.start()
    return thread, has_it


def test_there_are_as_many_as_there_are_numbers_and_one_waits_longer_than_any_statement_may(shared: Store) -> None:
    with seat(shared, "secret/caller", NUMBERS), seat(shared, "secret/caller", NUMBERS):
        with seat(shared, "secret/caller", NUMBERS), seat(shared, "secret/other", (0,)):
            thread, has_it = waits(shared, NUMBERS)
            assert not has_it.wait(BUSY_TIMEOUT_SECONDS + 0.5)
        assert has_it.wait(30)
        thread.join()


def test_the_seat_of_a_killed_process_is_free(shared: Store, url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SITS, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "sits\n"
        thread, has_it = waits(shared, (0,))
        assert not has_it.wait(0.2)
        other.kill()
        assert has_it.wait(30)
        thread.join()


def test_a_database_that_goes_away_meanwhile_takes_nothing_from_what_was_done(shared: Store) -> None:
    done = []
    with seat(shared, "secret/caller", (0,)):
        with shared.write() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            )
        done.append("called")
    assert done == ["called"]
    with seat(shared, "secret/caller", (0,)):
        done.append("called again")
    assert len(done) == 2
