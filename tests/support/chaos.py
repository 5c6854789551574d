"""A proxy that breaks the connections to one service for a while, as networks, gateways and restarts do.

Which fault happens when is left to the caller. HTTP is parsed as far as a fault needs it, PostgreSQL is not.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from random import Random

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# A connection that is idle for longer is forgotten while `Fault.IDLE` lasts. The bot reuses none that is idle for 3 s.
_IDLE_SECONDS = 3.3
# Between two clicks and two pings, a WebSocket is idle for less time.
_IDLE_SOCKET_SECONDS = 0.5
# How long a service keeps its end of a connection that the network has forgotten.
_KEEP_FORGOTTEN_SECONDS = 10.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_UPGRADE = re.compile(rb"(?i)\r\nupgrade: *websocket")


class Fault(StrEnum):
    """What happens to the connections to a service while the fault lasts."""

    #: All connections are reset when it begins, and most new ones are.
    RESET = "reset"
    #: No byte arrives in either direction. All bytes arrive when the fault ends.
    STALL = "stall"
    #: Idle connections are forgotten: HTTP and WebSocket without a sign, others with a reset.
    IDLE = "idle drop"
    #: Most requests are answered with a 5xx and do not reach the service.
    SERVER_ERROR = "5xx"
    #: Most requests are answered with 429 and Retry-After, and do not reach the service.
    THROTTLE = "429"
    #: Many requests reach the service, and their answer is replaced by a 502, a 504 or a reset.
    LOST_ANSWER = "lost answer"


#: The faults of a service that does not speak HTTP.
CONNECTION_FAULTS = (Fault.RESET, Fault.STALL, Fault.IDLE)

# The share of connections (RESET) or requests (the others) that a fault meets.
_SHARES = {Fault.RESET: 0.7, Fault.SERVER_ERROR: 0.7, Fault.THROTTLE: 0.7, Fault.LOST_ANSWER: 0.25}


@dataclass(frozen=True)
class Answers:
    """How a service, or the gateway in front of it, answers what it does not carry out."""

    errors: Sequence[bytes]
    throttled: bytes


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """The bytes of an answer that ends its connection."""
    kind = "application/json" if body.startswith(b"{") else "text/html"
    fields = [f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return f"HTTP/1.1 {status} Fault\r\n".encode() + "\r\n".join([*fields, "", ""]).encode() + body


class Chaos:
    """The event loop of some proxies, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="chaos", daemon=True).start()

    def proxy(self, port: int, random: Random, answers: Answers | None = None) -> ChaosProxy:
        """Starts a proxy to a port of this machine.

        Arguments:
            random: decides which requests and connections a fault meets.
            answers: of a service that speaks HTTP; None relays bytes.
        """
        proxy = ChaosProxy(port, random, answers)
        asyncio.run_coroutine_threadsafe(proxy.listen(), self.loop).result(timeout=10)
        return proxy

    def begin(self, proxy: ChaosProxy, fault: Fault) -> None:
        self.loop.call_soon_threadsafe(proxy.begin, fault)

    def end(self, proxy: ChaosProxy) -> None:
        self.loop.call_soon_threadsafe(proxy.end)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)


