"""Servers that answer with given bytes: valid, broken or endless answers; and a relay that can be cut off."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Answers that are not valid HTTP, or whose body is not valid JSON, by what is wrong with them.
BROKEN_ANSWERS = {
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    "no status line": b"what is HTTP?\r\n\r\n",
    "nothing": b"",
    "no text": b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
}


def read_request(connection: socket.socket) -> bytes:
    """Reads a whole request. Closing a connection with unread bytes would reset it before the answer is read."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := connection.recv(65536)):
            return received
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0 and (more := connection.recv(missing)):
        received += more
        missing -= len(more)
    return received


# The beginnings of answers that more bytes continue without end, by the part of the answer that never ends.
ENDLESS_ANSWERS = {
    "status": b"HTTP/1.1 2",
    "headers": b"HTTP/1.1 200 OK\r\nX-Drops: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 3900000\r\n\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    "until it closes": b"HTTP/1.1 200 OK\r\n\r\n",
}


def ask(port: int, request: bytes) -> bytes:
    """Sends exactly these bytes to a port of this machine and returns everything that is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        return answer


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Runs a server that answers every request with these bytes. Yields its URL."""
    with recording(answer) as (address, _):
        yield address


@contextmanager
def recording(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Like `answering`. Yields the URL and the list of the requests received so far."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(ConnectionError):
                requests.append(read_request(connection))
                connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextmanager
def dripping(beginning: bytes, drop: bytes = b" ", context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Runs a server for one connection that answers with `beginning`, and then `drop` every 20 ms. Yields its URL.

    Arguments:
        context: answers over TLS with this context; None for no TLS.
    """
    stopped = threading.Event()

    def drip(plain: socket.socket) -> None:
        with plain, suppress(OSError):
            connection = context.wrap_socket(plain, server_side=True) if context else plain
            with connection:
                connection.recv(65536)
                connection.sendall(beginning)
                while not stopped.wait(0.02):
                    connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: drip(listener.accept()[0]), daemon=True).start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopped.set()


def answer_of(status: int, body: bytes = b"{}", **headers: str) -> bytes:
    """An answer with this status, after which the connection ends. `Retry_After` is the header Retry-After."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode() + body


def ok(body: bytes, content_type: str = "application/json") -> bytes:
    """An answer with status 200 and this body."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        content_type.encode(),
        len(body),
        body,
    )


class Wire:
    """Relays connections to a server until it is cut off. Each connection carries one request.

    Attributes:
        carried: how many connections were relayed so far.
        left: how many more are relayed before the relay is cut off; None for any number.
        answers: what the next requests are answered with instead of being relayed.
        answered: the requests that were answered in this way.
        only: `answers` are for requests with these bytes in the first line.
    """

    def __init__(self, url: str) -> None:
        self._server = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._listener: socket.socket | None = None
        self._port = 0
        self.carried = 0
        self.left: int | None = None
        self.answers: list[bytes] = []
        self.answered: list[bytes] = []
        self.only = b""
        self._answers = threading.Event()
        self._answers.set()
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def cut(self) -> None:
        """Refuses new connections from now on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def hang(self) -> None:
        """Accepts connections and answers nothing, until `mend` is called."""
        self._answers.clear()

    def mend(self) -> None:
        """Accepts connections again, on the same port, without a limit."""
        self._answers.set()
        if self._listener is not None:
            return
        self._listener, self.left = socket.create_server(("127.0.0.1", self._port)), None
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._carry, args=(self._listener,), daemon=True).start()

    def _carry(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.carried += 1
            if self.left is not None:
                self.left -= 1
            if self.left == 0:
                self.cut()
            threading.Thread(target=self._relay, args=(connection,), daemon=True).start()

    def _relay(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = read_request(connection)
            self._answers.wait()
            if self.answers and self.only in request.partition(b"\r\n")[0]:
                self.answered.append(request)
                connection.sendall(self.answers.pop(0))
                return
            self._relay_request(connection, request)

    def _relay_request(self, connection: socket.socket, request: bytes) -> None:
        with socket.create_connection(self._server) as server:
            server.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            while part := server.recv(65536):
                connection.sendall(part)
