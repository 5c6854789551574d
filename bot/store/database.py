"""Opens the database, and provides transactions.

SQLite is for one process, and a lock file keeps other processes out. PostgreSQL is for several replicas. With both, a
committed transaction survives a crash. Connecting is left to `bot.store.connections`, and creating and upgrading the
schema to `bot.store.migrations`.
"""

from __future__ import annotations

import fcntl
import functools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bot.store.connections import new_engine
from bot.store.faults import DatabaseFault, fault_of
from bot.store.migrations import NEWEST_SCHEMA, stored_schema, upgrade
from bot.store.state_keys import STATE_KEYS, StateKeys
from bot.store.url import make_private, parse_url, unwritable_path

# While the database has a fault, a write is tried at this interval.
WRITE_AGAIN_SECONDS = 5.0

_WRITE_NOTHING = text("UPDATE audit_head SET hash = hash")
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
    """An open database. A transaction commits at the end of its `with` block, and rolls back after an exception."""

    def __init__(self, engine: Engine, lock: int | None = None, keys: StateKeys | None = None) -> None:
        self.engine = engine.execution_options(**{STATE_KEYS: keys or StateKeys()})
        self._reading = self.engine.execution_options(reads_only=True)
        self._lock = lock
        self._fault: DatabaseFault | None = None
        self._written_at = 0.0

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that reads and writes."""
        self._written_at = time.monotonic()
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            self._fault = fault_of(error) or self._fault
            raise
        self._fault = None

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

    def write_fault(self) -> DatabaseFault | None:
        """The fault of the last write; None if it succeeded. A lock timeout or a deadlock is no fault.

        Tries a write every 5 s while there is a fault. Without commands from people, nothing else writes and would
        notice that the database can be written again.
        """
        if self._fault is not None and time.monotonic() - self._written_at >= WRITE_AGAIN_SECONDS:
            with suppress(SQLAlchemyError), self.write() as connection:
                connection.execute(_WRITE_NOTHING)
        return self._fault

    def erase_deleted(self) -> None:
        """Removes from the files of SQLite what rows no longer contain, as far as no other transaction is running.

        What is left then goes with the next call. On PostgreSQL this does nothing, because VACUUM needs other rights.
        """
        if not self.is_sqlite:
            return
        # A connection of its own, which waits for no other one.
        path = str(self.engine.url.database)
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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


def open_store(url: str, current_url: Callable[[], str] | None = None, keys: StateKeys | None = None) -> Store:
    """Opens the database for serving: locks a SQLite file for this process, and upgrades the schema.

    Arguments:
        url: as in DATABASE_URL, see `bot.store.url`.
        current_url: reads DATABASE_URL again, whose user and password may change while the bot runs; see `new_engine`.
        keys: sign and check the rows. Without keys, no row counts as the bot's.

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
    path = make_private(parsed)
    if path is not None:
        raise CannotOpenDatabase(
            f"other users can access {path}, and the bot can't change that, because another user owns it. As that "
            f"user, run chmod 600 {path}"
        )
    lock: int | None = None
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        lock = _lock_file(Path(parsed.database))
        # SQLite uses the same mode for the -wal and -shm files.
        os.close(os.open(parsed.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = new_engine(parsed, current_url)
    try:
        _upgrade(engine)
    except BaseException:
        engine.dispose()
        if lock is not None:
            os.close(lock)
        raise
    return Store(engine, lock, keys)


def open_to_read(url: str, keys: StateKeys | None = None) -> Store:
    """Opens an existing database for reading. Creates no file, and changes neither schema nor rows.

    Arguments:
        url, keys: as for `open_store`.

    Raises:
        UnreadableDatabase: there is no database, or its schema is not the one of this version.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        message = f"There is no database at {parsed.database}. Check DATABASE_URL."
        raise UnreadableDatabase(SchemaState.NO_FILE, message)
    engine = new_engine(parsed, reads_only=True)
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
    return Store(engine, keys=keys)


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
