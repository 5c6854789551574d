"""A port that serves HTTP: whoever is slow, or many, keeps nobody else out. What is answered is left to others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, cast

from waitress.channel import HTTPChannel
from waitress.server import create_server

MAX_WAITING = 100
MAX_HEAD_BYTES = 32_768

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Connection(HTTPChannel):
    """Of those whose request is not whole, or who only keep the connection, the oldest gives way to one too many.

    A time-out would not do: a byte now and then is no silence, and who sends a request at once should find a place.
    """

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        waiting = [one for one in server.active_channels.values() if not one.requests and not one.will_close]
        if len(waiting) > MAX_WAITING:
            min(waiting, key=lambda one: one.creation_time).will_close = True


class HttpServer:
    """Listens from the start, answers from `start` on.

    Arguments:
        max_body_bytes: a request that is larger is refused before the application sees it.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, application: WsgiApp, host: str, port: int, *, threads: int, max_body_bytes: int) -> None:
        made = create_server(
            application,
            host=host,
            port=port,
            threads=threads,
            max_request_header_size=MAX_HEAD_BYTES,
            # waitress refuses what is as large as this, too.
            max_request_body_size=max_body_bytes + 1,
            # Only requests that are being answered come on top of those that wait.
            connection_limit=2 * MAX_WAITING,
            # select() ends at file descriptor 1023, and with it the thread.
            asyncore_use_poll=True,
        )
        self._server = cast("Any", made)
        self._server.channel_class = _Connection
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
