"""Opening a database: time limits, files that only the owner reads, schemas, problems described without secrets."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, TextClause, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot.store import connections, database, tables
from bot.store.database import (
    CannotOpenDatabase,
    SchemaState,
    Store,
    UnreadableDatabase,
    open_store,
    open_to_read,
)
from bot.store.faults import DatabaseFault
from bot.store.migrations import NEWEST_SCHEMA
from bot.store.url import connection_problem, unwritable_path
from tests.support.postgres import Postgres
from tests.support.sandbox import run_concurrently


def set_schema(store: Store, schema: str) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :schema"), {"schema": schema})


def test_the_migrations_create_the_tables_that_the_code_defines(store: Store) -> None:
    with store.engine.connect() as connection:
        compared = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(compared, tables.metadata) == []
        assert compared.get_current_revision() == NEWEST_SCHEMA


def test_a_schema_of_a_later_version_is_not_opened(store: Store, database_url: str) -> None:
    set_schema(store, "9999")
    store.close()
    with pytest.raises(CannotOpenDatabase, match="has schema 9999, and this version of the bot supports"):
        open_store(database_url)


def test_only_the_owner_can_read_the_files_of_sqlite(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with closing(open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")):
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    names = ("bot.sqlite", "bot.sqlite-wal", "bot.sqlite-shm", "bot.sqlite.lock")
    assert modes == dict.fromkeys(names, 0o600)


@pytest.mark.parametrize(("schema", "found"), [("0000", SchemaState.OLDER), ("9999", SchemaState.NEWER)])
def test_another_schema_is_not_read(store: Store, database_url: str, schema: str, found: SchemaState) -> None:
    set_schema(store, schema)
    with pytest.raises(UnreadableDatabase) as raised:
        open_to_read(database_url)
    assert raised.value.found is found


def test_sqlite_serves_one_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bot.sqlite'}"
    first = open_store(url)
    with pytest.raises(CannotOpenDatabase, match="another process"):
        open_store(url)
    first.close()
    open_store(url).close()


def test_an_error_of_the_database_contains_no_values(store: Store) -> None:
    with pytest.raises(SQLAlchemyError) as failed, store.write() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:value)"), {"value": "leak"})
    assert "leak" not in str(failed.value)


def test_sqlite_syncs_every_commit_and_locks_at_the_start_of_a_write_transaction(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bot.sqlite'}"
    store = open_store(url)
    with store.read() as connection:
        names = ("synchronous", "foreign_keys", "journal_mode")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names] == [2, 1, "wal"]
    with store.write(), sqlite3.connect(tmp_path / "bot.sqlite", timeout=0) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM inbox").fetchone() == (0,), "readers do not wait"
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


def test_on_postgresql_only_the_bots_own_transactions_have_a_time_limit(postgres: Postgres) -> None:
    url = postgres.new_database()
    serving = open_store(url)
    reading = open_to_read(url)
    assert limits(serving) == ["10s", "10s"]
    assert limits(reading) == ["0", "0"], "reading the audit has no limit"
    with serving.read() as connection:
        options = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    assert options["tcp_user_timeout"] == "10000"
    serving.close()
    reading.close()


def test_on_postgresql_a_replica_waits_while_another_upgrades_the_schema(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr(connections, "STATEMENT_SECONDS", 3.0)
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
            assert starting.is_alive(), "the replica gave up"
        connection.execute(text("SELECT pg_advisory_unlock(7421553)"))
    starting.join(30)
    other.dispose()
    assert len(opened) == 1
    opened[0].close()


def problem_at(url: str) -> str:
    with pytest.raises(SQLAlchemyError) as failed:
        open_to_read(url)
    return connection_problem(failed.value, make_url(url))


def test_a_connection_problem_names_the_host_the_port_and_the_reason(postgres: Postgres) -> None:
    assert problem_at("postgresql://bot:leak@127.0.0.1:1/bot") == "PostgreSQL at 127.0.0.1, port 1: Connection refused"
    url = postgres.new_database()
    port = make_url(url).port
    missing = f'FATAL: database "{make_url(url).database}x" does not exist'
    assert problem_at(f"{url}x") == f"PostgreSQL at 127.0.0.1, port {port}: {missing}"


def test_a_connection_problem_does_not_contain_the_password(postgres: Postgres) -> None:
    url = make_url(postgres.new_database()).set(username="leaked", password="leaked")
    problem = problem_at(url.render_as_string(hide_password=False))
    assert problem.endswith('FATAL: role "[hidden]" does not exist')


def test_a_file_that_is_not_a_database_is_recognized(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    path.write_text("not a database, and long enough to be looked at " * 50)
    assert problem_at(f"sqlite:///{path}") == "file is not a database"


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nowhere/bot.sqlite"
    assert unwritable_path(make_url(url)) == tmp_path / "nowhere"
    with pytest.raises(CannotOpenDatabase, match=f"^the database path {tmp_path}/nowhere doesn't exist"):
        open_store(url)
    assert unwritable_path(make_url(f"sqlite:///{tmp_path}/bot.sqlite")) is None
    assert unwritable_path(make_url("postgresql://127.0.0.1/bot")) is None


def test_a_full_database_has_a_fault_until_a_later_write_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")) as store:
        assert store.write_fault() is None
        with store.write() as connection:
            # SQLite raises it to the number of pages in use. The pool returns the same connection.
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(OperationalError, match="database or disk is full"), store.write() as connection:
            connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(100000) AS body")
        for _ in range(2):
            assert store.write_fault() is DatabaseFault.FULL
        store.ping()
        # A write that needs no new page succeeds.
        monkeypatch.setattr(database, "WRITE_AGAIN_SECONDS", 0.0)
        assert store.write_fault() is None


def test_a_lock_timeout_of_sqlite_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_SECONDS", 0.2)
    path = tmp_path / "bot.sqlite"
    with closing(open_store(f"sqlite:///{path}")) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"), store.write():
            pass
        assert store.write_fault() is None


def test_a_lock_timeout_of_postgresql_is_no_fault(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_SECONDS", 0.2)
    lock = text("UPDATE audit_head SET hash = hash")
    with closing(open_store(postgres.new_database())) as store, store.write() as first:
        first.execute(lock)
        with pytest.raises(OperationalError, match="lock timeout"), store.write() as second:
            second.execute(lock)
        assert store.write_fault() is None


def test_a_deadlock_is_no_fault_of_the_database(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than the time after which PostgreSQL looks for a deadlock.
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_SECONDS", 10.0)
    both_locked = threading.Barrier(2)
    locks = [text(f"SELECT pg_advisory_xact_lock({number})") for number in (1, 2)]
    errors: list[str] = []

    def lock(store: Store, first: TextClause, second: TextClause) -> None:
        try:
            with store.write() as connection:
                connection.execute(first)
                both_locked.wait(20)
                connection.execute(second)
        except OperationalError as error:
            errors.append(str(error))

    with closing(open_store(postgres.new_database())) as store:
        run_concurrently(lambda: lock(store, *locks), lambda: lock(store, *reversed(locks)))
        assert "deadlock detected" in errors[0]
        assert store.write_fault() is None


def test_a_pool_without_a_free_connection_is_no_fault_of_the_database(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_SECONDS", 0.2)
    with closing(open_store(postgres.new_database())) as store, ExitStack() as held:
        for _ in range(32):
            held.enter_context(store.read())
        with pytest.raises(PoolTimeoutError), store.write():
            pass
        assert store.write_fault() is None


def test_a_lost_connection_and_missing_rights_are_faults_of_the_database(postgres: Postgres) -> None:
    with closing(open_store(postgres.new_database())) as store:
        with pytest.raises(OperationalError), store.write() as connection:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        assert store.write_fault() is DatabaseFault.DISCONNECTED
        with store.write() as connection:
            connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
            connection.exec_driver_sql("CREATE ROLE reader")
        assert store.write_fault() is None
        with pytest.raises(ProgrammingError, match="permission denied"), store.write() as connection:
            connection.exec_driver_sql("SET LOCAL ROLE reader; UPDATE audit_head SET hash = hash")
        assert store.write_fault() is DatabaseFault.FORBIDDEN


def test_a_write_that_breaks_a_rule_of_the_schema_is_no_fault_of_the_database(store: Store) -> None:
    with pytest.raises(DBAPIError), store.write() as connection:
        connection.exec_driver_sql("INSERT INTO audit_head SELECT * FROM audit_head")
    assert store.write_fault() is None


def test_the_schema_of_an_earlier_version_is_upgraded(database_url: str) -> None:
    with closing(open_store(database_url)) as store, store.write() as connection:
        newest = {name: columns_of(connection, name) for name in inspect(connection).get_table_names()}
        connection.execute(text("DROP TABLE slack_budget"))
        connection.execute(text("ALTER TABLE cards DROP COLUMN urgency"))
        for table in ("inbox", "notices", "audit"):
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN mac"))
        connection.execute(text("CREATE TABLE votes (id BIGINT PRIMARY KEY)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with closing(open_store(database_url)) as store, store.read() as connection:
        assert {name: columns_of(connection, name) for name in inspect(connection).get_table_names()} == newest
        assert set(newest) == {*tables.metadata.tables, "alembic_version"}


def columns_of(connection: Connection, table: str) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns(table)}
