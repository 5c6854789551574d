"""What the page asks for: the whole state as one JSON, and people's acts. Only ever served on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from aiohttp import web

from bot.sandbox import oms_world
from bot.sandbox.oms_server import Answer, Drop
from bot.sandbox.slack import world as w
from bot.sandbox.slack.server import Ack
from bot.sandbox.town import Town

FILES = {"": "index.html", "page.js": "page.js", "page.css": "page.css"}
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

    async def type_(body: Json) -> Json:
        words = str(body["text"]).strip()
        command, _, text = words.partition(" ")
        if command != "/resume-taskgroup":
            return {"failure": "Type /resume-taskgroup and a task group id."}
        return _said(await town.people.type_async(body["person"], text, body["channel"]))

    async def press(body: Json) -> Json:
        posted = town.workspace.message(body["channel"], body["ts"])
        return _said(await town.people.press_async(body["person"], posted, body["action_id"]))

    async def submit(body: Json) -> Json:
        return _said(await town.people.submit_async(body["person"], body["view_id"], body["values"]))

    async def close(body: Json) -> Json:
        town.workspace.views.pop(body["view_id"], None)
        return {}

    async def switch(body: Json) -> Json:
        await asyncio.get_running_loop().run_in_executor(None, _switch, town, body["fault"], bool(body["on"]))
        return {}

    routes.add_get("/desk/state", state)
    for name, do in (("type", type_), ("press", press), ("submit", submit), ("close", close), ("switch", switch)):
        routes.add_post(f"/desk/{name}", act(do))


def _said(ack: Ack) -> Json:
    payload = ack.payload if isinstance(ack.payload, dict) else {}
    return {"failure": ack.failure, "errors": payload.get("errors")}


def _switch(town: Town, fault: str, on: bool) -> None:
    """Switches one fault on or off."""
    match fault:
        case "vault sealed":
            town.vault.seal() if on else town.vault.unseal()
        case "OMS forbids":
            town.world.may_start = not on
        case "Slack answers 500":
            town.slack.outage.status = 500 if on else None
        case "next start: 429":
            town.oms.fault("start", Answer(429, "APIG.0308", retry_after=2))
        case "next start: 503":
            town.oms.fault("start", Answer(503, "APIG.0601"))
        case "next start: done, answer lost":
            town.oms.fault("start", Drop(done=True))
    town.faults_on.add(fault) if on else town.faults_on.discard(fault)


def _state(town: Town, person: str) -> Json:
    """Everything that the page shows to one person."""
    workspace = town.workspace
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
                {
                    "ts": one.ts,
                    "channel": one.channel,
                    "text": one.text,
                    "blocks": one.blocks,
                    "thread_ts": one.thread_ts,
                    "edits": one.edits,
                }
                for one in workspace.messages
                if not one.channel.startswith("D") or one.channel == direct
            ],
            "privates": [
                {"channel": one.channel, "text": one.text, "at": one.at.timestamp()}
                for one in workspace.privates
                if one.person == person
            ],
            "views": [{"id": one.id, "view": one.view} for one in workspace.views.values() if one.person == person],
            "groups": town.world.listed(None),
            "vault": ["oms/media/caller", "oms/media/source", "oms/media/destination"],
            "calls": [
                {
                    "number": call.number,
                    "at": call.at.timestamp(),
                    "service": call.service,
                    "method": call.method,
                    "path": call.path.replace(oms_world.PROJECT_ID, "…"),
                    "status": call.status,
                    "note": call.note,
                }
                for call in town.journal.since()[-CALLS_SHOWN:]
            ],
            "faults": sorted(town.faults_on),
        }


def _kind(user: Json) -> str:
    for flag, words in (("is_stranger", "other organisation"), ("is_restricted", "guest"), ("deleted", "deactivated")):
        if user.get(flag):
            return words
    return {w.CAROL: "approver", w.DAVE: "approver, by group"}.get(str(user["id"]), "full member")
