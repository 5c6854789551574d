"""Texts about the progress of a task group: the bar, amounts, rate and time left, and what the group does.

Pure. The numbers come from OMS; a number that OMS did not send is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.progress import percent, seconds_left
from bot.domain.request import Request
from bot.domain.task_group import GroupStatus, Progress, SubTasks, TaskGroup
from bot.domain.watched_group import Activity, Movement
from bot.ui.formatting import (
    duration,
    local_time,
    local_time_with_seconds,
    progress_bar,
    rate,
    size,
    size_of_total,
)
from bot.ui.problem_texts import LOOK_IN_CONSOLE

QUEUED = "All sub-tasks that are left are waiting in OMS's queue."
RESTORING = "OMS may be waiting for archived objects to be restored, which can take hours."


@dataclass(frozen=True)
class Reading:
    """A group as last read, and how it moves."""

    group: TaskGroup
    at: datetime  # when it was read
    movement: Movement | None  # None if only this reading is known


def last_reading(request: Request) -> Reading:
    """The last reading of the group of a request."""
    seen = request.last_seen
    if seen is None:
        return Reading(request.group, request.created_at, None)
    return Reading(replace(request.group, progress=seen.progress), seen.at, seen.movement)


def latest_progress(request: Request) -> Progress:
    """The last known progress: `last_seen`, or before the first reading the progress of `Request.group`."""
    return last_reading(request).group.progress


def progress_line(progress: Progress, group_status: str = "") -> str:
    """The bar, the percentage and the amounts, then the status of the task group if there is one to show."""
    share = percent(progress)
    shown = f"{progress_bar(share)}  *{share} %*" if share is not None else "Size not known yet"
    return f"{shown}     {' · '.join(filter(None, (_bytes(progress), _objects(progress), group_status)))}"


def progress_sentence(progress: Progress) -> str:
    """`60 % done: 6.0 of 10.0 GB, 600 of 1,000 objects`; empty if the percentage is not known."""
    share = percent(progress)
    return f"{share} % done: {', '.join(filter(None, (_bytes(progress), _objects(progress))))}" if share else ""


def pace(reading: Reading) -> str:
    """What the group does, for a headline: `moving at 220 MB/s, about 3 min left`, without what is not known."""
    movement, progress = reading.movement, reading.group.progress
    if movement is None:
        is_listing = reading.group.status in (GroupStatus.WAITING, GroupStatus.EXECUTING)
        speed = progress.speed_bytes_per_second
        return _moving(speed, None if is_listing else seconds_left(progress, speed))
    match movement.activity:
        case Activity.STOPPED:
            return "being paused"
        case Activity.LISTING if movement.still_since is None:
            return "moving while OMS lists the source"
        case Activity.LISTING:
            return "OMS is listing the source"
        case Activity.QUEUED:
            return "waiting in OMS's queue"
        case Activity.RESTORING:
            return "may be waiting for archive restores"
    if movement.stands_still(reading.at):
        return f"nothing has moved for {_minutes(movement.still_since, reading.at)}"
    return _moving(movement.rate or 0, movement.seconds_left(progress, reading.at))


def nothing_moved_yet(reading: Reading) -> str:
    """What a group does before its first object moves, for a headline."""
    match reading.movement.activity if reading.movement else None:
        case Activity.LISTING | Activity.QUEUED | Activity.RESTORING:
            return pace(reading)
    return "nothing has moved yet"


def trouble(reading: Reading) -> str:
    """`Stalled for 27 min` or `Slow for 20 min, 3.2 MB/s`, for a headline; empty for a group that is in no trouble."""
    movement = reading.movement
    if movement is None:
        return ""
    if movement.activity is Activity.STALLED:
        return f"Stalled for {_minutes(movement.still_since, reading.at)}"
    if movement.is_slow and movement.rate is not None:
        return f"Slow for {_minutes(movement.slow_since, reading.at)}, {rate(movement.rate)}"
    return ""


def movement_sentence(reading: Reading) -> str:
    """Since when the group is in trouble, or why nothing moves; empty while it moves as it should. mrkdwn."""
    movement = reading.movement
    if movement is None:
        return ""
    since = f"Nothing has moved since {local_time(movement.still_since)}" if movement.still_since else ""
    match movement.activity:
        case Activity.STALLED:
            restores = f" {RESTORING}" if reading.group.restores_archives else ""
            return f"{since}, although {_sub_tasks_running(reading.group.sub_tasks)}.{restores} {LOOK_IN_CONSOLE}"
        case Activity.RESTORING:
            return f"{since}. {RESTORING}"
        case Activity.QUEUED:
            return QUEUED
    if movement.is_slow and movement.slow_since is not None:
        since = local_time(movement.slow_since)
        return f"The rate has been below the limit for this project (slow_below in bot.toml) since {since}."
    is_still = movement.activity is Activity.MOVING and movement.stands_still(reading.at)
    return f"{since}." if is_still else ""


def movement_details(reading: Reading) -> str:
    """The rate, the time left or why it is not known, the sub-tasks, and when the group was read. mrkdwn."""
    return " · ".join(filter(None, (*_rate_and_time(reading), _sub_tasks(reading.group.sub_tasks), _as_of(reading.at))))


def rate_and_time_left(reading: Reading) -> str:
    """`140 MB/s over the last minutes, about 3 h left`, without what is not known."""
    return ", ".join(_rate_and_time(reading))


def objects_of_total(progress: Progress) -> str:
    """`963 of 1,000 objects, 37 failed`. Failed objects do not count as migrated."""
    failed = f", {progress.failed_objects:,} failed" if progress.failed_objects else ""
    return f"{_migrated(progress)}{failed}"


def moved_since_start(request: Request) -> str:
    """`6.0 GB in 43 s (10.0 GB in all)`: what was migrated since the group was started; empty if that is not known.

    Leaves out what was migrated before, unless it is nothing. For a request that has ended.
    """
    attempt, last_seen = request.attempt, request.last_seen
    if attempt is None or last_seen is None or attempt.answered_at is None or request.ended_at is None:
        return ""
    took = duration(int((request.ended_at - attempt.answered_at).total_seconds()))
    if attempt.before is None:
        return f"took {took}"
    before, all_bytes = attempt.before.complete_bytes, last_seen.progress.complete_bytes
    text = f"{size(max(all_bytes - before, 0))} in {took}"
    return f"{text} ({size(all_bytes)} in all)" if before else text


def _moving(bytes_per_second: int, left: int | None) -> str:
    if bytes_per_second <= 0:
        return "moving"
    moving = f"moving at {rate(bytes_per_second)}"
    return f"{moving}, about {duration(left)} left" if left is not None else moving


def _rate_and_time(reading: Reading) -> list[str]:
    movement, progress = reading.movement, reading.group.progress
    if movement is None or movement.activity not in (Activity.LISTING, Activity.MOVING):
        return []
    shows_rate = movement.rate and not movement.stands_still(reading.at)
    found = [f"{rate(movement.rate or 0)} over the last minutes"] if shows_rate else []
    left = movement.seconds_left(progress, reading.at)
    if left is not None:
        found.append(f"about {duration(left)} left")
    elif movement.activity is Activity.LISTING:
        found.append("OMS is still listing the source, so the total grows")
    elif movement.totals_grow(reading.at):
        found.append("the total still grows, so the time left isn't known")
    return found


def _sub_tasks(counts: SubTasks) -> str:
    """`sub-tasks: 12 done, 4 running, 30 waiting, 1 failed`, without those that are 0."""
    states = {
        "done": counts.complete,
        "running": counts.executing,
        "waiting": counts.waiting,
        "paused": counts.paused,
        "failed": counts.failed,
    }
    shown = ", ".join(f"{number:,} {state}" for state, number in states.items() if number)
    return f"sub-tasks: {shown}" if shown else ""


def _sub_tasks_running(counts: SubTasks) -> str:
    return "a sub-task is running" if counts.executing == 1 else f"{counts.executing:,} sub-tasks are running"


def _as_of(at: datetime) -> str:
    return f"as of {local_time_with_seconds(at)}"


def _minutes(since: datetime | None, at: datetime) -> str:
    """The time in full minutes."""
    minutes = int((at - since).total_seconds()) // 60 if since is not None else 0
    return duration(minutes * 60)


def _bytes(progress: Progress) -> str:
    if progress.total_bytes:
        return size_of_total(progress.complete_bytes, progress.total_bytes)
    return size(progress.complete_bytes) if progress.complete_bytes else ""


def _objects(progress: Progress) -> str:
    """`963 of 1,000 objects, 50 skipped, 37 failed`, where 963 includes 50; empty if the total is not known."""
    if not progress.total_objects:
        return ""
    counts = {"skipped": progress.skipped_objects, "failed": progress.failed_objects}
    return ", ".join([_migrated(progress), *(f"{number:,} {what}" for what, number in counts.items() if number)])


def _migrated(progress: Progress) -> str:
    of_total = f" of {progress.total_objects:,}" if progress.total_objects else ""
    return f"{progress.success_objects + progress.skipped_objects:,}{of_total} objects"
