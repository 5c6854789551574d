"""Sends one request to Huawei Cloud, and tells apart what was sent from what was not.

Thin. It repeats nothing and follows nothing; what an answer says is left to whoever asked.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from dataclasses import dataclass

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from bot.oms.errors import NotSent, Refused, Service, Throttled, Unanswered, Unreadable, read_answer

MAX_BODY_BYTES = 4_000_000
NO_ADDRESS = "that is no address"
_SENDABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for a connection, and for an answer: each part of it and as a whole."""

    connect_seconds: float = 5.0
    read_seconds: float = 20.0


@dataclass(frozen=True)
class Call:
    """One request, and whom it is sent to."""

    service: Service
    method: str
    url: str
    body: bytes | None = None


@dataclass(frozen=True)
class Success:
    """An answer of 2xx."""

    status: int
    headers: CaseInsensitiveDict[str]
    content: bytes

    def parsed(self, service: Service) -> object:
        """Its JSON.

        Raises:
            Unreadable: it is none.
        """
        try:
            return json.loads(self.content, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise Unreadable(f"{service} answered with something that is not JSON", service) from None


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def new_session() -> requests.Session:
    """A session that neither the environment nor ~/.netrc can lead astray, and that repeats nothing by itself."""
    session = requests.Session()
    session.trust_env = False
    adapter = HTTPAdapter(max_retries=0, pool_maxsize=16)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def send(session: requests.Session, call: Call, auth: AuthBase | None, timeouts: Timeouts) -> Success:
    """The answer, when it is one of 2xx.

    Raises:
        NotSent, Throttled, Refused: nothing was done.
        Unanswered: it may have been done.
        Unreadable: it was done, and the answer is larger than can be.
    """
    prepared = _prepared(session, call, auth)
    try:
        waits = (timeouts.connect_seconds, timeouts.read_seconds)
        with session.send(prepared, timeout=waits, allow_redirects=False, stream=True) as response:
            return _read(call, response, timeouts)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        raise NotSent(NO_ADDRESS, call.service) from None
    except requests.exceptions.RequestException as error:
        if _never_connected(error):
            raise NotSent(_why(error), call.service) from None
        raise Unanswered(_why(error), service=call.service) from None


def _prepared(session: requests.Session, call: Call, auth: AuthBase | None) -> requests.PreparedRequest:
    headers = {"Accept": "application/json"}
    if call.body is not None:
        headers["Content-Type"] = "application/json;charset=UTF-8"
    try:
        prepared = session.prepare_request(requests.Request(call.method, call.url, headers, data=call.body, auth=auth))
    except (requests.exceptions.RequestException, ValueError):
        raise NotSent(NO_ADDRESS, call.service) from None
    if not all(_SENDABLE.fullmatch(str(value)) for value in prepared.headers.values()):
        # http.client would refuse it too, with the value in its words.
        raise NotSent("the bot's identity holds characters that cannot be sent", call.service)
    return prepared


def _read(call: Call, response: requests.Response, timeouts: Timeouts) -> Success:
    status, headers = response.status_code, response.headers
    content = _content(response, timeouts)
    if 200 <= status < 300:
        if len(content) > MAX_BODY_BYTES:
            raise Unreadable(f"{call.service} answered with more than {MAX_BODY_BYTES:,} bytes", call.service)
        return Success(status, headers, content)
    if status == 429:
        raise Throttled(_retry_after(headers.get("Retry-After")), call.service)
    answer = read_answer(status, headers, content)
    if status >= 500:
        raise Unanswered(f"{call.service} answered with {answer.code}", answer, call.service)
    raise Refused(answer, call.service)


def _content(response: requests.Response, timeouts: Timeouts) -> bytes:
    """The body, or as much of it as anybody could want."""
    deadline = time.monotonic() + timeouts.read_seconds
    content = bytearray()
    for part in response.iter_content(65_536):
        content += part
        if len(content) > MAX_BODY_BYTES:
            break
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout("the answer did not end in time")
    return bytes(content)


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    """Whether the failure came before one byte of the request had left.

    A TLS failure counts only where it is about the certificate, which is looked at before anything is sent.
    """
    inner: object = error
    for _ in range(6):
        if isinstance(
            inner,
            urllib3.exceptions.NewConnectionError
            | urllib3.exceptions.ConnectTimeoutError
            | ssl.SSLCertVerificationError,
        ):
            return True
        if isinstance(inner, urllib3.exceptions.MaxRetryError):
            inner = inner.reason
        elif isinstance(inner, BaseException) and inner.args and isinstance(inner.args[0], BaseException):
            inner = inner.args[0]
        else:
            return False
    return False


def _why(error: requests.exceptions.RequestException) -> str:
    """What happened, in words that hold nothing of the request."""
    match error:
        case requests.exceptions.ConnectTimeout():
            return "no connection in time"
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.SSLError():
            return "the TLS certificate is not trusted" if _never_connected(error) else "the TLS connection failed"
        case _ if _never_connected(error):
            return "no connection"
        case _:
            return "the connection broke"


def _retry_after(value: str | None) -> int | None:
    return min(int(value), 3600) if value and value.isascii() and value.isdigit() and len(value) < 9 else None
