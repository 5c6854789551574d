"""The OMS stand-in: HTTP in front of an `OmsState`, as strict as OMS about authentication and bodies, with faults.

IAM of the same region answers on the same port.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.api_gateway import ApiGateway, Tokens
from bot.sandbox.huawei.faults import FailsLater, Faults, respond
from bot.sandbox.huawei.iam import IamStandIn
from bot.sandbox.huawei.oms_state import OmsState
from bot.sandbox.huawei.paging import page
from bot.sandbox.huawei.rejection import Rejection, invalid
from bot.sandbox.server_thread import ServerThread

MAX_BODY_BYTES = 12_000_000
_NUMBER = re.compile(r"\d{1,10}", re.ASCII)


class OmsStandIn:
    """OMS of one project, and IAM of its region, on a loopback port.

    `faults` are injected into the next calls, `tokens` are the IAM tokens that are valid.

    Arguments:
        delay_seconds: how long every answer of OMS takes.
        shared_faults: faults that this server shares with the OMS of other projects.
    """

    def __init__(
        self,
        state: OmsState,
        call_log: CallLog,
        delay_seconds: float = 0.0,
        shared_faults: Faults | None = None,
    ) -> None:
        self.state = state
        self.call_log = call_log
        self.delay_seconds = delay_seconds
        self.faults = Faults(shared_faults)
        self.tokens = Tokens(state.now)
        self._pages = 0
        self._gateway = ApiGateway(state.project, self.tokens, state.now)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        project = f"/v2/{state.project.project_id}"
        base = f"{project}/taskgroups"
        app.router.add_get(f"{project}/tasks", self._list_tasks)
        app.router.add_get(base, self._list)
        app.router.add_get(base + "/{group}", self._show)
        app.router.add_put(base + "/{group}/start", self._start)
        app.router.add_put(base + "/{group}/retry", self._retry)
        app.router.add_put(base + "/{group}/stop", self._stop)
        IamStandIn(state.project, self.tokens, self._gateway, self.faults, call_log).add_routes(app.router)
        app.router.add_route("*", "/{other:.*}", self._unknown)
        self.server = ServerThread(app)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        def list_groups(_: bytes) -> object:
            limit = _number(request, "limit", 10, 1, 100)
            offset = _number(request, "offset", 0, 0, 2_147_483_647)
            status = _number(request, "status", 0, 0, 9) if "status" in request.query else None
            return self._page("taskgroups", self.state.list_groups(status), offset, limit)

        return await self._answer(request, "list", list_groups)

    async def _list_tasks(self, request: web.Request) -> web.StreamResponse:
        def list_tasks(_: bytes) -> object:
            limit = _number(request, "limit", 10, 1, 100)
            offset = _number(request, "offset", 0, 0, 10_000)
            status = _number(request, "status", 1, 1, 7) if "status" in request.query else None
            group_id = _text(request, "group_id", 1, 100) if "group_id" in request.query else None
            name = _text(request, "task_name", 0, 255)
            return self._page("tasks", self.state.list_tasks(group_id, status, name), offset, limit)

        return await self._answer(request, "tasks", list_tasks)

    def _page(self, key: str, found: Sequence[object], offset: int, limit: int) -> object:
        self._pages += 1
        return {"count": len(found), key: page(found, offset, limit, self.state.paging, self._pages)}

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "show", lambda _: self.state.show(request.match_info["group"]))

    async def _start(self, request: web.Request) -> web.StreamResponse:
        def start(body: bytes) -> None:
            self.state.start(request.match_info["group"], _json_object(request, body))

        return await self._answer(request, "start", start)

    async def _retry(self, request: web.Request) -> web.StreamResponse:
        def retry(body: bytes) -> None:
            self.state.retry(request.match_info["group"], _json_object(request, body))

        return await self._answer(request, "retry", retry)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        def stop(body: bytes) -> None:
            if body:
                raise Rejection(400, "OMS.0074", "The parameters differ from the API reference.")
            self.state.stop(request.match_info["group"])

        return await self._answer(request, "stop", stop)

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        self._log(request, 404, "APIG.0101")
        return Rejection(404, "APIG.0101", "The API does not exist or has not been published.").response()

    async def _answer(
        self, request: web.Request, endpoint: str, carry_out: Callable[[bytes], object]
    ) -> web.StreamResponse:
        body = await request.read()
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)

        def carry_out_and_note() -> tuple[web.StreamResponse, str]:
            result = carry_out(body)
            if isinstance(fault, FailsLater):
                self.state.groups[request.match_info["group"]].fails_later = (fault.code, fault.message)
            headers = {"X-Request-Id": secrets.token_hex(16)}
            if result is None:
                return web.Response(status=200, headers=headers), _field_names(body)
            return web.json_response(result, headers=headers), _field_names(body)

        fault = self.faults.take(endpoint)
        try:
            self._gateway.check(request, body)
            return await respond(
                fault, request, carry_out_and_note, lambda status, note: self._log(request, status, note)
            )
        except Rejection as rejection:
            self._log(request, rejection.http_status, rejection.code)
            return rejection.response()

    def _log(self, request: web.Request, status: int, note: str) -> None:
        self.call_log.write("oms", request.method, request.path, status, note)


def _json_object(request: web.Request, body: bytes) -> Mapping[str, object]:
    if not request.content_type.startswith("application/json"):
        raise Rejection(400, "OMS.0004", "Content-Type must be application/json.")
    try:
        parsed = json.loads(body)
    except ValueError:
        raise Rejection(400, "OMS.0061", "The request body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise Rejection(400, "OMS.0067", "The request body is not a JSON object.")
    return parsed


def _number(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise invalid(name)
    return int(text)


def _text(request: web.Request, name: str, least: int, most: int) -> str:
    text = request.query.get(name, "")
    if not least <= len(text) <= most:
        raise invalid(name)
    return text


def _field_names(body: bytes) -> str:
    """The names of the fields in a body, without their values."""
    return f"with {', '.join(json.loads(body)) or 'no field'}" if body else ""
