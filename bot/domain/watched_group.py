"""Computes from the readings of a task group how fast it moves, and since when nothing has moved.

Pure. `bot.jobs.watch` reads the groups from OMS, and `bot.store.groups` stores the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.progress import has_moved, seconds_left
from bot.domain.task_group import RUNNING_STATUSES, GroupStatus, Progress, TaskGroup

#: Readings that are further apart do not show what happened in between: the bot or OMS was unavailable, and the group
#: may have been started again. Twice the longest time between two sweeps.
MAX_GAP = timedelta(minutes=10)
#: The rate is smoothed over about this time.
SMOOTHING = timedelta(minutes=5)
#: The time left is computed only from a rate that was measured for at least this time.
MIN_MEASURED = timedelta(seconds=30)
#: After a reading with larger totals than before, the totals count as growing for this time.
GROWING_FOR = timedelta(minutes=2)
#: OMS counts some objects only when they are complete. So the counters of a moving group can stay the same for a while.
#: Texts mention it only after this time.
SHORT_STILL = timedelta(minutes=1)
#: While OMS restores archived objects at the source, nothing moves for hours. A group that may be waiting for this
#: counts as stalled only after this time.
RESTORE_TIME = timedelta(hours=12)


class Activity(StrEnum):
    """What a group is doing, as far as its readings show."""

    #: The group does not run.
    STOPPED = "stopped"
    #: OMS creates the sub-tasks and lists the source. The totals may still grow.
    LISTING = "listing"
    #: All remaining sub-tasks wait in the queue of OMS.
    QUEUED = "queued"
    #: Bytes or objects move, or nothing has moved for less than `WatchLimits.stall_after`.
    MOVING = "moving"
    #: Nothing moves. OMS may be restoring archived objects at the source, which takes hours.
    RESTORING = "restoring"
    #: Sub-tasks are executing, and nothing has moved for `WatchLimits.stall_after`.
    STALLED = "stalled"


_STILL = frozenset({Activity.RESTORING, Activity.STALLED})


class Trouble(StrEnum):
    """What is wrong with a group. Alerts and threads report it."""

    #: Someone, or OMS, paused the group.
    PAUSED = "paused"
    #: The group failed.
    FAILED = "failed"
    #: Nothing moves although the group runs.
    STALLED = "stalled"
    #: The group moves more slowly than `WatchLimits.slow_below`.
    SLOW = "slow"


@dataclass(frozen=True)
class WatchLimits:
    """The limits beyond which a running group counts as stalled or slow."""

    stall_after: timedelta = timedelta(minutes=15)
    slow_below: int = 0  # bytes per second; 0 for no limit


@dataclass(frozen=True)
class Movement:
    """How a group moves, as several readings show it.

    The last progress and the time of the last reading are arguments of the methods, because `Reading` has them already.
    """

    activity: Activity
    # Bytes per second, smoothed. None while the group does not run or nothing moves, and before its first bytes move.
    rate: int | None = None
    rate_since: datetime | None = None  # since when `rate` has been measured
    # Since when nothing has moved. None if bytes or objects moved between the last two readings, or OMS shows a speed.
    still_since: datetime | None = None
    slow_since: datetime | None = None  # since when `rate` has been below the limit
    is_slow: bool = False  # whether `rate` has been below the limit for `WatchLimits.stall_after`
    grew_at: datetime | None = None  # the time of the last reading that showed larger totals than the one before it

    @property
    def is_above_limit(self) -> bool:
        """Whether the group moves at a measured rate that is not below the limit."""
        return self.activity is Activity.MOVING and self.rate is not None and self.slow_since is None

    def totals_grow(self, at: datetime) -> bool:
        """Whether OMS is still listing the source, so that the totals are too small."""
        has_grown = self.grew_at is not None and at - self.grew_at < GROWING_FOR
        return has_grown or self.activity is Activity.LISTING

    def is_still(self, at: datetime) -> bool:
        """Whether nothing has moved for `SHORT_STILL`, so that texts say since when."""
        return self.still_since is not None and at - self.still_since >= SHORT_STILL

    def seconds_left(self, progress: Progress, at: datetime) -> int | None:
        """The seconds until the group is complete, at the smoothed rate.

        None while the totals grow, while nothing moves, and until the rate has been measured for `MIN_MEASURED`.
        """
        is_measured = self.rate_since is not None and at - self.rate_since >= MIN_MEASURED
        is_still = self.still_since is not None
        if self.activity is not Activity.MOVING or not is_measured or self.totals_grow(at) or is_still:
            return None
        return seconds_left(progress, self.rate or 0)


@dataclass(frozen=True)
class Reading:
    """A group as last read, and how it moves."""

    group: TaskGroup
    at: datetime  # when it was read
    movement: Movement | None  # None if only this reading is known
    noticed_at: datetime | None = None  # when a reading first showed the status; None if only this reading is known

    @property
    def total_grows(self) -> bool:
        """Whether OMS is still listing the source, as far as it is known."""
        return self.movement is not None and self.movement.totals_grow(self.at)


@dataclass(frozen=True)
class WatchedGroup:
    """A task group as its last readings showed it."""

    key: str  # the same as `Request.group_key`
    project: str  # its name in bot.toml
    group: TaskGroup  # as last read, with its progress corrected as `after_next_reading` describes
    seen_at: datetime  # when it was last read
    status_since: datetime  # when a reading first showed its status
    movement: Movement
    known_trouble: Trouble | None = None  # the trouble that needs no further alert, until it is over
    is_odd: bool = False  # whether the last reading showed less than the one before it, so that its counts were ignored

    @property
    def runs(self) -> bool:
        return self.group.status in RUNNING_STATUSES

    @property
    def reading(self) -> Reading:
        return Reading(self.group, self.seen_at, self.movement, self.status_since)


def after_first_reading(key: str, project: str, group: TaskGroup, now: datetime, limits: WatchLimits) -> WatchedGroup:
    """A group after its first reading."""
    return WatchedGroup(key, project, group, now, now, _movement(None, group, now, limits))


def after_reading(
    before: WatchedGroup | None, key: str, project: str, group: TaskGroup, now: datetime, limits: WatchLimits
) -> WatchedGroup:
    """A group after a reading.

    Arguments:
        before: the group before this reading; None if this is the first one.
    """
    if before is None:
        return after_first_reading(key, project, group, now, limits)
    return after_next_reading(before, group, now, limits)


def after_next_reading(before: WatchedGroup, group: TaskGroup, now: datetime, limits: WatchLimits) -> WatchedGroup:
    """A group after a reading that is not its first one.

    OMS adds up the progress of a group from its sub-tasks, so a single reading can show too little. While a group runs,
    its counts of bytes and objects never decrease. A reading with smaller totals counts only if the next reading
    confirms it. The same applies to a reading without any progress while OMS creates the sub-tasks. If it is confirmed,
    a retried group has started over.
    """
    is_odd = False
    if before.runs and group.status in RUNNING_STATUSES and not _has_gap(before, now):
        shown, read = before.group.progress, group.progress
        starts_over = group.status is not GroupStatus.MONITORING and _is_empty(read) and not _is_empty(shown)
        is_less = starts_over or _has_smaller_totals(read, shown)
        is_odd = is_less and not before.is_odd
        if is_odd:
            read = replace(shown, speed_bytes_per_second=read.speed_bytes_per_second)
            group = replace(group, progress=read, sub_tasks=before.group.sub_tasks)
        elif not is_less:
            group = replace(group, progress=_without_decrease(shown, read))
    return replace(
        before,
        group=group,
        seen_at=now,
        status_since=before.status_since if group.status is before.group.status else now,
        movement=_movement(before, group, now, limits),
        is_odd=is_odd,
    )


def _has_gap(before: WatchedGroup, now: datetime) -> bool:
    return now - before.seen_at > MAX_GAP


def _has_smaller_totals(progress: Progress, other: Progress) -> bool:
    return progress.total_bytes < other.total_bytes or progress.total_objects < other.total_objects


def _is_empty(progress: Progress) -> bool:
    return progress.complete_bytes == 0 and progress.handled_objects == 0


def _without_decrease(shown: Progress, read: Progress) -> Progress:
    """The progress after a reading. A count that decreased keeps its previous value."""
    complete_bytes = max(shown.complete_bytes, read.complete_bytes)
    if read.handled_objects >= shown.handled_objects:
        return replace(read, complete_bytes=complete_bytes)
    # The three counts of objects come from one reading, so that they are consistent.
    return replace(
        read,
        complete_bytes=complete_bytes,
        success_objects=shown.success_objects,
        skipped_objects=shown.skipped_objects,
        failed_objects=shown.failed_objects,
    )


def _movement(before: WatchedGroup | None, group: TaskGroup, now: datetime, limits: WatchLimits) -> Movement:
    if group.status not in RUNNING_STATUSES:
        return Movement(Activity.STOPPED)
    if before is not None and not before.runs:
        before = None
    still_since = _still_since(before, group, now)
    activity = _activity(group, still_since, now, limits)
    if before is None or _has_gap(before, now):
        return Movement(activity, still_since=still_since)
    last = before.movement
    has_grown = _has_smaller_totals(before.group.progress, group.progress)
    moves = activity in (Activity.LISTING, Activity.MOVING)
    rate, rate_since = _smoothed_rate(before, group, now) if moves else (None, None)
    is_below = activity is Activity.MOVING and rate is not None and rate < limits.slow_below
    slow_since = (last.slow_since or now) if is_below else None
    return Movement(
        activity,
        rate,
        rate_since,
        still_since,
        slow_since,
        is_slow=slow_since is not None and now - slow_since >= limits.stall_after,
        grew_at=now if has_grown else last.grew_at,
    )


def _still_since(before: WatchedGroup | None, group: TaskGroup, now: datetime) -> datetime | None:
    """Since when nothing has moved; None if something moves.

    `now` if it is not known whether something moved before this reading. Until the group counts as stalled, any change,
    such as a failed object, restarts this time. After that, only movement does. A gap between
    two readings restarts it as well, because a stall is spanned by readings.
    """
    if group.progress.speed_bytes_per_second > 0:
        return None
    if before is None:
        return now
    if has_moved(before.group.progress, group.progress):
        return None
    activity, is_unchanged = before.movement.activity, _counters(before.group) == _counters(group)
    if _has_gap(before, now):
        continues = is_unchanged and activity is Activity.STALLED
    else:
        continues = is_unchanged or activity in _STILL
    return (before.movement.still_since or before.seen_at) if continues else now


def _counters(group: TaskGroup) -> tuple[object, ...]:
    """The values of which at least one changes while a group is active."""
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


def _smoothed_rate(before: WatchedGroup, group: TaskGroup, now: datetime) -> tuple[int | None, datetime | None]:
    """The rate, and since when it has been measured.

    It is the average until it has been measured for `SMOOTHING`. After that, older readings count less.
    """
    seconds = (now - before.seen_at).total_seconds()
    moved = group.progress.complete_bytes - before.group.progress.complete_bytes
    rate, since = before.movement.rate, before.movement.rate_since
    if moved < 0:
        return None, None
    if seconds <= 0:
        return rate, since
    if rate is None or since is None:
        return (round(moved / seconds), before.seen_at) if moved else (None, None)
    weight = max(1 - math.exp(-seconds / SMOOTHING.total_seconds()), seconds / (now - since).total_seconds())
    return round(rate + weight * (moved / seconds - rate)), since
