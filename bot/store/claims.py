"""Who works on which row: claims with a lease, so that nothing is done twice at once and nothing is left behind.

A claim lasts 20 s on the database's clock and is renewed while the work goes on. The work itself is left to `bot.work`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, func, literal, or_, select, union_all, update

from bot.store import tables
from bot.store.engine import clock

LEASE = timedelta(seconds=20)

QUEUES: tuple[Table, ...] = (tables.inbox, tables.requests, tables.cards, tables.notices, tables.chores)
_KEYS = {table.name: next(iter(table.primary_key.columns)) for table in QUEUES}


@dataclass(frozen=True)
class Claim:
    """A row that is this worker's for now. `tries` counts the failed ones before."""

    queue: str
    key: str | int
    tries: int


def claim_due(
    connection: Connection, queue: Table, owner: str, now: datetime, limit: int, in_hand: Collection[Claim] = ()
) -> list[Claim]:
    """Claims up to `limit` rows that are due and free, the longest due first.

    Arguments:
        now: the time that due times are measured by. Leases are measured by the database's own clock.
        in_hand: what this process is working on: not claimed again, though a stall may have cost it the lease.
    """
    key, lease_clock = _KEYS[queue.name], clock(connection)
    found = connection.execute(
        select(key, queue.c.tries)
        .where(queue.c.due_at <= now, *_free(queue, lease_clock, in_hand))
        .order_by(queue.c.due_at, key)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if found:
        connection.execute(
            update(queue)
            .where(key.in_([row[0] for row in found]))
            .values(claimed_by=owner, claimed_until=lease_clock + LEASE)
        )
    return [Claim(queue.name, row[0], row[1]) for row in found]


def claim_one(connection: Connection, queue: Table, key: str | int, owner: str) -> bool:
    """Claims this row if nobody has it, due or not. Another worker of the same owner is somebody, lease or no lease."""
    lease_clock = clock(connection)
    free = or_(queue.c.claimed_until.is_(None), and_(queue.c.claimed_until < lease_clock, queue.c.claimed_by != owner))
    found = connection.execute(
        update(queue).where(_KEYS[queue.name] == key, free).values(claimed_by=owner, claimed_until=lease_clock + LEASE)
    )
    return found.rowcount == 1


def finish(connection: Connection, claim: Claim, owner: str, due_at: datetime | None = None) -> None:
    """The work on a row is done, or goes on at `due_at`. Nothing happens if the claim was lost meanwhile."""
    _let_go(connection, claim, owner, due_at=due_at, tries=0)


def postpone(connection: Connection, claim: Claim, owner: str, due_at: datetime) -> None:
    """The work on a row failed and is tried again at `due_at`."""
    _let_go(connection, claim, owner, due_at=due_at, tries=claim.tries + 1)


def release(connection: Connection, claim: Claim, owner: str) -> None:
    """The work is done; when the row is due again was said where it was changed."""
    _let_go(connection, claim, owner, tries=0)


def _let_go(connection: Connection, claim: Claim, owner: str, **values: object) -> None:
    queue = tables.metadata.tables[claim.queue]
    connection.execute(
        update(queue)
        .where(_KEYS[queue.name] == claim.key, queue.c.claimed_by == owner)
        .values(claimed_by=None, claimed_until=None, **values)
    )


def renew(connection: Connection, queue: Table, owner: str, held: Iterable[Claim]) -> None:
    """Gives the owner's claims on rows of this queue a full lease again. One that was lost meanwhile stays lost."""
    keys = _keys(queue, held)
    if keys:
        until = clock(connection) + LEASE
        connection.execute(
            update(queue).where(_KEYS[queue.name].in_(keys), queue.c.claimed_by == owner).values(claimed_until=until)
        )


def free_all(connection: Connection) -> None:
    """Frees what a process before this one had claimed. Only where there can be no other: on SQLite, at the start."""
    for queue in QUEUES:
        connection.execute(
            update(queue).where(queue.c.claimed_by.is_not(None)).values(claimed_by=None, claimed_until=None)
        )


def next_due(
    connection: Connection, queues: Iterable[Table] = QUEUES, in_hand: Collection[Claim] = ()
) -> Mapping[str, datetime]:
    """When the next row of each of these queues is due, by its name; claimed ones and those in hand are left out."""
    lease_clock = clock(connection)
    looks = [
        select(literal(queue.name), func.min(queue.c.due_at)).where(*_free(queue, lease_clock, in_hand))
        for queue in queues
    ]
    if not looks:
        return {}
    return {name: due_at for name, due_at in connection.execute(union_all(*looks)) if due_at is not None}


def _free(queue: Table, lease_clock: datetime, in_hand: Collection[Claim]) -> tuple[ColumnElement[bool], ...]:
    free = or_(queue.c.claimed_until.is_(None), queue.c.claimed_until < lease_clock)
    keys = _keys(queue, in_hand)
    return (free, _KEYS[queue.name].not_in(keys)) if keys else (free,)


def _keys(queue: Table, found: Iterable[Claim]) -> list[str | int]:
    return [claim.key for claim in found if claim.queue == queue.name]
