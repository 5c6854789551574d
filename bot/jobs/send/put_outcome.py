"""What OMS's answer to the one PUT of an attempt makes of its request.

Pure: from the request, the answer and the time to the request as it then is. Writing it down is left to `release`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.request import Attempt, AttemptState, Request, State
from bot.huawei.error_catalogue import ALREADY_RUNNING, WRONG_STATE, is_token_expired
from bot.huawei.errors import HuaweiError, NotSent, Rejected, Throttled, Unanswered
from bot.huawei.oms import Accepted
from bot.jobs.follow import outcome
from bot.jobs.problems import RetryHint, explain
from bot.store.audit import Detail

MAX_TRIES = 3
TRY_AGAIN_AFTER = timedelta(seconds=5)
LOOKING = "Nothing for now: the bot looks at the group until it knows, for a minute or so."

Reply = Accepted | HuaweiError


@dataclass(frozen=True)
class PutOutcome:
    """The request after the answer, where its attempt is then, and what the audit calls it."""

    request: Request
    attempt_state: AttemptState
    event: str


def outcome_of_reply(request: Request, attempt: Attempt, reply: Reply, now: datetime) -> PutOutcome:
    """What became of `attempt`, which is the request's own and was sent."""
    match reply:
        case Accepted(huawei_request_id):
            return PutOutcome(outcome.accepted(request, huawei_request_id, now), AttemptState.ANSWERED, "accepted")
        case Throttled() | NotSent() if attempt.tries + 1 < MAX_TRIES:
            return _back_to_ready(request, attempt, reply, now)
        case Rejected() if is_token_expired(reply.answer.code) and attempt.tries + 1 < MAX_TRIES:
            return _back_to_ready(request, attempt, reply, now)
        case Rejected() if reply.answer.code in ALREADY_RUNNING | WRONG_STATE:
            # Somebody else was quicker, or it is something else: the group itself tells.
            return PutOutcome(
                replace(_unknown(request, attempt, reply, now), started_elsewhere=True),
                AttemptState.UNKNOWN,
                "refused by OMS",
            )
        case Unanswered():
            return PutOutcome(_unknown(request, attempt, reply, now), AttemptState.UNKNOWN, "unanswered")
        case _:
            problem = explain(reply, request.plan, RetryHint.RETRY)
            return PutOutcome(
                request.with_state(State.NOT_STARTED, at=now, problem=problem), AttemptState.ANSWERED, "not started"
            )


def outcome_of_late_reply(request: Request, attempt: Attempt, reply: Reply, now: datetime) -> PutOutcome | None:
    """As `turned_by`, when others have taken the attempt for one of the dead, and asked the group instead.

    What OMS said of the call is nearer to the truth, as long as nothing was built on what the group showed: None then,
    and where it says nothing, or nothing that people who were told "not started" would expect.
    """
    if request.attempt is None or request.attempt.number != attempt.number or isinstance(reply, Unanswered):
        return None
    if request.state is State.UNKNOWN:
        return outcome_of_reply(request, request.attempt, reply, now)
    if request.state is State.NOT_STARTED:
        outcome = outcome_of_reply(request, request.attempt, reply, now)
        return outcome if outcome.attempt_state is AttemptState.ANSWERED else None
    return None


def outcome_before_put(
    request: Request, attempt: Attempt, fault: Throttled | NotSent | Unanswered, now: datetime
) -> PutOutcome:
    """Before the call, OMS or IAM could not be asked: nothing was sent, and it is tried again as if it had been."""
    if attempt.tries + 1 < MAX_TRIES:
        return _back_to_ready(request, attempt, fault, now)
    problem = explain(fault, request.plan, RetryHint.RETRY)
    return PutOutcome(
        request.with_state(State.NOT_STARTED, at=now, problem=problem), AttemptState.SETTLED, "not started"
    )


def audit_detail(attempt: Attempt, reply: Reply) -> Detail:
    """The answer as the audit keeps it."""
    if isinstance(reply, Accepted):
        return {"number": attempt.number, "code": None, "huawei_request_id": reply.huawei_request_id}
    answer = reply.answer if isinstance(reply, Rejected | Throttled | Unanswered) else None
    return {
        "number": attempt.number,
        "code": answer.code if answer else type(reply).__name__,
        "huawei_request_id": answer.huawei_request_id if answer else None,
    }


def _unknown(request: Request, attempt: Attempt, reply: Rejected | Unanswered, now: datetime) -> Request:
    problem = replace(explain(reply, request.plan, RetryHint.NOTHING, ""), next_step=LOOKING)
    unanswered = replace(request, attempt=replace(attempt, unanswered_at=now))
    return unanswered.with_state(State.UNKNOWN, at=now, problem=problem)


def _back_to_ready(
    request: Request, attempt: Attempt, reply: Throttled | NotSent | Unanswered | Rejected, now: datetime
) -> PutOutcome:
    wait = timedelta(seconds=reply.retry_after_seconds or 0) if isinstance(reply, Throttled) else timedelta()
    # A token that was over is renewed on the way to the next try: there is nothing to wait for.
    not_before = now if isinstance(reply, Rejected) else now + max(wait, TRY_AGAIN_AFTER)
    ready = replace(
        attempt, tries=attempt.tries + 1, not_before=not_before, sent_at=None, unanswered_at=None, before=None
    )
    problem = explain(reply, request.plan, RetryHint.NOTHING)
    again = replace(request, attempt=ready).with_state(State.APPROVED, at=now, problem=problem)
    return PutOutcome(again, AttemptState.READY, "not sent, tried again")
