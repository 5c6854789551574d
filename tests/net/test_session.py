"""Only the settings say where an exchange goes and as whom, and one leaves nothing behind for the next."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bot.net.session import DeadlineResponse, new_session
from tests.support.wire import answering, ok, recording


def test_no_proxy_of_the_environment_no_netrc_and_no_cookie_goes_with_a_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login eve password eve\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: who=eve\r\nContent-Length: 0\r\n\r\n"
    session = new_session()
    with recording(answer) as (url, asked):
        for _ in range(2):
            assert session.get(url, timeout=5).status_code == 200
    assert len(asked) == 2
    assert all(b"eve" not in request and b"Authorization" not in request for request in asked)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_that_points_elsewhere_is_the_answer(status: int, method: str) -> None:
    with recording(ok(b"stolen")) as (elsewhere, asked):
        for location in (elsewhere, "http://[", "//"):
            answer = f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            with answering(answer.encode()) as url:
                assert new_session().request(method, url, data=b"keys", timeout=5).status_code == status
    assert asked == []


def test_the_next_request_on_a_connection_does_not_begin_with_what_was_left_of_the_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        theirs.sendall(ok(b"{}"))
        response = DeadlineResponse(ours)
        response.begin()
        assert ours.gettimeout() != 5
        assert response.read() == b"{}"
        assert ours.gettimeout() == 5
