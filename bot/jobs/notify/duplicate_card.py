"""Messages that look like a card and are not: the moment that one is pressed, it is made to say so.

Slack knows no idempotency key, so a card posted in the instant of a kill may stay behind as a copy.
"""

from __future__ import annotations

from bot.domain.request import Request
from bot.slack.messenger import Messenger
from bot.store.inbox import Message
from bot.store.outbox import Card, Delivery, Notice
from bot.ui import replies
from bot.ui.blocks import context_block, slack_message


def is_duplicate(message: Message, card: Card) -> bool:
    """Whether what was pressed is another message than the card."""
    return (message.channel, message.message_ts) != (card.channel, card.ts)


def duplicate_notice(message: Message, request: Request, card: Card) -> Notice | None:
    """What makes the message that was pressed say that it is a copy."""
    if not message.channel or not message.message_ts:
        return None
    address = f"{message.channel} {message.message_ts}"
    return Notice(Delivery.DUPLICATE, address, replies.duplicate_card(request, card.permalink), request.id)


def mark_duplicate(messenger: Messenger, address: str, text: str) -> None:
    """Makes the message at an address of `copy_notice` say this, and nothing else.

    Raises:
        PostingFault: it still is as it was.
    """
    channel, ts = address.split(" ")
    messenger.update(channel, ts, slack_message(text, [context_block(text)]))
