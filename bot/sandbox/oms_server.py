"""The OMS stand-in: HTTP in front of a `World`, strict about who calls and what is sent, with faults to switch on.

IAM of the same region answers on the same port.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta

from aiohttp import web

from bot.sandbox.api_gateway import ApiGateway, Tokens
from bot.sandbox.call_log import CallLog
from bot.sandbox.faults import Answer, Drop, FailsLater, Fault, Faults, Hold, Late, Raw, meet, refused
from bot.sandbox.iam import Iam
from bot.sandbox.oms_state import OmsState
from bot.sandbox.rejection import Rejection, invalid
from bot.sandbox.serving import ServerThread

__all__ = ["Answer", "Drop", "FailsLater", "Fault", "Hold", "Late", "OmsStandIn", "Raw"]

MAX_BODY_BYTES = 12_000_000
_NUMBER = re.compile(r"\d{1,10}", re.ASCII)


class OmsStandIn:
    """OMS of one project, and IAM of its region, on a loopback port.

    Arguments:
        common: faults that it shares with the OMS of other projects.
    """

    def __init__(
        self, world: OmsState, call_log: CallLog, delay_seconds: float = 0.0, common: Faults | None = None
    ) -> None:
        self.world = world
        self.delay_seconds = delay_seconds
        self._journal = call_log
        self._faults = Faults(common)
        self._tokens = Tokens(world.now)
        self._gate = ApiGateway(world.place, self._tokens, world.now)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        base = f"/v2/{world.place.project_id}/taskgroups"
        app.router.add_get(base, self._list)
        app.router.add_get(base + "/{group}", self._show)
        app.router.add_put(base + "/{group}/start", self._start)
        app.router.add_put(base + "/{group}/retry", self._retry)
        app.router.add_put(base + "/{group}/stop", self._stop)
        Iam(world.place, self._tokens, self._gate, self._faults, call_log).add_to(app.router)
        app.router.add_route("*", "/{other:.*}", self._unknown)
        self.server = ServerThread(app)

    def fault(self, endpoint: str, *faults: Fault) -> None:
        """The next calls of this endpoint meet these, one each.

        Arguments:
            endpoint: "show", "list", "start", "retry" or "stop"; of IAM "token" or "projects".
        """
        self._faults.add(endpoint, *faults)

    def waiting(self, endpoint: str) -> tuple[Fault, ...]:
        """The faults of this endpoint that were not met yet."""
        return self._faults.waiting(endpoint)

    def calm(self, endpoint: str | None = None) -> None:
        """Switches off whatever was not met; of one endpoint, or of all."""
        self._faults.clear(endpoint)

    def expire_tokens(self) -> None:
        """Ends every token, the ready one too."""
        self._tokens.expire()

    def set_token_lifetime(self, lifetime: timedelta) -> None:
        """How long the tokens serve that are given out from now on."""
        self._tokens.lifetime = lifetime

    async def _list(self, request: web.Request) -> web.StreamResponse:
        def work(_: bytes) -> object:
            limit = _number(request, "limit", 10, 1, 100)
            offset = _number(request, "offset", 0, 0, 2_147_483_647)
            status = _number(request, "status", 0, 0, 9) if "status" in request.query else None
            found = self.world.listed(status)
            return {"count": len(found), "taskgroups": found[offset : offset + limit]}

        return await self._answer(request, "list", work)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "show", lambda _: self.world.show(request.match_info["group"]))

    async def _start(self, request: web.Request) -> web.StreamResponse:
        def work(body: bytes) -> None:
            self.world.start(request.match_info["group"], _json_object(request, body))

        return await self._answer(request, "start", work)

    async def _retry(self, request: web.Request) -> web.StreamResponse:
        def work(body: bytes) -> None:
            self.world.retry(request.match_info["group"], _json_object(request, body))

        return await self._answer(request, "retry", work)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        def work(body: bytes) -> None:
            if body:
                raise Rejection(400, "OMS.0074", "The parameters differ from the API reference.")
            self.world.stop(request.match_info["group"])

        return await self._answer(request, "stop", work)

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        self._note(request, 404, "APIG.0101")
        return refused(Rejection(404, "APIG.0101", "The API does not exist or has not been published."))

    async def _answer(self, request: web.Request, endpoint: str, work: Callable[[bytes], object]) -> web.StreamResponse:
        body = await request.read()
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)

        def answer() -> tuple[web.StreamResponse, str]:
            result = work(body)
            if isinstance(fault, FailsLater):
                self.world.groups[request.match_info["group"]].fails_later = (fault.code, fault.message)
            headers = {"X-Request-Id": secrets.token_hex(16)}
            if result is None:
                return web.Response(status=200, headers=headers), _names(body)
            return web.json_response(result, headers=headers), _names(body)

        fault = self._faults.take(endpoint)
        try:
            self._gate.check(request, body)
            return await meet(fault, request, answer, lambda status, words: self._note(request, status, words))
        except Rejection as refusal:
            self._note(request, refusal.http_status, refusal.code)
            return refused(refusal)

    def _note(self, request: web.Request, status: int, note: str) -> None:
        self._journal.write("oms", request.method, request.path, status, note)


def _json_object(request: web.Request, body: bytes) -> Mapping[str, object]:
    if not request.content_type.startswith("application/json"):
        raise Rejection(400, "OMS.0004", "Content-Type must be application/json.")
    try:
        parsed = json.loads(body)
    except ValueError:
        raise Rejection(400, "OMS.0061", "The request body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise Rejection(400, "OMS.0067", "The request body is no JSON object.")
    return parsed


def _number(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise invalid(name)
    return int(text)


def _names(body: bytes) -> str:
    """Which fields a body carries; never what is in them."""
    return f"with {', '.join(json.loads(body)) or 'no field'}" if body else ""
