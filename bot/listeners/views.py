"""The two forms as they are sent in: asking without typing, and denying with a reason.

What they look like is in `bot.ui.modals`; that one opens is left to `beside`.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App

from bot.domain.command import InvalidCommand, parse
from bot.domain.ids import is_request_id, parse_group_id, parse_typed_group_id
from bot.listeners.receiver import Receiver
from bot.store.inbox import Kind, Message
from bot.ui import replies
from bot.ui.modals import DENY_FORM, REQUEST_FORM

NO_GROUP = "Pick a task group, or type its id."
NOT_A_GROUP_ID = "This is not a task group id: one looks like 00878453-3402-4a86-9e2a-5d5217cd35b2."


def register(app: App, receiver: Receiver, command: str) -> None:
    """Listens for both forms."""

    def asked(ack: Ack, body: Mapping[str, Any]) -> None:
        if not receiver.is_ours(body):
            receiver.reject_foreign(body)
            ack(response_action="errors", errors={"group": replies.FOREIGN_PAYLOAD})
            return
        typed, reason = _typed(body, "group").strip(), " ".join(_typed(body, "reason").split())
        project, _, picked = _selected(body, "pick").partition(" ")
        chosen, at = _selected(body, "project"), _selected(body, "at")
        group_id = parse_typed_group_id(typed) if typed else parse_group_id(picked)
        if group_id is None:
            ack(response_action="errors", errors={"group": NOT_A_GROUP_ID if typed else NO_GROUP})
            return
        if typed:
            project = chosen
        elif chosen not in ("", project):
            ack(response_action="errors", errors={"project": f"The group that is picked is in {project}."})
            return
        where, when = f" project={project}" if project else "", f" at={at}" if at else ""
        text = f"{group_id}{where}{when} {html.escape(reason, quote=False)}".strip()
        understood = parse(text, command)
        if isinstance(understood, InvalidCommand):
            ack(response_action="errors", errors={"reason": understood.sentence.replace("`", "")})
            return
        if receiver.take(_message(body, Kind.CREATE_REQUEST, text=text)):
            ack()
        else:
            ack(response_action="errors", errors={"group": "Not taken, please press again. It was not written down."})

    def denied(ack: Ack, body: Mapping[str, Any]) -> None:
        words = str(body["view"].get("private_metadata") or "").split(" ")
        if not receiver.is_ours(body) or len(words) != 3 or not is_request_id(words[0]):
            receiver.reject_foreign(body)
            ack(response_action="errors", errors={"reason": replies.FOREIGN_PAYLOAD})
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
        if receiver.take(message):
            ack()
        else:
            ack(response_action="errors", errors={"reason": "Not taken, please press again. It was not written down."})

    app.view(REQUEST_FORM)(asked)
    app.view(DENY_FORM)(denied)


def _typed(body: Mapping[str, Any], block_id: str) -> str:
    state = body["view"].get("state") or {}
    return str(((state.get("values") or {}).get(block_id) or {}).get("text", {}).get("value") or "")


def _selected(body: Mapping[str, Any], name: str) -> str:
    """What was picked of a list or a clock."""
    state = body["view"].get("state") or {}
    picked = ((state.get("values") or {}).get(name) or {}).get(name) or {}
    return str(picked.get("selected_time") or (picked.get("selected_option") or {}).get("value") or "")


def _message(body: Mapping[str, Any], kind: Kind, **more: str) -> Message:
    return Message(
        kind=kind,
        key=str(body["view"]["id"]),
        press=str(body.get("trigger_id") or ""),
        person=str(body["user"]["id"]),
        team_id=str(body["team"]["id"]),
        **more,
    )
