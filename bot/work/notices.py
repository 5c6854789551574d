"""Sends the notices that were left for people, each once, the lines of one thread in the order in which they came.

Whose turn it is, is asked where rows are claimed. What a notice says is left to whoever leaves it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from bot.slack import answers
from bot.slack.message import context, message
from bot.slack.posting import Hindrance, PostingFault
from bot.store import claims, outbox
from bot.store.audit import BOT, Event, append_all
from bot.store.claims import Claim
from bot.store.outbox import Card, Notice, Way
from bot.work import copies
from bot.work.loop import Failed, Kept, Result, backoff
from bot.work.tools import Tools

log = logging.getLogger(__name__)

NOTICES_WAIT_FOR = timedelta(days=1)
LOOK_AT_CHANNEL_EVERY = timedelta(seconds=10)


def work_on_notice(tools: Tools, claim: Claim) -> Result:
    """One notice that was not sent yet."""
    with tools.store.read() as connection:
        notice, made_at = outbox.get_notice(connection, int(claim.key))
        card = outbox.get_card(connection, notice.request_id) if notice.request_id else None
    text = _with_link(notice, card)
    if tools.now() - made_at > NOTICES_WAIT_FOR:
        return _not_sent(tools, claim, notice, "too late")
    try:
        match notice.way:
            case Way.ANSWER:
                _answer(tools, notice.address, text)
            case Way.DIRECT:
                tools.posting.direct(notice.address, text)
            case Way.CHANNEL:
                tools.posting.post(notice.address, message(notice.text, [context(notice.text)]))
            case Way.COPY:
                copies.mark(tools.posting, notice.address, notice.text)
            case Way.THREAD if card is not None and card.ts is not None:
                tools.posting.reply(card.channel, card.ts, notice.text)
            case Way.THREAD:
                return Failed(tools.now() + backoff(claim.tries))
    except PostingFault as fault:
        if fault.hindrance is Hindrance.SLOW_DOWN:
            return Failed(tools.now() + timedelta(seconds=fault.retry_after_seconds or 5))
        if fault.hindrance is Hindrance.UNREACHABLE:
            return Failed(tools.now() + backoff(claim.tries))
        if fault.hindrance in (Hindrance.NOT_IN_CHANNEL, Hindrance.ARCHIVED) and notice.way is Way.THREAD:
            return Failed(tools.now() + LOOK_AT_CHANNEL_EVERY)
        return _not_sent(tools, claim, notice, fault.code)
    return _end(tools, claim)


def _not_sent(tools: Tools, claim: Claim, notice: Notice, code: str) -> Result:
    log.warning("a notice was not sent: %s, %s", notice.way.value, code)
    detail = {"way": notice.way.value, "code": code}
    return _end(tools, claim, Event("notice not sent", BOT, notice.request_id, detail))


def _end(tools: Tools, claim: Claim, *events: Event) -> Result:
    """Nothing more is to be done, and the address is forgotten, in one transaction: no kill comes between the two."""
    with tools.store.write() as connection:
        outbox.forget_address(connection, int(claim.key))
        claims.finish(connection, claim, tools.owner)
        if events:
            append_all(connection, events, tools.now())
    return Kept()


def _answer(tools: Tools, address: str, text: str) -> None:
    """Answers where somebody typed or pressed, or directly once that address no longer serves."""
    if not address:
        return  # Forgotten by whoever had this row before, and was done with it.
    response_url, person = address.split(" ")
    try:
        tools.posting.answer(response_url, text)
    except PostingFault as fault:
        if fault.hindrance is not Hindrance.GONE:
            raise
        tools.posting.direct(person, text)


def _with_link(notice: Notice, card: Card | None) -> str:
    """What one person alone is told about a request leads to its card, if that is there by now."""
    permalink = card.permalink if card is not None and notice.way in (Way.ANSWER, Way.DIRECT) else None
    return notice.text if permalink is None or permalink in notice.text else answers.with_link(notice.text, permalink)
