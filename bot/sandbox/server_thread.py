"""Runs an aiohttp application on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from aiohttp import web


class ServerThread:
    """A server on 127.0.0.1. It listens from `start` to `stop`.

    Arguments:
        port: 0 takes a free one. The attribute `port` has the real one once the server listens.
    """

    def __init__(self, application: web.Application, port: int = 0) -> None:
        application.middlewares.append(_ignore_lost_connections)
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self._application = application
        self._wanted_port = port
        self._thread = threading.Thread(target=self.loop.run_forever, name="sandbox-server", daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> ServerThread:
        """Starts the thread, and returns when the server listens.

        Raises:
            OSError: the port is taken.
        """
        self._thread.start()
        started: Future[int] = asyncio.run_coroutine_threadsafe(self._listen(), self.loop)
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
        """Closes every open connection and ends the thread."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._close(self._runner), self.loop).result(timeout=10)
            self._runner = None
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout=10)
        if not self._thread.is_alive():
            self.loop.close()

    async def _close(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        unfinished = asyncio.all_tasks() - {asyncio.current_task()}
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


@web.middleware
async def _ignore_lost_connections(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A client that disconnects during a request, as a killed bot does, is not an error of the stand-in."""
    try:
        return await handler(request)
    except ConnectionError:
        return web.Response(status=500)
