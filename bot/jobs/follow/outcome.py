"""What a look at the group says about a request that was sent: accepted, moving, done, failed, paused again.

Pure: from the request, a SHOW and the time to the request as it then is.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.domain.progress import has_moved
from bot.domain.request import Attempt, LastSeen, Problem, Request, State, Verb
from bot.domain.schedule import UNCHANGED_FOR
from bot.domain.task_group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.jobs.problems import NOTHING_STARTED, RetryHint, explain_reason
from bot.ui.formatting import status_name

_GONE = Problem("OMS", "", "", "The group was deleted while the bot followed it.", "Look for it in the console.")
_RAN = RUNNING_STATUSES | {GroupStatus.PAUSING}
_GOING = frozenset({GroupStatus.WAITING_FOR_DELETION, GroupStatus.DELETED})


def accepted(request: Request, huawei_request_id: str | None, now: datetime) -> Request:
    """OMS said yes. Nothing is known to have moved."""
    attempt = request.attempt
    answered = replace(attempt, answered_at=now, huawei_request_id=huawei_request_id) if attempt else None
    return replace(request, attempt=answered, last_seen=None).with_state(State.ACCEPTED, at=now)


def settle(request: Request, group: TaskGroup, now: datetime) -> Request | None:
    """What an unanswered PUT did, as the group shows it; None while it cannot be told yet."""
    attempt = request.attempt
    if attempt is None or attempt.sent_at is None:
        return None
    if not _stands_as_before(request, group):
        began = replace(accepted(request, attempt.huawei_request_id, attempt.sent_at), group=group)
        return follow(began, group, now)
    # Not since it was sent: until then the call itself may have been on its way.
    if now - (attempt.unanswered_at or attempt.sent_at) < UNCHANGED_FOR:
        return None
    before = request.problem
    problem = Problem(
        before.where if before else "",
        before.code if before else "",
        before.message if before else "",
        f"The group is still {status_name(group.status)} a minute after the call: not started, as far as OMS shows. "
        f"{NOTHING_STARTED}",
        "Press Retry.",
        before.huawei_request_id if before else None,
        side=before.side if before else "",
    )
    return replace(request, group=group, started_elsewhere=False).with_state(State.NOT_STARTED, at=now, problem=problem)


def follow(request: Request, group: TaskGroup, now: datetime) -> Request:
    """The request after one more look at its group, which OMS has accepted to start."""
    attempt = request.attempt
    before = attempt.before if attempt and attempt.before else request.group.progress
    moved = has_moved(before, group.progress)
    if attempt is not None and has_moved(group.progress, before):
        # A retried group counts anew: what it had before is no measure any more.
        attempt = replace(attempt, before=group.progress)
    seen = replace(request, group=group, attempt=attempt, last_seen=LastSeen(now, group.progress))
    ran = _had_moved(request) or request.group.status in _RAN
    if _stands_as_before(request, group) and not ran and not moved:
        return _not_yet(request, seen, group, attempt, now)
    match group.status:
        case GroupStatus.COMPLETED:
            return seen.with_state(State.DONE, at=now)
        case status if status in FAILED_STATUSES:
            problem = explain_reason(group.error, request.plan, RetryHint.REQUEST_AGAIN)
            return seen.with_state(State.FAILED, at=now, problem=problem)
        case status if status in _GOING:
            return seen.with_state(State.FAILED, at=now, problem=_GONE)
        case GroupStatus.PAUSED:
            return seen.with_state(State.PAUSED_AGAIN, at=now)
        case _ if request.state is State.PAUSING:
            return _pausing(request, seen, group, now)
        case _ if moved or request.state is State.MOVING:
            return seen.with_state(State.MOVING, at=now)
        case _:
            return seen.with_state(State.ACCEPTED, at=now)


def gone(request: Request, now: datetime) -> Request:
    """OMS says, and has said before, that there is no such group."""
    return request.with_state(State.FAILED, at=now, problem=_GONE)


def _had_moved(request: Request) -> bool:
    pauses_what_moved = request.pause is not None and request.pause.before is State.MOVING
    return request.state is State.MOVING or (request.state is State.PAUSING and pauses_what_moved)


def _stands_as_before(request: Request, group: TaskGroup) -> bool:
    """Whether the group shows what it showed before the call."""
    return group.status in FAILED_STATUSES if request.verb is Verb.RETRY else group.status is GroupStatus.PAUSED


def _not_yet(request: Request, seen: Request, group: TaskGroup, attempt: Attempt | None, now: datetime) -> Request:
    """The status may lag behind the answer for some seconds; not for longer."""
    if attempt is None or attempt.answered_at is None or now - attempt.answered_at < UNCHANGED_FOR:
        return seen
    problem = Problem(
        "OMS",
        group.error.code if group.error else "",
        group.error.message if group.error else "",
        f"OMS accepted the call, and a minute later the group is still {status_name(group.status)}: not started, as "
        "far as OMS shows.",
        "Press Retry, or look at it in the console.",
        attempt.huawei_request_id,
    )
    return seen.with_state(State.NOT_STARTED, at=now, problem=problem)


def _pausing(request: Request, seen: Request, group: TaskGroup, now: datetime) -> Request:
    pause = request.pause
    if group.status is GroupStatus.PAUSING or pause is None or pause.sent_at is None:
        return seen
    if now - pause.sent_at < UNCHANGED_FOR:
        return seen
    meaning = "OMS accepted the pause, and a minute later the group still runs: not paused, as far as OMS shows."
    return not_paused(seen, Problem("OMS", "", "", meaning, "Press Pause again."), now)


def not_paused(request: Request, problem: Problem, now: datetime) -> Request:
    """The pause came to nothing: the group goes on as it did, and the card says why."""
    if request.pause is None:
        return request
    failed = replace(request.pause, failure=problem)
    return replace(request, pause=failed).with_state(failed.before, at=now)
