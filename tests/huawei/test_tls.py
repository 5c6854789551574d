"""Calls over TLS: an untrusted certificate is found before anything is sent; a later failure is unanswered."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from bot.huawei.errors import NotSent, Service, Unanswered
from bot.huawei.http import Call, Timeouts, send
from bot.net.session import Route, new_session
from bot.net.tls import tls_context
from tests.support.tls import serving_tls, trusted_by
from tests.support.wire import ENDLESS_ANSWERS, dripping

EMPTY_200 = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def put(url: str, ca: str | None = None) -> int:
    session = new_session(Route(tls_context(ca)))
    return send(session, Call(Service.OMS, "PUT", url, b"the keys"), None, Timeouts(20, 20)).status


def test_an_untrusted_certificate_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with serving_tls(tmp_path, EMPTY_200) as served:
        with pytest.raises(NotSent, match="TLS certificate is not trusted"):
            put(f"{served.url}/v2")
        assert served.received == []


def test_a_trusted_certificate_is_accepted(tmp_path: Path) -> None:
    with serving_tls(tmp_path, EMPTY_200) as served:
        assert put(f"{served.url}/v2", str(served.ca)) == 200
        assert b"".join(served.received).startswith(b"PUT /v2 ")


def test_a_connection_that_breaks_after_the_handshake_is_unanswered(tmp_path: Path) -> None:
    with serving_tls(tmp_path) as served:
        with pytest.raises(Unanswered):
            put(f"{served.url}/v2", str(served.ca))
        assert served.received


def test_nothing_is_sent_to_a_server_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            received.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        received: list[bytes] = []
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        with pytest.raises(Unanswered, match="TLS connection failed"):
            put(f"https://127.0.0.1:{listener.getsockname()[1]}/v2")
        thread.join()
    assert b"the keys" not in b"".join(received)


def test_a_handshake_that_never_ends_is_given_up_and_nothing_is_sent() -> None:
    record = b"\x16\x03\x03\x40\x00"
    with dripping(record, b"\x02") as url, pytest.raises(NotSent, match="no connection in time"):
        send(new_session(), Call(Service.OMS, "PUT", url.replace("http", "https"), b"keys"), None, Timeouts(0.3, 20))


@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_over_tls_that_never_ends_is_given_up(part: str, tmp_path: Path) -> None:
    context, ca = trusted_by(tmp_path)
    session = new_session(Route(tls_context(str(ca))))
    with (
        dripping(ENDLESS_ANSWERS[part], context=context) as url,
        pytest.raises(Unanswered, match="no answer in time"),
    ):
        send(session, Call(Service.OMS, "PUT", url, b"keys"), None, Timeouts(20, 0.3))
