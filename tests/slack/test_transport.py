"""Connected means that Slack is there, not that a socket is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from aiohttp import web
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError

from bot.redaction import Secret
from bot.sandbox.serving import ServerThread
from bot.slack.transport import SocketTransport, new_app


class Line:
    """The far end of a socket that takes whatever comes and never says a word, pongs included."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.opened = 0
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
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for _ in socket:
            pass
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


def wait_until_gone(socket: SocketTransport) -> None:
    deadline = time.monotonic() + 20
    while socket.is_connected:
        assert time.monotonic() < deadline, "a dead socket still counts as connected"
        time.sleep(0.01)


def test_a_socket_that_is_open_but_dead_is_not_connected(line: Line) -> None:
    line.one_socket()
    socket = transport(line, ping_seconds=0.05)
    socket.start(threading.Event())
    assert socket.is_connected
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
    socket, stopping = transport(line), threading.Event()
    starting = threading.Thread(target=socket.start, args=(stopping,), daemon=True)
    starting.start()
    stopping.set()
    starting.join(10)
    assert not starting.is_alive()
    socket.stop()
    assert not socket.is_connected
