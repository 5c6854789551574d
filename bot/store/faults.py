"""Distinguishes faults of the whole database from temporary errors, such as a lock timeout or a deadlock."""

from __future__ import annotations

import sqlite3
from enum import StrEnum

from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

READ_ONLY_SQLSTATE = "25006"
#: Errors of the database itself, after which a job is tried again: a lost connection, a failover, a full disk, or a
#: lock that is not free in time. Errors of a statement, such as a constraint, are not among them.
DATABASE_FAILURES = (OperationalError, InternalError, PoolTimeoutError)


class DatabaseFault(StrEnum):
    """Why a database is not usable, and the fix, as /readyz says it. No value comes from the database's message."""

    #: PostgreSQL after a failover, or a SQLite file without the permission to write.
    READ_ONLY = "the database is read-only: set DATABASE_URL to a database that can be written"
    #: There is no space for another page or log file.
    FULL = "the disk of the database is full: free up space on it"
    #: Reading or writing failed, or what was read makes no sense.
    DAMAGED = "the database has an I/O error or damaged files: check its disk and its log"
    #: There is no connection. If a connection cannot be opened, psycopg gives no SQLSTATE, so the fix names all causes.
    DISCONNECTED = (
        "the bot can't connect to a database that can be written: check that the database is running, is not "
        "read-only, and accepts the user and password in DATABASE_URL"
    )
    #: The user of the database lacks rights, or the process lacks rights to the SQLite file.
    FORBIDDEN = (
        "the database doesn't let the bot write: allow the user in DATABASE_URL to write to its tables, or the bot to "
        "write to its SQLite file"
    )


# The SQLSTATEs, or the classes of them, in PostgreSQL's "Appendix A. Error Codes".
_BY_SQLSTATE = {
    READ_ONLY_SQLSTATE: DatabaseFault.READ_ONLY,
    "53100": DatabaseFault.FULL,
    "42501": DatabaseFault.FORBIDDEN,
    "57P": DatabaseFault.DISCONNECTED,  # the server shuts down, starts, or dropped the database
    "08": DatabaseFault.DISCONNECTED,
    "28": DatabaseFault.DISCONNECTED,  # login refused
    "58": DatabaseFault.DAMAGED,
    "XX001": DatabaseFault.DAMAGED,
    "XX002": DatabaseFault.DAMAGED,
}
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_READONLY: DatabaseFault.READ_ONLY,
    sqlite3.SQLITE_FULL: DatabaseFault.FULL,
    sqlite3.SQLITE_IOERR: DatabaseFault.DAMAGED,
    sqlite3.SQLITE_CORRUPT: DatabaseFault.DAMAGED,
    sqlite3.SQLITE_NOTADB: DatabaseFault.DAMAGED,
    sqlite3.SQLITE_CANTOPEN: DatabaseFault.FORBIDDEN,
    sqlite3.SQLITE_PERM: DatabaseFault.FORBIDDEN,
    sqlite3.SQLITE_AUTH: DatabaseFault.FORBIDDEN,
}


def fault_of(error: Exception) -> DatabaseFault | None:
    """The fault behind an exception of SQLAlchemy; None for an error that does not concern the whole database."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        # The upper bits say more about the same error.
        return _BY_SQLITE_CODE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is None:
        return DatabaseFault.DISCONNECTED if isinstance(error, OperationalError) else None
    return next((fault for start, fault in _BY_SQLSTATE.items() if sqlstate.startswith(start)), None)


def failure_text(error: SQLAlchemyError) -> str:
    """The first line of the database's own message, without the statement."""
    return str(getattr(error, "orig", error)).partition("\n")[0][:200]