class ChaosProxy:
    """Relays connections to a service, with at most one fault at a time. Use `Chaos.proxy` to make one.

    Attributes:
        port: where it listens.
        forwarded: how many requests reached the service, by the request line without the protocol.
        injected: how many connections and requests each fault has met.
        met_puts: how many of them were PUTs.
    """

    def __init__(self, server_port: int, random: Random, answers: Answers | None) -> None:
        self.port = 0
        self.forwarded: Counter[str] = Counter()
        self.injected: Counter[Fault] = Counter()
        self.met_puts = 0
        self._server_port = server_port
        self._random = random
        self._answers = answers
        self._fault: Fault | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def forgotten(self) -> int:
        """How many clients have not noticed yet that the network has forgotten their connection."""
        return sum(one.is_forgotten for one in list(self._open))

    async def listen(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def begin(self, fault: Fault) -> None:
        self._fault = fault
        match fault:
            case Fault.RESET:
                self.injected[fault] += len(self._open)
                for connection in self._open:
                    connection.reset()
            case Fault.STALL:
                self.injected[fault] += len(self._open)
                self._flowing.clear()
            case Fault.IDLE:
                task = asyncio.get_running_loop().create_task(self._forget_idle())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        self._fault = None
        self._flowing.set()

    def _meets(self, *faults: Fault, is_put: bool = False) -> Fault | None:
        """The fault that lasts, if it is one of these and meets this request or connection. It meets every PUT."""
        if self._fault not in faults or not (is_put or self._random.random() < _SHARES[self._fault]):
            return None
        self.injected[self._fault] += 1
        return self._fault

    async def _forget_idle(self) -> None:
        now = asyncio.get_running_loop().time
        while self._fault is Fault.IDLE:
            for connection in [one for one in self._open if now() - one.used_at > one.idle_seconds]:
                if not connection.is_forgotten:
                    self.injected[Fault.IDLE] += 1
                    connection.forget(is_silent=self._answers is not None)
            await asyncio.sleep(0.1)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        if self._meets(Fault.RESET):
            connection.reset()
            return
        self._open.add(connection)
        try:
            await self._flowing.wait()
            upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
            connection.to_server = upstream[1]
            requests = self._relay_requests if self._answers else self._relay_bytes
            async with asyncio.TaskGroup() as group:
                group.create_task(requests(connection, reader))
                group.create_task(self._relay_answers(connection, upstream[0]))
        except* (OSError, EOFError):
            pass
        finally:
            self._open.discard(connection)
            connection.close()

    async def _relay_bytes(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        while part := await reader.read(65536):
            await self._flowing.wait()
            await connection.send_to_server(part)
        await self._flowing.wait()
        connection.end_of_requests()

    async def _relay_requests(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        """Relays whole requests, until the connection becomes a WebSocket."""
        assert self._answers is not None
        while head := await _read_head(reader):
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            connection.touch()
            await self._flowing.wait()
            is_put = head.startswith(b"PUT ")
            fault = self._meets(Fault.SERVER_ERROR, Fault.THROTTLE, Fault.LOST_ANSWER, is_put=is_put)
            self.met_puts += is_put and fault is not None
            if fault in (Fault.SERVER_ERROR, Fault.THROTTLE):
                errors = self._answers.errors
                await connection.answer(
                    self._random.choice(errors) if fault is Fault.SERVER_ERROR else self._answers.throttled
                )
                return
            if fault is Fault.LOST_ANSWER:
                connection.instead = self._random.choice([answer(502, b"<html>"), answer(504, b"<html>"), b""])
            if not connection.is_forgotten:
                self.forwarded[head.split(b" HTTP/", 1)[0].decode("latin-1")] += 1
            await connection.send_to_server(head + body)
            if _UPGRADE.search(head):
                connection.idle_seconds = _IDLE_SOCKET_SECONDS
                break
        await self._relay_bytes(connection, reader)

    async def _relay_answers(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        while part := await reader.read(65536):
            await self._flowing.wait()
            if connection.instead is not None:
                await connection.lose_answer(connection.instead)
                return
            await connection.send_to_client(part)
        if not connection.is_forgotten:
            connection.close()


class _Connection:
    """Both ends of one connection.

    Attributes:
        instead: what the client gets instead of the next answer: bytes, or a reset if they are empty. None for the
            answer itself.
        idle_seconds: after how long without a byte it may be forgotten.
    """

    def __init__(self, to_client: asyncio.StreamWriter) -> None:
        self._to_client = to_client
        self.to_server: asyncio.StreamWriter | None = None
        self.instead: bytes | None = None
        self.is_forgotten = False
        self.idle_seconds = _IDLE_SECONDS
        self.touch()

    def touch(self) -> None:
        self.used_at = asyncio.get_running_loop().time()

    async def send_to_server(self, part: bytes) -> None:
        self.touch()
        if self.to_server is not None and not self.is_forgotten:
            self.to_server.write(part)
            await self.to_server.drain()

    async def send_to_client(self, part: bytes) -> None:
        self.touch()
        if not self.is_forgotten:
            self._to_client.write(part)
            await self._to_client.drain()

    async def answer(self, answer_: bytes) -> None:
        """Sends an answer, which is the last one."""
        await self.send_to_client(answer_)
        self.close()

    async def lose_answer(self, instead: bytes) -> None:
        """Sends these bytes instead of an answer, or a reset if they are empty."""
        if instead:
            await self.answer(instead)
        else:
            self.reset()

    def reset(self) -> None:
        sock = self._to_client.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._to_client.transport.abort()
        self._abort_server()

    def forget(self, *, is_silent: bool) -> None:
        if not is_silent:
            self.reset()
            return
        self.is_forgotten = True
        asyncio.get_running_loop().call_later(_KEEP_FORGOTTEN_SECONDS, self._abort_server)

    def end_of_requests(self) -> None:
        if self.to_server is not None and not self.is_forgotten:
            with suppress(OSError):
                self.to_server.write_eof()

    def close(self) -> None:
        self._to_client.close()
        if self.to_server is not None:
            self.to_server.close()

    def _abort_server(self) -> None:
        if self.to_server is not None:
            self.to_server.transport.abort()


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    """The request line and the headers; empty at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


_HTML = b"<html><body>Service Unavailable</body></html>"
_NO_LEADER = b'{"errors": ["local node not active but active cluster node not found"]}'
_RETRY_AFTER = "Retry-After: 2"

#: The answers of each service, as its API documents them or a gateway in front of it gives them.
ANSWERS: Mapping[str, Answers] = {
    "slack": Answers(
        [answer(503, _HTML), answer(500, b'{"ok": false, "error": "internal_error"}')],
        answer(429, b'{"ok": false, "error": "ratelimited"}', _RETRY_AFTER),
    ),
    "vault": Answers(
        [answer(503, _NO_LEADER), answer(500, _NO_LEADER), answer(502, _HTML)],
        answer(429, b'{"errors": ["request path: rate limit quota exceeded"]}', _RETRY_AFTER),
    ),
    "oms": Answers(
        [answer(503, _HTML), answer(502, _HTML), answer(500, b'{"error_code": "APIG.0201", "error_msg": "Timeout"}')],
        answer(429, b'{"error_code": "APIG.0308", "error_msg": "The throttling threshold was reached"}', _RETRY_AFTER),
    ),
}
