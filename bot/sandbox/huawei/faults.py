"""Faults that the stand-ins of OMS and IAM inject: each call of an endpoint takes the next fault that was added for it.

What a call does without a fault is left to `oms_server` and `iam`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from aiohttp import web

from bot.sandbox.huawei.rejection import Rejection

LONGEST_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """Answers with this error, and does not carry the call out. The prefix of the code is sent as it is given."""

    http_status: int
    code: str
    message: str = "switched on in the sandbox"
    retry_after: int | None = None
    detail: str = ""
    done: ClassVar[bool] = False


@dataclass(frozen=True)
class Raw:
    """Answers with exactly these bytes: HTML, an empty body, truncated JSON, megabytes, an unknown shape.

    Arguments:
        done: whether the call is carried out nevertheless.
        cut_after: closes the connection after this many bytes of the body.
    """

    http_status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    done: bool = False
    cut_after: int | None = None


@dataclass(frozen=True)
class Echo:
    """Answers with parts of the call, as OMS and proxies do in errors, and does not carry the call out.

    Arguments:
        answer: makes the answer from the body of the call.
    """

    answer: Callable[[bytes], Raw]


@dataclass(frozen=True)
class Drop:
    """Closes the connection without an answer.

    Arguments:
        done: whether the call is carried out first.
    """

    done: bool


@dataclass(frozen=True)
class Hold:
    """Carries the call out, and holds the answer back until the event `released` is set.

    `reached` is set once the call is carried out.
    """

    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    done: ClassVar[bool] = True


@dataclass(frozen=True)
class NoAnswer:
    """Sends no answer, and keeps the connection open until the caller closes it.

    Arguments:
        done: whether the call is carried out nevertheless.
    """

    done: bool = False


@dataclass(frozen=True)
class FailsLater:
    """Accepts the call, and lets its group fail with this code and message once bytes move."""

    code: str
    message: str
    done: ClassVar[bool] = True


Fault = Answer | Raw | Echo | Drop | Hold | NoAnswer | FailsLater
Log = Callable[[int, str], object]

ENDPOINTS = ("show", "list", "start", "retry", "stop", "token", "projects")


class Faults:
    """The faults of each endpoint that no call has taken yet. A call takes one.

    Arguments:
        shared: faults that several servers share. The first call to any of them takes one, after the server's own.
    """

    def __init__(self, shared: Faults | None = None) -> None:
        self._shared = shared
        self._pending: dict[str, deque[Fault]] = {endpoint: deque() for endpoint in ENDPOINTS}

    def add(self, endpoint: str, *faults: Fault) -> None:
        """Adds faults for the next calls of this endpoint, one of ENDPOINTS."""
        self._pending[endpoint].extend(faults)

    def pending(self, endpoint: str) -> tuple[Fault, ...]:
        """The faults that no call has taken yet, the next one first."""
        return tuple(self._pending[endpoint])

    def take(self, endpoint: str) -> Fault | None:
        """Removes and returns the next fault, or None."""
        pending = self._pending[endpoint]
        if pending:
            return pending.popleft()
        return self._shared.take(endpoint) if self._shared is not None else None

    def clear(self, endpoint: str | None = None) -> None:
        """Removes the pending faults of one endpoint, or of all."""
        for name, pending in self._pending.items():
            if endpoint in (None, name):
                pending.clear()


async def respond(
    fault: Fault | None, request: web.Request, carry_out: Callable[[], tuple[web.StreamResponse, str]], log: Log
) -> web.StreamResponse:
    """Answers a call, with the fault that it takes, if any.

    Arguments:
        carry_out: does what the call asks for, and returns its response and a note for the call log.
        log: writes an HTTP status (0 if no answer is sent) and a note to the call log.

    Raises:
        Rejection: the fault is an `Answer`, or `carry_out` rejects the call.
    """
    if isinstance(fault, Answer):
        raise Rejection(fault.http_status, fault.code, fault.message, fault.detail, fault.retry_after)
    if isinstance(fault, Echo):
        fault = fault.answer(await request.read())
    response, note = carry_out() if fault is None or fault.done else (None, "nothing was done")
    match fault:
        case Raw():
            log(fault.http_status, f"switched on in the sandbox, {note}")
            return await _raw_response(fault, request)
        case Drop():
            log(0, f"connection dropped, {note}")
            return _close_connection(request)
        case NoAnswer():
            log(0, f"no answer, {note}")
            await _until(lambda: request.transport is None or request.transport.is_closing())
            return _close_connection(request)
        case Hold():
            fault.reached.set()
            await _until(fault.released.is_set)
    log(200 if response is None else response.status, note)
    return response or web.Response(status=500)


async def _raw_response(fault: Raw, request: web.Request) -> web.StreamResponse:
    if fault.cut_after is None:
        return web.Response(status=fault.http_status, body=fault.body, headers=fault.headers)
    response = web.StreamResponse(status=fault.http_status, headers=fault.headers)
    response.content_length = len(fault.body)
    await response.prepare(request)
    await response.write(fault.body[: fault.cut_after])
    return _close_connection(request)


def _close_connection(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    # aiohttp needs a response object, which is never sent.
    return web.Response(status=500)


async def _until(holds: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + LONGEST_WAIT_SECONDS
    while not holds() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.01)
