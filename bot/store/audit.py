"""The audit chain: each row's hash covers the row before it, so that no change goes unseen.

Rows are added in the transaction of the change that they tell of. Deciding what is worth telling is left to `bot.work`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from bot.store.tables import audit, audit_head

BEGINNING = "0" * 64
BOT = "bot"

Detail = Mapping[str, str | int | bool | list[str] | None]


@dataclass(frozen=True)
class Event:
    """Something to tell: who did what to which request, and the facts, none of them secret."""

    what: str
    actor: str
    request_id: str | None = None
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """One row of the chain as it is stored. `at` is ISO 8601 in UTC, `detail` is JSON with sorted keys."""

    seq: int
    at: str
    request_id: str | None
    actor: str
    event: str
    detail: str
    previous: str
    hash: str


@dataclass(frozen=True)
class Verified:
    """The chain is whole: how many rows, and the newest hash, which stands for all of them."""

    rows: int
    head: str


@dataclass(frozen=True)
class Broken:
    """The first row that is not as it was written, or that is missing, and what is wrong with it."""

    seq: int
    problem: str


def link_hash(seq: int, at: str, request_id: str | None, actor: str, event: str, detail: str, previous: str) -> str:
    """SHA-256, as hex, of a row and the hash of the row before: of their JSON array, so that no two rows read alike."""
    row = json.dumps([seq, at, request_id, actor, event, detail, previous], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(row.encode()).hexdigest()


def append(connection: Connection, event: Event, now: datetime) -> str:
    """Adds one row to the chain within the caller's transaction, and gives its hash."""
    return append_all(connection, [event], now)


def append_all(connection: Connection, events: Sequence[Event], now: datetime) -> str:
    """Adds rows to the chain within the caller's transaction, in order, and gives the hash of the last.

    The update of the head comes first: it is the lock that keeps two writers from continuing the same row.
    """
    head = connection.execute(
        update(audit_head)
        .where(audit_head.c.id == 1)
        .values(seq=audit_head.c.seq + len(events))
        .returning(audit_head.c.seq, audit_head.c.hash)
    ).one()
    digest: str = head.hash
    at = now.astimezone(UTC).isoformat(timespec="microseconds")
    rows = []
    for seq, event in enumerate(events, start=head.seq - len(events) + 1):
        detail = json.dumps(dict(event.detail), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        previous = digest
        digest = link_hash(seq, at, event.request_id, event.actor, event.what, detail, previous)
        rows.append(
            {
                "seq": seq,
                "at": at,
                "request_id": event.request_id,
                "actor": event.actor,
                "event": event.what,
                "detail": detail,
                "previous": previous,
                "hash": digest,
            }
        )
    connection.execute(insert(audit), rows)
    connection.execute(update(audit_head).where(audit_head.c.id == 1).values(hash=digest))
    return digest


def links(connection: Connection, request_id: str | None = None) -> Iterator[Link]:
    """The chain in order, or the rows of one request, read as a stream."""
    query = select(audit).order_by(audit.c.seq)
    if request_id is not None:
        query = query.where(audit.c.request_id == request_id)
    rows = connection.execution_options(yield_per=5000).execute(query)
    for row in rows:
        yield Link(*row)


def verify(connection: Connection, expected_head: str | None = None) -> Verified | Broken:
    """Whether every row is as it was written, in its place, and none is missing.

    A chain cut at its tail, or written anew from the start, still holds together: only a hash noted
    elsewhere tells. With `expected_head` the chain must contain that hash.
    """
    previous, count, head_seen = BEGINNING, 0, expected_head in (None, BEGINNING)
    for link in links(connection):
        if link.seq != count + 1:
            return Broken(count + 1, f"row {count + 1} is missing: the next one there is row {link.seq}")
        if link.previous != previous:
            return Broken(link.seq, f"row {link.seq} does not continue row {count}")
        digest = link_hash(link.seq, link.at, link.request_id, link.actor, link.event, link.detail, link.previous)
        if digest != link.hash:
            return Broken(link.seq, f"row {link.seq} is not as it was written")
        head_seen = head_seen or digest == expected_head
        previous, count = digest, link.seq
    newest = connection.execute(select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)).one()
    if (newest.seq, newest.hash) != (count, previous):
        return Broken(count + 1, f"the chain ends at row {count}, but row {newest.seq} was once its newest")
    if not head_seen:
        return Broken(
            count + 1, f"the hash {expected_head} is nowhere in the chain: its tail was cut or it was rewritten"
        )
    return Verified(count, previous)
