"""/livez, /readyz and /metrics on a port of their own. Whether the parts are well is asked of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import make_wsgi_app
from waitress.server import create_server

Check = Callable[[], str | None]


class OpsServer:
    """Serves the three.

    Arguments:
        live: what is wrong with the process itself, or None.
        ready: what keeps it from serving Slack just now, or None.
    """

    def __init__(self, port: int, live: Check, ready: Check, host: str = "0.0.0.0") -> None:  # noqa: S104 (probes)
        metrics = make_wsgi_app()

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
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

        self._server = create_server(application, host=host, port=port, threads=2)
        self._thread = threading.Thread(target=self._server.run, name="ops", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.close()


def _say(problem: str | None, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response(
        "200 OK" if problem is None else "503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")]
    )
    return [f"{problem or 'ok'}\n".encode()]
