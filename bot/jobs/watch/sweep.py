"""Sweeps a project: lists its task groups from OMS, stores how they move, and makes requests due whose group changed.

`bot.domain.sweep_plan` plans which groups each sweep lists. What a change means for a request is left to
`bot.jobs.follow`, and alerts about groups without a request to `bot.jobs.watch.sweep_alerts`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from bot.config.bot_toml import Project
from bot.domain.sweep_plan import STATUSES, Part, SweepState, due_parts, is_young, next_sweep_at, samples_due
from bot.domain.task_group import GroupStatus, TaskGroup
from bot.domain.watched_group import WatchedGroup, after_reading
from bot.huawei.error_catalogue import NOT_FOUND
from bot.huawei.errors import HuaweiError, Rejected, Throttled, Unanswered, Unreadable
from bot.huawei.oms import Oms
from bot.jobs.context import Context
from bot.jobs.watch.sweep_alerts import save_alert
from bot.jobs.worker import Finished, Result
from bot.metrics import SWEPT_AT
from bot.store import groups, requests, sweeps
from bot.store.queue import Claim
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)

#: How many known groups that no list contains are read individually in one sweep. If more are missing, the sweep
#: also lists the failed groups. If more are still missing, some of them wait for the next sweep.
MAX_SHOWN = 20
#: If only the progress of at most this many groups changed, a sweep makes their requests due. With more of them,
#: Slack's rate limit for edits would be reached, so each request is followed at its own due time.
MAX_DUE_FOR_PROGRESS = 30
#: A group that does not run and does not change is stored only this often, to update the time when it was last seen.
SAVE_UNCHANGED_EVERY = timedelta(minutes=10)
# Groups that had one of these statuses are not read individually if no list contains them.
_ENDED = STATUSES[Part.ENDED]


@dataclass(frozen=True)
class _Sweep:
    """What one sweep found."""

    at: datetime  # when it began
    before: Mapping[str, WatchedGroup]  # by key
    after: Mapping[str, WatchedGroup]  # those that this sweep read, by key
    unreadable: Mapping[Part, int]  # for each part that was listed, how many of its groups the bot could not read


def sweep_project(context: Context, claim: Claim) -> Result:
    """Sweeps the project of the claimed row once."""
    name = str(claim.key)
    project = context.projects.get(name)
    if project is None:
        return Finished()
    with context.store.read() as connection:
        state = sweeps.get(connection, name)
        followed = requests.followed(connection, name)
        known = groups.of_project(connection, name, set(GroupStatus) - _ENDED)
    now = context.now()
    if project.watch == "off" and not followed:
        return Finished(next_sweep_at(state, now))
    parts = due_parts(state, now)
    try:
        found = _read(context, name, project, known, parts)
    except (HuaweiError, VaultError) as error:
        return _save_failed(context, name, state, error)
    return _save(context, name, project, state, found, followed)


def _read(
    context: Context, name: str, project: Project, known: Mapping[str, WatchedGroup], parts: frozenset[Part]
) -> _Sweep:
    """Lists the groups, and individually reads the known groups that no list contained.

    Raises:
        HuaweiError, VaultError: a list is incomplete.
    """
    # Taken before the lists are read, so that no group is shown as newer than it is.
    began = context.now()
    project_id = context.identity.project_id(name)
    listed: dict[str, TaskGroup] = {}
    unreadable: dict[Part, int] = {}

    def list_parts(parts: frozenset[Part]) -> list[WatchedGroup]:
        """Lists these parts, and returns the known groups that no list contained."""
        unreadable.update(dict.fromkeys(parts, 0))
        part_of = {status: part for part in parts for status in STATUSES[part]}
        for status in sorted(part_of):
            for group in _listed(context, name, status, project_id):
                if isinstance(group, TaskGroup):
                    listed[f"{project_id}/{group.group_id}"] = group
                else:
                    unreadable[part_of[status]] += 1
        statuses = {status for part in unreadable for status in STATUSES[part]}
        return [one for key, one in known.items() if key not in listed and one.group.status in statuses]

    missing = list_parts(parts)
    if len(missing) > MAX_SHOWN and Part.FAILED not in parts:
        missing = list_parts(frozenset({Part.FAILED}))
    for one in islice(sorted(missing, key=lambda one: one.seen_at), MAX_SHOWN):
        shown = _show(context, name, one, project_id)
        if shown is not None:
            listed[one.key] = shown
    limits = project.watch_limits

    def read_at(key: str) -> datetime:
        """The clock of the process that read the group before may be ahead of the clock of this one."""
        return max(began, known[key].seen_at) if key in known else began

    after = {
        key: after_reading(known.get(key), key, name, group, read_at(key), limits)
        for key, group in listed.items()
        if key in known or group.status not in _ENDED
    }
    return _Sweep(began, known, after, unreadable)


def _listed(context: Context, name: str, status: GroupStatus, project_id: str) -> list[TaskGroup | Unreadable]:
    """The groups with this status. Empty if OMS lists more ended groups than the bot reads.

    Known groups that have ended since are read one by one then.
    """
    try:
        return context.identity.call(name, partial(_groups, status=status), project_id)
    except Unreadable:
        if status not in _ENDED:
            raise
        return []


def _groups(oms: Oms, status: GroupStatus) -> list[TaskGroup | Unreadable]:
    return list(oms.groups(status))


def _show(context: Context, name: str, one: WatchedGroup, project_id: str) -> TaskGroup | None:
    """Reads a group that no list contained. If OMS no longer knows it, it counts as deleted.

    None if the bot can't read OMS's answer. The stored reading of the group stays, and the sweep continues.
    """
    try:
        return context.identity.call(name, lambda oms: oms.show(one.group.group_id), project_id)
    except Rejected as rejected:
        return replace(one.group, status=GroupStatus.DELETED) if rejected.answer.code in NOT_FOUND else None
    except Unreadable:
        return None
    except Unanswered as error:
        if error.answer is None:
            raise
        return None


def _save(
    context: Context,
    name: str,
    project: Project,
    state: SweepState,
    found: _Sweep,
    followed: Mapping[str, str],
) -> Result:
    """Stores what a sweep found. Stores nothing if another process has claimed the sweep since.

    Arguments:
        followed: ids of the requests that follow a group, by the key of the group.
    """
    young = any(is_young(group, found.at) for group in found.after.values())
    swept = state.listed(frozenset(found.unreadable), found.at, is_young=young, unreadable=found.unreadable)
    to_sample = [group for group in found.after.values() if _is_worth_sampling(found, group)]
    if samples_due(state, found.at):
        swept = replace(swept, sampled_at=found.at)
    else:
        to_sample = [group for group in to_sample if not group.runs]
    rows = {key: groups.row_of(group) for key, group in found.after.items() if _is_worth_saving(found, group)}
    with context.store.write() as connection:
        if not sweeps.save(connection, name, swept, context.owner):
            return Finished()
        first = not state.listed_at
        after = save_alert(
            connection, name, project, found.before, found.after, followed, context.now(), is_first_sweep=first
        )
        rows |= {
            key: groups.row_of(group)
            for key, group in after.items()
            if group.known_trouble is not found.after[key].known_trouble
        }
        groups.save_rows(connection, list(rows.values()))
        groups.add_samples(connection, to_sample)
        requests.make_due(connection, _requests_to_follow(found, followed), found.at)
    SWEPT_AT.labels(name).set(found.at.timestamp())
    if state.failures:
        log.info("the task groups of project %s are listed again", name)
    return Finished(next_sweep_at(swept, context.now()))


def _is_worth_sampling(found: _Sweep, group: WatchedGroup) -> bool:
    """Whether the group runs, or ran when the sweep before saw it, and was read later than then."""
    before = found.before.get(group.key)
    if before is None:
        return group.runs
    return (group.runs or before.runs) and group.seen_at > before.seen_at


def _is_worth_saving(found: _Sweep, group: WatchedGroup) -> bool:
    """Whether to store a reading: the group runs or changed, or it was last stored `SAVE_UNCHANGED_EVERY` ago."""
    before = found.before.get(group.key)
    if before is None:
        return True
    is_same = before.group == group.group and before.movement == group.movement
    return group.runs or not is_same or found.at - before.seen_at >= SAVE_UNCHANGED_EVERY


def _requests_to_follow(found: _Sweep, followed: Mapping[str, str]) -> list[str]:
    """The requests to make due: those whose group changed visibly, and up to a limit those whose group only moved."""
    changed: list[str] = []
    moving: list[str] = []
    for key, group in found.after.items():
        if key in followed:
            before = found.before.get(key)
            is_same = before is not None and _visible_state(before) == _visible_state(group)
            (moving if is_same else changed).append(followed[key])
    return changed + (moving if len(moving) <= MAX_DUE_FOR_PROGRESS else [])


def _visible_state(group: WatchedGroup) -> tuple[object, ...]:
    movement = group.movement
    return group.group.status, movement.activity, movement.is_slow, group.group.progress.failed_objects


def _save_failed(context: Context, name: str, state: SweepState, error: HuaweiError | VaultError) -> Result:
    """Plans the next sweep. Logs only the first failure in a row. Meanwhile, requests read their own groups."""
    failed = state.failed(throttled=isinstance(error, Throttled))
    if not state.failures:
        log.warning("the task groups of project %s can't be listed: %s", name, error)
    with context.store.write() as connection:
        sweeps.save(connection, name, failed, context.owner)
    return Finished(next_sweep_at(failed, context.now()))
