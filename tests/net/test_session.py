"""HTTP sessions: no proxies, .netrc, cookies or redirects, and the time-out of each request."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bot.net.session import DeadlineResponse, new_session
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
