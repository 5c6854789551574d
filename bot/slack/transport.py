"""The Bolt app, and the HTTP transport to it: requests that Slack signs.

The other transport is in `bot.slack.socket_mode`. What the app does with a payload is left to `bot.listeners`.
"""

from __future__ import annotations

import io
import logging
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.internals import parse_body
from slack_sdk.signature import SignatureVerifier

from bot.net.server import HttpServer, WsgiApp
from bot.net.session import Route, new_session
from bot.redaction import Secret
from bot.slack.client import DirectClient
from bot.slack.socket_mode import SocketTransport

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000
API_SECONDS = 10
ACK_SECONDS = 2


def new_client(
    token: Secret, api_url: str, timeout_seconds: int = API_SECONDS, route: Route | None = None
) -> DirectClient:
    """A Web API client that repeats no post: a repeated post is a second message.

    Arguments:
        route: how Slack is reached; None for direct connections that trust the system's certificates.
    """
    return DirectClient(
        new_session(route),
        token,
        base_url=api_url,
        timeout=timeout_seconds,
        retry_handlers=[],
        # It logs every error that it raises.
        logger=_quiet_logger("bot.slack.api", logging.CRITICAL),
    )


def new_app(
    token: Secret,
    api_url: str,
    signing_secret: Secret | None,
    authorization: AuthorizeResult,
    route: Route | None = None,
) -> App:
    """A Bolt app that acknowledges in the thread that received, without a call to Slack before the acknowledgement.

    Arguments:
        authorization: the workspace and the bot user, for every payload.
        route: as for `new_client`.
    """
    return App(
        client=new_client(token, api_url, ACK_SECONDS, route),
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

    @property
    def problem(self) -> str | None:
        """Why Slack cannot reach the bot, as far as the bot knows."""
        return None if self.is_connected else "the HTTP server for Slack has ended"


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
            log.warning("rejected a request that Slack did not sign, at least not with SLACK_SIGNING_SECRET")
            return respond("401 Unauthorized", "not signed by Slack")
        if not _is_payload(body, environ.get("CONTENT_TYPE")):
            log.warning("rejected a signed request: its body is not a payload")
            return respond("400 Bad Request", "no payload")
        try:
            answer: Iterable[bytes] = inner(environ | {"wsgi.input": io.BytesIO(body)}, start_response)
        except Exception as error:  # noqa: BLE001, Bolt raises many kinds if a field has an unexpected type
            # Its message may contain a part of the payload.
            log.warning("rejected a signed request: its payload is malformed (%s)", type(error).__name__)
            return respond("400 Bad Request", "malformed payload")
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
