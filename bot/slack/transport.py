"""The two ways in from Slack: a socket that the bot opens, or HTTP requests that Slack signs.

Both give what comes to the same Bolt app. What listens in it is left to `bot.handlers`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable
from http.client import HTTPException
from typing import Any, Protocol

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from waitress.server import create_server

from bot.redaction import Secret

MAX_BODY_BYTES = 1_000_000
API_SECONDS = 10
ACK_SECONDS = 2
CLOSE_SECONDS = 1.0
# A ping each so often, and no pong for four times as long: then the socket is dead.
PING_SECONDS = 10.0

# What slack_sdk raises when Slack cannot be asked, and, as SlackApiError, when it refuses.
SlackErrors = (SlackClientError, OSError, HTTPException)

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Transport(Protocol):
    """A way in."""

    def start(self, stopping: threading.Event) -> None: ...

    def stop(self) -> None: ...

    @property
    def is_connected(self) -> bool: ...


def code_of(error: Exception) -> str:
    """Slack's own word for its refusal, or the kind of error where Slack itself said nothing."""
    if not isinstance(error, SlackApiError):
        return type(error).__name__
    code = str(error.response.get("error"))
    return (
        code
        if re.fullmatch(r"[a-z_]+", code)
        else f"an answer that is not Slack's, status {error.response.status_code}"
    )


def new_client(token: Secret, api_url: str, timeout_seconds: int = API_SECONDS) -> WebClient:
    """A client that repeats nothing by itself: a post that was repeated is a post too many."""
    return WebClient(
        token=token.reveal(),
        base_url=api_url,
        timeout=timeout_seconds,
        retry_handlers=[],
        # It writes down what it then raises.
        logger=_quiet_logger("bot.slack.api", logging.CRITICAL),
    )


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
    """Socket Mode.

    A socket that is open but dead counts as not connected: slack_sdk pings, drops it when no pong comes for four
    times `ping_seconds`, and opens another (`Connection.check_state`, slack_sdk 3.48).
    """

    def __init__(self, app: App, app_token: Secret, ping_seconds: float = PING_SECONDS) -> None:
        self._app_token = app_token
        self._handler = SocketModeHandler(
            app,
            app_token.reveal(),
            logger=_quiet_logger("bot.slack.socket", logging.WARNING),
            # Nobody waits for this one, as for the ack.
            web_client=new_client(app_token, app.client.base_url),
            ping_interval=ping_seconds,
        )

    def start(self, stopping: threading.Event) -> None:
        """Connects. A socket that does not open is tried again, by slack_sdk, until `stop`.

        Arguments:
            stopping: set when there is no need to any more.

        Raises:
            SlackErrors: Slack does not take the token, or cannot be asked.
        """
        client = self._handler.client
        while not stopping.is_set():
            try:
                client.wss_uri = client.web_client.apps_connections_open(app_token=self._app_token.reveal())["url"]
            except SlackApiError as error:
                # slack_sdk would sleep here, and nothing could wake it.
                if error.response.get("error") != "ratelimited":
                    raise
                stopping.wait(float(error.response.headers.get("Retry-After", "30")))
            else:
                self._handler.connect()  # type: ignore[no-untyped-call]
                return

    def stop(self) -> None:
        """Takes nothing more at once. The socket is closed behind it: that may wait for a thread that sleeps."""
        closing = threading.Thread(target=self._handler.close, name="close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

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

    def start(self, stopping: threading.Event) -> None:
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
