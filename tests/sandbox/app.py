"""A Slack app that records what it receives, on the real Socket Mode client of slack_sdk."""

from __future__ import annotations

import asyncio
from typing import Any

from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.sandbox.slack.ids import APP_TOKEN, BOT_TOKEN
from bot.sandbox.slack.server import SlackStandIn


def option(value: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": value.upper()}, "value": value}


def text(words: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": words}


SCOPE = {"type": "radio_buttons", "action_id": "scope", "options": [option("all"), option("failed")]}
GROUP = {
    "type": "static_select",
    "action_id": "group",
    "option_groups": [{"label": text("media"), "options": [option("g1"), option("g2")]}],
    "initial_option": option("g1"),
}
BUTTON = {"type": "button", "action_id": "approve", "text": text("Approve"), "value": "R-1"}
CARD = [{"type": "actions", "block_id": "decide", "elements": [BUTTON, SCOPE, GROUP]}]
FORM = {
    "type": "modal",
    "callback_id": "request_form",
    "private_metadata": "m",
    "title": text("Form"),
    "submit": text("Ask"),
    "blocks": [
        {"type": "input", "block_id": "which", "label": text("Group"), "element": GROUP, "dispatch_action": True},
        {"type": "input", "block_id": "scope", "label": text("Scope"), "element": SCOPE},
        {
            "type": "input",
            "block_id": "reason",
            "label": text("Reason"),
            "optional": True,
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
    ],
}
HOME = {"type": "home", "blocks": CARD}


class App:
    """Records every request, and acknowledges it with `answer`.

    While `is_silent` is set, it does not acknowledge.
    """

    def __init__(self, slack: SlackStandIn) -> None:
        self._slack = slack
        self.web = WebClient(token=BOT_TOKEN, base_url=slack.api_url, retry_handlers=[])
        self.requests: list[SocketModeRequest] = []
        self.answer: dict[str, Any] | None = None
        self.is_silent = False
        self._socket = SocketModeClient(app_token=APP_TOKEN, web_client=self.web)
        self._socket.socket_mode_request_listeners.append(self._record)
        self._socket.connect()

    def _record(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        self.requests.append(request)
        if self.is_silent:
            return
        client.send_socket_mode_response(SocketModeResponse(request.envelope_id, self.answer))

    @property
    def last(self) -> dict[str, Any]:
        """The payload of the newest request."""
        return self.requests[-1].payload

    def close(self) -> None:
        # Unless the server closes the connection first, the client waits for 3 s.
        self._socket.auto_reconnect_enabled = False
        asyncio.run_coroutine_threadsafe(self._slack.drop_connections(), self._slack.server.loop).result(timeout=5)
        self._socket.close()
