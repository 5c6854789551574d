"""What has to happen next to a request, and when: a pure function of the row and the clock.

Whatever died, whenever, the next claim asks here and goes on from what is true. Doing it is left to `bot.jobs`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.request import Request, State

FOLLOW_EVERY = timedelta(seconds=10)
SETTLE_EVERY = timedelta(seconds=3)
# How long OMS may go on showing what it showed before a call until that counts as "nothing was started".
UNCHANGED_FOR = timedelta(seconds=60)
# A request that holds no longer than this ends before a reminder would help anybody.
TOO_SHORT_TO_REMIND = timedelta(minutes=20)
LAST_REMINDER_AT_LEAST, LAST_REMINDER_AT_MOST = timedelta(minutes=5), timedelta(minutes=30)


class Step(StrEnum):
    REMIND = "remind"
    EXPIRE = "expire"
    SEND = "release"
    SETTLE = "settle"
    FOLLOW = "follow"
    PAUSE = "pause"
    EXPIRE_APPROVAL = "lapse"


def next_step(request: Request, now: datetime) -> Step | None:
    """The step that is due, or None when it is time for nothing."""
    due = due_at(request)
    if due is None or due > now:
        return None
    match request.state:
        case State.PENDING:
            return Step.EXPIRE if now >= request.expires_at else Step.REMIND
        case State.APPROVED:
            # Waiting to be sent never outlives the approval.
            return Step.EXPIRE_APPROVAL if now >= request.expires_at else Step.SEND
        case State.SENDING | State.UNKNOWN:
            return Step.SETTLE
        case State.NOT_STARTED:
            return Step.EXPIRE_APPROVAL
        case State.ACCEPTED | State.MOVING:
            return Step.FOLLOW
        case State.PAUSING:
            return Step.PAUSE if request.pause is not None and request.pause.sent_at is None else Step.FOLLOW
        case _:
            return None


def due_at(request: Request) -> datetime | None:
    """When `next_step` will next have something to say; None for a request that has ended."""
    attempt, last_seen = request.attempt, request.last_seen
    match request.state:
        case State.PENDING:
            return next(iter(reminders_at(request)[request.reminders :]), request.expires_at)
        case State.NOT_STARTED:
            return request.expires_at
        case State.APPROVED if attempt is not None:
            return max(filter(None, (attempt.opened_at, attempt.not_before, request.start_at)))
        case State.SENDING | State.UNKNOWN if attempt is not None and attempt.sent_at is not None:
            return _after_sight(request, attempt.sent_at, SETTLE_EVERY) if last_seen else attempt.sent_at
        case State.ACCEPTED | State.MOVING if attempt is not None and attempt.answered_at is not None:
            fresh = request.state is State.ACCEPTED and _seen(request) - attempt.answered_at < UNCHANGED_FOR
            # Whether it really moves is what people wait for: until then it is looked at more often.
            return _after_sight(request, attempt.answered_at, SETTLE_EVERY if fresh else FOLLOW_EVERY)
        case State.PAUSING if request.pause is not None:
            sent_at = request.pause.sent_at
            return request.pause.at if sent_at is None else _after_sight(request, sent_at, SETTLE_EVERY)
        case _:
            return None


def reminders_at(request: Request) -> tuple[datetime, ...]:
    """When people are reminded to vote: at half time, and shortly before the end (an eighth of the whole time)."""
    whole = request.expires_at - request.created_at
    if whole <= TOO_SHORT_TO_REMIND:
        return ()
    before_the_end = min(max(whole / 8, LAST_REMINDER_AT_LEAST), LAST_REMINDER_AT_MOST)
    return request.created_at + whole / 2, request.expires_at - before_the_end


def _seen(request: Request) -> datetime:
    return request.last_seen.at if request.last_seen is not None else request.created_at


def _after_sight(request: Request, since: datetime, every: timedelta) -> datetime:
    seen = request.last_seen.at if request.last_seen is not None else since
    return max(seen, since) + every
