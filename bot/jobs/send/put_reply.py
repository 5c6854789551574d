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
from bot.jobs.problems import RetryHint, explain, may_pass
from bot.store.audit import Detail
from bot.ui.problem_texts import CHOOSE_ALL_OBJECTS
from bot.vault.errors import VaultError

CHECKING = "You don't need to do anything. The bot checks the group for about a minute."

Reply = Accepted | HuaweiError


def put_reply(reply: Reply) -> PutReply:
    """The reply as the domain knows it."""
    match reply:
        case Accepted(huawei_request_id):
            return PutReply(PutReplyKind.ACCEPTED, huawei_request_id)
        case Throttled(retry_after_seconds=seconds):
            return PutReply(PutReplyKind.TRY_AGAIN, retry_after=timedelta(seconds=seconds or 0))
        case NotSent():
            return PutReply(PutReplyKind.TRY_AGAIN)
        case Rejected() if is_token_expired(reply.answer.code):
            # The next try logs in again.
            return PutReply(PutReplyKind.TRY_AGAIN)
        case Rejected() if reply.answer.code in ALREADY_RUNNING | WRONG_STATE:
            return PutReply(PutReplyKind.CONFLICT)
        case Unanswered():
            return PutReply(PutReplyKind.UNANSWERED)
        case _:
            return PutReply(PutReplyKind.REJECTED)


def reply_before_put(error: HuaweiError | VaultError) -> PutReply:
    """An error that came before the PUT, so that nothing was sent: TRY_AGAIN if it may pass, otherwise REJECTED."""
    if isinstance(error, Throttled) or (isinstance(error, Rejected) and is_token_expired(error.answer.code)):
        return put_reply(error)
    return PutReply(PutReplyKind.TRY_AGAIN if may_pass(error) else PutReplyKind.REJECTED)


def explain_reply(reply: Reply | VaultError, request: Request) -> Problem | None:
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


def _is_list_unusable(reply: HuaweiError | VaultError) -> bool:
    return isinstance(reply, Rejected) and reply.answer.code in FAILED_OBJECT_LIST


def audit_detail(number: int, reply: Reply | VaultError) -> Detail:
    """The reply to the PUT of this attempt, or the error before it, as the audit stores it."""
    if isinstance(reply, Accepted):
        return {"number": number, "code": None, "huawei_request_id": reply.huawei_request_id}
    if isinstance(reply, VaultError):
        return {"number": number, "code": f"Vault {reply.kind.value}", "huawei_request_id": None}
    answer = reply.answer if isinstance(reply, Rejected | Throttled | Unanswered) else None
    return {
        "number": number,
        "code": answer.code if answer else type(reply).__name__,
        "huawei_request_id": answer.huawei_request_id if answer else None,
    }
