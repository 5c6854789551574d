"""Sends stored notices: answers, direct messages, lines and reports in threads, and messages to channels.

The queue hands out the lines of a thread in their order, one at a time. The texts are left to the other stages.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from slack_sdk.models.blocks import Block

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Verb
from bot.domain.request_record import Authenticity
from bot.jobs.context import CHECK_KEY_EVERY, WAIT_FOR_KEY, Context, report_foreign_row
from bot.jobs.notify import duplicate_card
from bot.jobs.notify.end_report import post_report
from bot.jobs.worker import Failed, Rescheduled, Result, backoff
from bot.slack.errors import ChannelUnavailable, Gone, RateLimited, SlackError, Unavailable
from bot.store import outbox, queue, slack_budget, tables
from bot.store.audit import BOT, Event, append_all
from bot.store.outbox import TO_THREAD, Card, Delivery, Notice
from bot.store.queue import Claim
from bot.ui import replies
from bot.ui.blocks import actions, section, slack_message, text_message
from bot.ui.buttons import pause_group_button, request_group_button

log = logging.getLogger(__name__)

MAX_NOTICE_AGE = timedelta(days=1)
CHECK_CHANNEL_EVERY = timedelta(seconds=10)


def send_notice(context: Context, claim: Claim) -> Result:
    """Sends the claimed notice. A notice that is older than a day, or that Slack refuses, is given up."""
    with context.store.read() as connection:
        notice, made_at, authenticity = outbox.get_notice(connection, int(claim.key))
        card = outbox.get_card(connection, notice.request_id) if notice.request_id else None
    if notice.delivery is Delivery.EPHEMERAL and not notice.address:
        return _finish(context, claim, notice)  # Sent or given up before by a worker whose claim had ended.
    waits_for_key = not context.store.is_sqlite and context.now() - made_at < WAIT_FOR_KEY
    if authenticity is Authenticity.UNKNOWN_KEY and waits_for_key:
        return Failed(context.now() + CHECK_KEY_EVERY)
    if authenticity is not Authenticity.AUTHENTIC:
        report_foreign_row(f"notice {claim.key}", tables.notices.name, authenticity)
        return _give_up(context, claim, notice, authenticity.value)
    text = _with_link(notice, card)
    if context.now() - made_at > MAX_NOTICE_AGE:
        return _give_up(context, claim, notice, "too late")
    try:
        match notice.delivery:
            case Delivery.EPHEMERAL:
                _answer(context, notice.address, text)
            case Delivery.DIRECT:
                context.messenger.direct(notice.address, text)
            case Delivery.CHANNEL:
                context.messenger.post(notice.address, slack_message(notice.text, [section(notice.text)]))
            case Delivery.DUPLICATE:
                duplicate_card.replace_duplicate(context.messenger, notice.address, notice.text)
            case Delivery.THREAD | Delivery.MOVEMENT if card is not None and card.ts is not None:
                context.messenger.reply(card.channel, card.ts, text_message(notice.text))
            case Delivery.REPORT if card is not None and card.ts is not None:
                post_report(context, card.request_id, card.channel, card.ts)
            case Delivery.THREAD | Delivery.MOVEMENT | Delivery.REPORT:
                return Failed(context.now() + backoff(claim.tries))
    except RateLimited as error:
        with context.store.write() as connection:
            retry_at = slack_budget.stop(connection, claim.slack_call, context.now(), error.retry_after_seconds)
        return Failed(retry_at)
    except Unavailable:
        return Failed(context.now() + backoff(claim.tries))
    except SlackError as error:
        if isinstance(error, ChannelUnavailable) and notice.delivery in TO_THREAD:
            return Failed(context.now() + CHECK_CHANNEL_EVERY)
        return _give_up(context, claim, notice, error.code)
    return _finish(context, claim, notice)


def _give_up(context: Context, claim: Claim, notice: Notice, code: str) -> Result:
    log.warning("a notice was not sent: %s, %s", notice.delivery.value, code)
    detail = {"delivery": notice.delivery.value, "code": code}
    return _finish(context, claim, notice, Event(AuditEvent.NOTICE_NOT_SENT, BOT, notice.request_id, detail))


def _finish(context: Context, claim: Claim, notice: Notice, *events: Event) -> Result:
    """Finishes the row and deletes its address in one transaction. `_answer` takes a missing address for "sent"."""
    with context.store.write() as connection:
        outbox.forget_address(connection, int(claim.key))
        queue.finish(connection, claim, context.owner)
        if events:
            append_all(connection, events, context.now())
    if notice.delivery is Delivery.EPHEMERAL:
        context.store.erase_deleted()
    return Rescheduled()


def _answer(context: Context, address: str, text: str) -> None:
    """Answers where the person typed or pressed, or by a direct message after the response_url has expired."""
    response_url, person, *button = address.split(" ")
    try:
        context.messenger.answer(response_url, text, _button(*button) if button else ())
    except Gone:
        context.messenger.direct(person, text)


def _button(group_key: str, verb: str = "") -> list[Block]:
    """The button below an answer: Resume… or Retry…, or without a verb Pause."""
    return [actions("status", request_group_button(group_key, Verb(verb)) if verb else pause_group_button(group_key))]


def _with_link(notice: Notice, card: Card | None) -> str:
    """The text, with a link to the card of the request if it is for one person and has no such link."""
    if card is None or card.permalink is None or notice.delivery not in (Delivery.EPHEMERAL, Delivery.DIRECT):
        return notice.text
    return notice.text if card.permalink in notice.text else replies.with_link(notice.text, card.permalink)
