"""What people do in the workspace: type a command, press a button, send in a form. Payloads as Slack makes them.

Callable from any thread; each waits for the bot's ack and shows it to the person as Slack would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bot.sandbox.slack import world as w
from bot.sandbox.slack.server import Ack, SlackStandIn
from bot.sandbox.slack.world import Json, Posted, Private

T = TypeVar("T")


class Acting:
    """People's hands."""

    def __init__(self, slack: SlackStandIn, command: str = "/resume-taskgroup") -> None:
        self.slack = slack
        self._command = command

    def type(self, person: str, text: str, channel: str = w.MIGRATIONS, **forged: Any) -> Ack:
        """Types the command with this text."""
        return self._wait(self.type_async(person, text, channel, **forged))

    def press(self, person: str, posted: Posted, action_id: str, **forged: Any) -> Ack:
        """Presses a button of a message (its dialog, if any, confirmed)."""
        return self._wait(self.press_async(person, posted, action_id, **forged))

    def submit(self, person: str, view_id: str, values: dict[str, str]) -> Ack:
        """Sends in a form."""
        return self._wait(self.submit_async(person, view_id, values))

    def form_of(self, person: str) -> str | None:
        """The form that stands open before a person: its view id."""
        found = [view.id for view in self.slack.workspace.views.values() if view.person == person]
        return found[-1] if found else None

    async def type_async(self, person: str, text: str, channel: str, **forged: Any) -> Ack:
        workspace = self.slack.workspace
        payload = {
            "token": "legacy",
            "team_id": w.TEAM_ID,
            "team_domain": "sandbox",
            "channel_id": channel,
            "channel_name": workspace.channels[channel].name,
            "user_id": person,
            "user_name": workspace.users[person]["name"],
            "command": self._command,
            "text": text,
            "api_app_id": w.APP_ID,
            "is_enterprise_install": "false",
            "response_url": self.slack.answer_url(person, channel),
            "trigger_id": workspace.new_trigger(person),
        } | forged
        ack = await self.slack.deliver("slash_commands", payload, person, channel)
        self._show(person, channel, ack)
        return ack

    async def press_async(self, person: str, posted: Posted, action_id: str, **forged: Any) -> Ack:
        workspace = self.slack.workspace
        button, block_id = _button(posted, action_id)
        payload = {
            "type": "block_actions",
            "team": {"id": w.TEAM_ID, "domain": "sandbox"},
            "enterprise": None,
            "is_enterprise_install": False,
            "user": {"id": person, "username": workspace.users[person]["name"], "team_id": w.TEAM_ID},
            "api_app_id": w.APP_ID,
            "token": "legacy",
            "container": {
                "type": "message",
                "message_ts": posted.ts,
                "channel_id": posted.channel,
                "is_ephemeral": False,
            },
            "trigger_id": workspace.new_trigger(person),
            "channel": {"id": posted.channel, "name": workspace.channels[posted.channel].name},
            "message": {"ts": posted.ts, "text": posted.text, "blocks": posted.blocks, "user": posted.user},
            "state": {"values": {}},
            "response_url": self.slack.answer_url(person, posted.channel),
            "actions": [
                {
                    "type": "button",
                    "action_id": action_id,
                    "block_id": block_id,
                    "text": button.get("text"),
                    "value": button.get("value"),
                    "action_ts": posted.ts,
                }
            ],
        } | forged
        return await self.slack.deliver("interactive", payload, person, posted.channel)

    async def submit_async(self, person: str, view_id: str, values: dict[str, str]) -> Ack:
        workspace = self.slack.workspace
        opened = workspace.views[view_id]
        payload = {
            "type": "view_submission",
            "team": {"id": w.TEAM_ID, "domain": "sandbox"},
            "user": {"id": person, "username": workspace.users[person]["name"], "team_id": w.TEAM_ID},
            "api_app_id": w.APP_ID,
            "token": "legacy",
            "trigger_id": workspace.new_trigger(person),
            "view": opened.view
            | {
                "id": view_id,
                "team_id": w.TEAM_ID,
                "app_id": w.APP_ID,
                "state": {
                    "values": {
                        block: {"text": {"type": "plain_text_input", "value": value or None}}
                        for block, value in values.items()
                    }
                },
            },
            "response_urls": [],
        }
        ack = await self.slack.deliver("interactive", payload, person, w.MIGRATIONS)
        if ack.failure is None and (ack.payload or {}).get("response_action") != "errors":
            workspace.views.pop(view_id, None)
        return ack

    def _show(self, person: str, channel: str, ack: Ack) -> None:
        text = _text_of(ack.payload)
        if text:
            workspace = self.slack.workspace
            workspace.privates.append(Private(person, channel, text, workspace.now()))

    def _wait(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self.slack.server.loop).result(timeout=10)


def _text_of(payload: Json | None) -> str:
    if isinstance(payload, str):
        return payload
    return str((payload or {}).get("text") or "")


def _button(posted: Posted, action_id: str) -> tuple[Json, str]:
    for block in posted.blocks:
        for element in block.get("elements") or []:
            if element.get("action_id") == action_id:
                return element, str(block.get("block_id") or "")
    raise LookupError(f"the message has no button {action_id}")
