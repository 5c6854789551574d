"""Messages that look like a card and are not: the moment that one is pressed, it is made to say so.

Slack knows no idempotency key, so a card posted in the instant of a kill may stay behind as a copy.
"""

from __future__ import annotations

from bot.request.model import Request
from bot.slack import answers
from bot.slack.headlines import headline
from bot.slack.message import context, message
from bot.slack.posting import Posting
from bot.slack.words import plain
from bot.store.inbox import Message
from bot.store.outbox import Card, Notice, Way


def is_copy(message: Message, card: Card) -> bool:
    """Whether what was pressed is another message than the card."""
    return (message.channel, message.message_ts) != (card.channel, card.ts)


def copy_notice(message: Message, request: Request, card: Card) -> Notice | None:
    """What makes the message that was pressed say that it is a copy."""
    if not message.channel or not message.message_ts:
        return None
    address = f"{message.channel} {message.message_ts}"
    return Notice(Way.COPY, address, copy_text(request, card.permalink), request.id)


def copy_text(request: Request, permalink: str | None) -> str:
    """What a message becomes that looks like the card and is not."""
    return answers.with_link(f"A copy of the card of {request.id}. {plain(headline(request), 200)}.", permalink)


def mark(posting: Posting, address: str, text: str) -> None:
    """Makes the message at an address of `copy_notice` say this, and nothing else.

    Raises:
        PostingFault: it still is as it was.
    """
    channel, ts = address.split(" ")
    posting.update(channel, ts, message(text, [context(text)]))
