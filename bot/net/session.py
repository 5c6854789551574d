"""HTTP sessions with a deadline for the whole response, and without redirects, cookies, .netrc or environment proxies.

They do not reuse idle connections, and repeat a GET or POST whose connection had ended. The clients of each service
make the requests and interpret the responses.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError

from bot.net.deadline import DeadlineResponse
from bot.net.proxy import Proxy
from bot.net.tls import tls_context

E = TypeVar("E", bound=BaseException)

# Reading a response body stops after this.
MAX_BODY_BYTES = 4_000_000
# A firewall, a proxy or the server may have forgotten a connection that has been idle for longer, often without a sign.
MAX_IDLE_SECONDS = 3.0
# The bot's POSTs log in, create tokens or ask what a token may do: a second one does no harm. Everything that the bot
# changes at Huawei Cloud is a PUT, which is sent once.
_REPEATED_METHODS = ("GET", "POST")


@dataclass(frozen=True)
class Route:
    """How the bot reaches a service.

    Attributes:
        context: says which certificates are trusted; by default the system's.
        proxy: the proxy for every connection, including those to this machine; None for direct connections.
    """

    context: ssl.SSLContext = field(default_factory=tls_context)
    proxy: Proxy | None = None


class StaleConnection(ConnectionResetError):
    """A connection that had answered before ended without an answer: the request most likely never arrived."""


class _Connection(HTTPConnection):
    """Counts as disconnected when its last answer is too old. urllib3 then connects again before it sends a request.

    Arguments:
        through: the proxy. urllib3 does not know about it, and treats the connection as one to the server.
    """

    response_class = DeadlineResponse
    _answered_at: float | None = None

    def __init__(self, *args: Any, through: Proxy | None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._through = through

    def _new_conn(self) -> socket.socket:
        if self._through is None:
            return super()._new_conn()
        return self._through.connect(self.host, self.port, self.timeout)

    def connect(self) -> None:
        self._answered_at = None
        super().connect()

    def request(self, *args: Any, **settings: Any) -> None:
        with self._naming_stale():
            super().request(*args, **settings)

    def getresponse(self) -> Any:
        with self._naming_stale():
            response = super().getresponse()
        self._answered_at = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        is_idle = self._answered_at is not None and time.monotonic() - self._answered_at > MAX_IDLE_SECONDS
        return super().is_connected and not is_idle

    @contextmanager
    def _naming_stale(self) -> Iterator[None]:
        try:
            yield
        except (ConnectionResetError, ConnectionAbortedError, ssl.SSLEOFError) as error:
            if self._answered_at is None:
                raise
            raise StaleConnection(*error.args) from None


class _TlsConnection(_Connection, HTTPSConnection):
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
    """An adapter that repeats nothing.

    Only the context of the route says which certificates are trusted: `verify` of requests has no effect.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        super().__init__(max_retries=0, pool_maxsize=16)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_Pool, through=self._route.proxy),
            "https": partial(_TlsPool, through=self._route.proxy, ssl_context=self._route.context),
        }

    def cert_verify(self, *args: Any) -> None:
        """Adds no certificates to the context. requests would add those of certifi."""


class _RepeatingAdapter(_Adapter):
    def __init__(self, route: Route, is_repeated: Callable[[Exception], bool]) -> None:
        super().__init__(route)
        self._is_repeated = is_repeated

    def send(self, request: requests.PreparedRequest, *args: Any, **settings: Any) -> requests.Response:
        try:
            return super().send(request, *args, **settings)
        except requests.exceptions.ConnectionError as error:
            if request.method not in _REPEATED_METHODS or not self._is_repeated(error):
                raise
        # Other connections of this adapter may be as dead as the first one, so the request gets a new connection.
        with closing(_Adapter(self._route)) as adapter:
            return adapter.send(request, *args, **settings)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Returns None, so that a redirect is returned as the response."""


def was_stale(error: Exception) -> bool:
    """Whether a call failed because a connection that had answered before ended without an answer."""
    return find_cause(error, StaleConnection) is not None


def ended_without_answer(error: Exception) -> bool:
    """Whether a call failed because its connection, new or not, ended before an answer began."""
    kinds = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError)
    return any(isinstance(cause, kinds) for cause in causes(error))


def new_session(
    route: Route | None = None, *, is_repeated: Callable[[Exception], bool] = was_stale
) -> requests.Session:
    """Makes a session that does not follow redirects, and ignores cookies, ~/.netrc and proxies of the environment.

    A GET or POST is sent once more, on a new connection, after the failures that `is_repeated` names. Nothing else is
    repeated: no other method, and nothing after a timeout or an answer.

    The whole response must arrive within the read timeout of its request. If the body is larger than `MAX_BODY_BYTES`,
    the rest of it is not read, and the body of the response has more than `MAX_BODY_BYTES`.

    Arguments:
        route: None for direct connections that trust the system's certificates.
        is_repeated: `was_stale` or `ended_without_answer`.
    """
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.hooks["response"] = [_read_body]
    adapter = _RepeatingAdapter(route or Route(), is_repeated)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and the errors that it wraps, which requests, urllib3 and urllib keep in `reason` or in the arguments.

    Does not follow `__context__`, which may be an earlier error that was handled.
    """
    while error is not None:
        yield error
        if isinstance(error, MaxRetryError):
            error = error.reason
        else:
            error = next((argument for argument in error.args if isinstance(argument, BaseException)), None)


def find_cause(error: BaseException, kind: type[E]) -> E | None:
    """The first of the `causes` of this kind; None if there is none."""
    return next((cause for cause in causes(error) if isinstance(cause, kind)), None)


def _read_body(response: requests.Response, **_: object) -> None:
    """Reads the body up to the limit. Without this hook, requests would read it without a limit."""
    content = bytearray()
    with response:
        for part in response.iter_content(65_536):
            content += part
            if len(content) > MAX_BODY_BYTES:
                break
    response._content = bytes(content)
