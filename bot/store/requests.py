"""Stores requests. A change is a compare-and-set on the version of the request.

One transaction stores the change, its audit rows, and the due time of the card. The votes are in the audit rows.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Integer, Row, Select, Update, bindparam, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.domain.card_urgency import card_urgency
from bot.domain.report import REPORTED_STATES
from bot.domain.request import FOLLOWED_STATES, Request, State
from bot.domain.request_record import VOTING_EVENTS, fingerprint
from bot.domain.schedule import due_at
from bot.store.audit import Event, Fact, append, append_all
from bot.store.database import cached_statement
from bot.store.tables import UtcDateTime, cards, requests

log = logging.getLogger(__name__)

_ADAPTER = TypeAdapter(Request)
# SQLite allows a limited number of values in a statement.
IDS_AT_ONCE = 500


class Stale(Exception):
    """The request was changed after it was read."""


class AlreadyOpen(Exception):
    """The group has an open request, or this message created a request for it before, or the id is in use."""


def add(connection: Connection, request: Request, event: Event, now: datetime) -> None:
    """Stores a new request, and a card that is due to be posted.

    Raises:
        AlreadyOpen: nothing was stored. The transaction must be rolled back.
    """
    try:
        connection.execute(
            insert(requests).values(
                id=request.id,
                project=request.plan.project,
                group_id=request.group.group_id,
                requester=request.requester,
                created_at=request.created_at,
                origin_key=request.origin_key or None,
                **_changing_columns(request),
            )
        )
    except IntegrityError as error:
        raise AlreadyOpen(request.group_key) from error
    connection.execute(insert(cards).values(request_id=request.id, channel=request.channel, due_at=now))
    append_all(connection, _with_facts([event], None, request), now)
    _log_state(request, f"created, {request.state}")


def get(connection: Connection, request_id: str) -> Request | None:
    """The request with this id."""
    return _parsed(connection.execute(_select_body(), {"of_id": request_id}).one_or_none())


def lock(connection: Connection, request_id: str) -> Request | None:
    """The request with this id. Locks it until the transaction ends."""
    return _parsed(connection.execute(_lock_body(), {"of_id": request_id}).one_or_none())


@cached_statement
def _select_body() -> Select[Any, Any]:
    return select(requests.c.id, requests.c.body).where(requests.c.id == bindparam("of_id"))


@cached_statement
def _lock_body() -> Select[Any, Any]:
    return _select_body().with_for_update()


def find_open(connection: Connection, group_key: str) -> Request | None:
    """The open request for a group (`Request.group_key`)."""
    query = select(requests.c.id, requests.c.body).where(requests.c.open_key == group_key)
    return _parsed(connection.execute(query).one_or_none())


def find_by_origin(connection: Connection, origin_key: str, group_id: str) -> Request | None:
    """The request, in any state, that the message with this `Request.origin_key` created for a group."""
    conditions = (requests.c.origin_key == origin_key, requests.c.group_id == group_id)
    return _parsed(connection.execute(select(requests.c.id, requests.c.body).where(*conditions)).one_or_none())


def of_group(connection: Connection, group_id: str) -> list[Request]:
    """The requests for a group, newest first."""
    is_of_group = requests.c.group_id == group_id
    query = select(requests.c.id, requests.c.body).where(is_of_group).order_by(requests.c.created_at.desc())
    return [_of_row(row) for row in connection.execute(query)]


def last_ends(connection: Connection, group_ids: Sequence[str]) -> dict[str, datetime]:
    """When the last request whose card shows how its group stopped ended, by the id of the group."""
    states = [state.value for state in REPORTED_STATES]
    found: dict[str, datetime] = {}
    for first in range(0, len(group_ids), IDS_AT_ONCE):
        of_groups = requests.c.group_id.in_(group_ids[first : first + IDS_AT_ONCE])
        last_end = select(requests.c.group_id, func.max(requests.c.ended_at))
        query = last_end.where(of_groups, requests.c.state.in_(states)).group_by(requests.c.group_id)
        found |= {group_id: at for group_id, at in connection.execute(query) if at is not None}
    return found


def open_requests(connection: Connection, projects: Sequence[str]) -> list[Request]:
    """The open requests of these projects, oldest first."""
    query = (
        select(requests.c.id, requests.c.body)
        .where(requests.c.open_key.is_not(None), requests.c.project.in_(projects))
        .order_by(requests.c.created_at)
    )
    return [_of_row(row) for row in connection.execute(query)]


def ended_since(connection: Connection, projects: Collection[str], since: datetime, limit: int) -> list[Request]:
    """The requests of these projects that ended since then, newest first."""
    query = (
        select(requests.c.id, requests.c.body)
        .where(requests.c.ended_at >= since, requests.c.project.in_(projects))
        .order_by(requests.c.ended_at.desc())
        .limit(limit)
    )
    return [_of_row(row) for row in connection.execute(query)]


def count_ended_since(connection: Connection, projects: Collection[str], since: datetime) -> int:
    """How many requests of these projects ended since then."""
    query = select(func.count()).where(requests.c.ended_at >= since, requests.c.project.in_(projects))
    return connection.execute(query).scalar_one()


def delete_ended(connection: Connection, before: datetime, limit: int) -> int:
    """Deletes up to `limit` requests that ended before this time, with their cards. Their audit rows stay.

    Returns:
        The number of deleted requests.
    """
    oldest = select(requests.c.id).where(requests.c.ended_at < before).order_by(requests.c.ended_at).limit(limit)
    ids = connection.execute(oldest.with_for_update()).scalars().all()
    for first in range(0, len(ids), IDS_AT_ONCE):
        some = ids[first : first + IDS_AT_ONCE]
        connection.execute(delete(cards).where(cards.c.request_id.in_(some)))
        connection.execute(delete(requests).where(requests.c.id.in_(some)))
    return len(ids)


def followed(connection: Connection, project: str) -> dict[str, str]:
    """The ids of the project's requests whose card shows what their group does, by the key of the group."""
    states = [state.value for state in FOLLOWED_STATES | {State.SENDING, State.UNKNOWN}]
    query = select(requests.c.open_key, requests.c.id).where(
        requests.c.project == project, requests.c.open_key.is_not(None), requests.c.state.in_(states)
    )
    return {row.open_key: row.id for row in connection.execute(query)}


