"""Stores the task groups that the bot has read, and samples of their progress.

`bot.domain.watched_group` computes what the readings of a group show.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Delete, Select, and_, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.report import Sample
from bot.domain.sample_thinning import surplus_samples
from bot.domain.task_group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus
from bot.domain.watched_group import WatchedGroup
from bot.store.database import cached_statement
from bot.store.tables import groups, samples

_ADAPTER = TypeAdapter(WatchedGroup)
#: The value of the column `muted` for a group that is muted until it moves again.
UNTIL_IT_MOVES = "moves"
#: OMS may show a group as running for this time after it accepted the pause.
PAUSES_WITHIN = timedelta(minutes=2)
_READ_COLUMNS = ("project", "status", "seen_at", "status_since", "body")
_SAVE = {
    name: (adding := build(groups)).on_conflict_do_update(
        index_elements=[groups.c.key],
        set_={column: adding.excluded[column] for column in _READ_COLUMNS},
        where=groups.c.seen_at <= adding.excluded.seen_at,
    )
    for name, build in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_RUNNING = [int(status) for status in RUNNING_STATUSES]
_STOPPED = [int(status) for status in (GroupStatus.PAUSED, *sorted(FAILED_STATUSES), GroupStatus.COMPLETED)]


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
    """The groups of a project by key: those with one of these statuses, or all if `statuses` is None."""
    query = select(groups.c.key, groups.c.body).where(groups.c.project == project)
    if statuses is not None:
        query = query.where(groups.c.status.in_([int(status) for status in statuses]))
    return {key: _ADAPTER.validate_python(body) for key, body in connection.execute(query)}


def find_deleted(connection: Connection, projects: Collection[str], group_id: str) -> WatchedGroup | None:
    """The group with this id, if it is in one of these projects and was deleted."""
    is_found = (groups.c.key.endswith(f"/{group_id}"), groups.c.status == int(GroupStatus.DELETED))
    query = select(groups.c.body).where(groups.c.project.in_(projects), *is_found)
    body = connection.execute(query).scalar()
    return None if body is None else _ADAPTER.validate_python(body)


def stopped_since(connection: Connection, projects: Collection[str], since: datetime) -> list[WatchedGroup]:
    """The groups that ran at some time since then and are paused, failed or done, and those deleted since then.

    Newest first. Leaves out groups that no sweep saw running, such as those that had failed before the bot knew them.
    """
    has_run = exists().where(samples.c.group_key == groups.c.key, samples.c.at >= since)
    has_stopped = or_(groups.c.status == int(GroupStatus.DELETED), and_(groups.c.status.in_(_STOPPED), has_run))
    query = (
        select(groups.c.body)
        .where(groups.c.project.in_(projects), groups.c.status_since >= since, has_stopped)
        .order_by(groups.c.status_since.desc())
    )
    return [_ADAPTER.validate_python(body) for body in connection.execute(query).scalars()]


def save(connection: Connection, found: Iterable[WatchedGroup]) -> None:
    """Stores groups as they were read. An older reading does not replace a newer one."""
    save_rows(connection, [row_of(group) for group in found])


def save_rows(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Does the same as `save` with rows from `row_of`.

    Preparing the rows takes longer than storing them, so a caller can do it before the transaction.
    """
    if rows:
        connection.execute(_SAVE[connection.dialect.name], rows)


def row_of(group: WatchedGroup) -> Mapping[str, object]:
    """The row that stores a group."""
    return {
        "key": group.key,
        "project": group.project,
        "status": int(group.group.status),
        "seen_at": group.seen_at,
        "status_since": group.status_since,
        "body": _ADAPTER.dump_python(group, mode="json"),
    }


def add_samples(connection: Connection, found: Iterable[WatchedGroup]) -> None:
    """Stores the progress of groups at the time of their last reading."""
    rows = [
        {"group_key": group.key, "at": group.seen_at, "complete_bytes": group.group.progress.complete_bytes}
        for group in found
    ]
    if rows:
        connection.execute(insert(samples), rows)


def samples_of(connection: Connection, key: str, since: datetime, until: datetime) -> Sequence[Sample]:
    """The samples of a group between two times, oldest first."""
    query = (
        select(samples.c.at, samples.c.complete_bytes)
        .where(samples.c.group_key == key, samples.c.at.between(since, until))
        .order_by(samples.c.at)
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
    """Ends the mutes of these groups."""
    for key in keys:
        connection.execute(update(groups).where(groups.c.key == key).values(muted=None))


def set_paused(connection: Connection, key: str, at: datetime | None) -> None:
    """Stores when a person paused a group with the bot; None if the pause failed. `save` does not change this time."""
    connection.execute(update(groups).where(groups.c.key == key).values(paused_at=at))


def paused_by_bot(connection: Connection, project: str, now: datetime) -> frozenset[str]:
    """The keys of the groups that were paused with the bot and have not run since.

    A group that runs later than `PAUSES_WITHIN` after its pause was resumed, so its pause is deleted.
    """
    resumed = (groups.c.status.in_(_RUNNING), groups.c.paused_at < now - PAUSES_WITHIN)
    connection.execute(update(groups).where(groups.c.project == project, *resumed).values(paused_at=None))
    query = select(groups.c.key).where(groups.c.project == project, groups.c.paused_at.is_not(None))
    return frozenset(connection.execute(query).scalars())


def paused_with_bot(connection: Connection, projects: Collection[str]) -> frozenset[str]:
    """The keys of the groups that are paused and were paused with the bot."""
    is_paused = (groups.c.status == int(GroupStatus.PAUSED), groups.c.paused_at.is_not(None))
    query = select(groups.c.key).where(groups.c.project.in_(projects), *is_paused)
    return frozenset(connection.execute(query).scalars())


def keys_to_thin(connection: Connection, since: datetime) -> Sequence[str]:
    """The keys of the groups that run, or stopped since then. Other groups have no new samples to thin."""
    runs = groups.c.status.in_(_RUNNING)
    return connection.execute(select(groups.c.key).where(or_(runs, groups.c.status_since >= since))).scalars().all()


def thin_samples(connection: Connection, key: str, now: datetime) -> None:
    """Deletes the samples of a group that are not needed anymore, see `bot.domain.sample_thinning`."""
    of_group = select(samples.c.at).where(samples.c.group_key == key).order_by(samples.c.at)
    surplus = surplus_samples(connection.execute(of_group).scalars().all(), now)
    if surplus:
        connection.execute(_delete_sample(), [{"of_key": key, "of_time": at} for at in surplus])


@cached_statement
def _delete_sample() -> Delete:
    return delete(samples).where(samples.c.group_key == bindparam("of_key"), samples.c.at == bindparam("of_time"))


def delete_not_seen(connection: Connection, since: datetime) -> int:
    """Deletes the groups that no sweep has seen since then, and all samples from before.

    Returns:
        The number of deleted groups.
    """
    connection.execute(delete(samples).where(samples.c.at < since))
    return connection.execute(delete(groups).where(groups.c.seen_at < since)).rowcount
