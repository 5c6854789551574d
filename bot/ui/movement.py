"""Texts about the movement of a task group: its activity, rate, time left, and trouble.

Pure. `bot.domain.watched_group` computes how a group moves from its readings.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.domain.progress import seconds_left
from bot.domain.request import Request, State
from bot.domain.task_group import GroupStatus, Progress, SubTasks
from bot.domain.watched_group import SMOOTHING, Activity, Movement, Reading
from bot.ui.formatting import (
    capitalized,
    duration,
    local_time,
    local_time_with_seconds,
    past_tense,
    quoted_name,
    rate,
    time_left,
)
from bot.ui.problem_texts import LOOK_IN_CONSOLE
from bot.ui.progress import latest_progress

QUEUED = "All remaining sub-tasks are waiting in OMS's queue."
RESTORING = "OMS may be waiting for archived objects to be restored, which can take hours."


def last_reading(request: Request) -> Reading:
    """The last reading of the group of a request."""
    seen, group = request.last_seen, replace(request.group, progress=latest_progress(request))
    return Reading(group, seen.at, seen.movement) if seen else Reading(group, request.created_at, None)


def running_headline(request: Request) -> str:
    """The headline of a request in the state ACCEPTED or MOVING."""
    name, reading = quoted_name(request.group), last_reading(request)
    # A problem means that the last reading of the group failed.
    in_trouble = trouble(reading) if request.problem is None else ""
    if in_trouble:
        return f"{capitalized(in_trouble)}: {name}"
    movement = reading.movement if request.problem is None else None
    if movement is not None and movement.activity is Activity.RESTORING:
        return f"{capitalized(pace(reading))}: {name}"
    started = past_tense(request.verb)
    if request.state is State.ACCEPTED:
        by = f"Already {started} by someone else" if request.started_elsewhere else "Accepted by OMS"
        return f"{by}, {_nothing_moved_yet(reading)}: {name}"
    by = " by someone else" if request.started_elsewhere else ""
    how = "progress can't be read right now" if request.problem is not None else pace(reading)
    return f"{started.capitalize()}{by}, {how}: {name}"


def pace(reading: Reading) -> str:
    """What the group is doing, for a headline: `moving at 220 MB/s, about 3 min left`. Leaves out what is not known."""
    movement, progress = reading.movement, reading.group.progress
    if movement is None:
        is_listing = reading.group.status in (GroupStatus.WAITING, GroupStatus.EXECUTING)
        speed = progress.speed_bytes_per_second
        left = None if is_listing else seconds_left(progress, speed)
        return _moving(speed, left) if speed > 0 else "rate not known yet"
    match movement.activity:
        case Activity.STOPPED:
            return "being paused"
        case Activity.LISTING if reading.group.status is GroupStatus.WAITING:
            return "waiting for OMS to begin"
        case Activity.LISTING if movement.still_since is None:
            return "moving while OMS lists the source"
        case Activity.LISTING:
            return "OMS is listing the source"
        case Activity.QUEUED:
            return "waiting in OMS's queue"
        case Activity.RESTORING:
            return f"{_still_for(movement, reading.at)}, may be waiting for archive restores"
    if movement.is_still(reading.at):
        return _still_for(movement, reading.at)
    # Until the bot has measured a rate, the text shows the speed that OMS reports.
    speed = progress.speed_bytes_per_second if movement.rate is None else movement.rate
    if speed == 0 and movement.still_since is not None:
        return "nothing is moving now"
    return _moving(speed, movement.seconds_left(progress, reading.at))


def trouble(reading: Reading) -> str:
    """`stalled for 27 min` or `slow for 20 min, 3.2 MB/s`, for a headline; empty for a group without trouble.

    Of a slow group, the rate is not shown once nothing moves.
    """
    movement = reading.movement
    if movement is None:
        return ""
    if movement.activity is Activity.STALLED:
        return f"stalled for {_minutes(movement.still_since, reading.at)}"
    if movement.is_slow and movement.rate is not None:
        is_still = movement.is_still(reading.at)
        how = _still_for(movement, reading.at) if is_still else rate(movement.rate)
        return f"slow for {_minutes(movement.slow_since, reading.at)}, {how}"
    return ""


def movement_sentence(reading: Reading) -> str:
    """Since when the group is in trouble, or why nothing moves; empty for a group that moves normally. mrkdwn."""
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
    is_still = movement.activity is Activity.MOVING and movement.is_still(reading.at)
    return f"{since}." if is_still else ""


def movement_details(reading: Reading) -> str:
    """The rate, the time left or why it is not known, the sub-tasks, and when the group was read. mrkdwn."""
    return " · ".join(filter(None, (*_rate_and_time(reading), _sub_tasks(reading.group.sub_tasks), _as_of(reading.at))))


def moves_again(progress: Progress) -> str:
    """What a group does after a stall.

    Between two readings bytes may have moved, although nothing moves at the second one.
    """
    return "is moving again" if progress.speed_bytes_per_second else "has moved again"


def rate_sentence(reading: Reading) -> str:
    """` 140 MB/s over the last 3 min 20 s, about 3 h left.`, to append to another sentence.

    Leaves out what is not known. If nothing is known, it is empty.
    """
    found = ", ".join(_rate_and_time(reading))
    return f" {capitalized(found)}." if found else ""


def _nothing_moved_yet(reading: Reading) -> str:
    """What a group is doing before its first object moves, for a headline."""
    match reading.movement.activity if reading.movement else None:
        case Activity.LISTING | Activity.QUEUED | Activity.RESTORING:
            return pace(reading)
    return "nothing has moved yet"


def _moving(bytes_per_second: int, left: int | None) -> str:
    if bytes_per_second <= 0:
        return "moving"
    moving = f"moving at {rate(bytes_per_second)}"
    return f"{moving}, {time_left(left)} left" if left is not None else moving


def _still_for(movement: Movement, at: datetime) -> str:
    return f"nothing has moved for {_minutes(movement.still_since, at)}"


def _rate_and_time(reading: Reading) -> list[str]:
    movement, progress = reading.movement, reading.group.progress
    if movement is None or movement.activity not in (Activity.LISTING, Activity.MOVING):
        return []
    found = [] if movement.is_still(reading.at) else _measured_rate(movement, reading.at)
    left = movement.seconds_left(progress, reading.at)
    if left is not None:
        found.append(f"{time_left(left)} left")
    elif reading.group.status is GroupStatus.WAITING:
        found.append("OMS hasn't begun yet")
    elif movement.activity is Activity.LISTING:
        found.append("OMS is still listing the source, so the total is growing")
    elif movement.totals_grow(reading.at):
        found.append("the total is still growing, so the time left isn't known")
    return found


def _measured_rate(movement: Movement, at: datetime) -> list[str]:
    """The rate, and over which time: the average since it is measured, after `SMOOTHING` mostly of the last minutes."""
    if not movement.rate or movement.rate_since is None:
        return []
    measured = at - movement.rate_since
    if measured > SMOOTHING:
        return [f"{rate(movement.rate)} over the last few minutes"]
    return [f"{rate(movement.rate)} over the last {duration(int(measured.total_seconds()))}"]


def _sub_tasks(counts: SubTasks) -> str:
    """`sub-tasks: 12 done, 4 running, 30 waiting, 1 failed`, without the numbers that are 0."""
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
    """How long ago `since` was, in full minutes."""
    minutes = int((at - since).total_seconds()) // 60 if since is not None else 0
    return duration(minutes * 60)
