"""Serves the workspace: the Web API, response_urls and Socket Mode. Delivers the payloads of user actions to the app.

A payload is delivered once, to one connection or to the request URL. An ack after more than 3 s does not count.
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
from bot.sandbox.server_thread import ServerThread
from bot.sandbox.slack import http_delivery
from bot.sandbox.slack.ids import APP_ID
from bot.sandbox.slack.web_api import WebApi
from bot.sandbox.slack.workspace import ApiError, Json, Workspace

ACK_SECONDS = 3.0
MAX_CONNECTIONS = 10
REFRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Ack:
    """How the app acknowledged a payload.

    Arguments:
        payload: what the app answered, if anything.
        failure: Slack's name of the error, if the app did not answer in time.
    """

    payload: Json | str | None
    failure: str | None = None


@dataclass
class _Outage:
    """HTTP statuses that Slack answers with instead of working.

    Arguments:
        status: the answer to every call, while it is set.
        answers: by method of the Web API, the answers to its next calls. None stands for the real one.
    """

    status: int | None = None
    answers: dict[str, list[int | None]] = field(default_factory=dict)


class SlackStandIn:
    """Slack on a loopback port.

    Payloads go to `request_url`, or to the connections of Socket Mode if it is None. Every answer of the Web API takes
    `delay_seconds`. The app is told to find Slack at `address`; None stands for the server itself.
    """

    def __init__(self, workspace: Workspace, call_log: CallLog, port: int = 0) -> None:
        self.workspace = workspace
        self.api = WebApi(workspace)
        self.outage = _Outage()
        self.delay_seconds = 0.0
        self.request_url: str | None = None
        self.address: str | None = None
        self.call_log = call_log
        self._sockets: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        self._ending: set[web.WebSocketResponse] = set()
        self._deliveries = itertools.count()
        self._tickets: set[str] = set()
        self._unacked: dict[str, asyncio.Future[Json | None]] = {}
        self.application = web.Application(client_max_size=2_000_000)
        self.application.router.add_route("*", "/api/{method}", self._web_api)
        self.application.router.add_get("/link", self._connect)
        self.application.router.add_post("/response/{key}", self._response_url)
        self.server = ServerThread(self.application, port)

    @property
    def api_url(self) -> str:
        return f"{self._address}/api/"

    @property
    def _address(self) -> str:
        return self.address or self.server.url

    @property
    def connections(self) -> int:
        """How many connections of Socket Mode are open."""
        return len(self._sockets)

    def response_url(self, person: str, channel: str) -> str:
        """A new response_url, which shows messages to this person."""
        return f"{self._address}/response/{self.workspace.new_response_url(person, channel)}"

    async def deliver(self, kind: str, payload: Json, person: str, channel: str) -> Ack:
        """Sends a payload and waits for its ack. If there is none, the person sees an error.

        Arguments:
            kind: the type of the envelope: "slash_commands" or "interactive".
        """
        ack = await self._send(kind, payload)
        if ack.failure is not None:
            self.workspace.show_ephemeral(person, channel, f"Slack: the app did not answer ({ack.failure}).")
        return ack

    async def deliver_event(self, payload: Json) -> Ack:
        """Sends an event and waits for its ack. If there is none, nobody sees an error."""
        return await self._send("events_api", payload)

    async def _send(self, kind: str, payload: Json) -> Ack:
        try:
            async with asyncio.timeout(ACK_SECONDS):
                if self.request_url is not None:
                    return Ack(await http_delivery.post(self.request_url, kind, payload))
                return await self._send_by_socket(kind, payload)
        except TimeoutError:
            return Ack(None, "operation_timeout")
        except ClientError:
            return Ack(None, "dispatch_failed")

    async def _send_by_socket(self, kind: str, payload: Json) -> Ack:
        usable = [one for one in self._sockets if not one.closed]
        if not usable:
            return Ack(None, "dispatch_failed")
        open_sockets = [one for one in usable if one not in self._ending] or usable
        socket = open_sockets[next(self._deliveries) % len(open_sockets)]
        envelope_id = secrets.token_hex(16)
        acked: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._unacked[envelope_id] = acked
        envelope = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        await socket.send_str(json.dumps(envelope))
        try:
            return Ack(await acked)
        finally:
            self._unacked.pop(envelope_id, None)

    async def drop_connections(self) -> None:
        """Closes every connection with a close frame, as Slack does when it refreshes one without a warning."""
        for socket in list(self._sockets):
            await socket.close(code=1001)

    async def refresh_connections(self) -> None:
        """Announces the end of every connection, and closes it a second later, as Slack does every few hours."""
        sockets = list(self._sockets)
        self._ending.update(sockets)
        for socket in sockets:
            await socket.send_str(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
        await asyncio.sleep(REFRESH_SECONDS)
        for socket in sockets:
            await socket.close(code=1001)

    async def cut_connections(self) -> None:
        """Aborts every connection without a close frame, as a network failure does."""
        for transport in list(self._sockets.values()):
            if transport is not None:
                transport.abort()

    async def _web_api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        arguments, token = await _arguments(request)
        planned = self.outage.answers.get(method)
        status = planned.pop(0) if planned else self.outage.status
        if status is not None:
            self.call_log.write("slack", "POST", method, status, "switched on in the sandbox")
            headers = {"Retry-After": "1"} if status == 429 else {}
            body: Json = {"ok": False, "error": "ratelimited" if status == 429 else "internal_error"}
            return web.json_response(body, status=status, headers=headers)
        try:
            answer = self.api.call(method, token, arguments)
        except ApiError as error:
            self.call_log.write("slack", "POST", method, 429 if error.retry_after else 200, error.code)
            body = {"ok": False, "error": error.code}
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
            answer = {"url": f"{self._address.replace('http', 'ws', 1)}/link?ticket={ticket}"}
        shown = (arguments.get(name) for name in ("text", "user", "usergroup", "message_ts"))
        note = str(next(filter(None, shown), ""))
        self.call_log.write("slack", "POST", method, 200, note)
        headers = {"x-oauth-scopes": ",".join(sorted(self.workspace.scopes))}
        return web.json_response({"ok": True} | answer, headers=headers)

    async def _response_url(self, request: web.Request) -> web.StreamResponse:
        body: Json = await request.json()
        status = self.outage.status or self.workspace.post_to_response_url(request.match_info["key"], body)
        self.call_log.write("slack", "POST", "response_url", status, str(body.get("text") or ""))
        return web.Response(status=status, text="ok" if status == 200 else "used_url")

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=404)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse(heartbeat=None)
        await socket.prepare(request)
        self._sockets[socket] = request.transport
        hello = {"type": "hello", "num_connections": self.connections, "connection_info": {"app_id": APP_ID}}
        await socket.send_str(json.dumps(hello))
        self.call_log.write("slack", "WS", "connected", 101)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._acknowledge(message.data)
        finally:
            self._sockets.pop(socket)
            self._ending.discard(socket)
        return socket

    def _acknowledge(self, text: str) -> None:
        try:
            ack = json.loads(text)
        except ValueError:
            return
        acked = self._unacked.get(str(ack.get("envelope_id")))
        if acked is not None and not acked.done():
            acked.set_result(ack.get("payload"))


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
