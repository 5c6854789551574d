"""The buttons of a card. Their value is a request id and nothing else; whether it may be so is looked at later."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt import Ack, App

from bot.domain.ids import is_request_id
from bot.listeners.background import open_form, say
from bot.listeners.receiver import Receiver
from bot.slack.messenger import Messenger
from bot.store.inbox import Kind, Message
from bot.ui import modals, replies

MAX_SCOPE_CHARACTERS = 150
KINDS = {
    "approve": Kind.APPROVE,
    "cancel": Kind.CANCEL,
    "withdraw": Kind.WITHDRAW,
    "scope": Kind.CHOOSE_SCOPE,
    "retry": Kind.RETRY,
    "pause": Kind.PAUSE,
}


def register(app: App, receiver: Receiver, messenger: Messenger) -> None:
    """Listens for every button."""

    def pressed(ack: Ack, body: Mapping[str, Any]) -> None:
        action = body["actions"][0]
        kind = KINDS.get(str(action.get("action_id")))
        if not receiver.is_ours(body):
            receiver.reject_foreign(body)
            say(messenger, _response_url(body), replies.FOREIGN_PAYLOAD)
        elif kind is None:
            say(messenger, _response_url(body), replies.UNKNOWN_CONTROL)
        elif not receiver.take(_message(body, kind, _request_id(action))):
            say(messenger, _response_url(body), replies.CLICK_NOT_STORED)
        ack()

    def opens(kind: Kind, title: str) -> Callable[[Ack, Mapping[str, Any]], None]:
        def open_one(ack: Ack, body: Mapping[str, Any]) -> None:
            if not receiver.is_ours(body):
                pressed(ack, body)
                return
            open_form(messenger, receiver, title, _message(body, kind, _request_id(body["actions"][0])))
            ack()

        return open_one

    app.action("deny")(opens(Kind.OPEN_DENY, modals.DENY_TITLE))
    app.action("request")(opens(Kind.OPEN_REQUEST, modals.REQUEST_TITLE))
    app.action(re.compile(".*"))(pressed)


def _request_id(action: Mapping[str, Any]) -> str:
    """A button carries the id as its value; a choice, whose value is what was chosen, in the id of its block."""
    value = str(action.get("value") or str(action.get("block_id") or "").partition(" ")[0])
    return value if is_request_id(value) else ""


def _scope(body: Mapping[str, Any]) -> str:
    """What the message showed as chosen when it was pressed."""
    for values in ((body.get("state") or {}).get("values") or {}).values():
        chosen = ((values.get("scope") or {}).get("selected_option") or {}).get("value")
        if chosen:
            return str(chosen)[:MAX_SCOPE_CHARACTERS]
    return ""


def _message(body: Mapping[str, Any], kind: Kind, request_id: str) -> Message:
    container = body.get("container") or {}
    return Message(
        kind=kind,
        key=str(body["trigger_id"]),
        person=str(body["user"]["id"]),
        team_id=str((body.get("team") or {}).get("id") or ""),
        channel=str(container.get("channel_id") or ""),
        request_id=request_id,
        message_ts=str(container.get("message_ts") or ""),
        response_url=_response_url(body),
        scope=_scope(body),
    )


def _response_url(body: Mapping[str, Any]) -> str:
    return str(body.get("response_url") or "")
