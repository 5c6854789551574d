"""The HTTP server listens on the addresses of both IP versions, or on one address, and writes no temporary file."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.net.server import HttpServer
from tests.support.wire import ask

MAX_BODY_BYTES = 1_000_000


@pytest.fixture
def serve() -> Iterator[Callable[[str], int]]:
    """Starts a server on an address. It answers with the length of the body. Returns its port."""
    servers: list[HttpServer] = []

    def start(address: str) -> int:
        server = HttpServer(answer_length, address, 0, threads=2, max_body_bytes=MAX_BODY_BYTES)
        servers.append(server)
        server.start()
        return server.port

    yield start
    for server in servers:
        server.stop()


def answer_length(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(environ["wsgi.input"].read())).encode()]


def accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "accepting"),
    [("", {"127.0.0.1", "127.0.0.2", "::1"}), ("127.0.0.1", {"127.0.0.1"}), ("::1", {"::1"})],
)
def test_a_server_listens_on_all_addresses_or_on_one(
    serve: Callable[[str], int], address: str, accepting: set[str]
) -> None:
    port = serve(address)
    assert {tried for tried in ("127.0.0.1", "127.0.0.2", "::1") if accepts(tried, port)} == accepting


def test_a_large_body_needs_no_temporary_file(serve: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    port = serve("127.0.0.1")
    head = f"POST / HTTP/1.0\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n".encode()
    assert ask(port, head + b"x" * MAX_BODY_BYTES).endswith(f"\r\n\r\n{MAX_BODY_BYTES}".encode())
