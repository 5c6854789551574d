"""The two ways in from Slack: a socket that the bot opens, or HTTP requests that Slack signs.

Both give what comes to the same Bolt app. What listens in it is left to `bot.listeners`.
"""

from __future__ import annotations

import io
import logging
import re
import select
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.internals import parse_body
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier

from bot.net.server import HttpServer, WsgiApp
from bot.redaction import Secret
from bot.slack.client import DirectClient

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000
API_SECONDS = 10
ACK_SECONDS = 2
CLOSE_SECONDS = 1.0
# A ping each so often, and no pong for four times as long: then the socket is dead.
PING_SECONDS = 10.0
LOOK_SECONDS = 1.0


class Transport(Protocol):
    """A way in."""

    def start(self, shutdown: threading.Event) -> None: ...

    def stop(self) -> None: ...

    @property
    def is_connected(self) -> bool: ...


def new_client(token: Secret, api_url: str, timeout_seconds: int = API_SECONDS) -> WebClient:
    """A client that repeats nothing by itself: a post that was repeated is a post too many."""
    return DirectClient(
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
    times `ping_seconds`, and opens another (`Connection.check_state`, slack_sdk 3.48). One that the other side has
    ended without a close frame it takes for silent, and reads its end over and over: that is dropped here.
    """

    def __init__(self, app: App, app_token: Secret, ping_seconds: float = PING_SECONDS) -> None:
        self._app_token = app_token
        self._stopped = threading.Event()
        self._handler = SocketModeHandler(
            app,
            app_token.reveal(),
            logger=_quiet_logger("bot.slack.socket", logging.WARNING),
            # Nobody waits for this one, as for the ack.
            web_client=new_client(app_token, app.client.base_url),
            ping_interval=ping_seconds,
        )
        # It would ask the environment for one.
        self._handler.client.proxy = None

    def start(self, shutdown: threading.Event) -> None:
        """Connects. A socket that does not open is tried again, by slack_sdk, until `stop`.

        Arguments:
            stopping: set when there is no need to any more.

        Raises:
            SlackErrors: Slack does not take the token, or cannot be asked.
        """
        client = self._handler.client
        while not shutdown.is_set():
            try:
                client.wss_uri = client.web_client.apps_connections_open(app_token=self._app_token.reveal())["url"]
            except SlackApiError as error:
                # slack_sdk would sleep here, and nothing could wake it.
                if error.response.get("error") != "ratelimited":
                    raise
                shutdown.wait(float(error.response.headers.get("retry-after", "30")))
            else:
                self._handler.connect()  # type: ignore[no-untyped-call]
                threading.Thread(target=self._drop_ended, name="ended", daemon=True).start()
                return

    def _drop_ended(self) -> None:
        """Looks each second, so that whoever reads has read what came before the end. slack_sdk connects anew."""
        ended = None
        while not self._stopped.wait(LOOK_SECONDS):
            session = self._handler.client.current_session
            sock = session.sock if session is not None else None
            if session is None or sock is None or not _has_ended(sock):
                ended = None
            elif ended is sock:
                session.disconnect()
            else:
                ended = sock

    def stop(self) -> None:
        """Takes nothing more at once. The socket is closed behind it: that may wait for a thread that sleeps."""
        self._stopped.set()
        closing = threading.Thread(target=self._handler.close, name="close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    @property
    def is_connected(self) -> bool:
        return bool(self._handler.client.is_connected())


def _has_ended(sock: socket.socket) -> bool:
    """Whether the other side sends nothing more, as the kernel knows; nothing is read."""
    if sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


class HttpTransport:
    """HTTP on a port of our own, on all addresses unless told otherwise: Slack comes from outside."""

    def __init__(self, app: App, signing_secret: Secret | None, port: int, host: str = "0.0.0.0") -> None:  # noqa: S104
        verifier = SignatureVerifier(signing_secret.reveal() if signing_secret else "")
        guarded = _guard(SlackRequestHandler(app), verifier)
        self._listener = HttpServer(guarded, host, port, threads=16, max_body_bytes=MAX_BODY_BYTES)

    @property
    def port(self) -> int:
        return self._listener.port

    def start(self, shutdown: threading.Event) -> None:
        self._listener.start()

    def stop(self) -> None:
        self._listener.stop()

    @property
    def is_connected(self) -> bool:
        return self._listener.is_alive


def _guard(inner: Any, verifier: SignatureVerifier) -> WsgiApp:
    """Refuses what is not from Slack before anybody reads it: Bolt reads first, and asks for the signature then."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def refuse(status: str, why: str) -> Iterable[bytes]:
            start_response(status, [("Content-Type", "text/plain")])
            return [f"{why}\n".encode()]

        if environ.get("PATH_INFO") != "/slack/events" or environ.get("REQUEST_METHOD") != "POST":
            return refuse("404 Not Found", "not found")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if not _is_signed(verifier, environ, body):
            return refuse("401 Unauthorized", "not signed by Slack")
        if not _is_payload(body, environ.get("CONTENT_TYPE")):
            log.warning("a request that is signed holds no payload")
            return refuse("400 Bad Request", "no payload")
        answer: Iterable[bytes] = inner(environ | {"wsgi.input": io.BytesIO(body)}, start_response)
        return answer

    return guarded


def _is_signed(verifier: SignatureVerifier, environ: dict[str, Any], body: bytes) -> bool:
    timestamp = str(environ.get("HTTP_X_SLACK_REQUEST_TIMESTAMP", ""))
    signature = str(environ.get("HTTP_X_SLACK_SIGNATURE", ""))
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
        return False
    try:
        return verifier.is_valid(body, timestamp, signature)
    except UnicodeDecodeError:
        # Slack signs text.
        return False


def _is_payload(body: bytes, content_type: str | None) -> bool:
    """Whether Bolt can read it: it raises where it cannot."""
    try:
        return isinstance(parse_body(body.decode(), (content_type or "").partition(";")[0]), dict)
    except (ValueError, RecursionError):
        return False
