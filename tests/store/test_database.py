"""A database is opened so that it neither hangs for long, nor is changed by whoever only looks."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.store import database
from bot.store.database import DatabaseNewer, SchemaState, Store, UnreadableDatabase, open_store, open_to_read
from tests.support.postgres import Postgres


def set_schema(store: Store, schema: str) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :schema"), {"schema": schema})


def test_a_database_that_a_later_version_served_from_is_left_alone(store: Store, database_url: str) -> None:
    set_schema(store, "9999")
    store.close()
    with pytest.raises(DatabaseNewer, match="has schema 9999, and this version knows"):
        open_store(database_url)


def test_a_file_that_is_made_is_for_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with closing(open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")):
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    names = ("bot.sqlite", "bot.sqlite-wal", "bot.sqlite-shm", "bot.sqlite.lock")
    assert modes == dict.fromkeys(names, 0o600)


@pytest.mark.parametrize(("schema", "found"), [("0001", SchemaState.OLDER), ("9999", SchemaState.NEWER)])
def test_whoever_only_reads_is_told_which_schema_is_there(
    store: Store, database_url: str, schema: str, found: SchemaState
) -> None:
    set_schema(store, schema)
    with pytest.raises(UnreadableDatabase) as told:
        open_to_read(database_url)
    assert told.value.found is found


def test_what_a_fault_of_the_database_says_holds_no_value(store: Store) -> None:
    with pytest.raises(SQLAlchemyError) as failed, store.write() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:value)"), {"value": "leak"})
    assert "leak" not in str(failed.value)


def test_sqlite_writes_through_to_the_disk_and_every_transaction_begins_as_a_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bot.sqlite'}"
    store = open_store(url)
    with store.read() as connection:
        names = ("synchronous", "foreign_keys", "journal_mode")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names] == [2, 1, "wal"]
    with store.write(), sqlite3.connect(tmp_path / "bot.sqlite", timeout=0) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM inbox").fetchone() == (0,), "who only reads waits for nobody"
    assert (tmp_path / "bot.sqlite.lock").stat().st_mode & 0o077 == 0
    only = open_to_read(url)
    with pytest.raises(SQLAlchemyError, match="readonly"), only.write() as connection:
        connection.execute(text("DELETE FROM inbox"))
    only.close()
    store.close()


def limits(store: Store) -> list[str]:
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    with store.read() as connection:
        return [str(connection.execute(text(f"SHOW {name}")).scalar()) for name in names]


def test_on_postgresql_short_transactions_end_in_time_and_long_reads_do_not(postgres: Postgres) -> None:
    url = postgres.new_database()
    serving = open_store(url)
    reading = open_to_read(url)
    assert limits(serving) == ["10s", "10s"]
    assert limits(reading) == ["0", "0"], "an audit takes as long as it takes"
    with serving.read() as connection:
        options = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    assert options["tcp_user_timeout"] == "10000"
    serving.close()
    reading.close()


def test_on_postgresql_a_replica_waits_as_long_as_another_brings_the_schema_up_to_date(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 3.0)
    url = postgres.new_database()
    opened: list[Store] = []
    other = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(7421553)"))
        starting = threading.Thread(target=lambda: opened.append(open_store(url)))
        starting.start()
        waits = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' "
            "AND clock_timestamp() - query_start > interval '6 s'"
        )
        deadline = time.monotonic() + 30
        while not connection.execute(waits).scalar():
            assert time.monotonic() < deadline
            assert starting.is_alive(), "it gave up"
        connection.execute(text("SELECT pg_advisory_unlock(7421553)"))
    starting.join(30)
    other.dispose()
    assert len(opened) == 1
    opened[0].close()
