"""Requests, their votes and their attempts: read whole, changed by compare-and-set on the version.

A change and the audit row that tells of it are one transaction; the card is due for repair in the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.domain.request import AttemptState, Request, Vote
from bot.domain.schedule import due_at
from bot.store.audit import Event, append, append_all
from bot.store.tables import attempts, cards, requests, votes

_ADAPTER = TypeAdapter(Request)

# On the way from a deciding click to its call. Built once: to build a statement takes longer than to run it.
_BODY = select(requests.c.body).where(requests.c.id == bindparam("of"))
_LOCK_BODY = _BODY.with_for_update()
_REPLACE = update(requests).where(requests.c.id == bindparam("of"), requests.c.version == bindparam("of_version"))
_CARD = update(cards).where(cards.c.request_id == bindparam("of"))
_VOTES = (
    select(votes.c.person, votes.c.team_id, votes.c.at)
    .where(votes.c.request_id == bindparam("of"))
    .order_by(votes.c.id)
)
_ADD_VOTE = insert(votes)
_OPEN_ATTEMPT = insert(attempts)
_TURN_ATTEMPT = update(attempts).where(
    attempts.c.request_id == bindparam("of"),
    attempts.c.number == bindparam("of_number"),
    attempts.c.state == bindparam("before"),
)


class Stale(Exception):
    """Somebody else changed the request since it was read."""


@dataclass(frozen=True)
class AttemptChange:
    """The compare-and-set on a request's attempt that belongs to a change of the request."""

    before: AttemptState
    after: AttemptState


class AlreadyOpen(Exception):
    """The group has an open request, or has one of this very message, or the id is taken."""


def _row(request: Request) -> dict[str, object]:
    return {
        "version": request.version,
        "state": request.state.value,
        "open_key": request.group_key if request.is_open else None,
        "body": _ADAPTER.dump_python(request, mode="json"),
        "due_at": due_at(request),
    }


def add(connection: Connection, request: Request, event: Event, now: datetime) -> None:
    """Stores a new request, its card still to be posted.

    Raises:
        AlreadyAsked: see there. The transaction is spent.
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
                **_row(request),
            )
        )
    except IntegrityError as error:
        raise AlreadyOpen(request.group_key) from error
    connection.execute(insert(cards).values(request_id=request.id, channel=request.channel, due_at=now))
    append(connection, event, now)


def get(connection: Connection, request_id: str) -> Request | None:
    """The request as it stands."""
    return _one(connection.execute(_BODY, {"of": request_id}).scalar())


def lock(connection: Connection, request_id: str) -> Request | None:
    """The request as it stands, and nobody else changes it until this transaction ends."""
    return _one(connection.execute(_LOCK_BODY, {"of": request_id}).scalar())


def find_open(connection: Connection, group_key: str) -> Request | None:
    """The open request for a group (`Request.group_key`), if there is one."""
    return _one(connection.execute(select(requests.c.body).where(requests.c.open_key == group_key)).scalar())


def find_by_origin(connection: Connection, origin_key: str, group_id: str) -> Request | None:
    """The request that this message (`Request.asked_with`) made for a group, however it stands by now."""
    made = (requests.c.origin_key == origin_key, requests.c.group_id == group_id)
    return _one(connection.execute(select(requests.c.body).where(*made)).scalar())


def of_group(connection: Connection, group_id: str) -> list[Request]:
    """The requests ever made for a group, newest first."""
    query = select(requests.c.body).where(requests.c.group_id == group_id).order_by(requests.c.created_at.desc())
    return [_ADAPTER.validate_python(body) for body in connection.execute(query.limit(5)).scalars()]


def open_requests(connection: Connection, projects: Sequence[str]) -> list[Request]:
    """The open requests of these projects, oldest first."""
    query = (
        select(requests.c.body)
        .where(requests.c.open_key.is_not(None), requests.c.project.in_(projects))
        .order_by(requests.c.created_at)
    )
    return [_ADAPTER.validate_python(body) for body in connection.execute(query.limit(50)).scalars()]


def _one(body: object) -> Request | None:
    return None if body is None else _ADAPTER.validate_python(body)


def save(
    connection: Connection,
    old: Request,
    new: Request,
    now: datetime,
    *events: Event,
    attempt: AttemptChange | None = None,
) -> Request:
    """Replaces the row if it still is `old`, raises the version, and makes the card due.

    Arguments:
        attempt: what becomes of the attempt of `old`. Its row is locked after the request's, by everybody.

    Returns:
        The new request with its version.

    Raises:
        Stale: it is no longer `old`, or its attempt is elsewhere. The transaction must not be committed.
    """
    new = replace(new, version=old.version + 1)
    changed = connection.execute(_REPLACE, {"of": old.id, "of_version": old.version, **_row(new)})
    if changed.rowcount != 1:
        raise Stale(old.id)
    if attempt is not None and old.attempt is not None:
        number = old.attempt.number
        if not change_attempt(connection, old.id, number, attempt.before, attempt.after, now):
            raise Stale(old.id)
    connection.execute(_CARD, {"of": old.id, "due_at": now})
    if events:
        append_all(connection, events, now)
    return new


def save_unshown(connection: Connection, request: Request, now: datetime, event: Event) -> None:
    """Replaces the row by one that reads the same to people: its version and its card stay as they are.

    The caller has locked it in this very transaction.
    """
    connection.execute(update(requests).where(requests.c.id == request.id).values(**_row(request)))
    append(connection, event, now)


def votes_of(connection: Connection, request_id: str) -> list[Vote]:
    """The votes in the order in which they came."""
    return [Vote(*row) for row in connection.execute(_VOTES, {"of": request_id})]


def add_vote(connection: Connection, request_id: str, vote: Vote) -> None:
    """Stores one vote. A second by the same person breaks a constraint of the table."""
    row = {"request_id": request_id, "person": vote.person, "team_id": vote.team_id, "at": vote.at}
    connection.execute(_ADD_VOTE, row)


def remove_vote(connection: Connection, request_id: str, person: str) -> None:
    """Takes a vote out again; that there was one is in the audit."""
    connection.execute(delete(votes).where(votes.c.request_id == request_id, votes.c.person == person))


def open_attempt(connection: Connection, request_id: str, number: int, now: datetime) -> None:
    """Stores an attempt as ready. One with this number already there breaks the table's key."""
    row = {"request_id": request_id, "number": number, "state": AttemptState.READY, "changed_at": now}
    connection.execute(_OPEN_ATTEMPT, row)


def attempt_state(connection: Connection, request_id: str, number: int) -> AttemptState | None:
    """Where an attempt is, if there is one."""
    query = select(attempts.c.state).where(attempts.c.request_id == request_id, attempts.c.number == number)
    state = connection.execute(query).scalar()
    return AttemptState(state) if state is not None else None


def change_attempt(
    connection: Connection, request_id: str, number: int, before: AttemptState, after: AttemptState, now: datetime
) -> bool:
    """The compare-and-set on an attempt; True for the one caller that made the change."""
    of = {"of": request_id, "of_number": number, "before": before}
    changed = connection.execute(_TURN_ATTEMPT, of | {"state": after, "changed_at": now})
    return changed.rowcount == 1
