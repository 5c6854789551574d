"""Who works on which row: claims with a lease, so that nothing is done twice at once and nothing is left behind.

A claim lasts 20 s on the database's clock and is renewed while the work goes on. The work itself is left to `bot.jobs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Update,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from bot.store import outbox, tables
from bot.store.database import clock

LEASE = timedelta(seconds=20)

TABLES: tuple[Table, ...] = (tables.inbox, tables.requests, tables.cards, tables.notices, tables.chores)
_KEYS = {table.name: next(iter(table.primary_key.columns)) for table in TABLES}


# What a row is, and whose: of the person who sent it, of the project that it is for.
_NOBODY = literal("")
_KINDS: Mapping[str, ColumnElement[str]] = {tables.inbox.name: tables.inbox.c.kind}
_WHOSE: Mapping[str, ColumnElement[str]] = {
    tables.inbox.name: tables.inbox.c.person,
    tables.requests.name: tables.requests.c.project,
}


def _claim_one(queue: Table) -> Update:
    ended = and_(queue.c.claimed_until < bindparam("by"), queue.c.claimed_by != bindparam("of_owner"))
    return update(queue).where(_KEYS[queue.name] == bindparam("of"), or_(queue.c.claimed_until.is_(None), ended))


# A decision waits for it. Built once: to build a statement takes longer than to run it.
_CLAIM_ONE = {queue.name: _claim_one(queue) for queue in TABLES}


@dataclass(frozen=True)
class Claim:
    """A row that is this worker's for now. `tries` counts the failed ones before."""

    queue: str
    key: str | int
    tries: int
    kind: str = ""
    fairness_key: str = ""


@dataclass(frozen=True)
class Queue:
    """Rows of a queue that are claimed alike.

    Arguments:
        kinds: of the inbox, only these; None for every row.
        each: so many of one person, or of one project, are in one process's hand at once; None for any number.
    """

    queue: Table
    kinds: frozenset[str] | None = None
    max_per_key: int | None = None

    def holds(self, claim: Claim) -> bool:
        return claim.queue == self.queue.name and (self.kinds is None or claim.kind in self.kinds)

    def keys_at_limit(self, in_hand: Iterable[Claim]) -> list[str]:
        """Of whom no more is taken while this is in hand."""
        if self.max_per_key is None:
            return []
        active_claims = Counter(claim.fairness_key for claim in in_hand if self.holds(claim))
        return [fairness_key for fairness_key, count in active_claims.items() if count >= self.max_per_key]


ALL_QUEUES = tuple(Queue(queue) for queue in TABLES)


def claim_due(
    connection: Connection, share: Queue, owner: str, now: datetime, limit: int, in_hand: Collection[Claim] = ()
) -> list[Claim]:
    """Claims up to `limit` rows that are due and free, the longest due first.

    Arguments:
        now: the time that due times are measured by. Leases are measured by the database's own clock.
        in_hand: what this process is working on: not claimed again, though a stall may have cost it the lease; and
            counted for `Share.each`.
    """
    queue, lease_clock = share.queue, clock(connection)
    key, name = _KEYS[queue.name], queue.name
    columns = (key, queue.c.tries, _KINDS.get(name, _NOBODY), _WHOSE.get(name, _NOBODY))
    taken: list[Claim] = []
    while len(taken) < limit:
        found = connection.execute(
            select(*columns)
            .where(queue.c.due_at <= now, *_free(share, lease_clock, [*in_hand, *taken]))
            .order_by(queue.c.due_at, key)
            .limit(limit - len(taken))
            .with_for_update(skip_locked=True)
        ).all()
        passed_over = False
        for claim in (Claim(name, *row) for row in found):
            if claim.fairness_key in share.keys_at_limit([*in_hand, *taken]):
                passed_over = True
            else:
                taken.append(claim)
        if not passed_over:
            break
    if taken:
        connection.execute(
            update(queue)
            .where(key.in_([claim.key for claim in taken]))
            .values(claimed_by=owner, claimed_until=lease_clock + LEASE)
        )
    return taken


def claim_one(connection: Connection, queue: Table, key: str | int, owner: str) -> bool:
    """Claims this row if nobody has it, due or not. Another worker of the same owner is somebody, lease or no lease."""
    lease_clock = clock(connection)
    of = {"of": key, "of_owner": owner, "by": lease_clock}
    found = connection.execute(_CLAIM_ONE[queue.name], of | {"claimed_by": owner, "claimed_until": lease_clock + LEASE})
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


def release_unchanged(connection: Connection, claim: Claim, owner: str) -> None:
    """There was no time for the row: it is due as it was."""
    _let_go(connection, claim, owner)


def _let_go(connection: Connection, claim: Claim, owner: str, **values: object) -> None:
    queue = tables.metadata.tables[claim.queue]
    connection.execute(
        update(queue)
        .where(_KEYS[queue.name] == claim.key, queue.c.claimed_by == owner)
        .values(claimed_by=None, claimed_until=None, **values)
    )


def renew(connection: Connection, queue: Table, owner: str, active_claims: Iterable[Claim]) -> None:
    """Gives the owner's claims on rows of this queue a full lease again. One that was lost meanwhile stays lost."""
    keys = _keys(queue, active_claims)
    if keys:
        until = clock(connection) + LEASE
        connection.execute(
            update(queue).where(_KEYS[queue.name].in_(keys), queue.c.claimed_by == owner).values(claimed_until=until)
        )


def release_all(connection: Connection) -> None:
    """Frees what a process before this one had claimed. Only where there can be no other: on SQLite, at the start."""
    for queue in TABLES:
        connection.execute(
            update(queue).where(queue.c.claimed_by.is_not(None)).values(claimed_by=None, claimed_until=None)
        )


def next_due(
    connection: Connection, shares: Sequence[Queue] = ALL_QUEUES, in_hand: Collection[Claim] = ()
) -> Mapping[Queue, datetime]:
    """When the next row of each of these is due that could be claimed; without claimed ones and those in hand."""
    lease_clock = clock(connection)
    looks = [
        select(literal(at), func.min(share.queue.c.due_at)).where(*_free(share, lease_clock, in_hand))
        for at, share in enumerate(shares)
    ]
    if not looks:
        return {}
    return {shares[at]: due_at for at, due_at in connection.execute(union_all(*looks)) if due_at is not None}


def _free(share: Queue, lease_clock: datetime, in_hand: Collection[Claim]) -> Iterator[ColumnElement[bool]]:
    queue = share.queue
    yield or_(queue.c.claimed_until.is_(None), queue.c.claimed_until < lease_clock)
    if keys := _keys(queue, in_hand):
        yield _KEYS[queue.name].not_in(keys)
    if share.kinds is not None:
        yield _KINDS[queue.name].in_(sorted(share.kinds))
    if enough := share.keys_at_limit(in_hand):
        yield _WHOSE[queue.name].not_in(enough)
    if queue is tables.notices:
        yield outbox.is_next_in_thread()


def _keys(queue: Table, found: Iterable[Claim]) -> list[str | int]:
    return [claim.key for claim in found if claim.queue == queue.name]
