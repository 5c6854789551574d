"""Connects to SQLite and PostgreSQL: the settings of each connection and of each transaction.

Schemas and transactions are left to `bot.store.database`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError

from bot.redaction import UnreadableSecret
from bot.store.faults import READ_ONLY_SQLSTATE
from bot.store.url import parse_url

log = logging.getLogger(__name__)

BUSY_TIMEOUT_SECONDS = 2.0
# The bot's transactions take milliseconds. PostgreSQL ends a transaction that hangs, because it blocks others.
STATEMENT_SECONDS = 10
# Connections are replaced at this age, so that they follow a change of address, and firewalls do not cut them.
RECYCLE_SECONDS = 300

# Without these, PostgreSQL's client notices a lost connection only after a quarter of an hour.
_KEEPALIVES = {"tcp_user_timeout": 10_000, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
_LOGIN = ("user", "password")
# With secure_delete, SQLite overwrites what it deletes.
_SQLITE_SETTINGS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
# A commit waits for the synchronous standby, so that a failover does not lose it. `remote_apply` waits for more.
_SYNCHRONOUS_COMMIT = (
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)"
)


def new_engine(url: URL, current_url: Callable[[], str] | None = None, *, reads_only: bool = False) -> Engine:
    """The engine for a database. It connects when it is used.

    Arguments:
        url: as `parse_url` returns it.
        current_url: reads DATABASE_URL again, and may raise `UnreadableSecret`. When PostgreSQL cannot be reached or
            refuses the login, the bot tries the user and password in it.
        reads_only: whether every transaction only reads.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url,
            pool_size=16,
            max_overflow=16,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
            hide_parameters=True,
        )
        # The journal mode is stored in the file, so a reader does not set it.
        _prepare_sqlite(engine, ("query_only=ON",) if reads_only else _SQLITE_SETTINGS)
        return engine
    # `read-write` passes over a server that was the primary before a failover.
    attributes = {} if reads_only or "target_session_attrs" in url.query else {"target_session_attrs": "read-write"}
    engine = create_engine(
        url.update_query_dict(attributes),
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
    if current_url is not None:
        _follow_login(engine, url, current_url)
    return engine


def _prepare_sqlite(engine: Engine, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def settings(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE locks before the first read. A transaction that locks at its first write may overwrite votes.
        connection.exec_driver_sql("BEGIN" if _is_read(connection) else "BEGIN IMMEDIATE")


def _prepare_postgresql(engine: Engine, *, reads_only: bool) -> None:
    settings = [f"lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'", "timezone = 'UTC'"]
    if reads_only:
        # Reading the whole audit chain may take long, so only the bot's own transactions have a time limit.
        settings.append("transaction_read_only = on")
    else:
        limits = ("statement_timeout", "idle_in_transaction_session_timeout")
        settings += [f"{limit} = '{STATEMENT_SECONDS}s'" for limit in limits]
    set_all = "".join(f"; SET LOCAL {setting}" for setting in settings)
    # A read transaction sees one snapshot. SQLite does that anyway.
    begin_read = f"BEGIN ISOLATION LEVEL REPEATABLE READ{set_all}"
    begin_write = f"BEGIN ISOLATION LEVEL READ COMMITTED{set_all}; {_SYNCHRONOUS_COMMIT}"

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin_read if _is_read(connection) else begin_write)

    @event.listens_for(engine, "handle_error")
    def replace_read_only_connections(context: ExceptionContext) -> None:
        # After a failover, a connection to the former primary stays open and refuses every change.
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_SQLSTATE and not reads_only:
            context.is_disconnect = True


def _is_read(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("reads_only", False))


def _follow_login(engine: Engine, url: URL, current_url: Callable[[], str]) -> None:
    """Lets new connections log in as DATABASE_URL says now, when connections with the last user and password fail.

    psycopg gives no SQLSTATE for a connection that failed, so every failure counts.
    """

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, record: object, arguments: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*arguments, **parameters)
        except dialect.loaded_dbapi.OperationalError:
            login = _current_login(dialect, url, current_url)
            if login is None or all(parameters.get(name) == value for name, value in login.items()):
                raise
        # SQLAlchemy passes the same mapping for the next connection.
        parameters.update(login)
        connection = dialect.connect(*arguments, **parameters)
        log.info("logged in to the database with the new user or password in DATABASE_URL_FILE")
        return connection


def _current_login(dialect: Dialect, url: URL, current_url: Callable[[], str]) -> Mapping[str, Any] | None:
    """The user and password in DATABASE_URL now; None if it cannot be used without a restart."""
    try:
        current = parse_url(current_url())
    except UnreadableSecret as error:
        log.warning("cannot read DATABASE_URL again: %s", error)
        return None
    except (ArgumentError, ValueError):
        # The parser's message can contain a part of the password.
        log.warning("DATABASE_URL_FILE no longer contains a valid URL")
        return None
    _, before = dialect.create_connect_args(url)
    _, after = dialect.create_connect_args(current)
    if _without_login(before) != _without_login(after):
        log.warning("DATABASE_URL_FILE now names another server, database or parameter, which needs a restart")
        return None
    return {name: after.get(name) for name in _LOGIN}


def _without_login(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in parameters.items() if name not in _LOGIN}
