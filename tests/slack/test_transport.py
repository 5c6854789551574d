"""Connected means that Slack is there, not that a socket is open."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from aiohttp import WSMsgType, web
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError

from bot.net.server import MAX_WAITING
from bot.redaction import Secret
from bot.sandbox.serving import ServerThread
from bot.slack.transport import MAX_BODY_BYTES, HttpTransport, SocketTransport, new_app
from tests.support.wire import ask

# After so many slack_sdk takes a socket for dead.
MISSED_PONGS = 4


class Line:
    """The far end of sockets that take whatever comes and never say a word, pongs included, until it wakes up."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.opened = 0
        self.is_awake = False
        self.far_ends: list[asyncio.Transport | None] = []
        self.pongs = 0
        app = web.Application()
        app.router.add_post("/api/apps.connections.open", self._open)
        app.router.add_get("/link", self._link)
        self.server = ServerThread(app)

    async def _open(self, request: web.Request) -> web.Response:
        self.opened += 1
        if self.answers:
            return self.answers.pop(0)
        return web.json_response({"ok": False, "error": "invalid_auth"})

    async def _link(self, request: web.Request) -> web.StreamResponse:
        self.far_ends.append(request.transport)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for message in socket:
            if self.is_awake and message.type is WSMsgType.PING:
                await socket.pong(message.data)
                self.pongs += 1
        return socket

    def one_socket(self) -> None:
        url = f"ws://127.0.0.1:{self.server.port}/link?ticket=1"
        self.answers.append(web.json_response({"ok": True, "url": url}))


@pytest.fixture
def line() -> Iterator[Line]:
    built = Line()
    built.server.start()
    yield built
    built.server.stop()


def transport(line: Line, ping_seconds: float = 10.0) -> SocketTransport:
    who = AuthorizeResult(enterprise_id=None, team_id="T0TEST0001", bot_token="xoxb-1", bot_id="B1", bot_user_id="U1")
    app = new_app(Secret("xoxb-1"), f"{line.server.url}/api/", None, who)
    return SocketTransport(app, Secret("xapp-1"), ping_seconds)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def wait_until_gone(socket: SocketTransport) -> None:
    wait_until(lambda: not socket.is_connected, "a dead socket still counts as connected")


def test_a_socket_that_is_open_but_dead_is_not_connected(line: Line) -> None:
    line.one_socket()
    socket = transport(line, ping_seconds=0.5)
    socket.start(threading.Event())
    assert socket.is_connected
    wait_until_gone(socket)
    socket.stop()


def test_a_socket_that_is_dead_is_made_anew_and_the_next_one_stays(line: Line) -> None:
    line.one_socket()
    socket = transport(line, ping_seconds=0.5)
    socket.start(threading.Event())
    wait_until_gone(socket)
    line.is_awake = True
    line.one_socket()
    wait_until(lambda: line.pongs > MISSED_PONGS, "a socket that answers")
    assert socket.is_connected
    assert line.opened >= 2
    socket.stop()


def test_a_socket_that_ends_without_a_word_is_dropped_long_before_a_pong_is_missed(line: Line) -> None:
    line.one_socket()
    socket = transport(line)
    socket.start(threading.Event())
    [far_end] = line.far_ends
    assert far_end is not None
    line.server.loop.call_soon_threadsafe(far_end.abort)
    wait_until_gone(socket)
    socket.stop()


def test_a_token_that_slack_refuses_is_told_at_the_start(line: Line) -> None:
    with pytest.raises(SlackApiError, match="invalid_auth"):
        transport(line).start(threading.Event())


def test_when_slack_asks_to_wait_it_connects_afterwards(line: Line) -> None:
    refusal = {"ok": False, "error": "ratelimited"}
    line.answers.append(web.json_response(refusal, status=429, headers={"Retry-After": "0"}))
    line.one_socket()
    socket = transport(line)
    socket.start(threading.Event())
    assert socket.is_connected
    assert line.opened == 2
    socket.stop()


