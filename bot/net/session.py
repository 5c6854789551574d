"""HTTP sessions with a deadline for the whole response, and without redirects, proxies, cookies or .netrc.

The clients of each service make the requests and interpret the responses.
"""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

# Reading a response body stops after this.
MAX_BODY_BYTES = 4_000_000


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline: the socket's timeout, measured from the creation of the reader.

    The timeout of the socket alone starts again with each byte.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._socket = sock
        self._raw = raw
        self._seconds = sock.gettimeout()
        self._deadline = None if self._seconds is None else time.monotonic() + self._seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer did not end in time")
            self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            # The next request on this connection gets the full time again.
            self._socket.settimeout(self._seconds)
            self._raw.close()
        super().close()


class DeadlineResponse(HTTPResponse):
    """A response of `http.client` whose status, headers and body must all arrive within the socket's timeout."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = DeadlineResponse


class _TlsConnection(HTTPSConnection):
    response_class = DeadlineResponse

    def connect(self) -> None:
        try:
            super().connect()
        except TimeoutError as error:
            # The TLS handshake timed out. urllib3 would report a read timeout, as if the request had been sent.
            raise ConnectTimeoutError(self, "no TLS connection in time") from error


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Returns None, so that a redirect is returned as the response."""


def new_session() -> requests.Session:
    """Makes a session that does not follow redirects, ignores proxies, cookies and ~/.netrc, and does not retry.

    The whole response must arrive within the read timeout of its request. If the body is larger than `MAX_BODY_BYTES`,
    the rest of it is not read, and the body of the response has more than `MAX_BODY_BYTES`.
    """
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.hooks["response"] = [_read_body]
    adapter = _Adapter(max_retries=0, pool_maxsize=16)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read_body(response: requests.Response, **_: object) -> None:
    """Reads the body up to the limit. Without this hook, requests would read it without a limit."""
    content = bytearray()
    with response:
        for part in response.iter_content(65_536):
            content += part
            if len(content) > MAX_BODY_BYTES:
                break
    response._content = bytes(content)
