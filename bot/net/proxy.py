"""An HTTP proxy, and the connections that it opens with CONNECT.

TLS goes through the proxy to the server. The bot verifies the server's certificate, not the proxy's.
"""

from __future__ import annotations

import base64
import socket
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException

from bot.net.deadline import DeadlineResponse
from bot.redaction import Secret

_CHECK = "check proxy under [network] in bot.toml, and that the proxy is running"


class ProxyError(OSError):
    """There is no connection through the proxy. Nothing was sent to the server.

    Arguments:
        problem: begins with "the proxy" and its address, for the middle of a sentence.
        fix: what people can do, for the middle of a sentence. `next_step` is the same as a sentence.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    @property
    def next_step(self) -> str:
        return f"{self.fix[0].upper()}{self.fix[1:]}."


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. As text, it is its host and port.

    Attributes:
        user, password: for Basic authentication; None if the proxy needs none.
    """

    host: str
    port: int
    user: str | None = None
    password: Secret | None = None

    def __str__(self) -> str:
        return _authority(self.host, self.port)

    def connect(self, host: str, port: int, seconds: float | None) -> socket.socket:
        """Opens a TCP connection to a server, for http and https alike.

        Arguments:
            seconds: the time for the connection to the proxy, and again for its answer. It is also the timeout of the
                socket afterwards.

        Raises:
            ProxyError: there is no connection, and nothing was sent to the server.
        """
        server = _authority(host, port)
        try:
            connection = socket.create_connection((self.host, self.port), seconds)
        except TimeoutError:
            raise ProxyError(f"the proxy {self} doesn't answer", _CHECK) from None
        except OSError as error:
            reason = f": {error.strerror[:1].lower()}{error.strerror[1:]}" if error.strerror else ""
            raise ProxyError(f"the proxy {self} can't be reached{reason}", _CHECK) from None
        try:
            # As http.client does: otherwise the body of a request would wait until its headers are acknowledged.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            status = self._ask(connection, server)
            if not 200 <= status < 300:
                raise self.refusal(status, server)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(self, connection: socket.socket, server: str) -> int:
        """Asks the proxy to connect to a server. Returns the status of its answer."""
        lines = [f"CONNECT {server} HTTP/1.1", f"Host: {server}"]
        if self.user is not None:
            password = self.password.reveal() if self.password else ""
            encoded = base64.b64encode(f"{self.user}:{password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {encoded}")
        try:
            connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
            with closing(DeadlineResponse(connection, method="CONNECT")) as answer:
                answer.begin()
                return answer.status
        except TimeoutError:
            raise ProxyError(f"the proxy {self} doesn't answer", _CHECK) from None
        except OSError:
            problem = f"the proxy {self} closed the connection instead of connecting to {server}"
            raise ProxyError(problem, _CHECK) from None
        except HTTPException:
            raise ProxyError(f"the proxy {self} isn't an HTTP proxy", _CHECK) from None

    def refusal(self, status: int, server: str) -> ProxyError:
        """The error for an answer to CONNECT that is not a success. `server` is the host and port in the request."""
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            if self.user is None:
                fix = "add the username to proxy under [network] in bot.toml, and set NETWORK_PROXY_PASSWORD"
                return ProxyError(f"the proxy {self} requires a username and password, HTTP {status}", fix)
            fix = "correct the username in proxy under [network] in bot.toml, and NETWORK_PROXY_PASSWORD"
            return ProxyError(f"the proxy {self} rejects the bot's username and password, HTTP {status}", fix)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            fix = "ask the proxy's administrator to allow them"
            return ProxyError(f"the proxy {self} doesn't allow connections to {server}, HTTP {status}", fix)
        fix = f"check that the proxy can reach {server}"
        return ProxyError(f"the proxy {self} can't connect to {server}, HTTP {status}", fix)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
