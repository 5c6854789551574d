"""What happens beside an ack, which waits for none of it: a word to one person, and a form that opens.

It changes nothing, so nothing is lost where the bot is killed meanwhile. What a form looks like is left to
`bot.ui.modals`.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from bot.listeners.receiver import Receiver
from bot.slack.errors import SlackError
from bot.slack.messenger import Messenger
from bot.store.inbox import Message
from bot.ui import modals, replies


def say(messenger: Messenger, response_url: str, text: str) -> None:
    """Tells whoever pressed or typed."""
    threading.Thread(target=_say, args=(messenger, response_url, text), name="beside", daemon=True).start()


def open_form(messenger: Messenger, receiver: Receiver, title: str, message: Message) -> None:
    """Opens a view at once and has it filled by those who know whether this person gets the form.

    Arguments:
        message: who pressed or typed, with Slack's `trigger_id` as its key.
    """
    threading.Thread(target=_open_form, args=(messenger, receiver, title, message), name="beside", daemon=True).start()


def _say(messenger: Messenger, response_url: str, text: str) -> None:
    try:
        messenger.answer(response_url, text)
    except SlackError:
        return  # Nothing was changed, and there is no other way to say so to this one person.


def _open_form(messenger: Messenger, receiver: Receiver, title: str, message: Message) -> None:
    try:
        view_id = messenger.open_view(message.key, modals.loading(title))
        if not receiver.take(replace(message, view_id=view_id)):
            messenger.update_view(view_id, modals.note(title, replies.FORM_NOT_STORED))
    except SlackError as fault:
        # The same press delivered twice has its view already.
        if fault.code != "exchanged_trigger_id":
            _say(messenger, message.response_url, replies.FORM_DID_NOT_OPEN)
