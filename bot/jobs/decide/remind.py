"""Reminds people of a request that waits for them, in its thread: at half time and shortly before the end, no more.

At the same moment it looks whether a quorum could still come together, and whether what would be called has changed.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from bot.domain.audit_events import AuditEvent
from bot.domain.decisions import missing_approvers
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
    """One reminder that is due."""
    try:
        gone = slots_without_candidates(
            context, request.policy, current_policy(context, request), request.requester, request.reason
        )
    except LookupFailed:
        return Failed(context.now() + backoff(claim.tries))
    with context.store.write() as connection:
        locked = requests.lock(connection, request.id)
        if locked is not None and next_step(locked, context.now()) is Step.REMIND:
            _remind(connection, context, locked, gone)
    return Rescheduled()


def _remind(connection: Connection, context: Context, request: Request, gone: tuple[tuple[str, ...], ...]) -> None:
    now = context.now()
    if current_plan(context, request) != request.plan:
        void = request.with_state(State.VOID, at=now)
        save_and_notify(connection, request, void, now, Event(AuditEvent.REQUEST_VOID, BOT, request.id))
        return
    times = reminders_at(request)
    passed = sum(at <= now for at in times)
    if gone:
        event, notice = (
            AuditEvent.QUORUM_IMPOSSIBLE,
            Notice(Delivery.DIRECT, request.requester, replies.no_quorum_possible(request, gone)),
        )
    elif passed < len(times):
        text = thread.half_time_reminder(request, missing_approvers(request))
        event, notice = AuditEvent.REMINDER_SENT, Notice(Delivery.THREAD, "", text)
    else:
        event, notice = AuditEvent.REMINDER_SENT, Notice(Delivery.THREAD, "", thread.final_reminder(request))
    card = outbox.get_card(connection, request.id)
    # A card that could not be posted has no thread, and whoever asked was told of that.
    if notice.delivery is Delivery.DIRECT or (card is not None and card.ts is not None):
        outbox.add_notice(connection, replace(notice, request_id=request.id), now)
    # Nothing on the card changes, so its version stays, and Slack is not asked to edit it.
    requests.save_without_new_version(
        connection, replace(request, reminders=passed), now, Event(event, BOT, request.id, {"number": passed})
    )
