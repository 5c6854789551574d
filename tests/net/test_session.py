"""HTTP sessions: no proxies, .netrc, cookies or redirects, the time-out of each request, idle and lost connections."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from bot.net.deadline import DeadlineResponse
from bot.net.server import HttpServer
from bot.net.session import ended_without_answer, new_session
from tests.support.relay import Forgetting, relaying
from tests.support.sandbox import run_concurrently
from tests.support.wire import answering, ok, recording


def test_proxies_netrc_and_cookies_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login eve password eve\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: who=eve\r\nContent-Length: 0\r\n\r\n"
    session = new_session()
    with recording(answer) as (url, requests):
        for _ in range(2):
            assert session.get(url, timeout=5).status_code == 200
    assert len(requests) == 2
    assert all(b"eve" not in request and b"Authorization" not in request for request in requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_returned_and_not_followed(status: int, method: str) -> None:
    with recording(ok(b"stolen")) as (elsewhere, requests):
        for location in (elsewhere, "http://[", "//"):
            answer = f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            with answering(answer.encode()) as url:
                assert new_session().request(method, url, data=b"keys", timeout=5).status_code == status
    assert requests == []


def test_the_next_request_on_a_connection_gets_the_full_time() -> None:
    client, server = socket.socketpair()
    with client, server:
        client.settimeout(5)
        server.sendall(ok(b"{}"))
        response = DeadlineResponse(client)
        response.begin()
        assert client.gettimeout() != 5
        assert response.read() == b"{}"
        assert client.gettimeout() == 5


@contextmanager
def serving() -> Iterator[int]:
    """Runs a server that keeps its connections open. Yields its port."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    server = HttpServer(application, "127.0.0.1", 0, threads=2, max_body_bytes=1000)
    server.start()
    yield server.port
    server.stop()


def test_a_connection_that_was_idle_for_too_long_is_not_reused() -> None:
    # These are the real times: a firewall that forgets after 5 s, and the limit of 3 s.
    with (
        serving() as port,
        relaying(port, Forgetting.SILENT, idle_seconds=5) as silent,
        relaying(port, Forgetting.RESET, idle_seconds=5) as resetting,
    ):
        session = new_session()
        for relay in (silent, resetting):
            assert session.put(relay.url, timeout=2).ok
        for relay in (silent, resetting):
            relay.wait_until_forgotten()
        for relay in (silent, resetting):
            assert session.put(relay.url, timeout=2).ok
            assert session.put(relay.url, timeout=2).ok
            assert relay.connections == 2, "a connection that was used just now is reused"


@pytest.mark.parametrize(("method", "sent"), [("GET", 2), ("POST", 2), ("PUT", 1), ("DELETE", 1)])
def test_a_get_or_post_without_an_answer_is_sent_once_more_and_nothing_else_is(method: str, sent: int) -> None:
    with recording(b"") as (url, received), pytest.raises(requests.ConnectionError):
        new_session(is_repeated=ended_without_answer).request(method, url, data=b"", timeout=5)
    assert [request.split()[0].decode() for request in received] == [method] * sent


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_by_default_a_request_without_an_answer_on_a_new_connection_is_not_repeated(method: str) -> None:
    with recording(b"") as (url, received), pytest.raises(requests.ConnectionError):
        new_session().request(method, url, data=b"", timeout=5)
    assert len(received) == 1


def test_a_repeated_request_gets_a_new_connection() -> None:
    with serving() as port, relaying(port, Forgetting.RESET) as relay:
        session = new_session()
        run_concurrently(*[lambda: session.get(relay.url, timeout=5)] * 4)
        opened = relay.connections
        relay.forget()
        assert session.get(relay.url, timeout=5).ok
        assert relay.connections == opened + 1


def test_a_put_on_a_reset_connection_is_not_repeated() -> None:
    with serving() as port, relaying(port, Forgetting.RESET) as relay:
        session = new_session()
        assert session.get(relay.url, timeout=5).ok
        relay.forget()
        with pytest.raises(requests.ConnectionError):
            session.put(relay.url, data=b"keys", timeout=5)
        assert relay.connections == 1


def test_a_request_that_is_not_answered_in_time_is_not_repeated() -> None:
    with serving() as port, relaying(port, Forgetting.SILENT) as relay:
        session = new_session()
        assert session.get(relay.url, timeout=5).ok
        relay.forget()
        with pytest.raises(requests.ReadTimeout):
            session.get(relay.url, timeout=0.2)
        assert relay.connections == 1


def test_half_an_answer_is_not_repeated() -> None:
    with (
        recording(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{") as (url, received),
        pytest.raises(requests.RequestException),
    ):
        new_session(is_repeated=ended_without_answer).get(url, timeout=5)
    assert len(received) == 1
