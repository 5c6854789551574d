"""Brings cards up to the version of their request, and says so where Slack does not take one.

A card is a view of rows: whatever was missed, in a Slack outage or a kill, is repaired from them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.request.model import Request
from bot.slack import answers
from bot.slack.cards import card as card_message
from bot.slack.posting import Hindrance, PostingFault
from bot.slack.words import people
from bot.store import claims, outbox, requests, tables
from bot.store.audit import Event, append
from bot.store.claims import Claim
from bot.store.outbox import Card, Notice, Way
from bot.work.loop import Failed, Finished, Kept, Result, backoff
from bot.work.tools import Tools

# After an outage of Slack, however long, every card says within 60 s what is.
CARDS_WAIT_AT_MOST = timedelta(seconds=30)
LOOK_AT_CHANNEL_EVERY, LOOK_SLOWLY_EVERY = timedelta(seconds=10), timedelta(minutes=10)
SHOW_THE_END_FOR = timedelta(days=1)


def show_now(tools: Tools, request_id: str) -> None:
    """Shows a card whose row the caller has claimed.

    Raises:
        PostingFault, SQLAlchemyError: it could not be shown; the card's row tries again by itself.
    """
    claim = Claim(tables.cards.name, request_id, 0)
    with tools.held.holding(claim):
        try:
            _show(tools, request_id)
        except (PostingFault, SQLAlchemyError):
            with tools.store.write() as connection:
                claims.finish(connection, claim, tools.owner, tools.now() + timedelta(seconds=1))
            raise
        with tools.store.write() as connection:
            claims.release(connection, claim, tools.owner)


def work_on_card(tools: Tools, claim: Claim) -> Result:
    """One card that lags behind its request."""
    request_id = str(claim.key)
    try:
        _show(tools, request_id)
    except PostingFault as fault:
        return _hindered(tools, claim, request_id, fault)
    return Kept()


def _show(tools: Tools, request_id: str) -> None:
    with tools.store.read() as connection:
        card, request = outbox.get_card(connection, request_id), requests.get(connection, request_id)
    if card is None or request is None:
        return
    if card.shown_version >= request.version and card.ts is not None:
        _shown(tools, card)
        return
    said = card_message(request)
    if card.ts is None:
        ts = tools.posting.post(card.channel, said)
        _shown(tools, replace(card, ts=ts, shown_version=request.version))
        permalink = tools.posting.permalink(card.channel, ts)
        _shown(tools, replace(card, ts=ts, permalink=permalink, shown_version=request.version))
        return
    tools.posting.update(card.channel, card.ts, said)
    _shown(tools, replace(card, shown_version=request.version))


def _shown(tools: Tools, card: Card) -> None:
    with tools.store.write() as connection:
        # The card's row first: a change of the request that is on its way then waits, and makes it due again.
        outbox.lock_card(connection, card.request_id)
        request = requests.get(connection, card.request_id)
        behind = request is not None and request.version > card.shown_version
        outbox.card_shown(connection, card, tools.now() if behind else None)


def _hindered(tools: Tools, claim: Claim, request_id: str, fault: PostingFault) -> Result:
    now = tools.now()
    with tools.store.write() as connection:
        card, request = outbox.get_card(connection, request_id), requests.get(connection, request_id)
        if card is None or request is None:
            return Finished()
        match fault.hindrance:
            case Hindrance.SLOW_DOWN:
                return Failed(now + timedelta(seconds=fault.retry_after_seconds or 5))
            case Hindrance.UNREACHABLE:
                return Failed(now + backoff(claim.tries, CARDS_WAIT_AT_MOST))
            case Hindrance.GONE if card.ts is not None:
                text = f"The card of {request_id} was deleted. {answers.stands(request)}"
                outbox.card_shown(connection, Card(request_id, card.channel, None, None, 0), None)
                outbox.add_notice(connection, Notice(Way.DIRECT, request.requester, text, request_id), now)
                append(connection, Event("card gone", "bot", request_id, {"code": fault.code}), now)
                return Finished(now if request.is_open else None)
            case _ if claim.tries == 0:
                text = not_shown(request, fault)
                outbox.add_notice(connection, Notice(Way.DIRECT, request.requester, text, request_id), now)
                append(connection, Event("card not shown", "bot", request_id, {"code": fault.code}), now)
    return _again(request, now, fault.hindrance, claim.tries)


def _again(request: Request, now: datetime, hindrance: Hindrance, tries: int) -> Result:
    """When a card is tried again that Slack does not take: what has ended says so too, if it may within a day.

    Where people can mend it, the card follows soon; what Slack refuses for good it refuses until the card says else.
    """
    ended_for = now - request.ended_at if request.ended_at is not None else timedelta()
    if ended_for > SHOW_THE_END_FOR:
        return Finished()
    if hindrance not in (Hindrance.NOT_IN_CHANNEL, Hindrance.ARCHIVED):
        return Failed(now + backoff(tries, LOOK_SLOWLY_EVERY))
    return Failed(now + (LOOK_SLOWLY_EVERY if ended_for > LOOK_SLOWLY_EVERY else LOOK_AT_CHANNEL_EVERY))


def not_posted_yet(request: Request) -> str:
    """To whoever asked, when the card could not be posted at once."""
    return (
        f"Asked, as {request.id}, but the card is not in <#{request.channel}> yet. The bot goes on trying; if it may "
        "not write there, it tells you what to do."
    )


def not_shown(request: Request, fault: PostingFault) -> str:
    """Why a card is not up to date, and the way out."""
    channel = f"<#{request.channel}>"
    way_out = {
        Hindrance.NOT_IN_CHANNEL: f"The bot is not in {channel}. Type `/invite` with the bot's name there; the card "
        "then follows by itself.",
        Hindrance.ARCHIVED: f"{channel} is archived. Unarchive it, or set another channel in bot.toml and ask again.",
    }.get(fault.hindrance, f"Slack refuses the card in {channel} ({fault.code}). Tell whoever runs the bot.")
    return f"{answers.stands(request)} {way_out}"


def confess(tools: Tools, claim: Claim, reference: str) -> None:
    """A card that the bot itself fails at: its requester is told, once."""
    if claim.tries > 0:
        return
    now = tools.now()
    with tools.store.write() as connection:
        request = requests.get(connection, str(claim.key))
        if request is not None:
            text = f"{people([request.requester])}: the bot failed to show {request.id}. Reference {reference}."
            outbox.add_notice(connection, Notice(Way.DIRECT, request.requester, text, request.id), now)
            append(connection, Event("fault", "bot", request.id, {"reference": reference}), now)
