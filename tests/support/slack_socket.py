"""A Slack whose Socket Mode is played byte by byte: sockets that stall, break off, flood or keep silent.

The Web API answers `apps.connections.open` alone. `websockets` parses what the bot sends.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.support.wire import answer_of, read_request

HELLO = {"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A0TEST0001"}}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def frame(message: object) -> bytes:
    """A message in one frame, as Slack sends it."""
    return Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=False)


def command(number: int, text: str = "list") -> dict[str, Any]:
    """The envelope of a slash command. Its id is its number."""
    payload = {
        "command": "/resume-taskgroup",
        "team_id": "T0TEST0001",
        "api_app_id": "A0TEST0001",
        "user_id": "UALICE00",
        "channel_id": "C1",
        "text": text,
        "trigger_id": f"1.{number}",
        "response_url": f"https://hooks.slack.com/commands/{text}/{number}",
    }
    return {"envelope_id": str(number), "type": "slash_commands", "payload": payload, "accepts_response_payload": True}


class Peer:
    """Slack's end of one socket.

    Attributes:
        acks: the envelope ids that the bot acknowledged on this socket, in order.
        has_ended: set when the bot has closed the socket, or it broke off.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._protocol = ServerProtocol()
        self._lock = threading.Lock()
        self.acks: list[str] = []
        self.has_ended = threading.Event()

    def shake_hands(self) -> None:
        while not any(isinstance(event, Request) for event in self._received()):
            pass
        self._protocol.send_response(self._protocol.accept(self._request))
        self._flush()

    def send(self, *messages: object) -> None:
        """Sends messages at once."""
        self.send_bytes(b"".join(map(frame, messages)))

    def send_bytes(self, data: bytes) -> None:
        with self._lock:
            self._socket.sendall(data)

    def serve(self) -> None:
        """Answers pings and receives acknowledgements until the bot closes the socket."""
        while not self.has_ended.is_set():
            for event in self._received():
                if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    self.acks.append(json.loads(bytes(event.data))["envelope_id"])
            self._flush()

    def reset(self) -> None:
        """Ends the connection with RST. For the thread of the script."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        socket.socket(fileno=self._socket.detach()).close()

    def end(self) -> None:
        """Ends the connection with FIN, without a close frame."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def _received(self) -> list[Any]:
        data = self._socket.recv(65536)
        if data:
            self._protocol.receive_data(data)
        else:
            self.has_ended.set()
            self._protocol.receive_eof()
        events = self._protocol.events_received()
        for event in events:
            if isinstance(event, Request):
                self._request = event
        return events

    def _flush(self) -> None:
        with self._lock, suppress(OSError):
            for data in self._protocol.data_to_send():
                if data:
                    self._socket.sendall(data)
                else:
                    self._socket.shutdown(socket.SHUT_WR)


Script = Callable[[Peer], None]


def greet_and_serve(peer: Peer) -> None:
    """What a healthy Slack does."""
    peer.send(HELLO)
    peer.serve()


class RawSlack:
    """A Slack with a Web API and sockets. Use `raw_slack` to make one.

    Attributes:
        scripts: what happens on the next sockets after the handshake; afterwards `greet_and_serve`.
        answers: what the next calls are answered with; afterwards an address.
        address: the address of the sockets.
        opened_at: when `apps.connections.open` was called, and `tokens` with which tokens.
        peers: the sockets so far.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._api = socket.create_server(("127.0.0.1", 0))
        self._sockets = socket.create_server(("127.0.0.1", 0))
        self.scripts: list[Script] = []
        self.answers: list[bytes] = []
        self.opened_at: list[float] = []
        self.tokens: list[str] = []
        self.peers: list[Peer] = []
        self.port: int = self._sockets.getsockname()[1]
        self.address = f"{'wss' if context else 'ws'}://127.0.0.1:{self.port}/link?ticket=1"
        self.api_url = f"http://127.0.0.1:{self._api.getsockname()[1]}/api/"
        threading.Thread(target=self._run, args=(self._api, self._answer), daemon=True).start()
        threading.Thread(target=self._run, args=(self._sockets, self._play), daemon=True).start()

    def refuse(self, error: str) -> None:
        """Refuses the next call."""
        self.answers.append(answer_of(200, json.dumps({"ok": False, "error": error}).encode()))

    def acks(self) -> list[str]:
        """The envelope ids that were acknowledged on all sockets."""
        return [ack for peer in self.peers for ack in peer.acks]

    def stop(self) -> None:
        for listener in (self._api, self._sockets):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _run(self, listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = read_request(connection)
            self.opened_at.append(time.monotonic())
            self.tokens.append(request.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode())
            opened = answer_of(200, json.dumps({"ok": True, "url": self.address}).encode())
            connection.sendall(self.answers.pop(0) if self.answers else opened)

    def _play(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            sock = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            with sock:
                peer = Peer(sock)
                peer.shake_hands()
                script = self.scripts.pop(0) if self.scripts else greet_and_serve
                self.peers.append(peer)
                try:
                    script(peer)
                finally:
                    peer.has_ended.set()


@contextmanager
def raw_slack(context: ssl.SSLContext | None = None) -> Iterator[RawSlack]:
    """Runs a Slack whose sockets use TLS if there is a context."""
    slack = RawSlack(context)
    try:
        yield slack
    finally:
        slack.stop()
