"""Opens the database, and provides transactions.

SQLite is for one process, and a lock file keeps other processes out. PostgreSQL is for several replicas. With both, a
committed transaction survives a crash. `bot.store.migrations` creates and upgrades the schema.
"""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext

from bot.store.last_write import WRITE_FAILURES, CannotWrite, LastWrite
from bot.store.migrations import NEWEST_SCHEMA, stored_schema, upgrade
from bot.store.url import parse_url, unwritable_path

BUSY_TIMEOUT_SECONDS = 2.0
# The bot's transactions take milliseconds. PostgreSQL ends a transaction that hangs, because it blocks others.
STATEMENT_SECONDS = 10
# Connections are replaced at this age, so that they follow a change of address, and firewalls do not cut them.
RECYCLE_SECONDS = 300
READ_ONLY_SQLSTATE = "25006"

# Without these, PostgreSQL's client notices a lost connection only after a quarter of an hour.
_KEEPALIVES = {"tcp_user_timeout": 10_000, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
_WRITE_NOTHING = text("UPDATE audit_head SET hash = hash")
_SQLITE_SETTINGS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
#: Decorates a function that builds a statement, and caches the statement: SQLAlchemy takes about three times as long to
#: build a statement as to run it. Used for the statements between the last approval and its PUT. These statements take
#: their values as `bindparam`s. An `insert(table)` needs no cache.
cached_statement = functools.cache


class CannotOpenDatabase(Exception):
    """`serve` cannot use this database. The message gives the reason and the fix."""


class SchemaState(StrEnum):
    """Why a database cannot be read."""

    #: There is no SQLite file.
    NO_FILE = "no file"
    #: The database has no tables of the bot.
    NOTHING = "nothing of this bot"
    #: The schema is older than this version's.
    OLDER = "an older schema"
    #: The schema is newer than this version's.
    NEWER = "a newer schema"


class UnreadableDatabase(Exception):
    """The database is missing or has a different schema. The message gives the reason and the fix."""

    def __init__(self, found: SchemaState, message: str) -> None:
        super().__init__(message)
        self.found = found


class Store:
    """An open database. A transaction commits at the end of its `with` block, and rolls back after an exception.

    Attributes:
        last_write: whether the database took the last write of this process.
    """

    def __init__(self, engine: Engine, lock: int | None = None) -> None:
        self.engine = engine
        self.last_write = LastWrite()
        self._reading = engine.execution_options(reads_only=True)
        self._lock = lock

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that reads and writes."""
        with self.last_write.recording(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. It sees one snapshot, and does not wait for writers."""
        with self._reading.connect() as connection:
            yield connection

    def ping(self) -> None:
        """Runs an empty query.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def check_write(self) -> None:
        """Tries a write every 5 s after the last write failed. Does nothing after a write that succeeded.

        Without commands from people, nothing else writes and would notice that the database can be written again.

        Raises:
            CannotWrite: the last write failed.
        """
        if self.last_write.is_due_again:
            with suppress(*WRITE_FAILURES), self.write() as connection:
                connection.execute(_WRITE_NOTHING)
        if self.last_write.problem is not None:
            raise CannotWrite(self.last_write.problem)

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def clock(connection: Connection) -> datetime:
    """The current time for leases: from the server on PostgreSQL, so that all replicas use the same clock."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)


def open_store(url: str) -> Store:
    """Opens the database for serving: locks a SQLite file for this process, and upgrades the schema.

    Arguments:
        url: as in DATABASE_URL, see `bot.store.url`.

    Raises:
        CannotOpenDatabase: another process uses the file, the bot may not write it, or a later version upgraded it.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached, or the file is not a database.
    """
    parsed = parse_url(url)
    path = unwritable_path(parsed)
    if path is not None:
        raise CannotOpenDatabase(
            f"the database path {path} doesn't exist or isn't writable. Correct DATABASE_URL or the permissions of "
            "that path"
        )
    lock: int | None = None
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        lock = _lock_file(Path(parsed.database))
        # The file contains response_urls, which allow anyone to post in Slack. SQLite uses the same mode for the
        # -wal and -shm files.
        os.close(os.open(parsed.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = _engine(parsed)
    try:
        _upgrade(engine)
    except BaseException:
        engine.dispose()
        if lock is not None:
            os.close(lock)
        raise
    return Store(engine, lock)


def open_to_read(url: str) -> Store:
    """Opens an existing database for reading. Creates no file, and changes neither schema nor rows.

    Arguments:
        url: as for `open_store`.

    Raises:
        UnreadableDatabase: there is no database, or its schema is not the one of this version.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        message = f"There is no database at {parsed.database}. Check DATABASE_URL."
        raise UnreadableDatabase(SchemaState.NO_FILE, message)
    engine = _engine(parsed, reads_only=True)
    try:
        with engine.execution_options(reads_only=True).connect() as connection:
            schema = stored_schema(connection)
        if schema is None:
            message = "The database has no tables of this bot yet. Check DATABASE_URL, or run serve once."
            raise UnreadableDatabase(SchemaState.NOTHING, message)
        if schema != NEWEST_SCHEMA:
            message = (
                f"The database has schema {schema}, and this version of the bot reads {NEWEST_SCHEMA}. Use the version "
                "that serve runs with. serve upgrades an older schema when it starts."
            )
            raise UnreadableDatabase(SchemaState.NEWER if schema > NEWEST_SCHEMA else SchemaState.OLDER, message)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


def try_connection(url: URL) -> None:
    """Connects to PostgreSQL as `serve` does, to a server that can be written, and changes nothing.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: there is no such server.
    """
    if url.get_backend_name() == "postgresql":
        with closing(Store(_engine(url))) as store:
            store.ping()


def _engine(parsed: URL, *, reads_only: bool = False) -> Engine:
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            pool_size=16,
            max_overflow=16,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
            hide_parameters=True,
        )
        # The journal mode is stored in the file, so a reader does not set it.
        _prepare_sqlite(engine, ("query_only=ON",) if reads_only else _SQLITE_SETTINGS)
        return engine
    if not reads_only and "target_session_attrs" not in parsed.query:
        # Passes over a server that was the primary before a failover.
        parsed = parsed.update_query_dict({"target_session_attrs": "read-write"})
    engine = create_engine(
        parsed,
        pool_size=16,
        max_overflow=16,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=False,
        # psycopg begins no transaction by itself, and prepares no statement: behind a pooler in transaction mode, the
        # next transaction may be on another server connection, without the settings and statements of the last one.
        connect_args={"connect_timeout": 2, "autocommit": True, "prepare_threshold": None, **_KEEPALIVES},
        hide_parameters=True,
    )
    _prepare_postgresql(engine, reads_only=reads_only)
    return engine


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection:
        schema = stored_schema(connection)
    if schema is not None and schema > NEWEST_SCHEMA:
        raise CannotOpenDatabase(
            f"the database has schema {schema}, and this version of the bot supports up to {NEWEST_SCHEMA}. Run the "
            "version that used it last, or a newer one"
        )
    if schema != NEWEST_SCHEMA:
        upgrade(engine)


def _lock_file(database: Path) -> int:
    path = database.with_name(database.name + ".lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise CannotOpenDatabase(
            f"another process is using {database}. Stop it first, or use PostgreSQL for several replicas"
        ) from None
    return handle


def _prepare_sqlite(engine: Engine, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def settings(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE locks before the first read. A transaction that locks at its first write may overwrite votes.
        reads_only = connection.get_execution_options().get("reads_only", False)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _prepare_postgresql(engine: Engine, *, reads_only: bool) -> None:
    settings = [f"lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'", "timezone = 'UTC'"]
    if reads_only:
        # Reading the whole audit chain may take long, so only the bot's own transactions have a time limit.
        settings.append("transaction_read_only = on")
    else:
        limits = ("statement_timeout", "idle_in_transaction_session_timeout")
        settings += [f"{limit} = '{STATEMENT_SECONDS}s'" for limit in limits]
    set_all = "".join(f"; SET LOCAL {setting}" for setting in settings)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A read transaction sees one snapshot. SQLite does that anyway.
        is_read = connection.get_execution_options().get("reads_only", False)
        level = "REPEATABLE READ" if is_read else "READ COMMITTED"
        connection.exec_driver_sql(f"BEGIN ISOLATION LEVEL {level}{set_all}")

    @event.listens_for(engine, "handle_error")
    def replace_read_only_connections(context: ExceptionContext) -> None:
        # After a failover, a connection to the former primary stays open and refuses every change.
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_SQLSTATE and not reads_only:
            context.is_disconnect = True
