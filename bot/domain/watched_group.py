"""What the readings of a task group show over time: how fast it moves, and since when it stands still.

Pure. `bot.jobs.watch` reads the groups from OMS, and `bot.store.groups` stores the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.progress import has_moved
from bot.domain.task_group import RUNNING_STATUSES, GroupStatus, Progress, TaskGroup

#: Readings that are further apart do not show that nothing moved in between: the bot or OMS was away.
MAX_GAP = timedelta(minutes=5)
#: The rate is smoothed over about this time.
SMOOTHING = timedelta(minutes=5)
#: While OMS restores archived objects at the source, nothing moves for hours. Only a longer time counts as a stall.
RESTORE_TIME = timedelta(hours=12)


class Activity(StrEnum):
    """What a group does, as far as its readings show."""

    #: The group does not run.
    STOPPED = "stopped"
    #: OMS creates the sub-tasks and lists the source. The totals may still grow.
    LISTING = "listing"
    #: All sub-tasks wait in the queue of OMS.
    QUEUED = "queued"
    #: Bytes or objects move, or moved less than `WatchLimits.stall_after` ago.
    MOVING = "moving"
    #: Nothing moves. OMS may be restoring archived objects at the source, which takes hours.
    RESTORING = "restoring"
    #: Sub-tasks are executing, and nothing has moved for `WatchLimits.stall_after`.
    STALLED = "stalled"


class Trouble(StrEnum):
    """What people are told about a group that does not do what it should."""

    #: Somebody, or OMS, paused the group.
    PAUSED = "paused"
    #: The group failed.
    FAILED = "failed"
    #: Nothing moves although the group runs.
    STALLED = "stalled"
    #: The group moves more slowly than `WatchLimits.slow_below`.
    SLOW = "slow"


@dataclass(frozen=True)
class WatchLimits:
    """From when on a running group counts as stalled or slow."""

    stall_after: timedelta = timedelta(minutes=15)
    slow_below: int = 0  # bytes per second; 0 for no limit


@dataclass(frozen=True)
class Movement:
    """How a group moves, from several readings."""

    activity: Activity
    rate: int | None = None  # bytes per second, smoothed; None if it is not known, or the group does not run
    still_since: datetime | None = None  # since when no counter has changed; None if the last reading showed a change
    slow_since: datetime | None = None  # since when `rate` is below the limit


@dataclass(frozen=True)
class WatchedGroup:
    """A task group as the last readings of it showed it."""

    key: str  # as `Request.group_key`
    project: str  # its name in bot.toml
    group: TaskGroup  # as last read
    seen_at: datetime  # when it was last read
    status_since: datetime  # when a reading first showed its status
    movement: Movement
    told: Trouble | None = None  # the trouble that people were told and that lasts

    @property
    def runs(self) -> bool:
        return self.group.status in RUNNING_STATUSES


def first_seen(key: str, project: str, group: TaskGroup, now: datetime, limits: WatchLimits) -> WatchedGroup:
    """A group after its first reading."""
    return WatchedGroup(key, project, group, now, now, _movement(None, group, now, limits))


def seen_again(before: WatchedGroup, group: TaskGroup, now: datetime, limits: WatchLimits) -> WatchedGroup:
    """A group after another reading.

    The bytes of a running group do not become fewer while its totals stay: OMS sums them up from several sub-tasks.
    """
    is_same_run = before.runs and group.status in RUNNING_STATUSES
    if is_same_run:
        group = replace(group, progress=_not_less(before.group.progress, group.progress))
    return replace(
        before,
        group=group,
        seen_at=now,
        status_since=before.status_since if group.status is before.group.status else now,
        movement=_movement(before, group, now, limits),
    )


def _not_less(before: Progress, after: Progress) -> Progress:
    totals = (before.total_bytes, before.total_objects)
    if totals != (after.total_bytes, after.total_objects):
        return after
    return replace(
        after,
        complete_bytes=max(before.complete_bytes, after.complete_bytes),
        success_objects=max(before.success_objects, after.success_objects),
        skipped_objects=max(before.skipped_objects, after.skipped_objects),
    )


def _movement(before: WatchedGroup | None, group: TaskGroup, now: datetime, limits: WatchLimits) -> Movement:
    if group.status not in RUNNING_STATUSES:
        return Movement(Activity.STOPPED)
    is_same_run = before is not None and before.runs
    rate = _smoothed_rate(before, group, now) if before is not None and is_same_run else None
    still_since = _still_since(before, group, now) if before is not None and is_same_run else None
    activity = _activity(group, still_since, now, limits)
    is_slow = activity is Activity.MOVING and rate is not None and rate < limits.slow_below
    slow_since = (before.movement.slow_since if before is not None else None) or now
    return Movement(activity, rate, still_since, slow_since if is_slow else None)


def _still_since(before: WatchedGroup, group: TaskGroup, now: datetime) -> datetime | None:
    """Since when no counter has changed. A gap between two readings starts the time anew."""
    if _counters(before.group) != _counters(group) or group.progress.speed_bytes_per_second > 0:
        return None
    if now - before.seen_at > MAX_GAP:
        return now
    return before.movement.still_since or before.seen_at


def _counters(group: TaskGroup) -> tuple[object, ...]:
    """Everything that changes while a group does anything."""
    return group.status, replace(group.progress, speed_bytes_per_second=0), group.sub_tasks


def _activity(group: TaskGroup, still_since: datetime | None, now: datetime, limits: WatchLimits) -> Activity:
    sub_tasks = group.sub_tasks
    if group.status is not GroupStatus.MONITORING:
        return Activity.LISTING
    if sub_tasks.waiting and not sub_tasks.executing:
        return Activity.QUEUED
    still_for = now - still_since if still_since is not None else timedelta(0)
    if still_for < limits.stall_after or not sub_tasks.executing:
        return Activity.MOVING
    if group.restores_archives and still_for < max(RESTORE_TIME, limits.stall_after):
        return Activity.RESTORING
    return Activity.STALLED


def _smoothed_rate(before: WatchedGroup, group: TaskGroup, now: datetime) -> int | None:
    """The rate between the two readings, averaged with the rate before so that older readings count less."""
    seconds = (now - before.seen_at).total_seconds()
    old, new = before.group.progress, group.progress
    if seconds <= 0 or (has_moved(new, old) and not has_moved(old, new)):
        return before.movement.rate if seconds <= 0 else None
    rate = max(new.complete_bytes - old.complete_bytes, 0) / seconds
    if before.movement.rate is None:
        return round(rate)
    weight = 1 - math.exp(-seconds / SMOOTHING.total_seconds())
    return round(before.movement.rate + weight * (rate - before.movement.rate))
