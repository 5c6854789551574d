"""Opens the database so that what is committed stays, and every transaction begins as a writer.

SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE, and a lock file, for it serves one process. PostgreSQL
serves replicas. The schema is brought up to date by Alembic, which is loaded only when there is something to do.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url

from bot.store.database_url import unwritable_path

NEWEST_SCHEMA = "0004"
BUSY_TIMEOUT_SECONDS = 2.0
# Whoever serves holds rows for milliseconds. What takes this long hangs, or its client is gone, and holds up others.
STATEMENT_SECONDS = 10
# Without these a connection whose other end vanished is noticed after a quarter of an hour.
_WATCHED = {"tcp_user_timeout": 10_000, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
_SQLITE_SETTINGS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
# On SQLite every transaction reads of one moment; PostgreSQL has to be told.
_ONE_MOMENT: dict[str, dict[str, Any]] = {"sqlite": {}, "postgresql": {"isolation_level": "REPEATABLE READ"}}


class DatabaseInUse(Exception):
    """Another process serves from this SQLite file. Its message says which file, and what to do."""


class DatabaseNewer(Exception):
    """A later version of the bot has served from it. Its message says which schema it has, and what to do."""


class DatabaseNotWritable(Exception):
    """The bot may not write where this SQLite file is to be. Its message says where, and what to do."""


class SchemaState(StrEnum):
    """What is where a database of this schema should be."""

    NO_FILE = "no file"
    NOTHING = "nothing of this bot"
    OLDER = "an older schema"
    NEWER = "a newer schema"


class UnreadableDatabase(Exception):
    """There is no database of this bot, or one of another schema. Its message says which, and what to do."""

    def __init__(self, found: SchemaState, message: str) -> None:
        super().__init__(message)
        self.found = found


class Store:
    """A database and the transactions on it."""

    def __init__(self, engine: Engine, lock: int | None = None) -> None:
        self.engine = engine
        self._reading = engine.execution_options(reads_only=True, **_ONE_MOMENT[engine.dialect.name])
        self._lock = lock

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves nothing behind."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading alone: all that it shows is of one moment, and it waits for no writer."""
        with self._reading.connect() as connection:
            yield connection

    def ping(self) -> None:
        """Raises whatever the database raises when it does not answer."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def clock(connection: Connection) -> datetime:
    """The time that leases are measured by: the database's own where replicas share it."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)


def open_store(url: str) -> Store:
    """Connects, takes SQLite's lock file, and brings the schema up to date.

    Arguments:
        url: a SQLAlchemy URL of SQLite or PostgreSQL (psycopg).

    Raises:
        DatabaseInUse: another process serves from this file.
        DatabaseNewer, DatabaseNotWritable: see there.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached or is not one of ours.
    """
    parsed = make_url(url)
    place = unwritable_path(parsed)
    if place is not None:
        raise DatabaseNotWritable(
            f"{place}, where the database is to be, is not there, or may not be written. Correct DATABASE_URL, or the "
            "rights there"
        )
    lock: int | None = None
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        lock = _lock_file(Path(parsed.database))
        # It holds addresses by which anybody could answer in Slack. What SQLite puts beside it takes its mode.
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
    """Connects to a database that is there, and changes nothing: no file, no schema, no row.

    Arguments:
        url: as of `open_store`.

    Raises:
        NothingToRead: see there.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        message = f"There is no database at {parsed.database}. Check DATABASE_URL."
        raise UnreadableDatabase(SchemaState.NO_FILE, message)
    engine = _engine(parsed, reads_only=True)
    try:
        with engine.execution_options(reads_only=True).connect() as connection:
            schema = _schema(connection)
        if schema is None:
            message = "The database holds nothing of this bot yet. Check DATABASE_URL, or start the bot once."
            raise UnreadableDatabase(SchemaState.NOTHING, message)
        if schema != NEWEST_SCHEMA:
            message = (
                f"The database has schema {schema}, and this version reads {NEWEST_SCHEMA}. Use the version that "
                "serves from it; an older schema is brought up to date when `serve` starts."
            )
            raise UnreadableDatabase(SchemaState.NEWER if schema > NEWEST_SCHEMA else SchemaState.OLDER, message)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


def _engine(parsed: URL, *, reads_only: bool = False) -> Engine:
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            pool_size=16,
            max_overflow=16,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
            hide_parameters=True,
        )
        # The journal mode stays in the file: whoever only reads leaves it as it is.
        _prepare_sqlite(engine, ("query_only=ON",) if reads_only else _SQLITE_SETTINGS)
        return engine
    # Whoever only reads takes as long as a chain is long, and as its reader is slow.
    of_its_own = (
        ("default_transaction_read_only=on",)
        if reads_only
        else (
            f"statement_timeout={STATEMENT_SECONDS}s",
            f"idle_in_transaction_session_timeout={STATEMENT_SECONDS}s",
        )
    )
    settings = (f"lock_timeout={BUSY_TIMEOUT_SECONDS}s", "timezone=UTC", *of_its_own)
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=16,
        max_overflow=16,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        pool_pre_ping=False,
        connect_args={"connect_timeout": 2, "options": " ".join(f"-c {setting}" for setting in settings), **_WATCHED},
        hide_parameters=True,
    )


def _lock_file(database: Path) -> int:
    path = database.with_name(database.name + ".lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise DatabaseInUse(
            f"another process serves from {database}. Stop it first, or use PostgreSQL for several replicas"
        ) from None
    return handle


def _prepare_sqlite(engine: Engine, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def settings(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing of its own
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later loses votes; one that locks first loses none.
        reads_only = connection.get_execution_options().get("reads_only", False)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection:
        found = _schema(connection)
    if found == NEWEST_SCHEMA:
        return
    if found is not None and found > NEWEST_SCHEMA:
        raise DatabaseNewer(
            f"the database has schema {found}, and this version knows {NEWEST_SCHEMA} at the most. Use the version "
            "that served from it last"
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("bot.store") / "migrations"))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # A step of the schema, and waiting for a replica that takes it, last as long as they last.
            for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = 0"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
