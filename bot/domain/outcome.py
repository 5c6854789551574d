"""Decides the state of a request after its PUT from the group in OMS: moving, done, failed, paused again.

Pure: takes the request, the group and the time, and returns the changed request. `bot.jobs.follow` reads the group and
stores the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from bot.domain.announcements import announce
from bot.domain.progress import has_moved
from bot.domain.request import LastSeen, Problem, Request, State, Verb
from bot.domain.schedule import UNCHANGED_FOR
from bot.domain.task_group import DELETED_STATUSES, FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, Progress, TaskGroup
from bot.domain.watched_group import Movement

_STARTED_STATUSES = RUNNING_STATUSES | {GroupStatus.PAUSING}


class GroupProblem(Enum):
    """What a reading of the group shows instead of what was approved or expected."""

    #: OMS reports the group as failed.
    FAILED = auto()
    #: The group was deleted.
    DELETED = auto()
    #: A minute after OMS accepted the PUT, the group has the status it had before.
    UNCHANGED_AFTER_ACCEPTED = auto()
    #: A minute after a PUT without a clear reply, the group has the status it had before.
    UNCHANGED_AFTER_UNCLEAR = auto()
    #: A minute after OMS accepted the pause, the group still runs.
    STILL_RUNNING = auto()
    #: Before the PUT: the group migrates something else than was approved, or in another way.
    OTHER_MIGRATION = auto()
    #: Before the PUT: the group has a status in which it cannot be started as approved.
    OTHER_STATUS = auto()


#: Returns the problem to show for a group as last read. `bot.ui.problem_texts` has the sentences.
ExplainGroup = Callable[[GroupProblem, TaskGroup], Problem]


def accepted(request: Request, huawei_request_id: str | None, now: datetime) -> Request:
    """The request after OMS accepted the PUT. It is not known yet whether anything moves."""
    attempt = request.attempt
    answered = replace(attempt, answered_at=now, huawei_request_id=huawei_request_id) if attempt else None
    return replace(request, attempt=answered, last_seen=None).with_state(State.ACCEPTED, at=now)


def settle(request: Request, group: TaskGroup, explain: ExplainGroup, now: datetime) -> Request | None:
    """Decides whether a PUT without a clear reply started the group.

    Returns:
        The changed request, or None while it is not known yet.
    """
    attempt = request.attempt
    if attempt is None or attempt.sent_at is None:
        return None
    if not _has_status_before_put(request, group):
        started = accepted(request, attempt.huawei_request_id, attempt.sent_at).with_reading(group)
        return follow(started, group, explain, now)
    # Measured from the end of the call: OMS may have received the PUT at any time before.
    if now - (attempt.unanswered_at or attempt.sent_at) < UNCHANGED_FOR:
        return None
    reply = request.problem or Problem("", "", "", "", "")
    unchanged = explain(GroupProblem.UNCHANGED_AFTER_UNCLEAR, group)
    meaning = f"{reply.meaning} {unchanged.meaning}".strip()
    problem = replace(reply, meaning=meaning, next_step=unchanged.next_step, reference=None)
    unchanged_group = replace(request.with_reading(group), started_elsewhere=False)
    return unchanged_group.with_state(State.NOT_STARTED, at=now, problem=problem)


def follow(
    request: Request, group: TaskGroup, explain: ExplainGroup, now: datetime, movement: Movement | None = None
) -> Request:
    """The request after another reading of a group for which OMS accepted the PUT.

    Arguments:
        movement: how the group moves, as all its readings show it; None if only this one is known.
    """
    attempt = request.attempt
    before = attempt.before if attempt and attempt.before else request.group.progress
    moved = has_moved(before, group.progress)
    if attempt is not None and has_moved(group.progress, before):
        # OMS resets the counters of a retried group to zero, so progress is compared with this reading from now on.
        attempt = replace(attempt, before=group.progress)
    seen = replace(request.with_reading(group), attempt=attempt, last_seen=LastSeen(now, group.progress, movement))
    has_run = _had_moved(request) or request.group.status in _STARTED_STATUSES
    if _has_status_before_put(request, group) and not has_run and not moved:
        return _not_visibly_started(seen, explain, now)
    match group.status:
        case GroupStatus.COMPLETED:
            return seen.with_state(State.DONE, at=now)
        case status if status in FAILED_STATUSES:
            return seen.with_state(State.FAILED, at=now, problem=explain(GroupProblem.FAILED, group))
        case status if status in DELETED_STATUSES:
            return group_deleted(seen, explain, now)
        case GroupStatus.PAUSED:
            return seen.with_state(State.PAUSED_AGAIN, at=now)
        case _ if request.state is State.PAUSING:
            return _not_visibly_paused(seen, explain, now)
        case _:
            state = State.MOVING if moved or request.state is State.MOVING else State.ACCEPTED
            return _with_announcement(seen.with_state(state, at=now), last=request.group.progress)


def group_deleted(request: Request, explain: ExplainGroup, now: datetime) -> Request:
    """The request after its group was deleted."""
    return request.with_state(State.FAILED, at=now, problem=explain(GroupProblem.DELETED, request.group))


def not_paused(request: Request, problem: Problem, now: datetime) -> Request:
    """The request after its pause failed: back in the state before the pause, with the problem for the card."""
    if request.pause is None:
        return request
    failed = replace(request.pause, failure=problem)
    return replace(request, pause=failed).with_state(failed.before, at=now)


def _with_announcement(seen: Request, last: Progress) -> Request:
    """The request with what is announced in its thread after this reading of its running group.

    Arguments:
        last: the progress in the reading before this one.
    """
    attempt, reading = seen.attempt, seen.last_seen
    if attempt is None or attempt.answered_at is None or reading is None or reading.movement is None:
        return seen
    announced = announce(
        seen.announced,
        reading.movement,
        reading.progress,
        before=attempt.before or last,
        last=last,
        running_for=reading.at - attempt.answered_at,
        now=reading.at,
    )
    return replace(seen, announced=announced)


def _had_moved(request: Request) -> bool:
    moved_before_pause = request.pause is not None and request.pause.before is State.MOVING
    return request.state is State.MOVING or (request.state is State.PAUSING and moved_before_pause)


def _has_status_before_put(request: Request, group: TaskGroup) -> bool:
    """Whether the group has the status that it had before the PUT."""
    return group.status in FAILED_STATUSES if request.verb is Verb.RETRY else group.status is GroupStatus.PAUSED


def _not_visibly_started(seen: Request, explain: ExplainGroup, now: datetime) -> Request:
    """The request while the group has its old status after an accepted PUT.

    OMS can show the old status for some seconds. After `UNCHANGED_FOR` the group counts as not started.
    """
    attempt, group = seen.attempt, seen.group
    if attempt is None or attempt.answered_at is None or now - attempt.answered_at < UNCHANGED_FOR:
        return seen
    unchanged = explain(GroupProblem.UNCHANGED_AFTER_ACCEPTED, group)
    problem = replace(unchanged, huawei_request_id=attempt.huawei_request_id)
    return seen.with_state(State.NOT_STARTED, at=now, problem=problem)


def _not_visibly_paused(seen: Request, explain: ExplainGroup, now: datetime) -> Request:
    """The request while the group still runs after an accepted pause.

    OMS can show the old status for some seconds. After `UNCHANGED_FOR` the pause counts as failed.
    """
    pause = seen.pause
    if seen.group.status is GroupStatus.PAUSING or pause is None or pause.sent_at is None:
        return seen
    if now - pause.sent_at < UNCHANGED_FOR:
        return seen
    return not_paused(seen, explain(GroupProblem.STILL_RUNNING, seen.group), now)
