"""Checks the database. It creates and changes nothing: `serve` does that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError

from bot.check.finding import Finding
from bot.redaction import FileSecret, Secret
from bot.store.connections import new_engine
from bot.store.database import SchemaState, Store, UnreadableDatabase, open_to_read
from bot.store.url import connection_problem, parse_url, unwritable_path

# `relowner` is null while there is no table.
_SERVER_STATE = text(
    "SELECT pg_backend_pid(), current_setting('synchronous_standby_names'), current_user, "
    "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
    "(SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('audit'))"
)


def check_database(database_url: Secret) -> Iterator[Finding]:
    """Whether the database answers, whether `serve` can use its schema, and whether it can be written.

    For several PostgreSQL servers, also whether a failover keeps all commits.
    """
    url = parse_url(database_url.reveal())
    try:
        server = _connect(url)
        with closing(open_to_read(database_url.reveal())) as store:
            store.ping()
        finding = _if_writable(url, "exists and its schema is up to date")
    except UnreadableDatabase as error:
        finding = _unusual_schema(error.found, url)
    except SQLAlchemyError as error:
        yield Finding("database", f"can't be used ({connection_problem(error, url)})", "check DATABASE_URL")
        return
    if server is None:
        yield finding
        return
    notes = ["It is behind a pooler such as PgBouncer"] if server.is_pooled else []
    if isinstance(database_url, FileSecret):
        notes.append("A new user or password in DATABASE_URL_FILE takes effect without a restart")
    yield replace(finding, result=". ".join((finding.result, *notes)))
    if "," in url.query.get("host", "") and not server.synchronous_standbys:
        yield Finding(
            "database failover",
            "synchronous_standby_names is empty on the server, so a failover can lose the last commits. The bot can "
            "then start a group a second time",
            "name the standby in synchronous_standby_names, unless the servers share their storage",
            is_warning=True,
        )

    if server.excess:
        yield Finding(
            "database role",
            f"{server.role} {server.excess}, so anyone with DATABASE_URL can change the audit chain",
            "use two roles, as `taskgroup-bot example postgres.sql` shows",
            is_warning=True,
        )


class _Server(NamedTuple):
    """What a PostgreSQL server says about itself."""

    is_pooled: bool
    synchronous_standbys: str
    role: str
    #: What the role may do that the bot does not need; empty if nothing.
    excess: str


def _connect(url: URL) -> _Server | None:
    """Connects to PostgreSQL as `serve` does, to a server that can be written; None for SQLite.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: there is no such server.
    """
    if url.get_backend_name() == "sqlite":
        return None
    with closing(Store(new_engine(url))) as store, store.read() as connection:
        process_id, standbys, role, is_superuser, owns_audit = connection.execute(_SERVER_STATE).one()
        client: Any = connection.connection.driver_connection
        # A pooler gives the client a process id that is not the server's.
        excess = "is a superuser" if is_superuser else "owns the tables" if owns_audit else ""
        return _Server(client.info.backend_pid != process_id, standbys, role, excess)


def _unusual_schema(found: SchemaState, url: URL) -> Finding:
    match found:
        case SchemaState.NO_FILE:
            return _if_writable(url, "doesn't exist yet, serve will create it")
        case SchemaState.NOTHING:
            return _if_writable(url, "has no tables yet, serve will create them")
        case SchemaState.OLDER:
            return _if_writable(url, "has an older schema, serve will upgrade it")
        case SchemaState.NEWER:
            fix = "run the version of the bot that used it last, or a newer one"
            return Finding("database", "has a newer schema than this version of the bot", fix)


def _if_writable(url: URL, result: str) -> Finding:
    """A finding with this result, or with the problem if the bot may not write the SQLite file or its directory."""
    path = unwritable_path(url)
    if path is None:
        return Finding("database", result)
    problem = f"{path} doesn't exist or isn't writable"
    return Finding("database", problem, "correct DATABASE_URL or the permissions of that path")
