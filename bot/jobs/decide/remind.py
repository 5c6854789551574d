"""Reminds people of a pending request in its thread, at half time and shortly before the request expires.

At the same times it checks whether a quorum is still possible, and whether bot.toml still gives the same plan.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from bot.domain.approvals import missing_approvers
from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request, State
from bot.domain.schedule import Step, next_step, reminders_at
from bot.jobs.context import Context, save_and_notify
from bot.jobs.current_settings import current_plan, current_policy, slots_without_candidates
from bot.jobs.worker import Failed, Rescheduled, Result, backoff
from bot.slack.errors import LookupFailed
from bot.store import outbox, requests
from bot.store.audit import BOT, Event
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui import replies, thread


def remind(context: Context, request: Request, claim: Claim) -> Result:
    """Posts the reminder that is due; tells the requester instead if too few people are left to approve."""
    try:
        unfillable = slots_without_candidates(
            context, request.policy, current_policy(context, request), request.requester, request.reason
        )
    except LookupFailed:
        return Failed(context.now() + backoff(claim.tries))
    with context.store.write() as connection:
        locked = requests.lock(connection, request.id)
        if locked is not None and next_step(locked, context.now()) is Step.REMIND:
            _remind(connection, context, locked, unfillable)
    return Rescheduled()


def _remind(
    connection: Connection, context: Context, request: Request, unfillable: tuple[tuple[str, ...], ...]
) -> None:
    now = context.now()
    if current_plan(context, request) != request.plan:
        void = request.with_state(State.VOID, at=now)
        save_and_notify(connection, request, void, now, Event(AuditEvent.REQUEST_VOID, BOT, request.id))
        return
    times = reminders_at(request)
    passed = sum(at <= now for at in times)
    if unfillable:
        event, text = AuditEvent.QUORUM_IMPOSSIBLE, replies.no_quorum_possible(request, unfillable)
        notice = Notice(Delivery.DIRECT, request.requester, text, request.id)
    elif passed < len(times):
        event, text = AuditEvent.REMINDER_SENT, thread.half_time_reminder(request, missing_approvers(request))
        notice = Notice(Delivery.THREAD, "", text, request.id)
    else:
        event, text = AuditEvent.REMINDER_SENT, thread.final_reminder(request)
        notice = Notice(Delivery.THREAD, "", text, request.id)
    card = outbox.get_card(connection, request.id)
    # Without a posted card there is no thread. The requester was told why the card was not posted.
    if notice.delivery is Delivery.DIRECT or (card is not None and card.ts is not None):
        outbox.add_notice(connection, notice, now)
    # The card shows no reminders, so it needs no new version and no update in Slack.
    requests.save_without_new_version(
        connection, replace(request, reminders=passed), now, Event(event, BOT, request.id, {"number": passed})
    )
