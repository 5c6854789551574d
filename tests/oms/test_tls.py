"""Over TLS: a certificate that is not trusted is seen before anything is sent; what breaks later is not known."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.oms.errors import NotSent, Service, Unanswered
from bot.oms.http import Call, Timeouts, send
from bot.session import new_session
from tests.support.wire import ENDLESS_ANSWERS, dripping, read_request

# Made for these tests, for 127.0.0.1, until 2126: no secret.
PAIR = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgsIwkxcU0i0f1GOIV
OG5LOsaFUoAJkiZgzZiLpY9JBbShRANCAASbY02uC17rhAOtfX+jz6wCuJl4Lxgi
Ybp/DuAVcNUxHreygG6/e1Tn9Mju0E93AWWkhMPJR1utatl0ek1vI2kj
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUGgyAcRWPN4W+KHJ6bTnGX1XGTEowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDIyNTcyN1oYDzIxMjYxMDMx
MjI1NzI3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASbY02uC17rhAOtfX+jz6wCuJl4LxgiYbp/DuAVcNUxHreygG6/e1Tn
9Mju0E93AWWkhMPJR1utatl0ek1vI2kjo2QwYjAdBgNVHQ4EFgQUBzK1626EezEv
Jtnzuu5NoLVLXWowHwYDVR0jBBgwFoAUBzK1626EezEvJtnzuu5NoLVLXWowDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQC
IHK4U+F6R9C4lgAciGP0jw8dB52VBinKx69Kkzs6487UAiB7nsqGcxmCRDxnjQwn
h/jQkng95QjOD8g1DKU6ufmfpw==
-----END CERTIFICATE-----
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[str, list[bytes]]]]:
    """A TLS server that takes one connection, and what it was sent."""
    pair = tmp_path / "pair.pem"
    pair.write_text(PAIR, encoding="ascii")
    listeners: list[socket.socket] = []

    def build(answer: bytes = b"") -> tuple[str, list[bytes]]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        received: list[bytes] = []

        def run() -> None:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    received.append(read_request(connection))
                    connection.sendall(answer)
            except OSError:
                plain.close()

        threading.Thread(target=run, daemon=True).start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}/v2", received

    yield build
    for listener in listeners:
        listener.close()


def put(url: str, verify: str | bool = True) -> int:
    session = new_session()
    session.verify = verify
    return send(session, Call(Service.OMS, "PUT", url, b"the keys"), None, Timeouts(2, 2)).status


def test_a_certificate_that_is_not_trusted_is_seen_before_anything_is_sent(
    serve: Callable[..., tuple[str, list[bytes]]],
) -> None:
    url, received = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(NotSent, match="TLS certificate is not trusted"):
        put(url)
    assert received == []


def test_one_that_is_trusted_is_let_in(serve: Callable[..., tuple[str, list[bytes]]], tmp_path: Path) -> None:
    url, received = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert put(url, str(tmp_path / "pair.pem")) == 200
    assert b"".join(received).startswith(b"PUT /v2 ")


def test_a_connection_that_breaks_after_the_handshake_leaves_it_unknown(
    serve: Callable[..., tuple[str, list[bytes]]], tmp_path: Path
) -> None:
    url, received = serve()
    with pytest.raises(Unanswered):
        put(url, str(tmp_path / "pair.pem"))
    assert received


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
    pair = tmp_path / "pair.pem"
    pair.write_text(PAIR, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    session = new_session()
    session.verify = str(pair)
    with (
        dripping(ENDLESS_ANSWERS[part], context=context) as url,
        pytest.raises(Unanswered, match="no answer in time"),
    ):
        send(session, Call(Service.OMS, "PUT", url, b"keys"), None, Timeouts(2, 0.3))
