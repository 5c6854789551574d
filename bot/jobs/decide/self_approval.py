"""Notifies everybody who could approve a request that the requester approved it.

The vote stores one message, and its handler stores one message for each approver. An approver who cannot be looked up
is tried again without notifying the others twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.domain.approvals import approval_refusal
from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.policy import Refusal, approver_names
from bot.domain.request import Request
from bot.jobs.context import Context
from bot.jobs.current_settings import current_policy, names_in_request
from bot.jobs.worker import Failed, Finished, Result, backoff
from bot.slack.errors import LookupFailed
from bot.store import inbox, outbox, requests
from bot.store.audit import BOT, Event, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.ui import replies

# The bot stores these messages for itself, so nobody waits for an answer to them.
KINDS = frozenset({Kind.NOTIFY_APPROVERS, Kind.NOTIFY_APPROVER})
NOTIFY_WITHIN = timedelta(days=1)


def queue_notification(connection: Connection, message: Message, request: Request, now: datetime) -> Event:
    """Stores the message that starts the notification, in the transaction of the vote.

    Returns:
        The audit event of the self approval, which the caller stores.
    """
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
    """Handles a message of one of the `KINDS`. While Slack does not tell who people are, it is tried for a day."""
    with context.store.read() as connection:
        request = requests.get(connection, message.request_id)
    if request is None:
        return Finished()
    try:
        if message.kind is Kind.NOTIFY_APPROVERS:
            _store_one_for_each(context, message, request)
        else:
            _notify_one(context, message, request)
    except LookupFailed:
        if context.now() - received_at < NOTIFY_WITHIN:
            return Failed(context.now() + backoff(tries))
        with context.store.write() as connection:
            detail = {"delivery": Delivery.DIRECT.value, "code": LOOKUP_FAILED_REASON, "person": message.person}
            append(connection, Event(AuditEvent.NOTICE_NOT_SENT, BOT, request.id, detail), context.now())
    return Finished()


def _store_one_for_each(context: Context, message: Message, request: Request) -> None:
    names = approver_names(request.policy)
    members = context.people.members(names)
    approvers = frozenset().union(*(members.get(name, {name}) for name in names)) - {request.requester}
    now = context.now()
    with context.store.write() as connection:
        for user_id in sorted(approvers):
            for_one = replace(message, kind=Kind.NOTIFY_APPROVER, key=f"{message.key}/{user_id}", person=user_id)
            inbox.put_for_later(connection, for_one, now, now)


def _notify_one(context: Context, message: Message, request: Request) -> None:
    person = context.people.look_up(message.person, names_in_request(context, request))
    refusal = approval_refusal(request, person, current_policy(context, request))
    if refusal is Refusal.GROUPS_UNKNOWN:
        raise LookupFailed("it does not tell who is in the user groups")
    if refusal is not None:
        return
    now = context.now()
    notice = Notice(Delivery.DIRECT, message.person, replies.self_approval_notice(request), request.id)
    event = Event(AuditEvent.VOTE_SELF_APPROVAL_NOTIFIED, BOT, request.id, {"person": message.person})
    with context.store.write() as connection:
        if inbox.mark_decided(connection, message.key):
            outbox.add_notice(connection, notice, now)
            append(connection, event, now)
