"""A TLS server on this machine, with a certificate that only clients with its PEM file trust."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.wire import read_request

# A root certificate, an intermediate certificate that it signed, and the key and certificates of a server at 127.0.0.1:
# made for these tests, valid until 2126, and without the extensions that VERIFY_X509_STRICT requires. Not a secret.
ROOT, INTERMEDIATE, SERVER = (
    Path(__file__).parent / "certificates" / name for name in ("root.pem", "intermediate.pem", "server.pem")
)

# A key and certificate made for these tests, for 127.0.0.1, valid until 2126. Not a secret.
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


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    received: list[bytes]  # the requests that arrived after a successful handshake
    ca: Path  # the PEM file to trust


def trusted_by(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context, and the PEM file that clients have to trust."""
    pem = directory / "pair.pem"
    pem.write_text(PAIR, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, pem


@contextmanager
def serving_tls(directory: Path, answer: bytes = b"") -> Iterator[Served]:
    """Runs a server that answers every request with these bytes and closes the connection."""
    context, pem = trusted_by(directory)
    with serving(context, pem, answer) as served:
        yield served


def chain_context() -> ssl.SSLContext:
    """The TLS context of a server whose certificate the intermediate certificate signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SERVER)
    return context


@contextmanager
def serving(context: ssl.SSLContext, pem: Path, answer: bytes = b"") -> Iterator[Served]:
    """As `serving_tls`, with the TLS context of the server and the PEM file that clients have to trust."""
    listener = socket.create_server(("127.0.0.1", 0))
    served = Served(f"https://127.0.0.1:{listener.getsockname()[1]}", [], pem)

    def run() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as connection:
                served.received.append(read_request(connection))
                connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield served
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
