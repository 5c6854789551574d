"""Dispatches a message of the inbox to the stage that handles it, and then removes the message's response_url."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.command import ResumeGroups, ShowList, ShowStatus
from bot.domain.policy import Refusal
from bot.domain.request_record import UNSENT_STATES, Authenticity
from bot.domain.schedule import doubling_wait
from bot.jobs.ask import app_home, create_request, queries, request_form
from bot.jobs.context import Context, lookup_text, reply_address, report_foreign_row
from bot.jobs.decide import apply_action, deny_form, self_approval
from bot.jobs.record_check import save_not_authentic
from bot.jobs.watch import mute, pause_group
from bot.jobs.worker import Failed, Finished, Result
from bot.slack.errors import GroupsUnknown, LookupFailed
from bot.store import inbox, outbox, requests, tables
from bot.store.audit import BOT, Event, append, append_refusal
from bot.store.inbox import Kind, Message, StoredMessage
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui import refusals, replies

CHECK_FOR_CARD_EVERY = timedelta(milliseconds=200)
WAIT_FOR_CARD = timedelta(seconds=20)
# A person has an answer after this time at the latest, also while Slack does not tell who they are.
ANSWER_WITHIN = timedelta(seconds=20)
MIN_BACKOFF, MAX_BACKOFF = timedelta(seconds=0.5), timedelta(seconds=3)
FILL_FORM_AGAIN_AFTER = timedelta(seconds=1)
# After this time the person has probably closed the form, which still says "One moment".
WAIT_FOR_FORM = timedelta(seconds=30)
# Messages whose person does not wait for an answer.
_KINDS_WITHOUT_ANSWER = self_approval.KINDS | {Kind.HOME, Kind.FOREIGN_PAYLOAD}


def handle_message(context: Context, claim: Claim) -> Result:
    """Handles the message of the claimed row."""
    began = context.now()
    with context.store.read() as connection:
        stored = inbox.get(connection, int(claim.key))
        waits_for_card = _waits_for_card(connection, stored, began)
    try_again_at = partial(_try_again_at, context, claim, stored.received_at, began)
    if stored.authenticity is not Authenticity.AUTHENTIC:
        is_unknown = stored.authenticity is Authenticity.UNKNOWN_KEY
        again = try_again_at() if is_unknown and _has_replicas(context) else None
        if again is not None and stored.mark not in inbox.FINISHED_MARKS:
            return Failed(again)
        _refuse_foreign(context, claim, stored)
        _clear_response_url(context, claim, stored)
        return Finished()
    if waits_for_card:
        return Finished(context.now() + CHECK_FOR_CARD_EVERY)
    try:
        result = _dispatch(context, stored, claim.tries, try_again_at)
    except LookupFailed as error:
        # A token or a scope that Slack refuses does not change within the time for the answer.
        again = None if context.people.denial_behind(error) else try_again_at()
        if again is not None:
            return Failed(again)
        _answer_lookup_failed(context, stored.message, error)
        result = Finished()
    if result == Finished():
        _clear_response_url(context, claim, stored)
    return result


def _clear_response_url(context: Context, claim: Claim, stored: StoredMessage) -> None:
    if stored.message.response_url:
        with context.store.write() as connection:
            inbox.clear_response_url(connection, int(claim.key), stored)
        context.store.erase_deleted()


def _has_replicas(context: Context) -> bool:
    """Whether another process may know the key of a row. It may while the key is being replaced."""
    return not context.store.is_sqlite


def _refuse_foreign(context: Context, claim: Claim, stored: StoredMessage) -> None:
    """Records that a stored message has no effect. If someone forged a click, the request on its card is void.

    Nothing is sent to the response_url, because the bot may not have written it.
    """
    message, mark, authenticity = stored.message, stored.mark, stored.authenticity
    if mark in inbox.FINISHED_MARKS:
        return
    now = context.now()
    report_foreign_row(f"message {claim.key}", tables.inbox.name, authenticity)
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        request = requests.lock(connection, message.request_id)
        if authenticity is Authenticity.UNKNOWN_KEY and message.kind not in _KINDS_WITHOUT_ANSWER:
            notice = Notice(Delivery.DIRECT, message.person, refusals.MESSAGE_KEY_CHANGED)
            outbox.add_notice(connection, notice, now)
        if authenticity is Authenticity.FORGED and request is not None and request.state in UNSENT_STATES:
            save_not_authentic(connection, context, request, authenticity)
        # With the key of the message, the chain shows later that it was answered, even if its mark was removed.
        detail = {"kind": message.kind.value, "why": authenticity.value, "message": message.record_key}
        request_id = None if request is None else request.id
        append(connection, Event(AuditEvent.MESSAGE_NOT_AUTHENTIC, BOT, request_id, detail), now)


def _try_again_at(context: Context, claim: Claim, received_at: datetime, began: datetime) -> datetime | None:
    """When to handle a message again after a failure that may pass. None if the answer could then come too late.

    Arguments:
        began: when this try began. The next one may take as long.
    """
    now = context.now()
    again = now + doubling_wait(claim.tries, MIN_BACKOFF, MAX_BACKOFF)
    return again if again + (now - began) <= received_at + ANSWER_WITHIN else None


def _answer_lookup_failed(context: Context, message: Message, error: LookupFailed) -> None:
    text, why = refusals.LOOKUP_FAILED, LOOKUP_FAILED_REASON
    if isinstance(error, GroupsUnknown):
        text, why = refusals.GROUPS_UNKNOWN, Refusal.GROUPS_UNKNOWN.value
    detail = {"kind": message.kind.value, "team": message.team_id, "message": message.record_key, "why": why}
    text = lookup_text(context, error, text)
    event = Event(AuditEvent.ACTION_REFUSED, message.person, message.request_id or None, detail)
    now = context.now()
    with context.store.write() as connection:
        if inbox.mark_decided(connection, message.key):
            outbox.add_notice(connection, Notice(*reply_address(message), text), now)
            append_refusal(connection, event, message.received_at, now)


def _dispatch(
    context: Context, stored: StoredMessage, tries: int, try_again_at: Callable[[], datetime | None]
) -> Result:
    message, received_at, mark, _ = stored
    if mark in inbox.FINISHED_MARKS:
        # The message had its effect before a process ended, or it was discarded.
        return Finished()
    match message.kind, message.command:
        case Kind.CREATE_REQUEST, ResumeGroups() as command:
            again = create_request.create_requests(context, message, command, received_at, try_again_at)
            if again is not None:
                return Failed(again)
        case Kind.CREATE_ONCE_PAUSED, ResumeGroups() as command:
            return Finished(create_request.create_once_paused(context, message, command, received_at))
        case Kind.LIST, (ShowList() | None) as command:
            # Messages of earlier versions of the bot have no command.
            queries.show_list(context, message, command or ShowList(1))
        case Kind.STATUS, ShowStatus() as command:
            queries.show_status(context, message, command)
        case Kind.HOME, None:
            return Finished(app_home.show_home(context, message, received_at))
        case Kind.PAUSE_GROUP, None:
            again = pause_group.request_pause(context, message, try_again_at)
            if again is not None:
                return Failed(again)
        case Kind.SEND_PAUSE, None:
            again = pause_group.send_pause(context, message, received_at, tries)
            if again is not None:
                return Failed(again)
        case ((Kind.OPEN_DENY | Kind.OPEN_REQUEST), None):
            return _fill_form(context, message, received_at)
        case ((Kind.MUTE_FOR_A_DAY | Kind.MUTE_UNTIL_IT_MOVES), None):
            mute.mute_group(context, message)
        case ((Kind.NOTIFY_APPROVERS | Kind.NOTIFY_APPROVER), None):
            return self_approval.notify_approvers(context, message, received_at, tries)
        case Kind.FOREIGN_PAYLOAD, None:
            _record_foreign_payload(context, message)
        case _:
            wait_for_replica = try_again_at if _has_replicas(context) else lambda: None
            again = apply_action.handle_action(context, message, wait_for_replica)
            if again is not None:
                return Failed(again)
    return Finished()


def _fill_form(context: Context, message: Message, received_at: datetime) -> Result:
    fill = deny_form.fill_deny_form if message.kind is Kind.OPEN_DENY else request_form.fill_request_form
    try_again = fill(context, message)
    now = context.now()
    return Finished(now + FILL_FORM_AGAIN_AFTER if try_again and now - received_at < WAIT_FOR_FORM else None)


def _record_foreign_payload(context: Context, message: Message) -> None:
    """Writes to the audit chain that the listener refused a payload. The listener has answered the person."""
    detail = {"why": "foreign payload", "team": message.team_id, "app": message.app_id}
    with context.store.write() as connection:
        if inbox.mark_decided(connection, message.key):
            append(connection, Event(AuditEvent.ACTION_REFUSED, message.person, None, detail), context.now())


def _waits_for_card(connection: Connection, stored: StoredMessage, now: datetime) -> bool:
    """Whether a button was pressed before the bot has stored where its card is.

    Until it is stored, a press on the card cannot be distinguished from a press on a duplicate of it.
    """
    message = stored.message
    if not message.request_id or not message.message_ts or now - stored.received_at >= WAIT_FOR_CARD:
        return False
    card = outbox.get_card(connection, message.request_id)
    return card is not None and card.ts is None and card.channel == message.channel


def report_bug(context: Context, claim: Claim, reference: str) -> None:
    """Tells the person who sent a message that the bot failed at it.

    Nothing is sent for a row that is not authentic, because the bot may not have written its address.

    Arguments:
        reference: the exception is in the log under this reference.
    """
    with context.store.read() as connection:
        message, _, _, authenticity = inbox.get(connection, int(claim.key))
    text = replies.bug_in_command(reference)
    now = context.now()
    with context.store.write() as connection:
        if message.kind not in self_approval.KINDS and authenticity is Authenticity.AUTHENTIC:
            outbox.add_notice(connection, Notice(*reply_address(message), text), now)
        append(connection, Event(AuditEvent.BUG, "bot", message.request_id or None, {"reference": reference}), now)
