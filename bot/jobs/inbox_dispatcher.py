"""Works on the inbox: what somebody typed or pressed, in the order of what it means.

Each meaning has a module of its own; here a row is taken to it, and ended.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from bot.jobs.ask import create_request, forms, home, queries
from bot.jobs.context import Context, reply, reply_address
from bot.jobs.decide import apply_action, self_approval
from bot.jobs.worker import Finished, Result
from bot.slack.errors import LookupFailed
from bot.store import inbox, outbox
from bot.store.audit import Event, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice
from bot.store.queue import Claim
from bot.ui import refusals, replies

LOOK_FOR_CARD_AFTER = timedelta(milliseconds=200)
CARD_IS_KNOWN_AFTER = timedelta(seconds=20)
TRY_FORM_AGAIN_AFTER = timedelta(seconds=1)
# Nobody looks longer at a view that says "one moment".
FORM_WAITS_FOR = timedelta(seconds=30)


def handle_message(context: Context, claim: Claim) -> Result:
    """One row of the inbox."""
    number = int(claim.key)
    with context.store.read() as connection:
        message, received_at = inbox.get(connection, number)
        mark = inbox.mark_of(connection, message.key)
        is_before_its_card = _is_before_its_card(connection, message)
    if is_before_its_card and context.now() - received_at < CARD_IS_KNOWN_AFTER:
        return Finished(context.now() + LOOK_FOR_CARD_AFTER)
    try:
        match message.kind:
            case _ if mark in inbox.FINISHED_MARKS:
                pass  # It was decided before a kill, or is not to be worked on at all: what is left is to finish it.
            case Kind.CREATE_REQUEST:
                create_request.create_requests(context, message)
            case Kind.CREATE_ONCE_PAUSED:
                if not create_request.create_once_paused(context, message, received_at):
                    return Finished(context.now() + create_request.LOOK_AGAIN_AFTER)
            case Kind.LIST | Kind.STATUS:
                queries.answer_query(context, message)
            case Kind.OPEN_DENY | Kind.OPEN_REQUEST:
                again = forms.fill(context, message)
                if again and context.now() - received_at < FORM_WAITS_FOR:
                    return Finished(context.now() + TRY_FORM_AGAIN_AFTER)
            case Kind.HOME:
                home.show(context, message)
            case Kind.NOTIFY_APPROVERS | Kind.NOTIFY_APPROVER:
                return self_approval.notify_approvers(context, message, received_at, claim.tries)
            case Kind.FOREIGN_PAYLOAD:
                _write_down_refusal(context, message)
            case _:
                apply_action.handle_action(context, message)
    except LookupFailed:
        if message.kind is Kind.CREATE_ONCE_PAUSED and context.now() - received_at < create_request.WAIT_FOR_PAUSE:
            return Finished(context.now() + create_request.LOOK_AGAIN_AFTER)
        event = Event("refused", message.person, message.request_id or None, {"why": "Slack cannot be asked"})
        reply(context, message, refusals.LOOKUP_FAILED, event)
    with context.store.write() as connection:
        inbox.forget_address(connection, number)
    return Finished()


def _write_down_refusal(context: Context, message: Message) -> None:
    """Whoever sent what is not ours was answered at the door."""
    detail = {"why": "not ours", "team": message.team_id, "app": message.app_id}
    with context.store.write() as connection:
        if inbox.mark_decided(connection, message.key):
            append(connection, Event("refused", message.person, None, detail), context.now())


def _is_before_its_card(connection: Connection, message: Message) -> bool:
    """Whether somebody pressed a button in the moment before the bot had written down where its card is.

    Whether that was the card, or a copy of it, cannot be told yet.
    """
    if not message.request_id or not message.message_ts:
        return False
    card = outbox.get_card(connection, message.request_id)
    return card is not None and card.ts is None and card.channel == message.channel


def report_bug(context: Context, claim: Claim, reference: str) -> None:
    """Tells whoever typed or pressed that the bot failed, once."""
    if claim.tries > 0:
        return
    with context.store.read() as connection:
        message, _ = inbox.get(connection, int(claim.key))
    text = replies.bug_in_command(reference)
    now = context.now()
    with context.store.write() as connection:
        if message.kind not in self_approval.KINDS:
            outbox.add_notice(connection, Notice(*reply_address(message), text), now)
        append(connection, Event("fault", "bot", message.request_id or None, {"reference": reference}), now)