def make_due(connection: Connection, ids: Collection[str], now: datetime) -> None:
    """Makes these requests due now, because a sweep read their groups."""
    for first in range(0, len(ids), IDS_AT_ONCE):
        of_ids = requests.c.id.in_(list(ids)[first : first + IDS_AT_ONCE])
        connection.execute(update(requests).where(of_ids, requests.c.due_at > now).values(due_at=now))


def save(connection: Connection, old: Request, new: Request, now: datetime, *events: Event) -> Request:
    """Replaces `old` by `new` with the next version, and makes the card due.

    Returns:
        The new request with its version.

    Raises:
        Stale: the stored version differs from the version of `old`. The transaction must be rolled back.
    """
    new = replace(new, version=old.version + 1)
    values = {"of_id": old.id, "of_version": old.version, **_changing_columns(new)}
    if connection.execute(_replace_version(), values).rowcount != 1:
        raise Stale(old.id)
    connection.execute(_make_card_due(), {"of_id": old.id, "now": now, "changed": int(card_urgency(old, new))})
    if new.state is not old.state:
        _log_state(new, f"{old.state} -> {new.state}")
    if events:
        append_all(connection, _with_facts(events, old, new), now)
    return new


def _with_facts(events: Sequence[Event], old: Request | None, new: Request) -> list[Event]:
    """The events of a change, with what `RequestRecord` needs: the new state, and for a voting also the fingerprint."""
    with_facts = []
    for event in events:
        facts: dict[str, Fact] = {}
        if event.name in VOTING_EVENTS:
            facts = {"fingerprint": fingerprint(new), "approvals needed": len(new.policy.slots)}
        has_new_state = old is None or new.state is not old.state
        if event.name in VOTING_EVENTS or (event is events[-1] and has_new_state):
            facts["state"] = new.state.value
        with_facts.append(replace(event, detail={**event.detail, **facts}))
    return with_facts


def _log_state(request: Request, change: str) -> None:
    log.info("%s: %s, project %s, group %s", request.id, change, request.plan.project, request.group.group_id)


@cached_statement
def _replace_version() -> Update:
    return update(requests).where(requests.c.id == bindparam("of_id"), requests.c.version == bindparam("of_version"))


@cached_statement
def _make_card_due() -> Update:
    """Keeps the due time of a card that is due, so that the cards that wait for an edit take turns."""
    now, changed = bindparam("now", type_=UtcDateTime), bindparam("changed", type_=Integer)
    due_at = case((cards.c.due_at < now, cards.c.due_at), else_=now)
    urgency = case((cards.c.urgency < changed, cards.c.urgency), else_=changed)
    return update(cards).where(cards.c.request_id == bindparam("of_id")).values(due_at=due_at, urgency=urgency)


def save_without_new_version(connection: Connection, request: Request, now: datetime, event: Event) -> None:
    """Stores a change that the card does not show: the version stays, and the card is not updated.

    The caller must have locked the request in the same transaction.
    """
    connection.execute(update(requests).where(requests.c.id == request.id).values(**_changing_columns(request)))
    append(connection, event, now)


def _changing_columns(request: Request) -> dict[str, object]:
    return {
        "version": request.version,
        "state": request.state.value,
        "open_key": request.group_key if request.is_open else None,
        "ended_at": request.ended_at,
        "body": _ADAPTER.dump_python(request, mode="json"),
        "due_at": due_at(request),
    }


def _parsed(row: Row[Any, Any] | None) -> Request | None:
    return None if row is None else _of_row(row)


def _of_row(row: Row[Any, Any]) -> Request:
    """The request of a row with `id` and `body`.

    The id is that of the row. If somebody copied the body from another request, the request does not agree with its
    audit rows, and an action on it cannot change the other request.
    """
    request = _ADAPTER.validate_python(row.body)
    return request if request.id == row.id else replace(request, id=row.id)
