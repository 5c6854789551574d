"""What the page asks for: the whole state as one JSON, and people's acts. Only ever served on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from aiohttp import web

from bot.sandbox.journal import Call
from bot.sandbox.slack import world as w
from bot.sandbox.slack.acting import Place
from bot.sandbox.slack.elements import state_values
from bot.sandbox.slack.server import Ack
from bot.sandbox.slack.world import OpenView, Posted
from bot.sandbox.switches import SWITCHES, VERBS, choices, plan, planned
from bot.sandbox.town import Town

FILES = {"": "index.html", "page.js": "page.js", "blocks.js": "blocks.js", "page.css": "page.css"}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
CALLS_SHOWN = 400

Json = dict[str, Any]


def add_desk(town: Town) -> None:
    """Adds the page and what it asks for to the server of the Slack stand-in."""
    routes = town.slack.application.router

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
            return web.json_response(await do(await request.json()))

        return answer

    for path, name in FILES.items():
        routes.add_get(f"/{path}", file(name))

    async def state(request: web.Request) -> web.Response:
        return web.json_response(_state(town, request.query.get("person", w.ALICE)))

    async def plans(_: web.Request) -> web.Response:
        return web.json_response({"verbs": VERBS, "choices": choices()})

    async def type_(body: Json) -> Json:
        words = str(body["text"]).strip()
        command, _, text = words.partition(" ")
        if command != "/resume-taskgroup":
            return {"failure": "Type /resume-taskgroup and a task group id."}
        return _said(await town.people.type_async(body["person"], text, body["channel"]))

    async def press(body: Json) -> Json:
        return _said(await town.people.press_async(body["person"], _place(town, body), body["action_id"]))

    async def choose(body: Json) -> Json:
        place = _place(town, body)
        return _said(await town.people.choose_async(body["person"], place, body["action_id"], body["value"]))

    async def submit(body: Json) -> Json:
        return _said(await town.people.submit_async(body["person"], body["view_id"], body["values"]))

    async def close(body: Json) -> Json:
        town.workspace.views.pop(body["view_id"], None)
        return {}

    async def home(body: Json) -> Json:
        return _said(await town.people.open_home_async(body["person"]))

    async def switch(body: Json) -> Json:
        turn = SWITCHES[body["switch"]].turn
        await asyncio.get_running_loop().run_in_executor(None, turn, town, bool(body["on"]))
        return {}

    async def plan_(body: Json) -> Json:
        plan(town, body["verb"], body["what"])
        return {}

    routes.add_get("/desk/state", state)
    routes.add_get("/desk/plans", plans)
    doing: dict[str, Callable[[Json], Awaitable[Json]]] = {
        "type": type_,
        "press": press,
        "choose": choose,
        "submit": submit,
        "close": close,
        "home": home,
        "switch": switch,
        "plan": plan_,
    }
    for name, do in doing.items():
        routes.add_post(f"/desk/{name}", act(do))


def _said(ack: Ack) -> Json:
    payload = ack.payload if isinstance(ack.payload, dict) else {}
    return {"failure": ack.failure, "errors": payload.get("errors")}


def _place(town: Town, body: Json) -> Place:
    """Where somebody pressed or chose: a message, or a view."""
    if "view_id" in body:
        return town.workspace.view(body["view_id"])
    return town.workspace.message(body["channel"], body["ts"])


def _state(town: Town, person: str) -> Json:
    """Everything that the page shows to one person."""
    workspace = town.workspace
    home = workspace.homes.get(person)
    with workspace.lock:
        direct = f"D{person[1:]}"
        return {
            "people": [
                {"id": user["id"], "name": user["name"], "kind": _kind(user)}
                for user in workspace.users.values()
                if not user["is_bot"]
            ],
            "names": {user_id: user["name"] for user_id, user in workspace.users.items()}
            | {w.APPROVERS_GROUP: "migration-leads"}
            | {channel.id: channel.name for channel in workspace.channels.values()},
            "channels": [
                {"id": one.id, "name": one.name, "archived": one.archived, "bot": w.BOT_USER_ID in one.members}
                for one in workspace.channels.values()
                if not one.id.startswith("D")
            ],
            "messages": [
                _message(one, person)
                for one in workspace.messages
                if not one.channel.startswith("D") or one.channel == direct
            ],
            "privates": [
                {"channel": one.channel, "text": one.text, "at": one.at.timestamp()}
                for one in workspace.privates
                if one.person == person
            ],
            "views": [_view(one) for one in workspace.views.values() if one.person == person],
            "home": _view(home) if home is not None else None,
            "groups": [
                group | {"project": name} for name, world in town.worlds.items() for group in world.listed(None)
            ],
            "vault": list(town.vault.paths),
            "calls": [_call(town, call) for call in town.journal.since()[-CALLS_SHOWN:]],
            "switches": {name: switch.is_on(town) for name, switch in SWITCHES.items()},
            "planned": planned(town),
        }


def _message(posted: Posted, person: str) -> Json:
    return {
        "ts": posted.ts,
        "channel": posted.channel,
        "text": posted.text,
        "blocks": posted.blocks,
        "values": state_values(posted.blocks, posted.choices.get(person, {})),
        "thread_ts": posted.thread_ts,
        "edits": posted.edits,
    }


def _view(opened: OpenView) -> Json:
    view = opened.as_json()
    return {"id": opened.id, "hash": opened.hash, "view": opened.view, "values": view["state"]["values"]}


def _call(town: Town, call: Call) -> Json:
    path = call.path
    for world in town.worlds.values():
        path = path.replace(world.place.project_id, "…")
    return {
        "number": call.number,
        "at": call.at.timestamp(),
        "service": call.service,
        "method": call.method,
        "path": path,
        "status": call.status,
        "note": call.note,
    }


def _kind(user: Json) -> str:
    for flag, words in (("is_stranger", "other organisation"), ("is_restricted", "guest"), ("deleted", "deactivated")):
        if user.get(flag):
            return words
    return {w.CAROL: "approver", w.DAVE: "approver, by group"}.get(str(user["id"]), "full member")
