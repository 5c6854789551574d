"""The views that the bot opens: the two forms, what stands there until one is filled, and a plain word instead of one.

Pure. Opening them is left to `posting`, who gets which to `bot.work.forms`.
"""

from __future__ import annotations

from slack_sdk.models.blocks import InputBlock, PlainTextInputElement, PlainTextObject
from slack_sdk.models.views import View

from bot.request.command import MAX_REASON_CHARACTERS
from bot.request.votes import DENY_REASON_CHARACTERS
from bot.slack.message import section

REQUEST_FORM, DENY_FORM = "request_form", "deny_form"
REQUEST_TITLE, DENY_TITLE = "Resume a migration", "Deny this request"


def loading(title: str) -> View:
    """What stands there until it is known who pressed."""
    return note(title, "One moment.")


def note(title: str, text: str) -> View:
    """A word in place of a form, with nothing to send in."""
    return View(
        type="modal", title=PlainTextObject(text=title), close=PlainTextObject(text="Close"), blocks=[section(text)]
    )


def request_form() -> View:
    """Asks for a group and a reason."""
    return View(
        type="modal",
        callback_id=REQUEST_FORM,
        title=PlainTextObject(text=REQUEST_TITLE),
        submit=PlainTextObject(text="Ask"),
        close=PlainTextObject(text="Close"),
        blocks=[
            InputBlock(
                block_id="group",
                label=PlainTextObject(text="Task group id"),
                element=PlainTextInputElement(action_id="text", max_length=200),
                hint=PlainTextObject(text="The UUID of the paused group, or a link to it in the console"),
            ),
            InputBlock(
                block_id="reason",
                label=PlainTextObject(text="Reason"),
                element=PlainTextInputElement(action_id="text", max_length=MAX_REASON_CHARACTERS, multiline=True),
                optional=True,
            ),
        ],
    )


def deny_form(request_id: str, channel: str, message_ts: str) -> View:
    """Asks why, of whoever denies."""
    return View(
        type="modal",
        callback_id=DENY_FORM,
        # Untrusted on its way back: an id and where the button was, checked again as any click is.
        private_metadata=f"{request_id} {channel or '-'} {message_ts or '-'}",
        title=PlainTextObject(text=DENY_TITLE),
        submit=PlainTextObject(text="Deny"),
        close=PlainTextObject(text="Keep it open"),
        blocks=[
            section(f"Request {request_id}. Nothing will be started. The requester sees the reason."),
            InputBlock(
                block_id="reason",
                label=PlainTextObject(text="Reason"),
                element=PlainTextInputElement(action_id="text", max_length=DENY_REASON_CHARACTERS, multiline=True),
                optional=True,
            ),
        ],
    )