def test_whoever_stops_does_not_wait_until_slack_may_be_asked_again(line: Line) -> None:
    refusal = {"ok": False, "error": "ratelimited"}
    line.answers.append(web.json_response(refusal, status=429, headers={"Retry-After": "600"}))
    socket, shutdown = transport(line), threading.Event()
    starting = threading.Thread(target=socket.start, args=(shutdown,), daemon=True)
    starting.start()
    shutdown.set()
    starting.join(10)
    assert not starting.is_alive()
    socket.stop()
    assert not socket.is_connected


SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@pytest.fixture
def http() -> Iterator[HttpTransport]:
    who = AuthorizeResult(enterprise_id=None, team_id="T0TEST0001", bot_token="xoxb-1", bot_id="B1", bot_user_id="U1")
    secret = Secret(SIGNING_SECRET)
    built = HttpTransport(new_app(Secret("xoxb-1"), "http://127.0.0.1:9/", secret, who), secret, 0, "127.0.0.1")
    built.start(threading.Event())
    yield built
    built.stop()


def post(http: HttpTransport, body: bytes, content_type: str, secret: str = SIGNING_SECRET) -> tuple[int, bytes]:
    timestamp = str(int(time.time()))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST /slack/events HTTP/1.0\r\nContent-Length: {len(body)}\r\nContent-Type: {content_type}\r\n"
        f"X-Slack-Request-Timestamp: {timestamp}\r\nX-Slack-Signature: v0={digest}\r\n\r\n"
    )
    answer = ask(http.port, head.encode() + body)
    return int(answer.split(b" ")[1]), answer.partition(b"\r\n\r\n")[2]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the bot wrote to its log. waitress may say that it is busy."""
    return [record.getMessage() for record in caplog.records if not record.name.startswith("waitress")]


NO_PAYLOADS = [b"{", b"[" * 100_000, b"[1]", b"7", b"payload=%7B", b"payload=[1]", b"payload=null"]


@pytest.mark.parametrize("body", [*NO_PAYLOADS, b"\xff\xfe", b"", b"ssl_check=1", b'{"type": "url_verification"}'])
def test_what_slack_did_not_sign_is_refused_unread(
    http: HttpTransport, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded", "application/json; charset=x"):
        assert post(http, body, content_type, "another secret") == (401, b"not signed by Slack\n")
    assert said(caplog) == []


@pytest.mark.parametrize("body", NO_PAYLOADS)
def test_what_is_signed_and_no_payload_is_one_line_in_the_log(
    http: HttpTransport, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    content_type = "application/x-www-form-urlencoded" if body.startswith(b"payload") else "application/json; charset=x"
    assert post(http, body, content_type) == (400, b"no payload\n")
    assert said(caplog) == ["a request that is signed holds no payload"]


def test_text_that_is_none_is_not_signed_by_slack(http: HttpTransport) -> None:
    assert post(http, b"\xff\xfe", "application/json")[0] == 401


def test_what_is_signed_reaches_the_app(http: HttpTransport) -> None:
    body = b'{"type": "url_verification", "challenge": "words"}'
    status, answer = post(http, body, "application/json")
    assert (status, b"words" in answer) == (200, True)


def test_a_body_larger_than_any_payload_is_not_taken(http: HttpTransport) -> None:
    head = f"POST /slack/events HTTP/1.0\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    assert b" 413 " in ask(http.port, head.encode())


def test_however_many_keep_a_request_half_sent_slack_is_answered(http: HttpTransport) -> None:
    half = [socket.create_connection(("127.0.0.1", http.port), timeout=5) for _ in range(2 * MAX_WAITING)]
    for connection in half:
        connection.sendall(b"POST /slack/events HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
    assert post(http, b'{"type": "url_verification", "challenge": "words"}', "application/json")[0] == 200
    for connection in half:
        connection.close()
