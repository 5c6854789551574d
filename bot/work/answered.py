"""What OMS's answer to the one PUT of an attempt makes of its request.

Pure: from the request, the answer and the time to the request as it then is. Writing it down is left to `release`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.oms.catalogue import ALREADY_RUNNING, WRONG_STATE, is_token_over
from bot.oms.client import Accepted
from bot.oms.errors import NotSent, OmsError, Refused, Throttled, Unanswered
from bot.request.model import Attempt, AttemptState, Request, State
from bot.store.audit import Detail
from bot.work import outcome
from bot.work.trouble import Then, trouble_of

MAX_TRIES = 3
TRY_AGAIN_AFTER = timedelta(seconds=5)
LOOKING = "Nothing for now: the bot looks at the group until it knows, for a minute or so."

Reply = Accepted | OmsError


@dataclass(frozen=True)
class Turned:
    """The request after the answer, where its attempt is then, and what the audit calls it."""

    request: Request
    attempt_state: AttemptState
    event: str


def turned_by(request: Request, attempt: Attempt, reply: Reply, now: datetime) -> Turned:
    """What became of `attempt`, which is the request's own and was sent."""
    match reply:
        case Accepted(huawei_request_id):
            return Turned(outcome.accepted(request, huawei_request_id, now), AttemptState.ANSWERED, "accepted")
        case Throttled() | NotSent() if attempt.tries + 1 < MAX_TRIES:
            return _back_to_ready(request, attempt, reply, now)
        case Refused() if is_token_over(reply.answer.code) and attempt.tries + 1 < MAX_TRIES:
            return _back_to_ready(request, attempt, reply, now)
        case Refused() if reply.answer.code in ALREADY_RUNNING | WRONG_STATE:
            # Somebody else was quicker, or it is something else: the group itself tells.
            return Turned(
                replace(_unknown(request, attempt, reply, now), is_elsewhere=True),
                AttemptState.UNKNOWN,
                "refused by OMS",
            )
        case Unanswered():
            return Turned(_unknown(request, attempt, reply, now), AttemptState.UNKNOWN, "unanswered")
        case _:
            trouble = trouble_of(reply, request.plan, Then.RETRY)
            return Turned(
                request.turned(State.NOT_STARTED, at=now, trouble=trouble), AttemptState.ANSWERED, "not started"
            )


def late_by(request: Request, attempt: Attempt, reply: Reply, now: datetime) -> Turned | None:
    """As `turned_by`, when others have taken the attempt for one of the dead, and asked the group instead.

    What OMS said of the call is nearer to the truth, as long as nothing was built on what the group showed: None then,
    and where it says nothing, or nothing that people who were told "not started" would expect.
    """
    if request.attempt is None or request.attempt.number != attempt.number or isinstance(reply, Unanswered):
        return None
    if request.state is State.UNKNOWN:
        return turned_by(request, request.attempt, reply, now)
    if request.state is State.NOT_STARTED:
        turned = turned_by(request, request.attempt, reply, now)
        return turned if turned.attempt_state is AttemptState.ANSWERED else None
    return None


def not_now(request: Request, attempt: Attempt, fault: Throttled | NotSent | Unanswered, now: datetime) -> Turned:
    """Before the call, OMS or IAM could not be asked: nothing was sent, and it is tried again as if it had been."""
    if attempt.tries + 1 < MAX_TRIES:
        return _back_to_ready(request, attempt, fault, now)
    trouble = trouble_of(fault, request.plan, Then.RETRY)
    return Turned(request.turned(State.NOT_STARTED, at=now, trouble=trouble), AttemptState.SETTLED, "not started")


def detail_of(attempt: Attempt, reply: Reply) -> Detail:
    """The answer as the audit keeps it."""
    if isinstance(reply, Accepted):
        return {"number": attempt.number, "code": None, "huawei_request_id": reply.huawei_request_id}
    answer = reply.answer if isinstance(reply, Refused | Throttled | Unanswered) else None
    return {
        "number": attempt.number,
        "code": answer.code if answer else type(reply).__name__,
        "huawei_request_id": answer.huawei_request_id if answer else None,
    }


def _unknown(request: Request, attempt: Attempt, reply: Refused | Unanswered, now: datetime) -> Request:
    trouble = replace(trouble_of(reply, request.plan, Then.NOTHING, ""), next_step=LOOKING)
    unanswered = replace(request, attempt=replace(attempt, unanswered_at=now))
    return unanswered.turned(State.UNKNOWN, at=now, trouble=trouble)


def _back_to_ready(
    request: Request, attempt: Attempt, reply: Throttled | NotSent | Unanswered | Refused, now: datetime
) -> Turned:
    wait = timedelta(seconds=reply.retry_after_seconds or 0) if isinstance(reply, Throttled) else timedelta()
    # A token that was over is renewed on the way to the next try: there is nothing to wait for.
    not_before = now if isinstance(reply, Refused) else now + max(wait, TRY_AGAIN_AFTER)
    ready = replace(
        attempt, tries=attempt.tries + 1, not_before=not_before, sent_at=None, unanswered_at=None, before=None
    )
    trouble = trouble_of(reply, request.plan, Then.NOTHING)
    again = replace(request, attempt=ready).turned(State.APPROVED, at=now, trouble=trouble)
    return Turned(again, AttemptState.READY, "not sent, tried again")
