"""The two ways in from Slack: a socket that the bot opens, or HTTP requests that Slack signs.

Both give what comes to the same Bolt app. What listens in it is left to `bot.handlers`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from waitress.server import create_server

from bot.redaction import Secret

MAX_BODY_BYTES = 1_000_000
API_SECONDS = 10
ACK_SECONDS = 2

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Transport(Protocol):
    """A way in."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    @property
    def is_connected(self) -> bool: ...


def new_client(token: Secret, api_url: str, timeout_seconds: int = API_SECONDS) -> WebClient:
    """A client that repeats nothing by itself: a post that was repeated is a post too many."""
    return WebClient(token=token.reveal(), base_url=api_url, timeout=timeout_seconds, retry_handlers=[])


def new_app(token: Secret, api_url: str, signing_secret: Secret | None, who: AuthorizeResult) -> App:
    """A Bolt app that acknowledges inline and asks Slack nothing on the way."""
    return App(
        client=new_client(token, api_url, ACK_SECONDS),
        signing_secret=signing_secret.reveal() if signing_secret else "",
        authorize=lambda **_: who,
        # Waiting for the ack by polling costs 10 ms.
        process_before_response=True,
        raise_error_for_unhandled_request=False,
        # Below errors it writes bodies down, and warns of settings that are meant.
        logger=_quiet_logger("bot.slack.bolt", logging.ERROR),
        request_verification_enabled=True,
    )


def _quiet_logger(name: str, level: int) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.setLevel(level)
    return logger


class SocketTransport:
    """Socket Mode."""

    def __init__(self, app: App, app_token: Secret) -> None:
        self._handler = SocketModeHandler(
            app, app_token.reveal(), logger=_quiet_logger("bot.slack.socket", logging.WARNING)
        )

    def start(self) -> None:
        self._handler.connect()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        self._handler.client.auto_reconnect_enabled = False
        self._handler.close()  # type: ignore[no-untyped-call]

    @property
    def is_connected(self) -> bool:
        return bool(self._handler.client.is_connected())


class HttpTransport:
    """HTTP on a port of our own."""

    def __init__(self, app: App, port: int, host: str = "0.0.0.0") -> None:  # noqa: S104 (Slack comes from outside)
        self._server = create_server(
            _guard(SlackRequestHandler(app)), host=host, port=port, threads=16, max_request_body_size=MAX_BODY_BYTES
        )
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.close()

    @property
    def is_connected(self) -> bool:
        return self._thread.is_alive()


def _guard(inner: Any) -> WsgiApp:
    """Refuses what cannot be from Slack before Bolt looks at it: it would answer 500 to a timestamp in words."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        timestamp = str(environ.get("HTTP_X_SLACK_REQUEST_TIMESTAMP", ""))
        signature = str(environ.get("HTTP_X_SLACK_SIGNATURE", ""))
        if environ.get("PATH_INFO") != "/slack/events" or environ.get("REQUEST_METHOD") != "POST":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not found\n"]
        if not re.fullmatch(r"[0-9]{1,12}", timestamp) or not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
            start_response("401 Unauthorized", [("Content-Type", "text/plain")])
            return [b"not signed by Slack\n"]
        answer: Iterable[bytes] = inner(environ, start_response)
        return answer

    return guarded
