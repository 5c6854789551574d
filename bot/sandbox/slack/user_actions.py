"""What people do in the workspace: type a command, press a button, choose, send in a form, open App Home.

Callable from any thread; each waits for the bot's ack and shows it to the person as Slack would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from bot.sandbox.slack import payloads
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.checks import problems_of_view
from bot.sandbox.slack.elements import CHOOSABLE, elements_of, option
from bot.sandbox.slack.server import Ack, SlackStandIn
from bot.sandbox.slack.workspace import Json, OpenView, Posted, Private

T = TypeVar("T")
Place = Posted | OpenView


class UserActions:
    """People's hands. A place is a message, a form, or App Home."""

    def __init__(self, slack: SlackStandIn, command: str = "/resume-taskgroup") -> None:
        self.slack = slack
        self._command = command

    def type(self, person: str, text: str, channel: str = w.MIGRATIONS, **forged: Any) -> Ack:
        """Types the command with this text."""
        return self._wait(self.type_async(person, text, channel, **forged))

    def press(self, person: str, place: Place, action_id: str, value: str | None = None, **forged: Any) -> Ack:
        """Presses a button (its dialog, if any, confirmed).

        Arguments:
            value: the button's, where several have the same action.

        Raises:
            LookupError: there is no such button.
        """
        return self._wait(self.press_async(person, place, action_id, value, **forged))

    def choose(self, person: str, place: Place, action_id: str, value: str, **forged: Any) -> Ack:
        """Chooses the option with this value in a select or in radio buttons.

        Raises:
            LookupError: it is not offered there.
        """
        return self._wait(self.choose_async(person, place, action_id, value, **forged))

    def submit(self, person: str, view_id: str, values: Mapping[str, str | None]) -> Ack:
        """Sends in a form.

        Arguments:
            values: by block id: what is typed, or the value of the option that is chosen. What is left out stays
                as it is.

        Raises:
            LookupError: the form has no such input, or it does not offer that option.
        """
        return self._wait(self.submit_async(person, view_id, values))

    def open_home(self, person: str) -> Ack:
        """Opens the bot's App Home."""
        return self._wait(self.open_home_async(person))

    def form_of(self, person: str) -> str | None:
        """The form that stands open before a person: its view id."""
        found = [view.id for view in tuple(self.slack.workspace.views.values()) if view.person == person]
        return found[-1] if found else None

    def home_of(self, person: str) -> OpenView | None:
        """The App Home of a person, where the bot has published one."""
        return self.slack.workspace.homes.get(person)

    async def type_async(self, person: str, text: str, channel: str, **forged: Any) -> Ack:
        workspace = self.slack.workspace
        answer_url = self.slack.answer_url(person, channel)
        payload = payloads.command(workspace, person, channel, self._command, text, answer_url) | forged
        ack = await self.slack.deliver("slash_commands", payload, person, channel)
        self._show(person, channel, ack)
        return ack

    async def press_async(
        self, person: str, place: Place, action_id: str, value: str | None = None, **forged: Any
    ) -> Ack:
        block_id, button = _element(place, action_id, value)
        action = {"text": button.get("text"), "value": button.get("value")}
        return await self._act(person, place, block_id, button, action, forged)

    async def choose_async(self, person: str, place: Place, action_id: str, value: str, **forged: Any) -> Ack:
        block_id, element = _element(place, action_id)
        if element["type"] not in CHOOSABLE:
            raise LookupError(f"nothing can be chosen in {action_id}")
        chosen = option(element, value)
        _choices(place, person)[block_id, action_id] = value
        if _is_silent(place, block_id):
            return Ack(None)
        return await self._act(person, place, block_id, element, {"selected_option": chosen}, forged)

    async def submit_async(self, person: str, view_id: str, values: Mapping[str, str | None]) -> Ack:
        workspace = self.slack.workspace
        opened = workspace.views[view_id]
        inputs = {block["block_id"]: block["element"] for block in opened.view["blocks"] if block["type"] == "input"}
        for block_id, value in values.items():
            if block_id not in inputs:
                raise LookupError(f"the form has no input {block_id}")
            element = inputs[block_id]
            if value and element["type"] in CHOOSABLE:
                option(element, value)
            opened.choices[block_id, element["action_id"]] = value or ""
        payload = payloads.submission(workspace, person, opened)
        ack = await self.slack.deliver("interactive", payload, person, w.MIGRATIONS)
        return ack if ack.failure is not None else self._answered(opened, ack)

    async def open_home_async(self, person: str) -> Ack:
        return await self.slack.deliver_event(payloads.home_opened(self.slack.workspace, person))

    async def _act(self, person: str, place: Place, block_id: str, element: Json, action: Json, forged: Json) -> Ack:
        workspace = self.slack.workspace
        said = {"type": element["type"], "action_id": element["action_id"], "block_id": block_id} | action
        if isinstance(place, OpenView):
            payload = payloads.action_in_view(workspace, person, place, said)
            return await self.slack.deliver("interactive", payload | forged, person, w.MIGRATIONS)
        answer_url = self.slack.answer_url(person, place.channel)
        payload = payloads.action_in_message(workspace, person, place, said, answer_url)
        return await self.slack.deliver("interactive", payload | forged, person, place.channel)

    def _answered(self, opened: OpenView, ack: Ack) -> Ack:
        """What the answer to a form does to it: it closes, unless the bot says otherwise."""
        said = ack.payload if isinstance(ack.payload, dict) else {}
        match said.get("response_action"):
            case "errors":
                pass
            case "update":
                if problems_of_view(said.get("view")):
                    return Ack(None, "the view is not valid")
                self.slack.workspace.change_view(opened, said["view"])
            case _:
                self.slack.workspace.views.pop(opened.id, None)
        return ack

    def _show(self, person: str, channel: str, ack: Ack) -> None:
        text = _text_of(ack.payload)
        if text:
            workspace = self.slack.workspace
            workspace.privates.append(Private(person, channel, text, workspace.now()))

    def _wait(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self.slack.server.loop).result(timeout=10)


def _text_of(payload: Json | str | None) -> str:
    if isinstance(payload, str):
        return payload
    return str((payload or {}).get("text") or "")


def _blocks(place: Place) -> list[Json]:
    return place.blocks if isinstance(place, Posted) else list(place.view["blocks"])


def _choices(place: Place, person: str) -> dict[tuple[str, str], str]:
    return place.choices.setdefault(person, {}) if isinstance(place, Posted) else place.choices


def _element(place: Place, action_id: str, value: str | None = None) -> tuple[str, Json]:
    for block_id, element in elements_of(_blocks(place)):
        if element.get("action_id") == action_id and value in (None, element.get("value")):
            return block_id, element
    raise LookupError(f"there is no {action_id} to use")


def _is_silent(place: Place, block_id: str) -> bool:
    """Whether a choice in this block is not told to the app: inputs tell it only where they are asked to."""
    block = next(block for block in _blocks(place) if block.get("block_id") == block_id)
    return block["type"] == "input" and not block.get("dispatch_action")
