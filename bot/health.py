"""Serves /livez, /readyz and /metrics on a separate port.

`GracePeriod` and `TimedProbe` decide when a failure counts. `bot.app` decides what to check.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import make_wsgi_app

from bot.net.server import HttpServer

# Returns the problem, or None.
Check = Callable[[], str | None]


class GracePeriod:
    """Tolerates failures that last no longer than a given time.

    Arguments:
        seconds: the time.
        now: a monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._failing_since: float | None = None

    def is_over(self, is_ok: bool) -> bool:
        """Records the result of a check; True if all checks have failed for longer than the period.

        The period begins with the first failed check after a successful one.
        """
        if is_ok:
            self._failing_since = None
            return False
        if self._failing_since is None:
            self._failing_since = self._now()
        return self._now() - self._failing_since > self._seconds


class TimedProbe:
    """Calls a function that can hang, and waits for it for a limited time.

    One call runs at a time, and concurrent callers share it. After the time limit, callers no longer wait for it.

    Arguments:
        call: raises an exception on failure.
        seconds: the time limit of a call.
    """

    def __init__(self, call: Callable[[], None], seconds: float) -> None:
        self._call = call
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(1, "probe")
        self._lock = threading.Lock()
        self._running: Future[None] | None = None
        self._started_at = 0.0

    def problem(self) -> str | None:
        """The name of the exception that the call raised, `it hangs` after the time limit, or None."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running, self._started_at = self._pool.submit(self._call), time.monotonic()
            running, seconds_left = self._running, self._started_at + self._seconds - time.monotonic()
        try:
            error = running.exception(max(seconds_left, 0.0))
        except TimeoutError:
            return "it hangs"
        return None if error is None else type(error).__name__


class HealthServer:
    """The HTTP server for the probes of an orchestrator, and for Prometheus.

    Arguments:
        live: returns the problem for which the process has to be restarted.
        ready: returns the problem that keeps the process from receiving commands. /readyz also reports that of `live`.
        details: what else is wrong, a line each. /readyz?verbose lists it.
        address: as for `HttpServer`.

    Raises:
        OSError: as for `HttpServer`.
    """

    def __init__(
        self,
        port: int,
        live: Check,
        ready: Check,
        details: Callable[[], Sequence[str]] = tuple,
        address: str = "",
    ) -> None:
        metrics = make_wsgi_app()

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ.get("REQUEST_METHOD") != "GET":
                start_response("405 Method Not Allowed", [("Content-Type", "text/plain"), ("Allow", "GET")])
                return [b"only GET\n"]
            match environ.get("PATH_INFO"):
                case "/livez":
                    return _respond(live(), start_response)
                case "/readyz":
                    is_verbose = "verbose" in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
                    problem = live() or ready()
                    return _respond(problem, start_response, details() if is_verbose else ())
                case "/metrics":
                    answer: Iterable[bytes] = metrics(environ, start_response)
                    return answer
                case _:
                    start_response("404 Not Found", [("Content-Type", "text/plain")])
                    return [b"not found\n"]

        self._server = HttpServer(application, address, port, threads=2, max_body_bytes=0)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    def start(self) -> None:
        """Starts to answer requests."""
        self._server.start()

    def stop(self) -> None:
        """Closes the port."""
        self._server.stop()


def _respond(problem: str | None, start_response: Callable[..., Any], details: Sequence[str] = ()) -> Iterable[bytes]:
    status = "200 OK" if problem is None else "503 Service Unavailable"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{line}\n".encode() for line in (problem or "ok", *details)]
