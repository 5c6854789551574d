"""Stores the circuit breakers of the bot's identities at Huawei Cloud. All replicas share them, and restarts keep them.

`bot.domain.circuit_breaker` defines what a row means and how it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.circuit_breaker import BreakerState, CircuitBreaker
from bot.store.database import cached_statement
from bot.store.tables import circuit_breakers

_fingerprint = attrgetter("fingerprint")

_Transaction = Callable[[], AbstractContextManager[Connection]]

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

    def get(self, fingerprint: str, path: str) -> CircuitBreaker | None:
        """The circuit breaker of this identity at this Vault path; None if nothing is stored."""
        with self._reading() as connection:
            return _read(connection.execute(_select_identity(), {"fingerprint_is": fingerprint}).all(), path)

    def at_path(self, path: str) -> Sequence[CircuitBreaker]:
        """The circuit breakers of every identity that was at this Vault path."""
        fingerprints = select(circuit_breakers.c.fingerprint).where(circuit_breakers.c.path == path)
        with self._reading() as connection:
            # The rows at other paths too, because their refusals count together.
            rows = connection.execute(
                select(circuit_breakers).where(circuit_breakers.c.fingerprint.in_(fingerprints))
            ).all()
        identities = groupby(sorted(rows, key=_fingerprint), key=_fingerprint)
        return [breaker for _, of_one in identities if (breaker := _read(list(of_one), path)) is not None]

    def update(self, new: CircuitBreaker, change: Callable[[CircuitBreaker], CircuitBreaker]) -> CircuitBreaker:
        """Changes one circuit breaker. Those of the same identity at other paths do not change meanwhile.

        Arguments:
            new: names the identity and the path, and is stored if nothing is.
            change: returns the changed circuit breaker.

        Returns:
            The circuit breaker before the change.
        """
        lock, identity = _select_identity().with_for_update(), {"fingerprint_is": new.fingerprint}
        with self._writing() as connection:
            before = _read(connection.execute(lock, identity).all(), new.path)
            if before is None:
                # Another replica may add it at the same time.
                connection.execute(_ADD[connection.dialect.name], _values(new))
                before = _read(connection.execute(lock, identity).all(), new.path) or new
            after = change(before)
            if after != before:
                connection.execute(update(circuit_breakers).where(*_is(new)).values(_values(after)))
        return before

    def delete(self, path: str, condition: Callable[[CircuitBreaker], bool]) -> None:
        """Deletes the circuit breakers at this Vault path that meet the condition. They do not change meanwhile."""
        at_path = select(circuit_breakers).where(circuit_breakers.c.path == path).with_for_update()
        with self._writing() as connection:
            for row in connection.execute(at_path).all():
                breaker = _read([row], path)
                if breaker is not None and condition(breaker):
                    connection.execute(delete(circuit_breakers).where(*_is(breaker)))

    def end_probes(self) -> None:
        """Ends the probes of a process that has ended. Only for SQLite, which one process uses at a time."""
        with self._writing() as connection:
            connection.execute(update(circuit_breakers).values(probe_until=None))


@cached_statement
def _select_identity() -> Select[Any]:
    return select(circuit_breakers).where(circuit_breakers.c.fingerprint == bindparam("fingerprint_is"))


def _is(breaker: CircuitBreaker) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return circuit_breakers.c.fingerprint == breaker.fingerprint, circuit_breakers.c.path == breaker.path


def _read(rows: Sequence[Row[Any]], path: str) -> CircuitBreaker | None:
    """The circuit breaker at a path, from the rows of its identity at all paths."""
    refused_at = {row.path: tuple(datetime.fromisoformat(at) for at in row.refused_at) for row in rows}
    row = next((row for row in rows if row.path == path), None)
    if row is None:
        return None
    return CircuitBreaker(
        fingerprint=row.fingerprint,
        path=path,
        version=row.version,
        state=BreakerState(row.state),
        code=row.code,
        refused_at=refused_at.pop(path),
        probe_until=row.probe_until,
        refused_elsewhere=tuple(at for times in refused_at.values() for at in times),
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
