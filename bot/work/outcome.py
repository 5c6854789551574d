"""What a look at the group says about a request that was sent: accepted, moving, done, failed, paused again.

Pure: from the request, a SHOW and the time to the request as it then is.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.request.group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, Progress, TaskGroup
from bot.request.model import Request, Sight, State, Trouble
from bot.request.next_step import STILL_PAUSED_FOR
from bot.request.progress import has_moved
from bot.work.trouble import NOTHING_STARTED, trouble_of_reason

_GONE = Trouble("OMS", "", "", "The group was deleted while it was followed.", "Look at it in the console.")


def accepted(request: Request, huawei_request_id: str | None, now: datetime) -> Request:
    """OMS said yes. Nothing is known to have moved."""
    attempt = request.attempt
    answered = replace(attempt, answered_at=now, huawei_request_id=huawei_request_id) if attempt else None
    return replace(request, attempt=answered, sight=None).turned(State.ACCEPTED, at=now)


def settled(request: Request, group: TaskGroup, now: datetime) -> Request | None:
    """What an unanswered PUT did, as the group shows it; None while it cannot be told yet."""
    attempt = request.attempt
    if attempt is None or attempt.sent_at is None:
        return None
    began = replace(accepted(request, attempt.huawei_request_id, attempt.sent_at), group=group)
    if group.status in RUNNING_STATUSES or group.status in FAILED_STATUSES or group.status is GroupStatus.COMPLETED:
        return followed(began, group, now)
    if group.status is GroupStatus.PAUSED and now - attempt.sent_at >= STILL_PAUSED_FOR:
        code = request.trouble.code if request.trouble else ""
        trouble = Trouble(
            "OMS",
            code,
            request.trouble.message if request.trouble else "",
            f"The group is still paused a minute after the call: not started, as far as OMS shows. {NOTHING_STARTED}",
            "Press Retry.",
            request.trouble.huawei_request_id if request.trouble else None,
        )
        return replace(request, group=group).turned(State.NOT_STARTED, at=now, trouble=trouble)
    if group.status in (GroupStatus.WAITING_FOR_DELETION, GroupStatus.DELETED):
        return replace(request, group=group).turned(State.FAILED, at=now, trouble=_GONE)
    return None


def followed(request: Request, group: TaskGroup, now: datetime) -> Request:
    """The request after one more look at its group, which OMS has accepted to resume."""
    attempt = request.attempt
    before = attempt.before if attempt and attempt.before else request.group.progress
    ran = request.state is State.MOVING or request.group.status in RUNNING_STATUSES
    moved = has_moved(before, group.progress)
    seen = replace(request, group=group, sight=_sight(request, group.progress, now))
    match group.status:
        case GroupStatus.COMPLETED:
            return seen.turned(State.DONE, at=now)
        case GroupStatus.CREATION_FAILED | GroupStatus.MIGRATION_FAILED:
            return seen.turned(State.FAILED, at=now, trouble=trouble_of_reason(group.error, request.plan))
        case GroupStatus.WAITING_FOR_DELETION | GroupStatus.DELETED:
            return seen.turned(State.FAILED, at=now, trouble=_GONE)
        case GroupStatus.PAUSED if ran or moved:
            trouble = Trouble("", "", "", "The group was paused again by somebody.", "Ask again to resume it.")
            return seen.turned(State.PAUSED_AGAIN, at=now, trouble=trouble)
        case GroupStatus.PAUSED if attempt and attempt.answered_at and now - attempt.answered_at >= STILL_PAUSED_FOR:
            trouble = Trouble(
                "OMS",
                "",
                "",
                "OMS accepted the call, and a minute later the group is still paused: nothing was started, as far as "
                "OMS shows.",
                "Press Retry, or look at it in the console.",
                attempt.huawei_request_id,
            )
            return seen.turned(State.NOT_STARTED, at=now, trouble=trouble)
        case GroupStatus.PAUSED:
            # The status may lag behind the answer for some seconds.
            return replace(seen, group=replace(group, status=request.group.status))
        case _ if moved or request.state is State.MOVING:
            return seen.turned(State.MOVING, at=now)
        case _:
            return seen.turned(State.ACCEPTED, at=now)


def _sight(request: Request, progress: Progress, now: datetime) -> Sight:
    changed = request.sight is None or request.sight.progress != progress
    return Sight(now, progress, now if changed or request.sight is None else request.sight.changed_at)
