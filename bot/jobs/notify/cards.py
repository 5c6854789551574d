"""Brings cards up to the version of their request, and says so where Slack does not take one.

A card is a view of rows: whatever was missed, in a Slack outage or a kill, is repaired from them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request
from bot.jobs.context import Context
from bot.jobs.worker import Failed, Finished, Rescheduled, Result, backoff
from bot.slack.errors import ChannelUnavailable, Gone, RateLimited, SlackError, Unavailable
from bot.store import outbox, queue, requests, tables
from bot.store.audit import Event, append
from bot.store.outbox import Card, Delivery, Notice
from bot.store.queue import Claim
from bot.ui import replies
from bot.ui.card import card as card_message

# After an outage of Slack, however long, every card says within 60 s what is.
CARDS_WAIT_AT_MOST = timedelta(seconds=30)
LOOK_AT_CHANNEL_EVERY, LOOK_SLOWLY_EVERY = timedelta(seconds=10), timedelta(minutes=10)
SHOW_THE_END_FOR = timedelta(days=1)


def show_now(context: Context, request_id: str) -> None:
    """Shows a card whose row the caller has claimed.

    Raises:
        PostingFault, SQLAlchemyError: it could not be shown; the card's row tries again by itself.
    """
    claim = Claim(tables.cards.name, request_id, 0)
    with context.active_claims.holding(claim):
        try:
            _show(context, request_id)
        except (SlackError, SQLAlchemyError):
            with context.store.write() as connection:
                queue.finish(connection, claim, context.owner, context.now() + timedelta(seconds=1))
            raise
        with context.store.write() as connection:
            queue.release(connection, claim, context.owner)


def update_card(context: Context, claim: Claim) -> Result:
    """One card that lags behind its request."""
    request_id = str(claim.key)
    try:
        _show(context, request_id)
    except SlackError as error:
        return record_failure(context, claim, request_id, error)
    return Rescheduled()


def _show(context: Context, request_id: str) -> None:
    with context.store.read() as connection:
        card, request = outbox.get_card(connection, request_id), requests.get(connection, request_id)
    if card is None or request is None:
        return
    if card.shown_version >= request.version and card.ts is not None:
        record_shown(context, card)
        return
    said = card_message(request)
    if card.ts is None:
        ts = context.messenger.post(card.channel, said)
        record_shown(context, replace(card, ts=ts, shown_version=request.version))
        permalink = context.messenger.permalink(card.channel, ts)
        record_shown(context, replace(card, ts=ts, permalink=permalink, shown_version=request.version))
        return
    context.messenger.update(card.channel, card.ts, said)
    record_shown(context, replace(card, shown_version=request.version))


def record_shown(context: Context, card: Card) -> None:
    """Stores which version of the request the card shows. If the request is newer by now, the card is due again."""
    with context.store.write() as connection:
        # The card's row first: a change of the request that is on its way then waits, and makes it due again.
        outbox.lock_card(connection, card.request_id)
        request = requests.get(connection, card.request_id)
        behind = request is not None and request.version > card.shown_version
        outbox.save_card(connection, card, context.now() if behind else None)


def record_failure(context: Context, claim: Claim, request_id: str, error: SlackError) -> Result:
    """Decides when a card that Slack rejected is tried again, and notifies the requester at the first failure."""
    now = context.now()
    with context.store.write() as connection:
        card, request = outbox.get_card(connection, request_id), requests.get(connection, request_id)
        if card is None or request is None:
            return Finished()
        match error:
            case RateLimited():
                return Failed(now + timedelta(seconds=error.retry_after_seconds or 5))
            case Unavailable():
                return Failed(now + backoff(claim.tries, CARDS_WAIT_AT_MOST))
            case Gone() if card.ts is not None:
                text = replies.card_deleted(request)
                outbox.save_card(connection, Card(request_id, card.channel, None, None, 0), None)
                outbox.add_notice(connection, Notice(Delivery.DIRECT, request.requester, text, request_id), now)
                append(connection, Event(AuditEvent.CARD_DELETED, "bot", request_id, {"code": error.code}), now)
                return Finished(now if request.is_open else None)
            case _ if claim.tries == 0:
                text = not_shown(request, error)
                outbox.add_notice(connection, Notice(Delivery.DIRECT, request.requester, text, request_id), now)
                append(connection, Event(AuditEvent.CARD_NOT_SHOWN, "bot", request_id, {"code": error.code}), now)
    return _again(request, now, error, claim.tries)


def _again(request: Request, now: datetime, error: SlackError, tries: int) -> Result:
    """When a card is tried again that Slack does not take: what has ended says so too, if it may within a day.

    Where people can mend it, the card follows soon; what Slack refuses for good it refuses until the card says else.
    """
    ended_for = now - request.ended_at if request.ended_at is not None else timedelta()
    if ended_for > SHOW_THE_END_FOR:
        return Finished()
    if not isinstance(error, ChannelUnavailable):
        return Failed(now + backoff(tries, LOOK_SLOWLY_EVERY))
    return Failed(now + (LOOK_SLOWLY_EVERY if ended_for > LOOK_SLOWLY_EVERY else LOOK_AT_CHANNEL_EVERY))


def not_shown(request: Request, error: SlackError) -> str:
    """Why a card is not up to date, and the way out."""
    match error:
        case ChannelUnavailable(code="is_archived"):
            return replies.channel_archived(request)
        case ChannelUnavailable():
            return replies.bot_not_in_channel(request)
        case _:
            return replies.card_rejected(request, error.code)


def report_bug(context: Context, claim: Claim, reference: str) -> None:
    """A card that the bot itself fails at: its requester is told, once."""
    if claim.tries > 0:
        return
    now = context.now()
    with context.store.write() as connection:
        request = requests.get(connection, str(claim.key))
        if request is not None:
            text = replies.bug_in_card(request, reference)
            outbox.add_notice(connection, Notice(Delivery.DIRECT, request.requester, text, request.id), now)
            append(connection, Event(AuditEvent.BUG, "bot", request.id, {"reference": reference}), now)
