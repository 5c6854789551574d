"""Works on the inbox: what somebody typed or pressed, in the order of what it means.

Each meaning has a module of its own; here a row is taken to it, and ended.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from bot.slack import answers
from bot.slack.people import SlackCannotBeAsked
from bot.store import inbox, outbox
from bot.store.audit import Event, append
from bot.store.claims import Claim
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice
from bot.work import ask, break_glass, forms, home, tell, vote
from bot.work.loop import Finished, Result
from bot.work.tools import Tools, reply, to_whom

LOOK_FOR_CARD_AFTER = timedelta(milliseconds=200)
CARD_IS_KNOWN_AFTER = timedelta(seconds=20)
TRY_FORM_AGAIN_AFTER = timedelta(seconds=1)
# Nobody looks longer at a view that says "one moment".
FORM_WAITS_FOR = timedelta(seconds=30)


def work(tools: Tools, claim: Claim) -> Result:
    """One row of the inbox."""
    number = int(claim.key)
    with tools.store.read() as connection:
        message, received_at = inbox.get(connection, number)
        mark = inbox.mark_of(connection, message.key)
        is_before_its_card = _is_before_its_card(connection, message)
    if is_before_its_card and tools.now() - received_at < CARD_IS_KNOWN_AFTER:
        return Finished(tools.now() + LOOK_FOR_CARD_AFTER)
    try:
        match message.kind:
            case _ if mark in inbox.WORKED_ON:
                pass  # It was decided before a kill, or is not to be worked on at all: what is left is to finish it.
            case Kind.ASK:
                ask.ask(tools, message)
            case Kind.ASK_ONCE_PAUSED:
                if not ask.ask_once_paused(tools, message, received_at):
                    return Finished(tools.now() + ask.LOOK_AGAIN_AFTER)
            case Kind.LIST | Kind.STATUS:
                tell.answer_question(tools, message)
            case Kind.OPEN_DENY | Kind.OPEN_REQUEST:
                again = forms.fill(tools, message)
                if again and tools.now() - received_at < FORM_WAITS_FOR:
                    return Finished(tools.now() + TRY_FORM_AGAIN_AFTER)
            case Kind.HOME:
                home.show(tools, message)
            case Kind.TELL_APPROVERS | Kind.TELL_APPROVER:
                return break_glass.work(tools, message, received_at, claim.tries)
            case Kind.REPORT_FORGERY:
                _write_down_refusal(tools, message)
            case _:
                vote.work(tools, message)
    except SlackCannotBeAsked:
        if message.kind is Kind.ASK_ONCE_PAUSED and tools.now() - received_at < ask.WAIT_FOR_PAUSE:
            return Finished(tools.now() + ask.LOOK_AGAIN_AFTER)
        event = Event("refused", message.person, message.request_id or None, {"why": "Slack cannot be asked"})
        reply(tools, message, answers.SLACK_CANNOT_BE_ASKED, event)
    with tools.store.write() as connection:
        inbox.forget_address(connection, number)
    return Finished()


def _write_down_refusal(tools: Tools, message: Message) -> None:
    """Whoever sent what is not ours was answered at the door."""
    detail = {"why": "not ours", "team": message.team_id, "app": message.app_id}
    with tools.store.write() as connection:
        if inbox.mark_decided(connection, message.key):
            append(connection, Event("refused", message.person, None, detail), tools.now())


def _is_before_its_card(connection: Connection, message: Message) -> bool:
    """Whether somebody pressed a button in the moment before the bot had written down where its card is.

    Whether that was the card, or a copy of it, cannot be told yet.
    """
    if not message.request_id or not message.message_ts:
        return False
    card = outbox.get_card(connection, message.request_id)
    return card is not None and card.ts is None and card.channel == message.channel


def confess(tools: Tools, claim: Claim, reference: str) -> None:
    """Tells whoever typed or pressed that the bot failed, once."""
    if claim.tries > 0:
        return
    with tools.store.read() as connection:
        message, _ = inbox.get(connection, int(claim.key))
    text = f"The bot failed while working on this, and tries again. Reference {reference}."
    now = tools.now()
    with tools.store.write() as connection:
        if message.kind not in break_glass.KINDS:
            outbox.add_notice(connection, Notice(*to_whom(message), text), now)
        append(connection, Event("fault", "bot", message.request_id or None, {"reference": reference}), now)
