"""The audit chain: the hash of each row covers the hash of the row before, so tampering is detected.

Each row is stored in the same transaction as the change that it records. `bot.jobs` decides which events to record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Update, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import ReturningUpdate

from bot.domain.audit_events import AuditEvent
from bot.store.database import cached_statement
from bot.store.tables import audit, audit_head, requests

GENESIS_HASH = "0" * 64
BOT = "bot"
_ROWS_AT_ONCE = 5000

Fact = str | int | bool | list[str] | None
Detail = Mapping[str, Fact]


@dataclass(frozen=True)
class Event:
    """An event to record: its name, the actor, the request, and further details. The details contain no secret.

    `actor` is a Slack user id, or `BOT`.
    """

    name: AuditEvent
    actor: str
    request_id: str | None = None
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True)
class AuditRow:
    """A row of the chain as stored. `at` is ISO 8601 in UTC, `detail` is JSON with sorted keys."""

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
    """The newest row. `seq` is also the number of rows, and `hash` covers all of them."""

    seq: int
    hash: str


@dataclass(frozen=True)
class Verified:
    """The chain is intact.

    `matched_at` is the `seq` of the row with the expected hash: 0 for `GENESIS_HASH`, None if no hash was expected.
    """

    head: Head
    matched_at: int | None = None


@dataclass(frozen=True)
class Broken:
    """The chain is broken: the first row that was changed or is missing, and a sentence about it.

    `seq` is None if the rows are consistent but none has the expected hash. Then the changed row is not known.
    """

    seq: int | None
    problem: str


@dataclass(frozen=True)
class Anchor:
    """When the newest hash was last posted to a channel, and how many rows the chain had then."""

    at: datetime
    rows: int


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_detail = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def row_hash(seq: int, at: str, request_id: str | None, actor: str, event: str, detail: str, previous: str) -> str:
    """The SHA-256, in hex, of a row with the hash of the row before.

    The input is a JSON array, so that text cannot be moved from one field to the next without changing the hash.
    """
    return hashlib.sha256(_encode((seq, at, request_id, actor, event, detail, previous)).encode()).hexdigest()


def append(connection: Connection, event: Event, now: datetime) -> None:
    """Adds one row to the chain in the caller's transaction."""
    append_all(connection, [event], now)


def append_all(connection: Connection, events: Sequence[Event], now: datetime) -> None:
    """Adds rows to the chain in the caller's transaction, in order.

    This locks the head of the chain until the transaction ends, so that two writers cannot append to the same row. To
    avoid deadlocks, callers append to the chain last in their transaction.
    """
    head = connection.execute(_advance_head(), {"count": len(events)}).one()
    digest: str = head.hash
    at = now.astimezone(UTC).isoformat(timespec="microseconds")
    rows = []
    for seq, event in enumerate(events, start=head.seq - len(events) + 1):
        # JSON from outside may contain half a surrogate pair, which databases refuse.
        detail = _encode_detail(dict(event.detail)).encode("utf-8", "replace").decode()
        previous = digest
        digest = row_hash(seq, at, event.request_id, event.actor, event.name, detail, previous)
        row = AuditRow(seq, at, event.request_id, event.actor, event.name, detail, previous, digest)
        rows.append(vars(row))
    connection.execute(insert(audit), rows)
    connection.execute(_update_head(), {"hash": digest})


@cached_statement
def _update_head() -> Update:
    return update(audit_head).where(audit_head.c.id == 1)


@cached_statement
def _advance_head() -> ReturningUpdate[Any]:
    advanced = _update_head().values(seq=audit_head.c.seq + bindparam("count"))
    return advanced.returning(audit_head.c.seq, audit_head.c.hash)


def rows(connection: Connection, request_id: str | None = None) -> Iterator[AuditRow]:
    """Streams the rows of the chain, or of one request, in order."""
    query = select(audit).order_by(audit.c.seq)
    if request_id is not None:
        query = query.where(audit.c.request_id == request_id)
    for row in connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}):
        yield AuditRow(*row)


def newest(connection: Connection) -> Head | None:
    """The stored head of the chain; None if the row was deleted."""
    found = connection.execute(select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)).one_or_none()
    return None if found is None else Head(*found)


def last_anchor(connection: Connection) -> Anchor | None:
    """The last anchor; None if no hash was posted yet."""
    query = (
        select(audit.c.at, audit.c.detail)
        .where(audit.c.event == AuditEvent.AUDIT_ANCHORED.value)
        .order_by(audit.c.seq.desc())
        .limit(1)
    )
    found = connection.execute(query).one_or_none()
    return None if found is None else Anchor(datetime.fromisoformat(found.at), json.loads(found.detail)["rows"])


