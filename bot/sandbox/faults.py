"""What can be made to go wrong between the bot and a stand-in: one fault for each of the next calls of an endpoint.

Which call meets which fault is kept here; what the call would have done is left to the stand-ins.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from aiohttp import web

from bot.sandbox.rejection import Rejection

HANGS_UP_WITHIN_SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """Instead of its own, OMS gives this answer. Nothing is done. The code's prefix is sent as it is given."""

    http_status: int
    code: str
    message: str = "switched on in the sandbox"
    retry_after: int | None = None
    detail: str = ""
    done: ClassVar[bool] = False


@dataclass(frozen=True)
class Raw:
    """Instead of its own, exactly this comes back: HTML, nothing at all, half a JSON, megabytes, other shapes.

    Arguments:
        done: whether what was asked for is done all the same.
        cut_after: the connection breaks after so many bytes of the body.
    """

    http_status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    done: bool = False
    cut_after: int | None = None


@dataclass(frozen=True)
class Drop:
    """The connection breaks: before anything is done, or after it was."""

    done: bool


@dataclass(frozen=True)
class Hold:
    """The answer waits until the event is set. What was asked for is done first."""

    released: threading.Event
    reached: threading.Event
    done: ClassVar[bool] = True


@dataclass(frozen=True)
class Late:
    """No answer comes before the caller hangs up."""

    done: bool = False


@dataclass(frozen=True)
class FailsLater:
    """What was asked for is accepted, and the group that it is about fails as soon as it moves."""

    code: str
    message: str
    done: ClassVar[bool] = True


Fault = Answer | Raw | Drop | Hold | Late | FailsLater
Note = Callable[[int, str], object]

ENDPOINTS = ("show", "list", "start", "retry", "stop", "token", "projects")


class Faults:
    """The faults that the next calls of the endpoints meet, one each.

    Arguments:
        common: faults that other servers share: whichever is called first meets them, after its own.
    """

    def __init__(self, common: Faults | None = None) -> None:
        self._common = common
        self._waiting: dict[str, deque[Fault]] = {endpoint: deque() for endpoint in ENDPOINTS}

    def add(self, endpoint: str, *faults: Fault) -> None:
        self._waiting[endpoint].extend(faults)

    def waiting(self, endpoint: str) -> tuple[Fault, ...]:
        """Those that were not met yet, the next one first."""
        return tuple(self._waiting[endpoint])

    def take(self, endpoint: str) -> Fault | None:
        waiting = self._waiting[endpoint]
        if waiting:
            return waiting.popleft()
        return self._common.take(endpoint) if self._common is not None else None

    def clear(self, endpoint: str | None = None) -> None:
        """Switches off whatever was not met; of one endpoint, or of all."""
        for name, waiting in self._waiting.items():
            if endpoint in (None, name):
                waiting.clear()


async def meet(
    fault: Fault | None, request: web.Request, work: Callable[[], tuple[web.StreamResponse, str]], note: Note
) -> web.StreamResponse:
    """The answer to a call that meets this fault, or none.

    Arguments:
        work: does what was asked for; its answer, and what to write down about it.
        note: writes down an HTTP status (0 where no answer went out) and words.

    Raises:
        Refusal: as `work` or an `Answer` refuses.
    """
    if isinstance(fault, Answer):
        raise Rejection(fault.http_status, fault.code, fault.message, fault.detail, fault.retry_after)
    answer, words = work() if fault is None or fault.done else (None, "nothing was done")
    match fault:
        case Raw():
            note(fault.http_status, f"switched on in the sandbox, {words}")
            return await _raw(fault, request)
        case Drop():
            note(0, f"connection dropped, {words}")
            return _hung_up(request)
        case Late():
            note(0, f"no answer, {words}")
            await _until(lambda: request.transport is None or request.transport.is_closing())
            return _hung_up(request)
        case Hold():
            fault.reached.set()
            await _until(fault.released.is_set)
    note(200 if answer is None else answer.status, words)
    return answer or web.Response(status=500)


def refused(refusal: Rejection) -> web.Response:
    """A refusal as it goes out."""
    request_id = secrets.token_hex(16)
    headers = {"X-Request-Id": request_id}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return web.json_response(refusal.body(request_id), status=refusal.http_status, headers=headers)


async def _raw(fault: Raw, request: web.Request) -> web.StreamResponse:
    if fault.cut_after is None:
        return web.Response(status=fault.http_status, body=fault.body, headers=fault.headers)
    answer = web.StreamResponse(status=fault.http_status, headers=fault.headers)
    answer.content_length = len(fault.body)
    await answer.prepare(request)
    await answer.write(fault.body[: fault.cut_after])
    return _hung_up(request)


def _hung_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _until(holds: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + HANGS_UP_WITHIN_SECONDS
    while not holds() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.01)
