"""Listens to the two forms: the request form becomes a command, the deny form becomes a denial with a reason.

`bot.ui.modals` builds the forms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from slack_bolt import Ack, App, BoltResponse

from bot.domain.command import InvalidCommand, ResumeGroups, resume_groups
from bot.domain.ids import parse_group_id, parse_typed_group_id
from bot.listeners.payloads import MalformedPayload, Payload, form_choice, form_text, text_at, to_message
from bot.listeners.receiver import Receiver
from bot.store.inbox import Kind
from bot.ui import replies, usage
from bot.ui.modals import DENY_FORM, REQUEST_FORM

NO_GROUP = "Pick a group or type its id."
TWO_GROUPS = "Pick a group or type an id, not both."
NOT_A_GROUP_ID = "This isn't a task group id. An id looks like 00878453-3402-4a86-9e2a-5d5217cd35b2."
FORM_NOT_STORED = "The bot couldn't save this form. Nothing changed. Please press the button again."

# The block of each form that shows errors about the whole form.
_ERROR_BLOCKS = {REQUEST_FORM: "group", DENY_FORM: "reason"}


def register(app: App, receiver: Receiver) -> None:
    """Registers listeners for the two forms, and for any other form that is submitted or closed."""
    app.view(REQUEST_FORM)(partial(submit_request, receiver))
    app.view(DENY_FORM)(partial(submit_denial, receiver))
    app.view_submission(re.compile(".*"))(close_unknown_form)
    app.view_closed(re.compile(".*"))(acknowledge_closing)


def submit_request(receiver: Receiver, ack: Ack, body: Payload) -> None:
    """Stores the values of the request form as a command, or shows their errors in the form."""
    command = parse_request_form(body)
    if not isinstance(command, ResumeGroups):
        ack(response_action="errors", errors=dict(command))
    elif receiver.accept(to_message(body, Kind.CREATE_REQUEST, command)):
        ack()
    else:
        ack_with_error(ack, body, FORM_NOT_STORED)


def submit_denial(receiver: Receiver, ack: Ack, body: Payload) -> None:
    """Stores a denial."""
    message = to_message(body, Kind.DENY)
    if isinstance(message, MalformedPayload):
        # The bot puts a request id into every deny form, so another app has made this one.
        receiver.reject(body)
        ack_with_error(ack, body, replies.FOREIGN_PAYLOAD)
    elif receiver.accept(message):
        ack()
    else:
        ack_with_error(ack, body, FORM_NOT_STORED)


def close_unknown_form(ack: Ack) -> None:
    """Closes a submitted form that this version of the bot does not have."""
    ack(response_action="clear")


def acknowledge_closing(ack: Ack) -> None:
    """Acknowledges that a form was closed without being submitted."""
    ack()


def ack_with_error(ack: Ack, body: Payload, text: str) -> BoltResponse:
    """Acknowledges a submitted form and shows an error in it, or closes the form if the bot does not know it."""
    block_id = _ERROR_BLOCKS.get(text_at(body, "view", "callback_id"))
    if block_id is None:
        return ack(response_action="clear")
    return ack(response_action="errors", errors={block_id: text})


def parse_request_form(body: Payload) -> ResumeGroups | Mapping[str, str]:
    """Parses the submitted request form. It has a group that is picked or an id that is typed, not both.

    Returns:
        The command, or error messages by block id.
    """
    typed = form_text(body, "group").strip()
    picked_project, _, picked_group = form_choice(body, "pick").partition(" ")
    if typed and picked_group:
        return {"group": TWO_GROUPS}
    group_id = parse_typed_group_id(typed) if typed else parse_group_id(picked_group)
    if group_id is None:
        return {"group": NOT_A_GROUP_ID if typed else NO_GROUP}
    project = form_choice(body, "project")
    if not typed:
        if project not in ("", picked_project):
            return {"project": f"The picked group is in project {picked_project}."}
        project = picked_project
    reason = " ".join(form_text(body, "reason").split())
    command = resume_groups((group_id,), reason, project or None, form_choice(body, "at") or None)
    if isinstance(command, InvalidCommand):
        return {"reason": usage.invalid_reason(command)}
    return command
