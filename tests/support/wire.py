"""A server that answers whatever it is asked with exactly these bytes, and closes: half answers, and none at all."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

BROKEN_ANSWERS = {
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    "no status line": b"what is HTTP?\r\n\r\n",
    "nothing": b"",
    "no text": b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
}


def read_request(connection: socket.socket) -> bytes:
    """The whole request, head and body: closing with something unread would reset the connection under the answer."""
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


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of the server, while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                read_request(connection)
                connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def ok(body: bytes, content_type: str = "application/json") -> bytes:
    """An answer of 200 with this body."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        content_type.encode(),
        len(body),
        body,
    )
