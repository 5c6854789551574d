"""/livez, /readyz and /metrics on a port of their own. Whether the parts are well is asked of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from prometheus_client import make_wsgi_app

from bot.net.server import HttpServer

Check = Callable[[], str | None]


class GracePeriod:
    """Bears that something is away, for a while.

    Arguments:
        seconds: how long.
        now: a clock in seconds that never goes back.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._away_since: float | None = None

    def is_over(self, is_there: bool) -> bool:
        """Whether it was away each time since longer than that."""
        if is_there:
            self._away_since = None
            return False
        if self._away_since is None:
            self._away_since = self._now()
        return self._now() - self._away_since > self._seconds


class TimedProbe:
    """Asks something that may hang whether it answers.

    One question is under way at a time, and nobody waits longer for it than `seconds` from when it was asked: one
    that hangs costs the next who ask no time at all.
    """

    def __init__(self, ask: Callable[[], None], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(1, "ping")
        self._lock = threading.Lock()
        self._asked: Future[None] | None = None
        self._asked_at = 0.0

    def problem(self) -> str | None:
        """What is wrong with it in a word, or None."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked, self._asked_at = self._pool.submit(self._ask), time.monotonic()
            asked, wait = self._asked, self._asked_at + self._seconds - time.monotonic()
        try:
            error = asked.exception(max(wait, 0.0))
        except TimeoutError:
            return "it hangs"
        return None if error is None else type(error).__name__


class HealthServer:
    """Serves the three.

    Arguments:
        live: what is wrong with the process itself, or None.
        ready: what keeps it from serving Slack just now, or None.
    """

    def __init__(self, port: int, live: Check, ready: Check, host: str = "0.0.0.0") -> None:  # noqa: S104 (probes)
        metrics = make_wsgi_app()

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ.get("REQUEST_METHOD") != "GET":
                start_response("405 Method Not Allowed", [("Content-Type", "text/plain"), ("Allow", "GET")])
                return [b"only GET\n"]
            match environ.get("PATH_INFO"):
                case "/livez":
                    return _say(live(), start_response)
                case "/readyz":
                    return _say(live() or ready(), start_response)
                case "/metrics":
                    answer: Iterable[bytes] = metrics(environ, start_response)
                    return answer
                case _:
                    start_response("404 Not Found", [("Content-Type", "text/plain")])
                    return [b"not found\n"]

        self._listener = HttpServer(application, host, port, threads=2, max_body_bytes=0)

    @property
    def port(self) -> int:
        return self._listener.port

    def start(self) -> None:
        self._listener.start()

    def stop(self) -> None:
        self._listener.stop()


def _say(problem: str | None, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response(
        "200 OK" if problem is None else "503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")]
    )
    return [f"{problem or 'ok'}\n".encode()]
