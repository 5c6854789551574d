"""Serves the workspace: the Web API, response_urls and Socket Mode; and delivers what people do to the bot.

Each payload goes to one connection, or by signed HTTP to the request URL, once; an ack that takes longer than 3 s is
none.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, WSMsgType, web

from bot.sandbox.call_log import CallLog
from bot.sandbox.serving import ServerThread
from bot.sandbox.slack import signed
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.web_api import WebApi
from bot.sandbox.slack.workspace import ApiError, Json, Private, Workspace

ACK_SECONDS = 3.0
MAX_CONNECTIONS = 10


@dataclass(frozen=True)
class Ack:
    """What the bot answered in time, or Slack's own word for why nothing came."""

    payload: Json | str | None
    failure: str | None = None


@dataclass
class _Outage:
    """What Slack answers instead of itself, while it is switched on."""

    status: int | None = None
    answers: dict[str, list[int]] = field(default_factory=dict)


class SlackStandIn:
    """Slack on a loopback port. What people do in it is in `acting`.

    `request_url` is where payloads are posted to, signed; None where the app comes by Socket Mode.
    """

    def __init__(self, workspace: Workspace, call_log: CallLog, port: int = 0) -> None:
        self.workspace = workspace
        self.api = WebApi(workspace)
        self.outage = _Outage()
        self.delay_seconds = 0.0
        self.request_url: str | None = None
        self._journal = call_log
        self._sockets: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        self._turn = itertools.count()
        self._tickets: set[str] = set()
        self._waiting: dict[str, asyncio.Future[Json | None]] = {}
        self.application = web.Application(client_max_size=2_000_000)
        self.application.router.add_route("*", "/api/{method}", self._api)
        self.application.router.add_get("/link", self._socket)
        self.application.router.add_post("/answer/{key}", self._answer)
        self.server = ServerThread(self.application, port)

    @property
    def api_url(self) -> str:
        return f"{self.server.url}/api/"

    @property
    def connections(self) -> int:
        return len(self._sockets)

    def answer_url(self, person: str, channel: str) -> str:
        return f"{self.server.url}/answer/{self.workspace.new_answer_url(person, channel)}"

    async def deliver(self, kind: str, payload: Json, person: str, channel: str) -> Ack:
        """Sends a payload and waits for its ack; the person sees when none comes.

        Arguments:
            kind: the envelope's type: "slash_commands" or "interactive".
        """
        ack = await self._send(kind, payload)
        if ack.failure is not None:
            text = f"Slack: the app did not answer ({ack.failure})."
            self.workspace.privates.append(Private(person, channel, text, self.workspace.now()))
        return ack

    async def deliver_event(self, payload: Json) -> Ack:
        """Sends an event and waits for its ack; when none comes, nobody sees it."""
        return await self._send("events_api", payload)

    async def _send(self, kind: str, payload: Json) -> Ack:
        try:
            async with asyncio.timeout(ACK_SECONDS):
                if self.request_url is not None:
                    return Ack(await signed.post(self.request_url, kind, payload))
                return await self._send_by_socket(kind, payload)
        except TimeoutError:
            return Ack(None, "operation_timeout")
        except ClientError:
            return Ack(None, "dispatch_failed")

    async def _send_by_socket(self, kind: str, payload: Json) -> Ack:
        open_sockets = [one for one in self._sockets if not one.closed]
        if not open_sockets:
            return Ack(None, "dispatch_failed")
        socket = open_sockets[next(self._turn) % len(open_sockets)]
        envelope_id = secrets.token_hex(16)
        waiting: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = waiting
        envelope = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        await socket.send_str(json.dumps(envelope))
        try:
            return Ack(await waiting)
        finally:
            self._waiting.pop(envelope_id, None)

    async def drop_connections(self) -> None:
        """Closes every socket with a close frame, as Slack does when it refreshes a connection unannounced."""
        for socket in list(self._sockets):
            await socket.close(code=1001)

    async def cut_connections(self) -> None:
        """Breaks every socket without a word, as a network does."""
        for transport in list(self._sockets.values()):
            if transport is not None:
                transport.abort()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        arguments, token = await _arguments(request)
        planned = self.outage.answers.get(method)
        status = planned.pop(0) if planned else self.outage.status
        if status is not None:
            self._journal.write("slack", "POST", method, status, "switched on in the sandbox")
            headers = {"Retry-After": "1"} if status == 429 else {}
            said = {"ok": False, "error": "ratelimited" if status == 429 else "internal_error"}
            return web.json_response(said, status=status, headers=headers)
        try:
            answer = self.api.call(method, token, arguments)
        except ApiError as error:
            self._journal.write("slack", "POST", method, 429 if error.retry_after else 200, error.code)
            body: Json = {"ok": False, "error": error.code}
            if error.messages:
                body["response_metadata"] = {"messages": error.messages}
            if error.retry_after is not None:
                return web.json_response(body, status=429, headers={"Retry-After": str(error.retry_after)})
            return web.json_response(body)
        if method == "apps.connections.open":
            if self.connections >= MAX_CONNECTIONS:
                return web.json_response({"ok": False, "error": "too_many_websockets"})
            ticket = secrets.token_hex(8)
            self._tickets.add(ticket)
            answer = {"url": f"ws://127.0.0.1:{self.server.port}/link?ticket={ticket}"}
        note = str(arguments.get("text") or arguments.get("user") or arguments.get("usergroup") or "")
        self._journal.write("slack", "POST", method, 200, note)
        headers = {"x-oauth-scopes": ",".join(sorted(self.workspace.scopes))}
        return web.json_response({"ok": True} | answer, headers=headers)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body: Json = await request.json()
        status = self.outage.status or self.workspace.answer(request.match_info["key"], body)
        self._journal.write("slack", "POST", "response_url", status, str(body.get("text") or ""))
        return web.Response(status=status, text="ok" if status == 200 else "used_url")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=404)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse(heartbeat=None)
        await socket.prepare(request)
        self._sockets[socket] = request.transport
        hello = {"type": "hello", "num_connections": self.connections, "connection_info": {"app_id": w.APP_ID}}
        await socket.send_str(json.dumps(hello))
        self._journal.write("slack", "WS", "connected", 101)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._acknowledged(message.data)
        finally:
            self._sockets.pop(socket)
        return socket

    def _acknowledged(self, text: str) -> None:
        try:
            ack = json.loads(text)
        except ValueError:
            return
        waiting = self._waiting.get(str(ack.get("envelope_id")))
        if waiting is not None and not waiting.done():
            waiting.set_result(ack.get("payload"))


async def _arguments(request: web.Request) -> tuple[Json, str | None]:
    authorization = request.headers.get("Authorization", "")
    token = authorization.removeprefix("Bearer ") if authorization.startswith("Bearer ") else None
    arguments: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.read()
        arguments |= json.loads(body) if body else {}
    else:
        arguments |= dict(await request.post())
    return arguments, token
