"""An HTTP proxy on this machine: it opens connections for CONNECT, and answers nothing else."""

from __future__ import annotations

import base64
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bot.net.proxy import Proxy
from bot.redaction import Secret
from tests.support.wire import read_request


class ConnectProxy:
    """A proxy. Use `proxying` to make one.

    Attributes:
        port: where it listens.
        asked: the addresses that it was asked to connect to so far, `HOST:PORT`.
        credentials: `USER:PASSWORD` that it demands; empty for none.
        answer: what it answers to CONNECT instead of opening a connection; None to open it.
        leads_to: the port of this machine to which every connection leads instead of the address.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[str] = []
        self.credentials = ""
        self.answer: bytes | None = None
        self.leads_to: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            request = read_request(client).decode()
            method, address = request.split(" ")[:2]
            if method != "CONNECT":
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
                return
            self.asked.append(address)
            expected = base64.b64encode(self.credentials.encode()).decode()
            if self.credentials and f"\r\nProxy-Authorization: Basic {expected}\r\n" not in request:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
            elif self.answer is not None:
                client.sendall(self.answer)
                if not self.answer:
                    # Waits without an answer until the client gives up.
                    client.recv(1)
            else:
                host, _, port = address.rpartition(":")
                target = (host, int(port)) if self.leads_to is None else ("127.0.0.1", self.leads_to)
                with socket.create_connection(target) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    _carry(client, server)


def _carry(client: socket.socket, server: socket.socket) -> None:
    """Carries bytes in both directions until one end closes the connection."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, (client, server))
        selector.register(server, selectors.EVENT_READ, (server, client))
        while True:
            for key, _ in selector.select():
                source, target = key.data
                part = source.recv(65536)
                if not part:
                    return
                target.sendall(part)


@contextmanager
def proxying() -> Iterator[ConnectProxy]:
    """Runs a proxy."""
    proxy = ConnectProxy()
    try:
        yield proxy
    finally:
        proxy.stop()


def proxy_at(port: int, user: str | None = None, password: str = "") -> Proxy:
    """The proxy at a port of this machine, as the settings of the bot name it."""
    return Proxy("127.0.0.1", port, user, Secret(password) if password else None)
