"""Sends the notices that were left for people, each once, the lines of one thread in the order in which they came.

Whose turn it is, is asked where rows are claimed. What a notice says is left to whoever leaves it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from bot.domain.audit_events import AuditEvent
from bot.jobs.context import Context
from bot.jobs.notify import duplicate_card
from bot.jobs.worker import Failed, Rescheduled, Result, backoff
from bot.slack.errors import ChannelUnavailable, Gone, RateLimited, SlackError, Unavailable
from bot.store import outbox, queue
from bot.store.audit import BOT, Event, append_all
from bot.store.outbox import Card, Delivery, Notice
from bot.store.queue import Claim
from bot.ui import replies
from bot.ui.blocks import context_block, slack_message

log = logging.getLogger(__name__)

NOTICES_WAIT_FOR = timedelta(days=1)
LOOK_AT_CHANNEL_EVERY = timedelta(seconds=10)


def send_notice(context: Context, claim: Claim) -> Result:
    """One notice that was not sent yet."""
    with context.store.read() as connection:
        notice, made_at = outbox.get_notice(connection, int(claim.key))
        card = outbox.get_card(connection, notice.request_id) if notice.request_id else None
    text = _with_link(notice, card)
    if context.now() - made_at > NOTICES_WAIT_FOR:
        return _not_sent(context, claim, notice, "too late")
    try:
        match notice.delivery:
            case Delivery.EPHEMERAL:
                _answer(context, notice.address, text)
            case Delivery.DIRECT:
                context.messenger.direct(notice.address, text)
            case Delivery.CHANNEL:
                context.messenger.post(notice.address, slack_message(notice.text, [context_block(notice.text)]))
            case Delivery.DUPLICATE:
                duplicate_card.mark_duplicate(context.messenger, notice.address, notice.text)
            case Delivery.THREAD if card is not None and card.ts is not None:
                context.messenger.reply(card.channel, card.ts, notice.text)
            case Delivery.THREAD:
                return Failed(context.now() + backoff(claim.tries))
    except RateLimited as error:
        return Failed(context.now() + timedelta(seconds=error.retry_after_seconds or 5))
    except Unavailable:
        return Failed(context.now() + backoff(claim.tries))
    except SlackError as error:
        if isinstance(error, ChannelUnavailable) and notice.delivery is Delivery.THREAD:
            return Failed(context.now() + LOOK_AT_CHANNEL_EVERY)
        return _not_sent(context, claim, notice, error.code)
    return _end(context, claim)


def _not_sent(context: Context, claim: Claim, notice: Notice, code: str) -> Result:
    log.warning("a notice was not sent: %s, %s", notice.delivery.value, code)
    detail = {"delivery": notice.delivery.value, "code": code}
    return _end(context, claim, Event(AuditEvent.NOTICE_NOT_SENT, BOT, notice.request_id, detail))


def _end(context: Context, claim: Claim, *events: Event) -> Result:
    """Nothing more is to be done, and the address is forgotten, in one transaction: no kill comes between the two."""
    with context.store.write() as connection:
        outbox.forget_address(connection, int(claim.key))
        queue.finish(connection, claim, context.owner)
        if events:
            append_all(connection, events, context.now())
    return Rescheduled()


def _answer(context: Context, address: str, text: str) -> None:
    """Answers where somebody typed or pressed, or directly once that address no longer serves."""
    if not address:
        return  # Forgotten by whoever had this row before, and was done with it.
    response_url, person = address.split(" ")
    try:
        context.messenger.answer(response_url, text)
    except Gone:
        context.messenger.direct(person, text)


def _with_link(notice: Notice, card: Card | None) -> str:
    """What one person alone is told about a request leads to its card, if that is there by now."""
    permalink = (
        card.permalink if card is not None and notice.delivery in (Delivery.EPHEMERAL, Delivery.DIRECT) else None
    )
    return notice.text if permalink is None or permalink in notice.text else replies.with_link(notice.text, permalink)
