"""HTTP responses with a deadline for the whole response, for `http.client` and urllib3."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any


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
