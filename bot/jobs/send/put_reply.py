"""Translates OMS's reply to the PUT: for the domain, which decides; for people; and for the audit.

What the reply means for the request is left to `bot.domain.put_outcome`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.put_outcome import PutReply, PutReplyKind
from bot.domain.request import Problem, Request, State
from bot.domain.task_group import Scope
from bot.huawei.error_catalogue import ALREADY_RUNNING, FAILED_OBJECT_LIST, WRONG_STATE, is_token_expired
from bot.huawei.errors import HuaweiError, NotSent, Rejected, Throttled, Unanswered
from bot.huawei.oms import Accepted
from bot.jobs.problems import RetryHint, explain
from bot.store.audit import Detail
from bot.ui.problem_texts import CHOOSE_ALL_OBJECTS

TRY_AGAIN_AFTER = timedelta(seconds=5)
CHECKING = "You don't need to do anything. The bot checks the group for about a minute."

Reply = Accepted | HuaweiError


def put_reply(reply: Reply) -> PutReply:
    """The reply as the domain knows it."""
    match reply:
        case Accepted(huawei_request_id):
            return PutReply(PutReplyKind.ACCEPTED, huawei_request_id)
        case Throttled() | NotSent():
            return not_sent(reply)
        case Rejected() if is_token_expired(reply.answer.code):
            # The next try logs in again, so there is nothing to wait for.
            return PutReply(PutReplyKind.TRY_AGAIN)
        case Rejected() if reply.answer.code in ALREADY_RUNNING | WRONG_STATE:
            return PutReply(PutReplyKind.CONFLICT)
        case Unanswered():
            return PutReply(PutReplyKind.UNANSWERED)
        case _:
            return PutReply(PutReplyKind.REJECTED)


def not_sent(error: Throttled | NotSent | Unanswered) -> PutReply:
    """An error that certainly started nothing. An unanswered call is one of these only if it came before the PUT."""
    wait = timedelta(seconds=error.retry_after_seconds or 0) if isinstance(error, Throttled) else timedelta()
    return PutReply(PutReplyKind.TRY_AGAIN, retry_after=max(wait, TRY_AGAIN_AFTER))


def explain_reply(reply: Reply, request: Request) -> Problem | None:
    """What the reply means to people.

    Arguments:
        request: as it is after the reply. Its state decides whether anything may have been started, and whether the
            next step is the bot's or a person's.
    """
    if isinstance(reply, Accepted):
        return None
    plan = request.plan
    match request.state:
        case State.APPROVED:
            return explain(reply, plan, RetryHint.NOTHING)
        case State.UNKNOWN:
            return replace(explain(reply, plan, RetryHint.NOTHING, ""), next_step=CHECKING)
        case _ if request.scope is Scope.FAILED_OBJECTS and _is_list_unusable(reply):
            # Only a card with this scope has the choice.
            return replace(explain(reply, plan, RetryHint.NOTHING), next_step=CHOOSE_ALL_OBJECTS)
        case _:
            return explain(reply, plan, RetryHint.RETRY)


def _is_list_unusable(reply: HuaweiError) -> bool:
    return isinstance(reply, Rejected) and reply.answer.code in FAILED_OBJECT_LIST


def audit_detail(number: int, reply: Reply) -> Detail:
    """The reply to the PUT of this attempt as the audit stores it."""
    if isinstance(reply, Accepted):
        return {"number": number, "code": None, "huawei_request_id": reply.huawei_request_id}
    answer = reply.answer if isinstance(reply, Rejected | Throttled | Unanswered) else None
    return {
        "number": number,
        "code": answer.code if answer else type(reply).__name__,
        "huawei_request_id": answer.huawei_request_id if answer else None,
    }
