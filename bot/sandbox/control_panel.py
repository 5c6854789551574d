"""What the page asks for: the whole state as one JSON, and people's acts. Only ever served on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from aiohttp import web

from bot.sandbox.control_panel_state import state_of
from bot.sandbox.rejection import Rejection
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.server import Ack
from bot.sandbox.slack.user_actions import Place
from bot.sandbox.slack.workspace import ApiError
from bot.sandbox.switches import SWITCHES, VERBS, choices, plan
from bot.sandbox.system import Sandbox

SCRIPTS = ("keep.js", "blocks.js", "dialogs.js", "page.js")
FILES = {"": "index.html", "page.css": "page.css"} | {name: name for name in SCRIPTS}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}

Json = dict[str, Any]


def add_control_panel(sandbox: Sandbox) -> None:
    """Adds the page and what it asks for to the server of the Slack stand-in."""
    routes = sandbox.slack.application.router
    # The bot is started and ended by one hand at a time, and nothing is sent to it meanwhile.
    turning = asyncio.Lock()
    busy_with = ""

    def file(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(_: web.Request) -> web.Response:
            text = (resources.files("bot.sandbox") / "page" / name).read_text(encoding="utf-8")
            return web.Response(text=text, content_type=TYPES[name.rsplit(".", 1)[1]])

        return serve

    def act(do: Callable[[Json], Awaitable[Json]]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            # Another site open in the same browser must not act here: it cannot send this header unasked.
            if request.headers.get("X-Sandbox") != "page":
                return web.Response(status=403)
            try:
                return web.json_response(await do(await request.json()))
            except (ApiError, LookupError):
                return web.json_response({"failure": "That is no longer there."})
            except RuntimeError:
                return web.json_response({"failure": "The bot did not start. The end of its log is on the console."})

        return answer

    def act_in_slack(do: Callable[[Json], Awaitable[Json]]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def wait_and_do(body: Json) -> Json:
            async with turning:
                pass
            return await do(body)

        return act(wait_and_do)

    async def turn(do: Callable[[], None], words: str) -> Json:
        nonlocal busy_with
        async with turning:
            busy_with = words
            try:
                await asyncio.get_running_loop().run_in_executor(None, do)
            finally:
                busy_with = ""
        return {}

    for path, name in FILES.items():
        routes.add_get(f"/{path}", file(name))

    async def state(request: web.Request) -> web.Response:
        seen = state_of(sandbox, request.query.get("person", w.ALICE))
        return web.json_response(seen | {"busy_with": busy_with})

    async def plans(_: web.Request) -> web.Response:
        return web.json_response([{"verb": verb, "words": VERBS[verb], "choices": choices(verb)} for verb in VERBS])

    async def type_(body: Json) -> Json:
        words = str(body["text"]).strip()
        command, _, text = words.partition(" ")
        if command != "/resume-taskgroup":
            return {"failure": "Type /resume-taskgroup and a task group id."}
        return _said(await sandbox.people.type_async(body["person"], text, body["channel"]))

    async def press(body: Json) -> Json:
        place = _place(sandbox, body)
        return _said(await sandbox.people.press_async(body["person"], place, body["action_id"], body["value"]))

    async def choose(body: Json) -> Json:
        place = _place(sandbox, body)
        return _said(await sandbox.people.choose_async(body["person"], place, body["action_id"], body["value"]))

    async def submit(body: Json) -> Json:
        return _said(await sandbox.people.submit_async(body["person"], body["view_id"], body["values"]))

    async def close(body: Json) -> Json:
        sandbox.workspace.views.pop(body["view_id"], None)
        return {}

    async def home(body: Json) -> Json:
        # An event: when the bot does not take it, nobody is told.
        await sandbox.people.open_home_async(body["person"])
        return {}

    async def pause(body: Json) -> Json:
        try:
            sandbox.worlds[body["project"]].stop(body["group_id"])
        except Rejection as refusal:
            return {"failure": f"OMS: {refusal.code} {refusal.message}"}
        return {}

    async def switch(body: Json) -> Json:
        chosen = SWITCHES[body["switch"]]
        return await turn(lambda: chosen.turn(sandbox, bool(body["on"])), body["switch"])

    async def plan_(body: Json) -> Json:
        plan(sandbox, body["verb"], body["what"])
        return {}

    async def start_over(_: Json) -> Json:
        return await turn(sandbox.start_over, "Start over")

    routes.add_get("/panel/state", state)
    routes.add_get("/panel/plans", plans)
    in_slack: dict[str, Callable[[Json], Awaitable[Json]]] = {
        "type": type_,
        "press": press,
        "choose": choose,
        "submit": submit,
        "home": home,
    }
    elsewhere: dict[str, Callable[[Json], Awaitable[Json]]] = {
        "close": close,
        "pause": pause,
        "switch": switch,
        "plan": plan_,
        "start-over": start_over,
    }
    for name, do in in_slack.items():
        routes.add_post(f"/panel/{name}", act_in_slack(do))
    for name, do in elsewhere.items():
        routes.add_post(f"/panel/{name}", act(do))


def _said(ack: Ack) -> Json:
    payload = ack.payload if isinstance(ack.payload, dict) else {}
    failure = None if ack.failure is None else f"Slack: {ack.failure}"
    return {"failure": failure, "errors": payload.get("errors")}


def _place(sandbox: Sandbox, body: Json) -> Place:
    """Where somebody pressed or chose: a message, or a view.

    Raises:
        ApiError: it is gone.
    """
    if "view_id" in body:
        return sandbox.workspace.view(body["view_id"])
    return sandbox.workspace.message(body["channel"], body["ts"])
