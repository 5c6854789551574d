"""The routes of the control panel: the page, its state as one JSON, and its actions. Served on loopback only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from aiohttp import web

from bot.sandbox.control_panel.planned_faults import CALL_KINDS, choices, plan_fault
from bot.sandbox.control_panel.state import state_for
from bot.sandbox.control_panel.switches import SWITCHES
from bot.sandbox.huawei.console import ACTIONS
from bot.sandbox.huawei.rejection import Rejection
from bot.sandbox.slack.ids import ALICE
from bot.sandbox.slack.server import Ack
from bot.sandbox.slack.user_actions import Surface
from bot.sandbox.slack.workspace import ApiError
from bot.sandbox.system import Sandbox

SCRIPTS = ("update.js", "blocks.js", "dialogs.js", "page.js")
FILES = {"": "index.html", "page.css": "page.css"} | {name: name for name in SCRIPTS}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.Response]]
Action = Callable[[Json], Awaitable[Json]]


def add_control_panel(sandbox: Sandbox) -> None:
    """Adds the control panel to the server of the Slack stand-in. Call it before the sandbox is opened."""
    panel = _ControlPanel(sandbox)
    routes = sandbox.slack.application.router
    for path, name in FILES.items():
        routes.add_get(f"/{path}", _serve_file(name))
    routes.add_get("/panel/state", panel.state)
    routes.add_get("/panel/choices", panel.choices)
    user_actions: dict[str, Action] = {
        "type": panel.type,
        "press": panel.press,
        "choose": panel.choose,
        "submit": panel.submit,
        "home": panel.home,
    }
    other_actions: dict[str, Action] = {
        "close": panel.close,
        "console": panel.console,
        "switch": panel.switch,
        "plan": panel.plan,
        "reset": panel.reset,
    }
    for name, action in user_actions.items():
        routes.add_post(f"/panel/{name}", _handler(panel.once_the_bot_runs(action)))
    for name, action in other_actions.items():
        routes.add_post(f"/panel/{name}", _handler(action))


class _ControlPanel:
    """The actions of the page. Each takes the JSON of its request and returns the JSON of its answer."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        # Held while the bot is started or ended: one change at a time, and user actions wait for the bot.
        self._restarting = asyncio.Lock()
        self._busy_with = ""

    def once_the_bot_runs(self, action: Action) -> Action:
        """The same action, which first waits until no restart is in progress."""

        async def wait_and_act(body: Json) -> Json:
            async with self._restarting:
                pass
            return await action(body)

        return wait_and_act

    async def state(self, request: web.Request) -> web.Response:
        state = state_for(self._sandbox, request.query.get("person", ALICE))
        return web.json_response(state | {"busy_with": self._busy_with})

    async def choices(self, _: web.Request) -> web.Response:
        kinds = [{"kind": kind, "words": words, "choices": choices(kind)} for kind, words in CALL_KINDS.items()]
        return web.json_response(kinds)

    async def type(self, body: Json) -> Json:
        command, _, text = str(body["text"]).strip().partition(" ")
        if command != "/resume-taskgroup":
            return {"failure": "Type /resume-taskgroup and a task group id."}
        return _result(await self._sandbox.people.type_async(body["person"], text, body["channel"]))

    async def press(self, body: Json) -> Json:
        surface, people = self._surface(body), self._sandbox.people
        return _result(await people.press_async(body["person"], surface, body["action_id"], body["value"]))

    async def choose(self, body: Json) -> Json:
        surface, people = self._surface(body), self._sandbox.people
        return _result(await people.choose_async(body["person"], surface, body["action_id"], body["value"]))

    async def submit(self, body: Json) -> Json:
        return _result(await self._sandbox.people.submit_async(body["person"], body["view_id"], body["values"]))

    async def home(self, body: Json) -> Json:
        # This is an event. Slack tells nobody when the bot does not acknowledge it.
        await self._sandbox.people.open_home_async(body["person"])
        return {}

    async def close(self, body: Json) -> Json:
        self._sandbox.workspace.views.pop(body["view_id"], None)
        return {}

    async def console(self, body: Json) -> Json:
        act = ACTIONS[body["action"]]
        try:
            act(self._sandbox.oms_by_project[body["project"]].state, body["group_id"])
        except Rejection as rejection:
            return {"failure": f"OMS: {rejection.code} {rejection.message}"}
        return {}

    async def switch(self, body: Json) -> Json:
        switch = SWITCHES[body["switch"]]
        return await self._restart(lambda: switch.apply(self._sandbox, bool(body["on"])), body["switch"])

    async def plan(self, body: Json) -> Json:
        plan_fault(self._sandbox, body["kind"], body["value"])
        return {}

    async def reset(self, _: Json) -> Json:
        return await self._restart(self._sandbox.reset, "Start over")

    async def _restart(self, change: Callable[[], None], words: str) -> Json:
        """Makes a change that may start or end the bot, in a thread of its own."""
        async with self._restarting:
            self._busy_with = words
            try:
                await asyncio.get_running_loop().run_in_executor(None, change)
            finally:
                self._busy_with = ""
        return {}

    def _surface(self, body: Json) -> Surface:
        """The message or the view in which a person acts.

        Raises:
            ApiError: it no longer exists.
        """
        if "view_id" in body:
            return self._sandbox.workspace.view(body["view_id"])
        ephemerals = (one for one in self._sandbox.workspace.ephemerals if one.blocks and one.ts == body["ts"])
        return next(ephemerals, None) or self._sandbox.workspace.message(body["channel"], body["ts"])


def _serve_file(name: str) -> Handler:
    async def serve(_: web.Request) -> web.Response:
        text = (resources.files("bot.sandbox.control_panel") / "page" / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=TYPES[name.rsplit(".", 1)[1]])

    return serve


def _handler(action: Action) -> Handler:
    """The HTTP handler of an action of the page."""

    async def handle(request: web.Request) -> web.Response:
        # Rejects other sites that are open in the same browser: they cannot send this header without permission.
        if request.headers.get("X-Sandbox") != "page":
            return web.Response(status=403)
        try:
            return web.json_response(await action(await request.json()))
        except (ApiError, LookupError):
            return web.json_response({"failure": "That is no longer there."})
        except RuntimeError:
            return web.json_response({"failure": "The bot did not start. The end of its log is in the terminal."})

    return handle


def _result(ack: Ack) -> Json:
    payload = ack.payload if isinstance(ack.payload, dict) else {}
    failure = None if ack.failure is None else f"Slack: {ack.failure}"
    return {"failure": failure, "errors": payload.get("errors")}
