"""Over TLS: a certificate that is not trusted is seen before anything is sent; what breaks later is not known."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from bot.huawei.errors import NotSent, Service, Unanswered
from bot.huawei.http import Call, Timeouts, send
from bot.net.session import new_session
from tests.support.tls import serving_tls, trusted_by
from tests.support.wire import ENDLESS_ANSWERS, dripping

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def put(url: str, verify: str | bool = True) -> int:
    session = new_session()
    session.verify = verify
    return send(session, Call(Service.OMS, "PUT", url, b"the keys"), None, Timeouts(20, 20)).status


def test_a_certificate_that_is_not_trusted_is_seen_before_anything_is_sent(tmp_path: Path) -> None:
    with serving_tls(tmp_path, WELL) as served:
        with pytest.raises(NotSent, match="TLS certificate is not trusted"):
            put(f"{served.url}/v2")
        assert served.received == []


def test_one_that_is_trusted_is_let_in(tmp_path: Path) -> None:
    with serving_tls(tmp_path, WELL) as served:
        assert put(f"{served.url}/v2", str(served.ca)) == 200
        assert b"".join(served.received).startswith(b"PUT /v2 ")


def test_a_connection_that_breaks_after_the_handshake_leaves_it_unknown(tmp_path: Path) -> None:
    with serving_tls(tmp_path) as served:
        with pytest.raises(Unanswered):
            put(f"{served.url}/v2", str(served.ca))
        assert served.received


def test_what_speaks_no_tls_is_not_trusted_with_anything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        heard: list[bytes] = []
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        with pytest.raises(Unanswered, match="TLS connection failed"):
            put(f"https://127.0.0.1:{listener.getsockname()[1]}/v2")
        thread.join()
    assert b"the keys" not in b"".join(heard)


def test_a_handshake_that_drips_is_not_waited_for_and_sent_nothing() -> None:
    record = b"\x16\x03\x03\x40\x00"
    with dripping(record, b"\x02") as url, pytest.raises(NotSent, match="no connection in time"):
        send(new_session(), Call(Service.OMS, "PUT", url.replace("http", "https"), b"keys"), None, Timeouts(0.3, 20))


@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_that_drips_is_not_waited_for_over_tls_either(part: str, tmp_path: Path) -> None:
    context, ca = trusted_by(tmp_path)
    session = new_session()
    session.verify = str(ca)
    with (
        dripping(ENDLESS_ANSWERS[part], context=context) as url,
        pytest.raises(Unanswered, match="no answer in time"),
    ):
        send(session, Call(Service.OMS, "PUT", url, b"keys"), None, Timeouts(20, 0.3))
