"""The two transports from Slack to the Bolt app: Socket Mode, and HTTP requests that Slack signs.

What the app does with a payload is left to `bot.listeners`.
"""

from __future__ import annotations

import io
import logging
import re
import select
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.internals import parse_body
from slack_sdk.signature import SignatureVerifier

from bot.net.server import HttpServer, WsgiApp
from bot.redaction import Secret
from bot.slack.client import DirectClient
from bot.slack.errors import RateLimited, translating_errors

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000
API_SECONDS = 10
ACK_SECONDS = 2
RETRY_AFTER_SECONDS = 30
CLOSE_SECONDS = 1.0
# slack_sdk closes a socket after four of these without a pong.
PING_SECONDS = 10.0
CHECK_SECONDS = 1.0


def new_client(token: Secret, api_url: str, timeout_seconds: int = API_SECONDS) -> DirectClient:
    """A Web API client that repeats no call: a repeated post is a second message."""
    return DirectClient(
        token=token.reveal(),
        base_url=api_url,
        timeout=timeout_seconds,
        retry_handlers=[],
        # It logs every error that it raises.
        logger=_quiet_logger("bot.slack.api", logging.CRITICAL),
    )


def new_app(token: Secret, api_url: str, signing_secret: Secret | None, authorization: AuthorizeResult) -> App:
    """A Bolt app that acknowledges in the thread that received, without a call to Slack before the acknowledgement.

    Arguments:
        authorization: the workspace and the bot user, for every payload.
    """
    return App(
        client=new_client(token, api_url, ACK_SECONDS),
        signing_secret=signing_secret.reveal() if signing_secret else "",
        authorize=lambda **_: authorization,
        # By default Bolt polls for the acknowledgement every 10 ms.
        process_before_response=True,
        raise_error_for_unhandled_request=False,
        # Bolt logs bodies at lower levels, and warns of settings that are intended here.
        logger=_quiet_logger("bot.slack.bolt", logging.ERROR),
        request_verification_enabled=True,
    )


def _quiet_logger(name: str, level: int) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.setLevel(level)
    return logger


class SocketTransport:
    """Socket Mode: a WebSocket that the bot opens.

    slack_sdk sends pings, and replaces a socket without a pong for four times `ping_seconds`
    (`Connection.check_state`, slack_sdk 3.48). It does not notice when Slack ends the TCP connection without a close
    frame; that is noticed here.
    """

    def __init__(self, app: App, app_token: Secret, ping_seconds: float = PING_SECONDS) -> None:
        self._app_token = app_token
        self._stopped = threading.Event()
        self._handler = SocketModeHandler(
            app,
            app_token.reveal(),
            logger=_quiet_logger("bot.slack.socket", logging.WARNING),
            # Its own client: no acknowledgement waits for this one, so its time-out is longer.
            web_client=new_client(app_token, app.client.base_url),
            ping_interval=ping_seconds,
        )
        # slack_sdk takes it from the environment.
        self._handler.client.proxy = None

    def start(self, shutdown: threading.Event) -> None:
        """Opens the socket. Afterwards slack_sdk reconnects by itself until `stop`.

        Arguments:
            shutdown: ends a wait for Slack's rate limit.

        Raises:
            SlackError: Slack does not accept the token, or does not answer.
        """
        while not shutdown.is_set():
            try:
                self._connect()
            except RateLimited as error:
                seconds = error.retry_after_seconds
                shutdown.wait(RETRY_AFTER_SECONDS if seconds is None else seconds)
            else:
                threading.Thread(target=self._close_ended_sockets, name="socket-check", daemon=True).start()
                return

    @translating_errors()
    def _connect(self) -> None:
        client = self._handler.client
        # slack_sdk would make this call too, but sleep through a rate limit, whatever happens meanwhile.
        client.wss_uri = client.web_client.apps_connections_open(app_token=self._app_token.reveal())["url"]
        self._handler.connect()  # type: ignore[no-untyped-call]

    def _close_ended_sockets(self) -> None:
        """Closes a socket one check after its end was seen, when all that came before the end has been read."""
        ended = None
        while not self._stopped.wait(CHECK_SECONDS):
            session = self._handler.client.current_session
            sock = session.sock if session is not None else None
            if session is None or sock is None or not _has_ended(sock):
                ended = None
            elif ended is sock:
                session.disconnect()
            else:
                ended = sock

    def stop(self) -> None:
        """Receives nothing more. Waits at most 1 s for the socket to close, since slack_sdk may be asleep."""
        self._stopped.set()
        closing = threading.Thread(target=self._handler.close, name="socket-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    @property
    def is_connected(self) -> bool:
        """Whether a socket is open and not known to be dead."""
        return bool(self._handler.client.is_connected())


def _has_ended(sock: socket.socket) -> bool:
    """Whether the other side has closed its end of the connection. Nothing is read from the socket."""
    if sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


class HttpTransport:
    """HTTP: Slack posts payloads to `/slack/events`, each with a signature.

    Arguments:
        address: as for `HttpServer`.
    """

    def __init__(self, app: App, signing_secret: Secret | None, port: int, address: str = "") -> None:
        verifier = SignatureVerifier(signing_secret.reveal() if signing_secret else "")
        wsgi_app = _checking_signatures(SlackRequestHandler(app), verifier)
        self._server = HttpServer(wsgi_app, address, port, threads=16, max_body_bytes=MAX_BODY_BYTES)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    def start(self, shutdown: threading.Event) -> None:
        """Starts to answer requests, whether or not `shutdown` is set."""
        self._server.start()

    def stop(self) -> None:
        """Closes the port."""
        self._server.stop()

    @property
    def is_connected(self) -> bool:
        """Whether the server runs."""
        return self._server.is_alive


Transport = SocketTransport | HttpTransport


def _checking_signatures(inner: Any, verifier: SignatureVerifier) -> WsgiApp:
    """Rejects requests without Slack's signature before their body is parsed. Bolt alone would parse it first."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def respond(status: str, text: str) -> Iterable[bytes]:
            start_response(status, [("Content-Type", "text/plain")])
            return [f"{text}\n".encode()]

        match environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"):
            case "POST", "/slack/events":
                pass
            case (("GET" | "HEAD"), "/"):
                # Load balancers call this path unless they are told another one.
                return respond("200 OK", "ok")
            case _:
                return respond("404 Not Found", "not found")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if not _is_signed(verifier, environ, body):
            return respond("401 Unauthorized", "not signed by Slack")
        if not _is_payload(body, environ.get("CONTENT_TYPE")):
            log.warning("rejected a signed request: its body is not a payload")
            return respond("400 Bad Request", "no payload")
        answer: Iterable[bytes] = inner(environ | {"wsgi.input": io.BytesIO(body)}, start_response)
        return answer

    return application


def _is_signed(verifier: SignatureVerifier, environ: dict[str, Any], body: bytes) -> bool:
    timestamp = str(environ.get("HTTP_X_SLACK_REQUEST_TIMESTAMP", ""))
    signature = str(environ.get("HTTP_X_SLACK_SIGNATURE", ""))
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
        return False
    try:
        return verifier.is_valid(body, timestamp, signature)
    except UnicodeDecodeError:
        # The body is not text, and Slack signs only text.
        return False


def _is_payload(body: bytes, content_type: str | None) -> bool:
    """Whether Bolt's own parser reads the body as an object. It raises where it cannot."""
    try:
        return isinstance(parse_body(body.decode(), (content_type or "").partition(";")[0]), dict)
    except (ValueError, RecursionError):
        return False
