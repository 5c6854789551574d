"""Stores the task groups that the sweeps saw, and samples of their progress.

What the readings of a group mean is computed by `bot.domain.watched_group`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Select, Update, bindparam, insert, select, update

from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import WatchedGroup
from bot.store.database import cached_statement
from bot.store.tables import groups, samples

_ADAPTER = TypeAdapter(WatchedGroup)
#: `muted` of a group that is muted until it moves again.
UNTIL_IT_MOVES = "moves"


@dataclass(frozen=True)
class Sample:
    """The progress of a group at one time."""

    at: datetime
    complete_bytes: int
    total_bytes: int
    handled_objects: int  # migrated, skipped and failed
    failed_objects: int


def get(connection: Connection, key: str) -> WatchedGroup | None:
    """The group with this key (`Request.group_key`)."""
    body = connection.execute(_select_body(), {"of_key": key}).scalar()
    return None if body is None else _ADAPTER.validate_python(body)


@cached_statement
def _select_body() -> Select[Any]:
    return select(groups.c.body).where(groups.c.key == bindparam("of_key"))


def of_project(
    connection: Connection, project: str, statuses: Collection[GroupStatus] | None = None
) -> dict[str, WatchedGroup]:
    """The groups of a project by key, or those with one of these statuses."""
    query = select(groups.c.key, groups.c.body).where(groups.c.project == project)
    if statuses is not None:
        query = query.where(groups.c.status.in_([int(status) for status in statuses]))
    return {key: _ADAPTER.validate_python(body) for key, body in connection.execute(query)}


def ended_since(connection: Connection, project: str, since: datetime, status: GroupStatus) -> list[WatchedGroup]:
    """The groups of a project that got this status since then, newest first."""
    query = (
        select(groups.c.body)
        .where(groups.c.project == project, groups.c.status == int(status), groups.c.status_since >= since)
        .order_by(groups.c.status_since.desc())
    )
    return [_ADAPTER.validate_python(body) for body in connection.execute(query).scalars()]


def add(connection: Connection, found: Iterable[WatchedGroup]) -> None:
    """Stores groups that are not stored yet."""
    rows = [_columns(group) | {"key": group.key, "project": group.project} for group in found]
    if rows:
        connection.execute(insert(groups), rows)


def save(connection: Connection, found: Iterable[WatchedGroup]) -> None:
    """Replaces stored groups."""
    rows = [_columns(group) | {"of_key": group.key} for group in found]
    if rows:
        connection.execute(_replace(), rows)


@cached_statement
def _replace() -> Update:
    return update(groups).where(groups.c.key == bindparam("of_key"))


def _columns(group: WatchedGroup) -> dict[str, object]:
    return {
        "status": int(group.group.status),
        "seen_at": group.seen_at,
        "status_since": group.status_since,
        "body": _ADAPTER.dump_python(group, mode="json"),
    }


def add_samples(connection: Connection, found: Iterable[WatchedGroup]) -> None:
    """Stores the progress of groups at the time of their last reading."""
    rows = [
        {
            "group_key": group.key,
            "at": group.seen_at,
            "complete_bytes": group.group.progress.complete_bytes,
            "total_bytes": group.group.progress.total_bytes,
            "handled_objects": group.group.progress.handled_objects,
            "failed_objects": group.group.progress.failed_objects,
        }
        for group in found
    ]
    if rows:
        connection.execute(insert(samples), rows)


def samples_of(connection: Connection, key: str, since: datetime, until: datetime) -> Sequence[Sample]:
    """The samples of a group between two times, oldest first."""
    columns = [samples.c[name] for name in ("at", "complete_bytes", "total_bytes", "handled_objects", "failed_objects")]
    query = (
        select(*columns).where(samples.c.group_key == key, samples.c.at.between(since, until)).order_by(samples.c.at)
    )
    return [Sample(*row) for row in connection.execute(query)]


def mute(connection: Connection, key: str, until: datetime | None) -> None:
    """Mutes a group until this time, or with None until it moves."""
    muted = UNTIL_IT_MOVES if until is None else until.isoformat()
    connection.execute(update(groups).where(groups.c.key == key).values(muted=muted))


def mutes(connection: Connection, project: str) -> dict[str, datetime | None]:
    """Until when each muted group of a project is muted, by key; None until it moves."""
    query = select(groups.c.key, groups.c.muted).where(groups.c.project == project, groups.c.muted.is_not(None))
    return {
        key: None if muted == UNTIL_IT_MOVES else datetime.fromisoformat(muted)
        for key, muted in connection.execute(query)
    }


def end_mutes(connection: Connection, keys: Collection[str]) -> None:
    """Lets people hear of these groups again."""
    for key in keys:
        connection.execute(update(groups).where(groups.c.key == key).values(muted=None))
