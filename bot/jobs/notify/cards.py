"""Posts the card of each request, and updates it to the newest version of the request.

A card is built from the request's row alone, so the next update repairs everything that was missed. If Slack refuses a
card, the requester is told why. The queue hands out the cards as Slack's rate limits allow it, the most urgent first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.audit_events import AuditEvent
from bot.domain.policy import approver_names
from bot.domain.request import Request
from bot.domain.request_record import Authenticity
from bot.domain.slack_budget import post_to
from bot.jobs.context import Context
from bot.jobs.problems import failure_to_retry
from bot.jobs.record_check import is_forged, save_not_authentic
from bot.jobs.worker import Failed, Finished, Rescheduled, Result, backoff
from bot.slack.errors import ChannelUnavailable, Gone, RateLimited, SlackError, Unavailable
from bot.store import outbox, queue, requests, slack_budget, tables
from bot.store.audit import BOT, Event, append
from bot.store.outbox import Card, Delivery, Notice
from bot.store.queue import Claim
from bot.ui import replies
from bot.ui.card import card as card_message

CHECK_CHANNEL_EVERY, CHECK_SELDOM_EVERY = timedelta(seconds=10), timedelta(minutes=10)
# How long after the end of a request its card is tried again.
TRY_ENDED_FOR = timedelta(days=1)


def post_now(context: Context, request: Request) -> None:
    """Posts the card of a request. The caller has claimed the card's row, and spent the budget of the post.

    Raises:
        SlackError, SQLAlchemyError: the card was not posted, or the posting was not stored. The row is due again.
    """
    claim = Claim(tables.cards.name, request.id, 0, slack_call=post_to(request.channel))
    with context.active_claims.holding(claim):
        try:
            _show(context, request.id)
        except (SlackError, SQLAlchemyError) as error:
            with context.store.write() as connection:
                if isinstance(error, RateLimited):
                    slack_budget.stop(connection, claim.slack_call, context.now(), error.retry_after_seconds)
                queue.finish(connection, claim, context.owner, context.now() + timedelta(seconds=1))
            raise
        with context.store.write() as connection:
            queue.release(connection, claim, context.owner)


def update_card(context: Context, claim: Claim) -> Result:
    """Posts the claimed card, or updates it to the newest version of its request."""
    try:
        _show(context, str(claim.key))
    except SlackError as error:
        return _handle_error(context, claim, error)
    return Rescheduled()


def _show(context: Context, request_id: str) -> None:
    with context.store.read() as connection:
        card, request = outbox.get_card(connection, request_id), requests.get(connection, request_id)
        if card is None or request is None:
            return
        is_changed = is_forged(connection, request)
    if is_changed:
        # Nobody may approve what a request shows that someone changed in the database.
        try:
            with context.store.write() as connection:
                request = save_not_authentic(connection, context, request, Authenticity.FORGED)
        except requests.Stale:
            return  # The other change of the request has made the card due.
    unavailable = context.people.unavailable(approver_names(request.policy))
    message = card_message(request, unavailable, failure_to_retry(request))
    if card.ts is None:
        ts = context.messenger.post(card.channel, message)
        posted = replace(card, ts=ts, shown_version=request.version)
        # Stored at once: if the process ends before, the card is posted a second time.
        _save(context, posted)
        _save(context, replace(posted, permalink=context.messenger.permalink(card.channel, ts)))
        return
    if card.shown_version < request.version:
        context.messenger.update(card.channel, card.ts, message)
        card = replace(card, shown_version=request.version)
    _save(context, card)


def _save(context: Context, card: Card) -> None:
    """Saves a card after Slack took it. The card stays due if the request was changed in the meantime."""
    with context.store.write() as connection:
        # Locked before the request is read: a later change of the request waits for this lock, then makes the card due.
        outbox.lock_card(connection, card.request_id)
        request = requests.get(connection, card.request_id)
        is_behind = request is not None and request.version > card.shown_version
        outbox.save_card(connection, card, context.now() if is_behind else None)


def _handle_error(context: Context, claim: Claim, error: SlackError) -> Result:
    """Decides when a card that Slack did not take is tried again. Tells the requester at the first failure."""
    now, request_id = context.now(), str(claim.key)
    with context.store.write() as connection:
        card, request = outbox.get_card(connection, request_id), requests.get(connection, request_id)
        if card is None or request is None:
            return Finished()
        match error:
            case RateLimited():
                return Failed(slack_budget.stop(connection, claim.slack_call, now, error.retry_after_seconds))
            case Unavailable():
                return Failed(now + backoff(claim.tries))
            case Gone() if card.ts is not None:
                # The card's row is changed before the audit chain is locked, in the same order as by a decision.
                outbox.save_card(connection, Card(request_id, card.channel, None, None, 0), None)
                _tell_requester(connection, request, replies.card_deleted(request), now)
                append(connection, Event(AuditEvent.CARD_DELETED, BOT, request_id, {"code": error.code}), now)
                return Finished(now if request.is_open else None)
            case _ if claim.tries == 0:
                _tell_requester(connection, request, _error_text(request, error), now)
                append(connection, Event(AuditEvent.CARD_NOT_SHOWN, BOT, request_id, {"code": error.code}), now)
    return _retry_result(request, now, error, claim.tries)


def _retry_result(request: Request, now: datetime, error: SlackError, tries: int) -> Result:
    """When a refused card is tried again, up to a day after the request has ended.

    People can invite the bot or unarchive the channel, so in these cases the card is tried often. Any other error stays
    until the content of the card changes.
    """
    ended_for = now - request.ended_at if request.ended_at is not None else timedelta()
    if ended_for > TRY_ENDED_FOR:
        return Finished()
    if not isinstance(error, ChannelUnavailable):
        return Failed(now + backoff(tries, CHECK_SELDOM_EVERY))
    return Failed(now + (CHECK_SELDOM_EVERY if ended_for > CHECK_SELDOM_EVERY else CHECK_CHANNEL_EVERY))


def _error_text(request: Request, error: SlackError) -> str:
    """Tells the requester why the card is not up to date, and what to do."""
    match error:
        case ChannelUnavailable(code="is_archived"):
            return replies.channel_archived(request)
        case ChannelUnavailable():
            return replies.bot_not_in_channel(request)
        case _:
            return replies.card_rejected(request, error.code)


def report_bug(context: Context, claim: Claim, reference: str) -> None:
    """Tells the requester that the bot failed at the card.

    Arguments:
        reference: the exception is in the log under this reference.
    """
    now = context.now()
    with context.store.write() as connection:
        request = requests.get(connection, str(claim.key))
        if request is not None:
            _tell_requester(connection, request, replies.bug_in_card(request, reference), now)
            append(connection, Event(AuditEvent.BUG, BOT, request.id, {"reference": reference}), now)


def _tell_requester(connection: Connection, request: Request, text: str, now: datetime) -> None:
    outbox.add_notice(connection, Notice(Delivery.DIRECT, request.requester, text, request.id), now)
