"""Decides how a request changes before its PUT, after the reply, and after a late reply.

Pure. `bot.jobs.send` sends the PUT, stores the request, and explains the reply to people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from bot.domain import outcome
from bot.domain.audit_events import AuditEvent
from bot.domain.outcome import ExplainGroup, GroupProblem
from bot.domain.request import Attempt, Request, State, Verb
from bot.domain.schedule import doubling_wait
from bot.domain.task_group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, TaskGroup

# The waits between two tries of an attempt double from the first to the second.
MIN_WAIT, MAX_WAIT = timedelta(seconds=2), timedelta(seconds=30)
READ_AGAIN_AFTER = timedelta(seconds=10)
_STATUSES_TO_SEND_IN = {Verb.RESUME: frozenset({GroupStatus.PAUSED}), Verb.RETRY: FAILED_STATUSES}


class PutReplyKind(Enum):
    """The kinds of replies to a PUT, by their next steps."""

    #: OMS will start the group.
    ACCEPTED = auto()
    #: Nothing was started, and the cause may pass: no connection, 429, an expired token, a Vault that is down.
    TRY_AGAIN = auto()
    #: OMS rejected the PUT because of the group's status. The bot reads the group: someone else may have started it.
    CONFLICT = auto()
    #: Nothing was started, and a person has to change something first.
    REJECTED = auto()
    #: It is not known whether OMS started the group: no reply, or a 5xx.
    UNANSWERED = auto()


@dataclass(frozen=True)
class PutReply:
    """A reply to the PUT. `retry_after` is how long the reply asks to wait before the next try, only for TRY_AGAIN."""

    kind: PutReplyKind
    huawei_request_id: str | None = None
    retry_after: timedelta = timedelta()


@dataclass(frozen=True)
class PutOutcome:
    """The request after a reply, and its audit event. The caller adds the problem, if there is one."""

    request: Request
    event: AuditEvent


def before_put(
    request: Request, attempt: Attempt, group: TaskGroup, explain: ExplainGroup, now: datetime
) -> Request | None:
    """Compares the group with the approved one, right before the PUT.

    Returns:
        None if the PUT may be sent. Otherwise the changed request, for which no PUT is sent now.
    """
    has_status_to_send_in = group.status in _STATUSES_TO_SEND_IN[request.verb]
    seen = request.with_reading(group)
    # Everything that the card shows of the group counts, not only its settings: the request may have been forged.
    if has_status_to_send_in and seen.group == group:
        return None
    match group.status:
        case GroupStatus.PAUSING if request.verb is Verb.RESUME:
            return replace(seen, attempt=replace(attempt, not_before=now + READ_AGAIN_AFTER))
        case status if status in RUNNING_STATUSES:
            # An earlier PUT of this request took effect late, or someone started the group outside the bot. The bot
            # sends nothing and follows the group.
            started = replace(attempt, answered_at=now, before=group.progress)
            accepted = replace(seen, attempt=started, started_elsewhere=not attempt.follows_open_put)
            return accepted.with_state(State.ACCEPTED, at=now)
        case GroupStatus.COMPLETED:
            return replace(seen, started_elsewhere=not attempt.follows_open_put).with_state(State.DONE, at=now)
    problem = GroupProblem.OTHER_MIGRATION if has_status_to_send_in else GroupProblem.OTHER_STATUS
    return seen.with_state(State.VOID, at=now, problem=explain(problem, group))


def sending(request: Request, attempt: Attempt, group: TaskGroup, now: datetime) -> Request:
    """The request to store right before its PUT."""
    sent = replace(attempt, sent_at=now, before=group.progress)
    return replace(request.with_reading(group), attempt=sent, last_seen=None).with_state(State.SENDING, at=now)


def after_reply(request: Request, reply: PutReply, now: datetime) -> PutOutcome:
    """The request after a reply to the PUT of its attempt, or after an error before the PUT.

    After TRY_AGAIN the request stays approved until the approval expires, however many tries there were.

    Raises:
        ValueError: the request has no attempt.
    """
    attempt = request.attempt
    if attempt is None:
        raise ValueError(f"{request.id} has no attempt")
    match reply.kind:
        case PutReplyKind.ACCEPTED:
            return PutOutcome(outcome.accepted(request, reply.huawei_request_id, now), AuditEvent.PUT_ACCEPTED)
        case PutReplyKind.TRY_AGAIN:
            again = replace(
                attempt,
                tries=attempt.tries + 1,
                not_before=now + max(reply.retry_after, wait_after(attempt.tries)),
                sent_at=None,
                unanswered_at=None,
                before=None,
            )
            waiting = replace(request, attempt=again).with_state(State.APPROVED, at=now)
            return PutOutcome(waiting, AuditEvent.PUT_POSTPONED)
        case PutReplyKind.REJECTED:
            return PutOutcome(request.with_state(State.NOT_STARTED, at=now), AuditEvent.REQUEST_NOT_STARTED)
        case PutReplyKind.CONFLICT:
            conflict = replace(_unknown(request, attempt, now), started_elsewhere=True)
            return PutOutcome(conflict, AuditEvent.PUT_CONFLICT)
        case PutReplyKind.UNANSWERED:
            return PutOutcome(_unknown(request, attempt, now), AuditEvent.PUT_UNANSWERED)


def wait_after(tries: int) -> timedelta:
    """How long to wait for the next try after this many earlier ones that started nothing: 2 s, 4 s, up to 30 s."""
    return doubling_wait(tries, MIN_WAIT, MAX_WAIT)


def after_late_reply(request: Request, number: int, reply: PutReply, now: datetime) -> PutOutcome | None:
    """The request after a reply that arrives when another worker has already read the group instead.

    The reply is more reliable than the reading, so it replaces the state concluded from the reading, unless the request
    has moved on since. If the card already shows "not started", the bot does not send the PUT again automatically.

    Arguments:
        request: as currently stored.
        number: the number of the attempt that the reply belongs to.

    Returns:
        None if the reply changes nothing.
    """
    attempt = request.attempt
    if attempt is None or attempt.number != number or reply.kind is PutReplyKind.UNANSWERED:
        return None
    if request.state not in (State.UNKNOWN, State.NOT_STARTED):
        return None
    late = after_reply(request, reply, now)
    is_final = late.request.state in (State.ACCEPTED, State.NOT_STARTED)
    return late if request.state is State.UNKNOWN or is_final else None


def _unknown(request: Request, attempt: Attempt, now: datetime) -> Request:
    return replace(request, attempt=replace(attempt, unanswered_at=now)).with_state(State.UNKNOWN, at=now)
