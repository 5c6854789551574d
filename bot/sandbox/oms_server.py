"""The OMS stand-in: HTTP in front of a `World`, strict about signatures and bodies, with faults to switch on.

Its check of signatures is its own, so that a fault in ours does not pass unseen.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from aiohttp import web

from bot.sandbox import oms_world
from bot.sandbox.journal import Journal
from bot.sandbox.oms_world import Refusal, World
from bot.sandbox.serving import ServerThread

MAX_SKEW = timedelta(minutes=15)
LOCK_AFTER_FAILURES = 5
_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=(\S+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")


@dataclass(frozen=True)
class Answer:
    """Instead of its own, OMS gives this answer. Nothing is done."""

    http_status: int
    code: str
    message: str = "switched on in the sandbox"
    retry_after: int | None = None


@dataclass(frozen=True)
class Drop:
    """The connection breaks: before anything is done, or after it was."""

    done: bool


@dataclass(frozen=True)
class Hold:
    """The answer waits until the event is set. What was asked for is done first."""

    released: threading.Event
    reached: threading.Event


Fault = Answer | Drop | Hold


class OmsStandIn:
    """OMS of one project on a loopback port."""

    def __init__(self, world: World, journal: Journal, delay_seconds: float = 0.0) -> None:
        self.world = world
        self.delay_seconds = delay_seconds
        self._journal = journal
        self._faults: dict[str, deque[Fault]] = {"show": deque(), "start": deque(), "list": deque(), "stop": deque()}
        self._failures = 0
        app = web.Application(client_max_size=13_000_000)
        base = f"/v2/{oms_world.PROJECT_ID}/taskgroups"
        app.router.add_get(base, self._list)
        app.router.add_get(base + "/{group}", self._show)
        app.router.add_put(base + "/{group}/start", self._start)
        app.router.add_put(base + "/{group}/stop", self._stop)
        app.router.add_route("*", "/{other:.*}", self._unknown)
        self.server = ServerThread(app)

    def fault(self, endpoint: str, *faults: Fault) -> None:
        """The next calls of this endpoint ("show", "list", "start", "stop") meet these, one each."""
        self._faults[endpoint].extend(faults)

    def calm(self) -> None:
        """Switches off whatever was not met."""
        for queue in self._faults.values():
            queue.clear()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        limit, offset = int(request.query.get("limit", 10)), int(request.query.get("offset", 0))
        status = request.query.get("status")
        if not 1 <= limit <= 100:
            return _refused(Refusal(400, "OMS.0064", "request parameter [limit] invalid."))

        def work(_: bytes) -> object:
            found = self.world.listed(int(status) if status is not None else None)
            return {"count": len(found), "taskgroups": found[offset : offset + limit]}

        return await self._answer(request, "list", work)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "show", lambda _: self.world.show(request.match_info["group"]))

    async def _start(self, request: web.Request) -> web.StreamResponse:
        def work(body: bytes) -> object:
            if not request.content_type.startswith("application/json"):
                raise Refusal(400, "OMS.0004", "Content-Type must be application/json.")
            try:
                parsed = json.loads(body)
            except ValueError:
                raise Refusal(400, "OMS.0061", "The request body is not JSON.") from None
            if not isinstance(parsed, dict):
                raise Refusal(400, "OMS.0067", "The request body is no JSON object.")
            self.world.start(request.match_info["group"], parsed)
            return None

        return await self._answer(request, "start", work)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        def work(_: bytes) -> object:
            self.world.stop(request.match_info["group"])
            return None

        return await self._answer(request, "stop", work)

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        self._journal.write("oms", request.method, request.path, 404, "APIG.0101")
        return _refused(Refusal(404, "APIG.0101", "The API does not exist or has not been published."))

    async def _answer(self, request: web.Request, endpoint: str, work: object) -> web.StreamResponse:
        body = await request.read()
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        fault = self._faults[endpoint].popleft() if self._faults[endpoint] else None
        try:
            self._check_signature(request, body)
            if isinstance(fault, Answer):
                self._note(request, fault.http_status, fault.code)
                headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
                return _refused(Refusal(fault.http_status, fault.code, fault.message), headers)
            if isinstance(fault, Drop) and not fault.done:
                return self._drop(request, "dropped before it was done")
            result = work(body)  # type: ignore[operator]
            if isinstance(fault, Drop):
                return self._drop(request, "done, and the answer dropped")
        except Refusal as refusal:
            self._note(request, refusal.http_status, refusal.code)
            return _refused(refusal)
        if isinstance(fault, Hold):
            fault.reached.set()
            while not fault.released.is_set():
                await asyncio.sleep(0.01)
        self._note(request, 200, _names(body))
        request_id = {"X-Request-Id": hashlib.md5(str(id(request)).encode(), usedforsecurity=False).hexdigest()}
        if result is None:
            return web.Response(status=200, headers=request_id)
        return web.json_response(result, headers=request_id)

    def _drop(self, request: web.Request, note: str) -> web.StreamResponse:
        self._note(request, 0, note)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _note(self, request: web.Request, status: int, note: str) -> None:
        self._journal.write("oms", request.method, request.path, status, note)

    def _check_signature(self, request: web.Request, body: bytes) -> None:
        if self._failures >= LOCK_AFTER_FAILURES:
            raise Refusal(
                401,
                "APIG.0301",
                "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden",
            )
        wrong = self._wrong_signature(request, body)
        if wrong is None:
            self._failures = 0
            return
        self._failures += 1
        raise Refusal(401, "APIG.0301", f"Incorrect IAM authentication information: {wrong}")

    def _wrong_signature(self, request: web.Request, body: bytes) -> str | None:
        found = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if found is None:
            return "Unauthorized"
        access, names, given = found[1], found[2].split(";"), found[3]
        if access != oms_world.ACCESS_KEY:
            return f"Get secretKey failed,ak:{access},err:ak not exist"
        date = request.headers.get("X-Sdk-Date", "")
        if {"host", "x-sdk-date"} - set(names) or names != sorted(names):
            return "verify aksk signature fail"
        try:
            signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return "verify aksk signature fail"
        if abs(datetime.now(UTC) - signed_at) > MAX_SKEW:
            return f"calc aksk signature fail:signature expired, signature time:{date}"
        if request.headers.get("X-Project-Id", oms_world.PROJECT_ID) != oms_world.PROJECT_ID:
            return "verify aksk signature fail"
        raw_path, _, raw_query = request.raw_path.partition("?")
        lines = [request.method, _encoded_path(raw_path), _encoded_query(raw_query)]
        lines += [f"{name}:{request.headers.get(name, '').strip()}" for name in names]
        lines += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
        canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        text = f"SDK-HMAC-SHA256\n{date}\n{canonical}".encode()
        expected = hmac.new(oms_world.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()
        return None if hmac.compare_digest(expected, given) else "verify aksk signature fail"


def _encoded_path(raw_path: str) -> str:
    encoded = "/".join(quote(part, safe="-_.~") for part in unquote(raw_path).split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _encoded_query(raw_query: str) -> str:
    pairs = [pair.partition("=") for pair in raw_query.split("&") if pair]
    decoded = sorted((unquote(key), unquote(value)) for key, _, value in pairs)
    return "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in decoded)


def _names(body: bytes) -> str:
    """Which fields a body carries; never what is in them."""
    return f"with {', '.join(json.loads(body))}" if body else ""


def _refused(refusal: Refusal, headers: dict[str, str] | None = None) -> web.Response:
    body = {"error_code": refusal.code, "error_msg": refusal.message}
    request_id = hashlib.md5(refusal.code.encode(), usedforsecurity=False).hexdigest()
    return web.json_response(body, status=refusal.http_status, headers={"X-Request-Id": request_id} | (headers or {}))
