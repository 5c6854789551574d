"""User actions in the workspace: type a command, press a button, choose an option, submit a modal, open App Home.

Each can be called from any thread. It waits for the app's ack, and shows the answer to the person as Slack does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from bot.sandbox.slack import payloads
from bot.sandbox.slack.checks import problems_of_view
from bot.sandbox.slack.elements import WITH_OPTIONS, elements_of, option
from bot.sandbox.slack.ids import MIGRATIONS
from bot.sandbox.slack.server import Ack, SlackStandIn
from bot.sandbox.slack.workspace import EphemeralMessage, Json, OpenView, PostedMessage

T = TypeVar("T")
# Where a person acts, in Slack's term: a message, a modal, or App Home.
Surface = PostedMessage | EphemeralMessage | OpenView


class UserActions:
    """What people can do in the workspace.

    `forged` replaces fields of the payload that Slack would send.
    """

    def __init__(self, slack: SlackStandIn, command: str = "/resume-taskgroup") -> None:
        self.slack = slack
        self._command = command

    def type(self, person: str, text: str, channel: str = MIGRATIONS, **forged: Any) -> Ack:
        """Types the slash command with this text."""
        return self._wait(self.type_async(person, text, channel, **forged))

    def press(self, person: str, surface: Surface, action_id: str, value: str | None = None, **forged: Any) -> Ack:
        """Presses a button, and confirms its dialog if it has one.

        Arguments:
            value: the value of the button, needed if several have the same action id.

        Raises:
            LookupError: there is no such button.
        """
        return self._wait(self.press_async(person, surface, action_id, value, **forged))

    def choose(self, person: str, surface: Surface, action_id: str, value: str, **forged: Any) -> Ack:
        """Chooses the option with this value in a select or in radio buttons.

        Raises:
            LookupError: there is no such option.
        """
        return self._wait(self.choose_async(person, surface, action_id, value, **forged))

    def submit(self, person: str, view_id: str, values: Mapping[str, str | None]) -> Ack:
        """Submits a modal.

        Arguments:
            values: by block id, what is typed or the value of the option that is chosen. Other inputs keep their
                values.

        Raises:
            LookupError: the modal has no such input, or the input has no such option.
        """
        return self._wait(self.submit_async(person, view_id, values))

    def open_home(self, person: str) -> Ack:
        """Opens the bot's App Home."""
        return self._wait(self.open_home_async(person))

    def open_view_id(self, person: str) -> str | None:
        """The id of the modal that a person has open."""
        found = [view.id for view in tuple(self.slack.workspace.views.values()) if view.person == person]
        return found[-1] if found else None

    def home_view(self, person: str) -> OpenView | None:
        """The App Home of a person, if the bot has published it."""
        return self.slack.workspace.homes.get(person)

    async def type_async(self, person: str, text: str, channel: str, **forged: Any) -> Ack:
        workspace = self.slack.workspace
        response_url = self.slack.response_url(person, channel)
        payload = payloads.command(workspace, person, channel, self._command, text, response_url) | forged
        ack = await self.slack.deliver("slash_commands", payload, person, channel)
        self._show(person, channel, ack)
        return ack

    async def press_async(
        self, person: str, surface: Surface, action_id: str, value: str | None = None, **forged: Any
    ) -> Ack:
        block_id, button = _element(surface, action_id, value)
        action = {"text": button.get("text"), "value": button.get("value")}
        return await self._act(person, surface, block_id, button, action, forged)

    async def choose_async(self, person: str, surface: Surface, action_id: str, value: str, **forged: Any) -> Ack:
        block_id, element = _element(surface, action_id)
        if element["type"] not in WITH_OPTIONS:
            raise LookupError(f"{action_id} has no options")
        chosen = option(element, value)
        _choices(surface, person)[block_id, action_id] = value
        if _is_silent(surface, block_id):
            return Ack(None)
        return await self._act(person, surface, block_id, element, {"selected_option": chosen}, forged)

    async def submit_async(self, person: str, view_id: str, values: Mapping[str, str | None]) -> Ack:
        workspace = self.slack.workspace
        opened = workspace.views[view_id]
        inputs = {block["block_id"]: block["element"] for block in opened.view["blocks"] if block["type"] == "input"}
        for block_id, value in values.items():
            if block_id not in inputs:
                raise LookupError(f"the modal has no input {block_id}")
            element = inputs[block_id]
            if value and element["type"] in WITH_OPTIONS:
                option(element, value)
            opened.choices[block_id, element["action_id"]] = value or ""
        payload = payloads.submission(workspace, person, opened)
        ack = await self.slack.deliver("interactive", payload, person, MIGRATIONS)
        return ack if ack.failure is not None else self._apply_response(opened, ack)

    async def open_home_async(self, person: str) -> Ack:
        return await self.slack.deliver_event(payloads.home_opened(self.slack.workspace, person))

    async def _act(
        self, person: str, surface: Surface, block_id: str, element: Json, action: Json, forged: Json
    ) -> Ack:
        workspace = self.slack.workspace
        described = {"type": element["type"], "action_id": element["action_id"], "block_id": block_id} | action
        if isinstance(surface, OpenView):
            payload = payloads.action_in_view(workspace, person, surface, described)
            return await self.slack.deliver("interactive", payload | forged, person, MIGRATIONS)
        response_url = self.slack.response_url(person, surface.channel)
        payload = payloads.action_in_message(workspace, person, surface, described, response_url)
        return await self.slack.deliver("interactive", payload | forged, person, surface.channel)

    def _apply_response(self, opened: OpenView, ack: Ack) -> Ack:
        """Closes a submitted modal, unless the app answers with errors or another view."""
        response = ack.payload if isinstance(ack.payload, dict) else {}
        match response.get("response_action"):
            case "errors":
                pass
            case "update":
                if problems_of_view(response.get("view")):
                    return Ack(None, "the view is not valid")
                self.slack.workspace.change_view(opened, response["view"])
            case _:
                self.slack.workspace.views.pop(opened.id, None)
        return ack

    def _show(self, person: str, channel: str, ack: Ack) -> None:
        text = _text_of(ack.payload)
        if text:
            self.slack.workspace.show_ephemeral(person, channel, text)

    def _wait(self, action: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(action, self.slack.server.loop).result(timeout=10)


def _text_of(payload: Json | str | None) -> str:
    if isinstance(payload, str):
        return payload
    return str((payload or {}).get("text") or "")


def _blocks(surface: Surface) -> list[Json]:
    return list(surface.view["blocks"]) if isinstance(surface, OpenView) else surface.blocks


def _choices(surface: Surface, person: str) -> dict[tuple[str, str], str]:
    match surface:
        case PostedMessage():
            return surface.choices.setdefault(person, {})
        case OpenView():
            return surface.choices
        case EphemeralMessage():
            return {}


def _element(surface: Surface, action_id: str, value: str | None = None) -> tuple[str, Json]:
    for block_id, element in elements_of(_blocks(surface)):
        if element.get("action_id") == action_id and value in (None, element.get("value")):
            return block_id, element
    raise LookupError(f"there is no element {action_id}")


def _is_silent(surface: Surface, block_id: str) -> bool:
    """Whether a choice in this block is not delivered: it is an input without `dispatch_action`."""
    block = next(block for block in _blocks(surface) if block.get("block_id") == block_id)
    return block["type"] == "input" and not block.get("dispatch_action")
