"""Tells everybody who could approve that a requester approved on their own.

The vote leaves one message for later, and that one for each person: whoever Slack does not tell of is looked up again
without anybody being told twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.domain.audit_events import AuditEvent
from bot.domain.decisions import approval_refusal
from bot.domain.policy import Refusal, approver_names
from bot.domain.request import Request
from bot.jobs.context import Context
from bot.jobs.current_settings import current_policy
from bot.jobs.worker import Failed, Finished, Result, backoff
from bot.slack.errors import LookupFailed
from bot.store import inbox, outbox, requests
from bot.store.audit import BOT, Event, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.ui import replies

# Written by the bot itself: nobody waits for an answer to them.
KINDS = frozenset({Kind.NOTIFY_APPROVERS, Kind.NOTIFY_APPROVER})
TELL_WITHIN = timedelta(days=1)


def queue_notification(connection: Connection, message: Message, request: Request, now: datetime) -> Event:
    """In the transaction of the vote: what makes everybody hear of it, and the row for the audit."""
    later = Message(
        Kind.NOTIFY_APPROVERS,
        f"{message.origin_key}/approvers",
        request.requester,
        request.team_id,
        request_id=request.id,
    )
    inbox.put_for_later(connection, later, now, now)
    return Event(AuditEvent.VOTE_SELF_APPROVED, request.requester, request.id, {"reason": request.reason})


def notify_approvers(context: Context, message: Message, received_at: datetime, tries: int) -> Result:
    """One message left by a vote, or by the message that was: tried for a day while Slack cannot be asked."""
    with context.store.read() as connection:
        request = requests.get(connection, message.request_id)
    if request is None:
        return Finished()
    try:
        if message.kind is Kind.NOTIFY_APPROVERS:
            _leave_one_for_each(context, message, request)
        else:
            _tell(context, message, request)
    except LookupFailed:
        if context.now() - received_at < TELL_WITHIN:
            return Failed(context.now() + backoff(tries))
        with context.store.write() as connection:
            detail = {"delivery": Delivery.DIRECT.value, "code": "Slack cannot be asked", "person": message.person}
            append(connection, Event(AuditEvent.NOTICE_NOT_SENT, BOT, request.id, detail), context.now())
    return Finished()


def _leave_one_for_each(context: Context, message: Message, request: Request) -> None:
    names = approver_names(request.policy)
    groups = context.people.members(names)
    others = frozenset().union(*(groups.get(name, {name}) for name in names)) - {request.requester}
    now = context.now()
    with context.store.write() as connection:
        for user_id in sorted(others):
            one = replace(message, kind=Kind.NOTIFY_APPROVER, key=f"{message.key}/{user_id}", person=user_id)
            inbox.put_for_later(connection, one, now, now)


def _tell(context: Context, message: Message, request: Request) -> None:
    refusal = approval_refusal(request, context.people.look_up(message.person), current_policy(context, request))
    if refusal is Refusal.GROUPS_UNKNOWN:
        raise LookupFailed("it does not tell who is in the user groups")
    if refusal is not None:
        return
    now = context.now()
    with context.store.write() as connection:
        if inbox.mark_decided(connection, message.key):
            text = replies.self_approval_notice(request)
            outbox.add_notice(connection, Notice(Delivery.DIRECT, message.person, text, request.id), now)
            append(
                connection,
                Event(AuditEvent.VOTE_SELF_APPROVAL_NOTIFIED, BOT, request.id, {"person": message.person}),
                now,
            )
