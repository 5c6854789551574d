"""Runs one aiohttp application on a loopback port in a thread of its own.

What is served is left to the stand-ins; this only starts and stops it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from aiohttp import web


class ServerThread:
    """A server on 127.0.0.1; `port` 0 takes a free one. Started by `start`, gone after `stop`."""

    def __init__(self, application: web.Application, port: int = 0) -> None:
        application.middlewares.append(_bear_hanging_up)
        self._application = application
        self._wanted_port = port
        self._worker = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._worker.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._worker

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> ServerThread:
        """Listens, and returns when it does.

        Raises:
            OSError: the port is taken.
        """
        self._thread.start()
        started: Future[int] = asyncio.run_coroutine_threadsafe(self._listen(), self._worker)
        self.port = started.result(timeout=10)
        return self

    async def _listen(self) -> int:
        self._runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._wanted_port)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    def stop(self) -> None:
        """Drops every open connection and ends the thread."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._worker).result(timeout=10)
            self._runner = None
        if self._thread.is_alive():
            self._worker.call_soon_threadsafe(self._worker.stop)
            self._thread.join(timeout=10)


@web.middleware
async def _bear_hanging_up(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Who goes away in the middle of a request, as a bot that is killed does, is no fault of the stand-in."""
    try:
        return await handler(request)
    except ConnectionError:
        return web.Response(status=500)
