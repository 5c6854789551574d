"""Stores the circuit breakers of the bot's identities at Huawei Cloud. All replicas share them, and restarts keep them.

`bot.domain.circuit_breaker` defines what a row means and how it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.circuit_breaker import BreakerState, CircuitBreaker
from bot.store.database import cached_statement
from bot.store.tables import circuit_breakers

_Transaction = Callable[[], AbstractContextManager[Connection]]

_COLUMNS = tuple(circuit_breakers.c[name] for name in CircuitBreaker.__dataclass_fields__)
_ADD = {
    name: build(circuit_breakers).on_conflict_do_nothing()
    for name, build in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


class CircuitBreakers:
    """The stored circuit breakers.

    Arguments:
        reading, writing: open a transaction, such as `Store.read` and `Store.write`.
    """

    def __init__(self, reading: _Transaction, writing: _Transaction) -> None:
        self._reading = reading
        self._writing = writing

    @classmethod
    def within(cls, connection: Connection) -> CircuitBreakers:
        """The stored circuit breakers, used in the transaction that is open on this connection."""
        return cls(lambda: nullcontext(connection), lambda: nullcontext(connection))

    def get(self, fingerprint: str) -> CircuitBreaker | None:
        """The circuit breaker of this identity; None if nothing is stored."""
        with self._reading() as connection:
            row = connection.execute(_select_one(), {"fingerprint_is": fingerprint}).one_or_none()
        return None if row is None else _read(row)

    def at_path(self, path: str) -> Sequence[CircuitBreaker]:
        """The circuit breakers of the identities whose last used credential was at this Vault path."""
        with self._reading() as connection:
            rows = connection.execute(select(*_COLUMNS).where(circuit_breakers.c.path == path)).all()
        return [_read(row) for row in rows]

    def update(self, new: CircuitBreaker, change: Callable[[CircuitBreaker], CircuitBreaker]) -> CircuitBreaker:
        """Changes the circuit breaker of one identity, and locks its row until the transaction ends.

        Arguments:
            new: the initial circuit breaker; stored if its fingerprint has no row yet.
            change: returns the new circuit breaker for the stored one.

        Returns:
            The circuit breaker before the change.
        """
        with self._writing() as connection:
            lock = _select_one().with_for_update()
            row = connection.execute(lock, {"fingerprint_is": new.fingerprint}).one_or_none()
            if row is None:
                # Another replica may add it at the same time.
                connection.execute(_ADD[connection.dialect.name], _values(new))
                row = connection.execute(lock, {"fingerprint_is": new.fingerprint}).one()
            before = _read(row)
            after = change(before)
            if after != before:
                this_row = circuit_breakers.c.fingerprint == new.fingerprint
                connection.execute(update(circuit_breakers).where(this_row).values(_values(after)))
        return before

    def delete(self, fingerprint: str) -> None:
        """Deletes the circuit breaker of this identity."""
        with self._writing() as connection:
            connection.execute(delete(circuit_breakers).where(circuit_breakers.c.fingerprint == fingerprint))


@cached_statement
def _select_one() -> Select[Any]:
    return select(*_COLUMNS).where(circuit_breakers.c.fingerprint == bindparam("fingerprint_is"))


def _read(row: Row[Any]) -> CircuitBreaker:
    refused_at = tuple(datetime.fromisoformat(at) for at in row.refused_at)
    return CircuitBreaker(
        row.fingerprint, row.path, row.version, BreakerState(row.state), row.code, refused_at, row.probe_until
    )


def _values(breaker: CircuitBreaker) -> dict[str, object]:
    return {
        "fingerprint": breaker.fingerprint,
        "path": breaker.path,
        "version": breaker.version,
        "state": breaker.state.value,
        "code": breaker.code,
        "refused_at": [at.isoformat() for at in breaker.refused_at],
        "probe_until": breaker.probe_until,
    }
