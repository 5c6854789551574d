"""The audit chain: the hash of each row covers the hash of the row before, so tampering is detected.

Each row is stored in the same transaction as the change that it records. `bot.jobs` decides which events to record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, func, insert, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from bot.domain.audit_events import AuditEvent
from bot.domain.request_record import Authenticity, RecordedEvent, RefusedMessages, RequestRecord, minute_of
from bot.store.database import cached_statement
from bot.store.state_keys import state_keys
from bot.store.tables import audit, audit_head, requests

GENESIS_HASH = "0" * 64
BOT = "bot"
ROWS_AT_ONCE = 5000

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
    mac: str | None


@dataclass(frozen=True)
class Head:
    """The newest row. `seq` is also the number of rows, and `hash` covers all of them."""

    seq: int
    hash: str


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


def append_refusal(connection: Connection, event: Event, received_at: datetime | None, now: datetime) -> None:
    """Adds the row of a refused message, unless its request has such a row of the same minute.

    So a person who presses a button again and again does not fill the chain. Two transactions at the same time can each
    add a row.

    Arguments:
        event: with the kind of the message and the reason in its detail.
        received_at: when the message was received; None if that is not known. Then the row is always added.
    """
    if received_at is not None and event.request_id is not None:
        minute, keys = minute_of(received_at), state_keys(connection)
        event = replace(event, detail={**event.detail, "minute": minute})
        refused = RecordedEvent(event.name, event.actor, now, event.detail).refused
        # Only the rows since that minute, because the record of a request may be long.
        query = _select_rows().where(
            audit.c.event == event.name.value, audit.c.actor == event.actor, audit.c.at >= minute
        )
        for row in connection.execute(query, {"of_request": event.request_id}):
            is_ours = keys.check(row.mac, audit.name, row_hash(*row[:7])) is Authenticity.AUTHENTIC
            if is_ours and _event(row).refused == refused:
                return
    append(connection, event, now)


def append_all(connection: Connection, events: Sequence[Event], now: datetime) -> None:
    """Adds rows to the chain in the caller's transaction, in order.

    This locks the head of the chain until the transaction ends, so that two writers cannot append to the same row. To
    avoid deadlocks, callers append to the chain last in their transaction.
    """
    keys = state_keys(connection)
    head = connection.execute(_advance_head(), {"count": len(events)}).one()
    digest: str = head.hash
    at = now.astimezone(UTC).isoformat(timespec="microseconds")
    rows = []
    for seq, event in enumerate(events, start=head.seq - len(events) + 1):
        # JSON from outside may contain half a surrogate pair, which databases refuse.
        detail = _encode_detail(dict(event.detail)).encode("utf-8", "replace").decode()
        previous = digest
        digest = row_hash(seq, at, event.request_id, event.actor, event.name, detail, previous)
        mac = keys.sign(audit.name, digest)
        row = AuditRow(seq, at, event.request_id, event.actor, event.name, detail, previous, digest, mac)
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
    for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}):
        yield AuditRow(*row)


def record_of(connection: Connection, request_id: str) -> RequestRecord:
    """What the audit rows of a request prove. Rows that the bot did not write prove nothing."""
    keys, record = state_keys(connection), RequestRecord()
    messages: set[str] = set()
    refusals: set[RefusedMessages] = set()
    for row in connection.execute(_select_rows(), {"of_request": request_id}):
        authenticity = keys.check(row.mac, audit.name, row_hash(*row[:7]))
        if authenticity is not Authenticity.AUTHENTIC:
            record = record.with_other_row(authenticity)
            continue
        event = _event(row)
        record = record.with_event(event)
        if "message" in event.detail:
            messages.add(str(event.detail["message"]))
        if event.refused is not None:
            refusals.add(event.refused)
    return replace(record, messages=frozenset(messages), refusals=frozenset(refusals))


def may_be_older_than_keys(connection: Connection, request_id: str) -> bool:
    """Whether the first row of a request can be from before the first known key, although its own key is unknown.

    Then no row before it has a known key, and the chain leads from it to the first row that the bot wrote with a known
    key, or to the end if there is none. A row that somebody inserted later cannot be like this: the MAC of that row
    covers all rows before it.
    """
    keys = state_keys(connection)
    first = connection.execute(select(func.min(audit.c.seq)).where(audit.c.request_id == request_id)).scalar()
    if first is None:
        return False
    has_known_key = or_(*(audit.c.mac.startswith(f"{key_id} ") for key_id in keys.ids))
    if keys.ids and connection.execute(select(audit.c.seq).where(audit.c.seq < first, has_known_key).limit(1)).first():
        return False
    previous: str | None = None
    query = select(audit).where(audit.c.seq >= first).order_by(audit.c.seq)
    with connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}) as found:
        for row in found:
            if row_hash(*row[:7]) != row.hash or previous not in (None, row.previous):
                return False
            authenticity = keys.check(row.mac, audit.name, row.hash)
            if authenticity is not Authenticity.UNKNOWN_KEY:
                return authenticity is Authenticity.AUTHENTIC
            previous = row.hash
    return True


@cached_statement
def _select_rows() -> Select[Any]:
    return select(audit).where(audit.c.request_id == bindparam("of_request")).order_by(audit.c.seq)


def with_row(record: RequestRecord, row: Sequence[Any], authenticity: Authenticity) -> RequestRecord:
    """The record of a request after one more of its rows."""
    if authenticity is not Authenticity.AUTHENTIC:
        return record.with_other_row(authenticity)
    return record.with_event(_event(row))


def events_of(connection: Connection, request_id: str) -> tuple[list[RecordedEvent], int]:
    """The events of a request for people to read, oldest first, and how many of its rows the bot may not have written.

    Without a key, which the reader may not have, rows with an unknown key are events as well. With a key, everybody who
    can write to the database could have inserted them, so they are left out like forged rows.

    Raises:
        ValueError, TypeError: the bot does not write rows like this row, whose key is unknown.
    """
    keys, unverified = state_keys(connection), 0
    left_out = {Authenticity.FORGED, Authenticity.UNKNOWN_KEY} if keys.has_current else {Authenticity.FORGED}
    events: list[RecordedEvent] = []
    for row in connection.execute(_select_rows(), {"of_request": request_id}):
        authenticity = keys.check(row.mac, audit.name, row_hash(*row[:7]))
        if authenticity not in left_out:
            events.append(_event(row))
        unverified += authenticity is not Authenticity.AUTHENTIC
    return events, unverified


def _event(row: Sequence[Any]) -> RecordedEvent:
    _, at, _, actor, name, text = row[:6]
    detail = json.loads(text)
    if not isinstance(detail, dict):
        raise ValueError("the detail of an audit row is not an object")
    return RecordedEvent(name, actor, datetime.fromisoformat(at), detail)


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
