"""Seats for calls that must not be many at once, whatever the number of processes: advisory locks of PostgreSQL.

Nothing is written, and the seat of a process that died is free. On SQLite there is one process, which counts by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.store.database import Store

# PostgreSQL, Appendix A: lock_not_available.
_LOCK_TIMEOUT = "55P03"


@contextmanager
def seat(store: Store, name: str, numbers: Sequence[int]) -> Iterator[None]:
    """One of the seats of this name with these numbers, free again at the end. Waits for it."""
    if store.is_sqlite:
        yield
        return
    with store.engine.connect() as connection:
        # No transaction stays open meanwhile: the database ends those that idle.
        connection.execution_options(isolation_level="AUTOCOMMIT")
        taken = _take(connection, [_key(name, number) for number in numbers])
        try:
            yield
        finally:
            try:
                connection.execute(select(func.pg_advisory_unlock(taken)))
            except SQLAlchemyError:
                # What came of the call is known and counts. The lock ends with the connection.
                connection.invalidate()


def _take(connection: Connection, keys: Sequence[int]) -> int:
    for key in keys:
        if connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one():
            return key
    for key in cycle(keys):
        try:
            connection.execute(select(func.pg_advisory_lock(key)))
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_TIMEOUT:
                raise
        else:
            return key
    raise ValueError("no seat has a number")


def _key(name: str, number: int) -> int:
    digest = hashlib.sha256(f"{name} {number}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
