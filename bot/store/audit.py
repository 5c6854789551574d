"""The audit chain: each row's hash covers the row before it, so that no change goes unseen.

Rows are added in the transaction of the change that they tell of. Deciding what is worth telling is left to `bot.jobs`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import DBAPIError

from bot.store.tables import audit, audit_head, requests

GENESIS_HASH = "0" * 64
BOT = "bot"
ANCHORED = "anchored"
_READ_AT_ONCE = 5000

Fact = str | int | bool | list[str] | None
Detail = Mapping[str, Fact]


@dataclass(frozen=True)
class Event:
    """Something to tell: who did what to which request, and the facts, none of them secret."""

    what: str
    actor: str
    request_id: str | None = None
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True)
class AuditRow:
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
class Head:
    """The newest row: its number, which is how many there are, and its hash, which stands for all of them."""

    seq: int
    hash: str


@dataclass(frozen=True)
class Verified:
    """The chain is whole. `noted_at` is the row whose hash was noted elsewhere, 0 for the beginning."""

    head: Head
    matched_at: int | None = None


@dataclass(frozen=True)
class Broken:
    """The first row that is not as it was written, or that is missing, and what is wrong with it.

    `seq` is None when only a noted hash tells that something is wrong: where, it does not tell.
    """

    seq: int | None
    problem: str


@dataclass(frozen=True)
class Anchor:
    """When the head was last told to people, and up to which row what happened had been looked at for it."""

    at: datetime
    rows: int


# Every change comes this way. Built once: to build a statement takes longer than to run it.
_THE_HEAD = update(audit_head).where(audit_head.c.id == 1)
_MOVE_HEAD = _THE_HEAD.values(seq=audit_head.c.seq + bindparam("more")).returning(audit_head.c.seq, audit_head.c.hash)
_ADD_ROWS = insert(audit)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_detail = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def row_hash(seq: int, at: str, request_id: str | None, actor: str, event: str, detail: str, previous: str) -> str:
    """SHA-256, as hex, of a row and the hash of the row before: of their JSON array, so that no two rows read alike."""
    return hashlib.sha256(_encode((seq, at, request_id, actor, event, detail, previous)).encode()).hexdigest()


def append(connection: Connection, event: Event, now: datetime) -> str:
    """Adds one row to the chain within the caller's transaction, and gives its hash."""
    return append_all(connection, [event], now)


def append_all(connection: Connection, events: Sequence[Event], now: datetime) -> str:
    """Adds rows to the chain within the caller's transaction, in order, and gives the hash of the last.

    The update of the head comes first: it is the lock that keeps two writers from continuing the same row. Changes of
    other rows belong before it in a transaction: two that take both locks in other orders wait for each other.
    """
    head = connection.execute(_MOVE_HEAD, {"more": len(events)}).one()
    digest: str = head.hash
    at = now.astimezone(UTC).isoformat(timespec="microseconds")
    rows = []
    for seq, event in enumerate(events, start=head.seq - len(events) + 1):
        # Half a surrogate pair can be sent as JSON, and no database takes it.
        detail = _encode_detail(dict(event.detail)).encode("utf-8", "replace").decode()
        previous = digest
        digest = row_hash(seq, at, event.request_id, event.actor, event.what, detail, previous)
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
    connection.execute(_ADD_ROWS, rows)
    connection.execute(_THE_HEAD, {"hash": digest})
    return digest


def rows(connection: Connection, request_id: str | None = None) -> Iterator[AuditRow]:
    """The chain in order, or the rows of one request, read as a stream."""
    query = select(audit).order_by(audit.c.seq)
    if request_id is not None:
        query = query.where(audit.c.request_id == request_id)
    for row in connection.execute(query, execution_options={"yield_per": _READ_AT_ONCE}):
        yield AuditRow(*row)


def newest(connection: Connection) -> Head | None:
    """The newest row, as the database keeps it beside the chain; None when somebody took that away."""
    found = connection.execute(select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)).one_or_none()
    return None if found is None else Head(*found)