def count_of_project(connection: Connection, project: str, after: int, up_to: int) -> int:
    """Counts the rows about a project: rows of its requests, and rows whose detail names it. Leaves out anchors.

    Arguments:
        after, up_to: counts rows with `after < seq <= up_to`.
    """
    # The JSON of a detail contains the project in this form. In a text the quotes are escaped, so it does not match.
    named = _encode_detail({"project": project})[1:-1]
    query = (
        select(func.count())
        .select_from(audit.outerjoin(requests, audit.c.request_id == requests.c.id))
        .where(audit.c.seq > after, audit.c.seq <= up_to, audit.c.event != AuditEvent.AUDIT_ANCHORED.value)
        .where(or_(requests.c.project == project, audit.c.detail.contains(named, autoescape=True)))
    )
    return connection.execute(query).scalar_one()


def verify(
    connection: Connection, expected_hash: str | None = None, visit: Callable[[AuditRow], None] | None = None
) -> Verified | Broken:
    """Checks that no row was changed, moved or removed.

    A chain that was truncated, or rewritten from some row on, looks intact if the head was changed to match. Only a
    hash that was stored outside the database detects this. The bot token can edit the hashes in the channel.

    Arguments:
        connection: must have a consistent snapshot (`Store.read`), because the bot may be writing.
        expected_hash: a hash that the chain must contain, in lower case.
        visit: called with each row in order, before the row is checked, and also after the first wrong row. A second
            query could get other rows: from a damaged index, or from a row policy of PostgreSQL.
    """
    head = newest(connection)
    seq, digest, matched_at = 0, GENESIS_HASH, 0 if expected_hash == GENESIS_HASH else None
    problem: str | None = None
    try:
        for row in _driver_rows(connection):
            if visit is not None:
                visit(AuditRow(*row))
            problem = problem or _problem(row, seq, digest)
            if problem is None:
                seq, digest = row[0], row[7]
                if digest == expected_hash:
                    matched_at = seq
    except DBAPIError:
        if connection.dialect.name != "sqlite":
            raise
        # SQLite stores bytes that are not text, and fails when they are read.
        problem = problem or f"row {seq + 1} can't be read"
    if problem is not None:
        return Broken(seq + 1, problem)
    if head != Head(seq, digest):
        return _head_mismatch(head, seq)
    if expected_hash is not None and matched_at is None:
        return Broken(
            None,
            f"no row from 1 to {seq} has the hash {expected_hash}. Rows after {seq} were removed, or some rows were "
            "rewritten. Try earlier published hashes. Nothing has changed up to the newest one that is found",
        )
    return Verified(head, matched_at)


def _driver_rows(connection: Connection) -> Iterator[tuple[Any, ...]]:
    """Streams the rows in order as plain tuples of the driver, so that verifying a million rows takes only seconds."""
    driver: Any = connection.connection.driver_connection
    sql = str(select(audit).order_by(audit.c.seq))
    try:
        if connection.dialect.name == "sqlite":
            yield from driver.execute(sql)
            return
        with driver.cursor(name="audit") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(sql)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(sql, None, error) from error


def _problem(row: tuple[Any, ...], seq: int, digest: str) -> str | None:
    """What is wrong with the row that follows row `seq` with hash `digest`; None if it is intact."""
    if row[0] != seq + 1:
        # `!r`, because an SQLite file may contain any text as the number.
        return f"row {seq + 1} is missing, the next row is {row[0]!r}"
    if row[6] != digest:
        return f"row {seq + 1} doesn't follow row {seq}"
    try:
        is_intact = row_hash(*row[:7]) == row[7]
    except TypeError:
        is_intact = False
    return None if is_intact else f"row {seq + 1} was changed"


def _head_mismatch(head: Head | None, seq: int) -> Broken:
    """What is wrong if rows 1 to `seq` are consistent, but do not match the head."""
    if head is None:
        return Broken(seq + 1, f"the chain ends at row {seq}, and the record of the newest row was removed")
    if not isinstance(head.seq, int):
        return Broken(seq + 1, f"the chain ends at row {seq}, and the record of the newest row says {head.seq!r}")
    if head.seq > seq:
        return Broken(seq + 1, f"row {seq + 1} is missing, the chain should end at row {head.seq}")
    if head.seq < seq:
        return Broken(head.seq + 1, f"row {head.seq + 1} was inserted, row {head.seq} is the newest that the bot wrote")
    return Broken(seq, f"row {seq} was changed")
