"""HTTP sessions whose every exchange ends in time, and that only the settings can lead anywhere.

What is sent, and what an answer says, is left to whoever asks.
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

MAX_BODY_BYTES = 4_000_000


class _InTime(io.RawIOBase):
    """What comes over a socket, until its time-out counted from now: that alone would begin anew with each byte."""

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
            # The next request on this connection begins with the whole of it.
            self._socket.settimeout(self._seconds)
            self._raw.close()
        super().close()


class DeadlineResponse(HTTPResponse):
    """A response of `http.client` of which status, headers and body together come within the socket's time-out."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_InTime(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = DeadlineResponse


class _TlsConnection(HTTPSConnection):
    response_class = DeadlineResponse

    def connect(self) -> None:
        try:
            super().connect()
        except TimeoutError as error:
            # Of the handshake: urllib3 would call it a time-out of the answer, as if something had been sent.
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
        """Nowhere: an answer that points elsewhere is the answer."""


def new_session() -> requests.Session:
    """A session that no redirect, proxy, cookie or ~/.netrc can lead astray, and that repeats nothing by itself.

    An answer comes whole within the time to read, or not at all. Of one that is larger than any can be, only a
    beginning of more than `MAX_BODY_BYTES` is kept.
    """
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.hooks["response"] = [_read]
    adapter = _Adapter(max_retries=0, pool_maxsize=16)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read(response: requests.Response, **_: object) -> None:
    """Reads the body before requests does, which would read on without end."""
    content = bytearray()
    with response:
        for part in response.iter_content(65_536):
            content += part
            if len(content) > MAX_BODY_BYTES:
                break
    response._content = bytes(content)