def last_anchor(connection: Connection) -> Anchor | None:
    """The newest row that says that the head was told to people."""
    query = select(audit.c.at, audit.c.detail).where(audit.c.event == ANCHORED).order_by(audit.c.seq.desc()).limit(1)
    found = connection.execute(query).one_or_none()
    return None if found is None else Anchor(datetime.fromisoformat(found.at), json.loads(found.detail)["rows"])


def count_of_project(connection: Connection, project: str, after: int, up_to: int) -> int:
    """How many rows tell of a project: of one of its requests, or by its name. Anchors count for nothing."""
    # As it stands in the JSON of a detail. Inside a text there every quote has a backslash before it.
    named = _encode_detail({"project": project})[1:-1]
    query = (
        select(func.count())
        .select_from(audit.outerjoin(requests, audit.c.request_id == requests.c.id))
        .where(audit.c.seq > after, audit.c.seq <= up_to, audit.c.event != ANCHORED)
        .where(or_(requests.c.project == project, audit.c.detail.contains(named, autoescape=True)))
    )
    return connection.execute(query).scalar_one()


def verify(connection: Connection, noted: str | None = None) -> Verified | Broken:
    """Whether every row is as it was written, in its place, and none is missing.

    A chain cut at its tail, or written anew from the start, still holds together where its head was set back too:
    then only a hash that was noted elsewhere tells.

    Arguments:
        connection: one that reads of one moment (`Store.read`), for the bot may be writing.
        noted: a hash that the chain must contain, in lower case.
    """
    head = newest(connection)
    seq, digest, noted_at = 0, GENESIS_HASH, 0 if noted == GENESIS_HASH else None
    try:
        for row in _stored(connection):
            problem = _problem(row, seq, digest)
            if problem is not None:
                return Broken(seq + 1, problem)
            seq, digest = row[0], row[7]
            if digest == noted:
                noted_at = seq
    except DBAPIError:
        if connection.dialect.name != "sqlite":
            raise
        # SQLite holds bytes that are no text, if somebody puts them there.
        return Broken(seq + 1, f"row {seq + 1} cannot be read")
    if head != Head(seq, digest):
        return _not_the_newest(head, seq)
    if noted is not None and noted_at is None:
        return Broken(
            None,
            f"the hash {noted} is nowhere in rows 1 to {seq}: the rows after {seq} were cut off, or some were written "
            "anew. Try the hashes noted before it: up to the newest that is found, nothing was changed",
        )
    return Verified(head, noted_at)


def _stored(connection: Connection) -> Iterator[tuple[Any, ...]]:
    """The rows in order as the driver gives them, a stream of bare tuples: a million of them is to take seconds."""
    driver: Any = connection.connection.driver_connection
    sql = str(select(audit).order_by(audit.c.seq))
    try:
        if connection.dialect.name == "sqlite":
            yield from driver.execute(sql)
            return
        with driver.cursor(name="audit") as cursor:
            cursor.itersize = _READ_AT_ONCE
            yield from cursor.execute(sql)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(sql, None, error) from error


def _problem(row: tuple[Any, ...], seq: int, digest: str) -> str | None:
    """What is wrong with a row that comes after this one; None when it is as it was written."""
    if row[0] != seq + 1:
        return f"row {seq + 1} is missing: the next one there is row {row[0]}"
    if row[6] != digest:
        return f"row {row[0]} does not continue row {seq}"
    try:
        is_as_written = row_hash(*row[:7]) == row[7]
    except TypeError:
        is_as_written = False
    return None if is_as_written else f"row {row[0]} is not as it was written"


def _not_the_newest(head: Head | None, seq: int) -> Broken:
    """Rows 1 to `seq` hold together, and are not what the head says."""
    if head is None:
        return Broken(seq + 1, f"the chain ends at row {seq}, and what says which row is the newest was removed")
    if head.seq > seq:
        return Broken(seq + 1, f"row {seq + 1} is missing: the chain ends before it, and row {head.seq} was its newest")
    if head.seq < seq:
        return Broken(head.seq + 1, f"row {head.seq + 1} was put there: row {head.seq} is the newest that was written")
    return Broken(seq, f"row {seq} is not as it was written")
