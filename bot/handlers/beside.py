"""What happens beside an ack, which waits for none of it: a word to one person, and a form that opens.

It changes nothing, so nothing is lost where the bot is killed meanwhile. What a form looks like is left to
`bot.slack.views`.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from bot.handlers.door import Door
from bot.slack import answers, views
from bot.slack.posting import Posting, PostingFault
from bot.store.inbox import Message


def say(posting: Posting, response_url: str, text: str) -> None:
    """Tells whoever pressed or typed."""
    threading.Thread(target=_say, args=(posting, response_url, text), name="beside", daemon=True).start()


def open_form(posting: Posting, door: Door, title: str, message: Message) -> None:
    """Opens a view at once and has it filled by those who know whether this person gets the form.

    Arguments:
        message: who pressed or typed, with Slack's `trigger_id` as its key.
    """
    threading.Thread(target=_open_form, args=(posting, door, title, message), name="beside", daemon=True).start()


def _say(posting: Posting, response_url: str, text: str) -> None:
    try:
        posting.answer(response_url, text)
    except PostingFault:
        return  # Nothing was changed, and there is no other way to say so to this one person.


def _open_form(posting: Posting, door: Door, title: str, message: Message) -> None:
    try:
        view_id = posting.open_view(message.key, views.loading(title))
        if not door.take(replace(message, view_id=view_id)):
            posting.update_view(view_id, views.note(title, answers.FORM_NOT_TAKEN))
    except PostingFault as fault:
        # The same press delivered twice has its view already.
        if fault.code != "exchanged_trigger_id":
            _say(posting, message.response_url, answers.FORM_DID_NOT_OPEN)
