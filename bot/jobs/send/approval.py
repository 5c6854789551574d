"""Looks up everybody whose approval counts again, right before the keys are read.

Whether the approval is still complete is decided by `bot.domain.decisions`.
"""

from __future__ import annotations

from bot.domain.audit_events import AuditEvent
from bot.domain.decisions import recheck_approval
from bot.domain.policy import Refusal, approver_names
from bot.domain.request import Problem, Request
from bot.jobs.context import Context, lookup_text, save_and_notify
from bot.jobs.current_settings import current_policy
from bot.slack.errors import GroupsUnknown, LookupFailed
from bot.store.audit import BOT, Event
from bot.ui.problem_texts import APPROVERS_NOT_CONFIRMED, NOTHING_STARTED


def pending_again(context: Context, request: Request) -> Request | None:
    """The request without the approvals that no longer count; None if its quorum is still complete.

    Raises:
        LookupFailed: Slack does not tell who an approver is, or in which user groups, and the quorum depends on it; or
            its answers take so long that the first are no longer recent when the last arrive.
    """
    policy = current_policy(context, request)
    names = (*approver_names(request.policy), *(approver_names(policy) if policy else ()))
    approvers = request.decision.people if request.decision else ()
    people = context.people.confirm_all(approvers, names)
    found = recheck_approval(request, people, policy, context.now())
    if isinstance(found, Refusal):
        raise GroupsUnknown
    return found


def save_pending_again(context: Context, request: Request, pending: Request) -> None:
    """Stores that the request is pending again. The event removes the votes that do not count.

    Raises:
        requests.Stale: another worker changed the request first.
    """
    counted = pending.vote_progress.people if pending.vote_progress else ()
    detail = {"void approvals": list(pending.void_approvals), "approved by": list(counted)}
    with context.store.write() as connection:
        event = Event(AuditEvent.APPROVAL_VOID, BOT, request.id, detail)
        save_and_notify(connection, request, pending, context.now(), event)


def not_confirmed(context: Context, error: LookupFailed) -> Problem:
    """The problem while Slack does not tell whether the approvals still count."""
    passing = f"{APPROVERS_NOT_CONFIRMED} {NOTHING_STARTED}"
    return Problem("Slack", "", "", lookup_text(context, error, passing, NOTHING_STARTED), "")
