"""The two forms: asking without typing, and denying with a reason. Opening one changes nothing."""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.models.blocks import InputBlock, PlainTextInputElement, PlainTextObject, SectionBlock
from slack_sdk.models.views import View

from bot.handlers.door import Door
from bot.request.command import MAX_REASON_CHARACTERS, NotUnderstood, parse
from bot.request.ids import as_group_id, group_id_in_url, is_request_id
from bot.request.votes import DENY_REASON_CHARACTERS
from bot.slack import answers
from bot.store.inbox import Kind, Message

log = logging.getLogger(__name__)

REQUEST_FORM = "request_form"
DENY_FORM = "deny_form"
NOT_A_GROUP_ID = "This is not a task group id: one looks like 00878453-3402-4a86-9e2a-5d5217cd35b2."


def open_request_form(client: WebClient, trigger_id: str) -> None:
    """Asks for a group and a reason."""
    _open(
        client,
        trigger_id,
        View(
            type="modal",
            callback_id=REQUEST_FORM,
            title=PlainTextObject(text="Resume a migration"),
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
        ),
    )


def open_deny_form(client: WebClient, trigger_id: str, request_id: str, channel: str, message_ts: str) -> None:
    """Asks why, of whoever denies."""
    _open(
        client,
        trigger_id,
        View(
            type="modal",
            callback_id=DENY_FORM,
            # Untrusted on its way back: an id and where the button was, checked again as any click is.
            private_metadata=f"{request_id} {channel} {message_ts}",
            title=PlainTextObject(text="Deny this request"),
            submit=PlainTextObject(text="Deny"),
            close=PlainTextObject(text="Keep it open"),
            blocks=[
                SectionBlock(text=f"Request {request_id}. Nothing will be started. The requester sees the reason."),
                InputBlock(
                    block_id="reason",
                    label=PlainTextObject(text="Reason"),
                    element=PlainTextInputElement(action_id="text", max_length=DENY_REASON_CHARACTERS, multiline=True),
                    optional=True,
                ),
            ],
        ),
    )


def register(app: App, door: Door, command: str) -> None:
    """Listens for both forms."""

    def asked(ack: Ack, body: Mapping[str, Any]) -> None:
        if not door.is_ours(body):
            ack(response_action="errors", errors={"group": answers.NOT_OURS})
            return
        group, reason = _typed(body, "group").strip(), " ".join(_typed(body, "reason").split())
        group_id = as_group_id(group) or group_id_in_url(group)
        if group_id is None:
            ack(response_action="errors", errors={"group": NOT_A_GROUP_ID})
            return
        text = f"{group_id} {html.escape(reason, quote=False)}".strip()
        understood = parse(text, command)
        if isinstance(understood, NotUnderstood):
            ack(response_action="errors", errors={"reason": understood.sentence.replace("`", "")})
            return
        if door.take(_message(body, Kind.ASK, text=text)):
            ack()
        else:
            ack(response_action="errors", errors={"group": "Not taken, please press again. It was not written down."})

    def denied(ack: Ack, body: Mapping[str, Any]) -> None:
        words = str(body["view"].get("private_metadata") or "").split(" ")
        if not door.is_ours(body) or len(words) != 3 or not is_request_id(words[0]):
            ack(response_action="errors", errors={"reason": answers.NOT_OURS})
            return
        request_id, channel, message_ts = words
        message = _message(
            body,
            Kind.DENY,
            text=_typed(body, "reason").strip(),
            request_id=request_id,
            channel=channel,
            message_ts=message_ts,
        )
        if door.take(message):
            ack()
        else:
            ack(response_action="errors", errors={"reason": "Not taken, please press again. It was not written down."})

    app.view(REQUEST_FORM)(asked)
    app.view(DENY_FORM)(denied)


def _open(client: WebClient, trigger_id: str, view: View) -> None:
    try:
        client.views_open(trigger_id=trigger_id, view=view)
    except (SlackClientError, OSError) as error:
        # Slack itself shows whoever pressed that nothing opened; there is nothing to undo.
        log.warning("a form did not open: %s", type(error).__name__)


def _typed(body: Mapping[str, Any], block_id: str) -> str:
    state = body["view"].get("state") or {}
    return str(((state.get("values") or {}).get(block_id) or {}).get("text", {}).get("value") or "")


def _message(body: Mapping[str, Any], kind: Kind, **more: str) -> Message:
    return Message(
        kind=kind,
        key=str(body["view"]["id"]),
        person=str(body["user"]["id"]),
        team_id=str(body["team"]["id"]),
        **more,
    )
