"""Serves a WSGI application over HTTP. Slow or many clients do not block others.

The application makes the responses.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, cast

from waitress.channel import HTTPChannel
from waitress.server import create_server

# The limit for connections without a complete request.
MAX_WAITING = 100
MAX_HEAD_BYTES = 32_768

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _LimitedConnection(HTTPChannel):
    """A connection that closes the oldest one without a complete request if there are more than `MAX_WAITING`.

    A timeout is not enough: a client that sends a byte from time to time never reaches it.
    """

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        channels = server.active_channels.values()
        waiting = [channel for channel in channels if not channel.requests and not channel.will_close]
        if len(waiting) > MAX_WAITING:
            min(waiting, key=lambda channel: channel.creation_time).will_close = True


class HttpServer:
    """An HTTP server. Listens from its creation on, and answers after `start`.

    Arguments:
        address: the IP address to listen on; "" for all addresses of this machine, IPv4 and IPv6.
        port: 0 for any free port; the property `port` returns it.
        threads: how many requests are answered at the same time.
        max_body_bytes: a request with a larger body is refused before the application sees it.

    Raises:
        OSError: the port is in use, or this machine does not have the address.
    """

    def __init__(self, application: WsgiApp, address: str, port: int, *, threads: int, max_body_bytes: int) -> None:
        server = create_server(
            application,
            sockets=[_listen(address, port)],
            threads=threads,
            max_request_header_size=MAX_HEAD_BYTES,
            # waitress also refuses a body of exactly this size.
            max_request_body_size=max_body_bytes + 1,
            # waitress would write a larger body to a temporary file, and the file system may be read-only.
            inbuf_overflow=max_body_bytes + 1,
            # The waiting connections, and those with a request that is being answered.
            connection_limit=2 * MAX_WAITING,
            # select() fails on file descriptors above 1023, which would end the thread.
            asyncore_use_poll=True,
        )
        self._server = cast("Any", server)
        self._server.channel_class = _LimitedConnection
        self._thread = threading.Thread(target=self._server.run, name=f"port {port}", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.effective_port)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.close()


def _listen(address: str, port: int) -> socket.socket:
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
