"""Opens the WebSockets of Socket Mode, over TLS and through a proxy if there is one, and parses their messages.

`websockets` speaks the protocol. When a socket is opened is left to `bot.slack.socket_mode`.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from bot.net.session import Route
from bot.slack.client import DirectClient
from bot.slack.errors import Denied, SlackError, Unavailable, translating_errors, unreachable

# The log of websockets and slack_sdk, which write payloads at DEBUG.
quiet_log = logging.getLogger("bot.slack.socket")
quiet_log.setLevel(logging.WARNING)

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 1.0
MAX_MESSAGE_BYTES = 1_000_000
# A pong has to arrive within twice this time, so a silent socket is closed after three times. A frame can stall as long
# as a pong.
PING_SECONDS = 10.0

Message = dict[str, Any]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_APP_LEVEL_FIX = (
    "create an app-level token with the scope connections:write under Basic Information of your Slack app, and set "
    "SLACK_APP_TOKEN to it"
)
_ADDRESS_FIX = "check for a proxy between the bot and {address}"
# Why Slack ends a socket or refuses a new one, until people change something.
_LASTING_REASONS = {
    "link_disabled": (
        "has Socket Mode turned off for this app",
        "turn it on under Socket Mode in the settings of your Slack app",
    ),
    "too_many_websockets": (
        "already has ten Socket Mode connections of this app",
        "stop the other processes that use the same SLACK_APP_TOKEN",
    ),
}


def new_address(client: DirectClient) -> str:
    """The address of a new socket, which Slack accepts once.

    Arguments:
        client: calls the Web API with the app-level token.

    Raises:
        Denied: Slack does not accept the token.
        Unavailable: Slack does not answer, or its answer has no address with TLS.
    """
    try:
        with translating_errors():
            address = str(client.api_call("apps.connections.open").get("url"))
    except Unavailable:
        raise
    except SlackError as error:
        denied = lasting_problem(error.code) or Denied(error.code, "doesn't accept SLACK_APP_TOKEN", _APP_LEVEL_FIX)
        raise denied from None
    try:
        parts = urlsplit(address)
        has_port = parts.port != 0
        is_safe = has_port and (parts.scheme == "wss" or (parts.scheme == "ws" and parts.hostname in _LOOPBACK))
    except ValueError:
        is_safe = False
    if not is_safe:
        raise Unavailable("no wss address", "sent an answer that isn't from its API", _ADDRESS_FIX)
    return address


def open_websocket(client: DirectClient, route: Route, ping_seconds: float) -> ClientConnection:
    """Opens a socket and waits for Slack's hello.

    Arguments:
        client: calls the Web API with the app-level token.
        ping_seconds: how often a ping is sent. The socket is closed if its pong takes more than twice this time.

    Raises:
        Denied: Slack does not accept the token, or does not let this app connect.
        Unavailable: Slack does not answer.
    """
    address = new_address(client)
    parts = urlsplit(address)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "wss" else 80)
    with _translating_failures(host):
        # Opened here, because websockets follows redirects if it opens the connection.
        if route.proxy is None:
            sock = socket.create_connection((host, port), OPEN_SECONDS)
        else:
            sock = route.proxy.connect(host, port, OPEN_SECONDS)
        sock.settimeout(None)
        _limit_sending(sock, 2 * ping_seconds)
        websocket = connect(
            address,
            sock=sock,
            ssl=route.context if parts.scheme == "wss" else None,
            compression=None,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=ping_seconds,
            ping_timeout=2 * ping_seconds,
            max_size=MAX_MESSAGE_BYTES,
            logger=quiet_log,
            legacy=True,
        )
        try:
            hello = parse(websocket.recv(OPEN_SECONDS))
            if hello.get("type") != "hello":
                raise lasting_problem(hello.get("reason")) or Unavailable("no hello", "didn't open Socket Mode")
        except BaseException:
            websocket.close()
            raise
    return websocket


def parse(text: str | bytes) -> Message:
    """The message in a frame.

    Raises:
        Unavailable: it is not a JSON object.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise Unavailable("no JSON", "sent a message that isn't from Socket Mode", _ADDRESS_FIX)
    return message


def lasting_problem(reason: object) -> Denied | None:
    """The problem that people have to solve before a new socket can work.

    Arguments:
        reason: of a message `disconnect`, or Slack's error code.
    """
    found = _LASTING_REASONS.get(reason) if isinstance(reason, str) else None
    return None if found is None else Denied(str(reason), *found)


@contextmanager
def _translating_failures(host: str) -> Iterator[None]:
    try:
        yield
    except (OSError, WebSocketException, ValueError) as error:
        code = f"HTTP {error.response.status_code}" if isinstance(error, InvalidStatus) else type(error).__name__
        raise unreachable(code, error, f"check that the bot's network allows WebSockets to {host}") from None


def _limit_sending(sock: socket.socket, seconds: float) -> None:
    """Ends the connection when sent bytes are not received for this time. No ping can be sent in the meantime."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
