"""Recognizes a duplicate of a card when someone presses a button on it, and replaces it with a line that says so.

chat.postMessage has no idempotency key: if the process ends after Slack posted a card and before the bot stored its
`ts`, the card is posted again.
"""

from __future__ import annotations

from bot.domain.request import Request
from bot.slack.messenger import Messenger
from bot.store.inbox import Message
from bot.store.outbox import Card, Delivery, Notice
from bot.ui import replies
from bot.ui.blocks import context_block, slack_message


def is_duplicate(message: Message, card: Card) -> bool:
    """Whether the button was pressed on a message other than the card."""
    return (message.channel, message.message_ts) != (card.channel, card.ts)


def duplicate_notice(message: Message, request: Request, card: Card) -> Notice | None:
    """The notice that replaces the duplicate; None if its channel or `ts` is not known."""
    if not message.channel or not message.message_ts:
        return None
    address = f"{message.channel} {message.message_ts}"
    return Notice(Delivery.DUPLICATE, address, replies.duplicate_card(request, card.permalink), request.id)


def replace_duplicate(messenger: Messenger, address: str, text: str) -> None:
    """Replaces a duplicate by a text.

    Arguments:
        address: of the duplicate, as in `duplicate_notice`.

    Raises:
        SlackError: the duplicate may be unchanged.
    """
    channel, ts = address.split(" ")
    messenger.update(channel, ts, slack_message(text, [context_block(text)]))
