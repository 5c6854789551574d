"""Computes the next step of a request and its due time, only from the stored request and the current time.

After a crash the next worker calls the same functions, so it continues from the stored request. `bot.jobs` does the
step. The start time that a person typed is in `bot.domain.start_time`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.failure_causes import READ_EVERY
from bot.domain.request import Request, State
from bot.domain.task_group import FAILED_STATUSES

# How often the group of a request is read while it moves. The sweeps (`bot.domain.sweep_plan`) make a request due
# earlier if its group changes, so this is longer than the time between two sweeps.
FOLLOW_EVERY = timedelta(seconds=40)
# How often the group is read while people wait to learn whether a call took effect.
SETTLE_EVERY = timedelta(seconds=3)
# If the status is unchanged for this time after a call, the call counts as without effect.
UNCHANGED_FOR = timedelta(seconds=60)
# The report on a group that failed waits for this time, so that it has the causes if OMS lists them soon.
REPORT_WAITS = timedelta(seconds=4)
# A request that expires within this time gets no reminders.
TOO_SHORT_TO_REMIND = timedelta(minutes=20)
# The limits of the time between the last reminder and the expiry.
MIN_LAST_REMINDER, MAX_LAST_REMINDER = timedelta(minutes=5), timedelta(minutes=30)


class Step(StrEnum):
    """What the bot has to do next for a request."""

    #: Post a reminder in the thread of a pending request.
    REMIND = "remind"
    #: End a pending request that has expired.
    EXPIRE = "expire"
    #: Read the keys and send the PUT of an approved request.
    SEND = "send"
    #: Read the group to find out whether a PUT without an answer took effect.
    SETTLE = "settle"
    #: Read the group's progress after OMS accepted a call.
    FOLLOW = "follow"
    #: Send the call that pauses the group.
    PAUSE = "pause"
    #: Read from OMS why sub-tasks of the group failed.
    READ_CAUSES = "read causes"
    #: End an approved request that was not started in time.
    EXPIRE_APPROVAL = "expire approval"


def next_step(request: Request, now: datetime) -> Step | None:
    """The step that is due now, or None if none is."""
    due = _state_due_at(request)
    if due is None or due > now:
        causes_due = causes_due_at(request)
        return Step.READ_CAUSES if causes_due is not None and causes_due <= now else None
    match request.state:
        case State.PENDING:
            return Step.EXPIRE if now >= request.expires_at else Step.REMIND
        case State.APPROVED:
            # The PUT is never sent after the expiry, whatever delayed it.
            return Step.EXPIRE_APPROVAL if now >= request.approval_valid_until else Step.SEND
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
    """When the next step is due; None for a request that has ended and whose failures are explained."""
    return min(filter(None, (_state_due_at(request), causes_due_at(request))), default=None)


def causes_due_at(request: Request) -> datetime | None:
    """When to read from OMS why sub-tasks of the group failed; None if there is nothing new to read.

    The causes are read when the group has failed or ended with failed sub-tasks, and, while the group runs, when the
    number of failed sub-tasks has changed.
    """
    failed, known = request.group.sub_tasks.failed, request.failure_causes
    known_failed = known.failed_sub_tasks if known is not None else 0
    match request.state:
        case State.FAILED if request.group.status in FAILED_STATUSES and request.ended_at is not None:
            is_known = known is not None and known.read_at >= request.ended_at
            return None if is_known else request.ended_at
        case State.DONE:
            return None if failed == known_failed else request.ended_at
        case State.ACCEPTED | State.MOVING | State.PAUSING if request.last_seen is not None:
            # Until OMS shows that a retry began, the group has the status and the failures from before.
            if failed in (0, known_failed) or request.group.status in FAILED_STATUSES:
                return None
            return request.last_seen.at if known is None else known.read_at + READ_EVERY
        case _:
            return None


def _state_due_at(request: Request) -> datetime | None:
    attempt, last_seen = request.attempt, request.last_seen
    match request.state:
        case State.PENDING:
            return next(iter(reminders_at(request)[request.reminders :]), request.expires_at)
        case State.NOT_STARTED:
            return request.approval_valid_until
        case State.APPROVED if attempt is not None:
            return max(filter(None, (attempt.opened_at, attempt.not_before, request.start_at)))
        case State.SENDING | State.UNKNOWN if attempt is not None and attempt.sent_at is not None:
            return _next_reading(request, attempt.sent_at, SETTLE_EVERY) if last_seen else attempt.sent_at
        case State.ACCEPTED | State.MOVING if attempt is not None and attempt.answered_at is not None:
            # Right after the answer people wait to learn whether the group moves, so it is read more often.
            is_new = request.state is State.ACCEPTED and _last_seen_at(request) - attempt.answered_at < UNCHANGED_FOR
            return _next_reading(request, attempt.answered_at, SETTLE_EVERY if is_new else FOLLOW_EVERY)
        case State.PAUSING if request.pause is not None:
            sent_at = request.pause.sent_at
            return request.pause.at if sent_at is None else _next_reading(request, sent_at, SETTLE_EVERY)
        case _:
            return None


def reminders_at(request: Request) -> tuple[datetime, ...]:
    """The times of the reminders to vote: at half of the lifetime, and an eighth of it before the expiry.

    The last one is between `MIN_LAST_REMINDER` and `MAX_LAST_REMINDER` before the expiry.
    """
    lifetime = request.expires_at - request.created_at
    if lifetime <= TOO_SHORT_TO_REMIND:
        return ()
    time_left = min(max(lifetime / 8, MIN_LAST_REMINDER), MAX_LAST_REMINDER)
    return request.created_at + lifetime / 2, request.expires_at - time_left


def _last_seen_at(request: Request) -> datetime:
    return request.last_seen.at if request.last_seen is not None else request.created_at


def _next_reading(request: Request, since: datetime, every: timedelta) -> datetime:
    """`every` after the last reading of the group, or after `since` if it was not read since then."""
    last_seen_at = request.last_seen.at if request.last_seen is not None else since
    return max(last_seen_at, since) + every


def doubling_wait(tries: int, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after this many failed tries: `first` after none, then twice as long each time."""
    # A timedelta cannot be doubled as often as a job may fail.
    doubled: timedelta = first * 2 ** min(tries, 10)
    return min(doubled, longest)
