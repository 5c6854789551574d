"""Sends one call to Huawei Cloud and raises the error that says whether it may have taken effect.

Follows no redirect, and repeats no PUT. The session repeats a GET or a login only if its connection had gone stale: a
call that arrived may have been refused, and few refusals lock the identity. Reading the body of a success is left to
`oms` and `iam`.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass

import requests
import urllib3
import urllib3.exceptions
from requests.structures import CaseInsensitiveDict

from bot.huawei.error_answer import read_answer, request_id_of
from bot.huawei.errors import NotSent, Rejected, Service, Throttled, Unanswered, Unreadable
from bot.huawei.signing import Auth
from bot.net.proxy import ProxyError
from bot.net.session import MAX_BODY_BYTES, causes, find_cause
from bot.redaction import Secret

_INVALID_ADDRESS = "not a valid address"
_VALID_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Timeouts:
    """How long one call may take."""

    connect_seconds: float = (
        5.0  # for the TCP connection at each address of the host, for a proxy's answer, and for TLS
    )
    read_seconds: float = 20.0  # for the whole answer

    @property
    def as_urllib3(self) -> urllib3.Timeout:
        """Both limits, and their sum as the limit for both together."""
        return urllib3.Timeout(self.connect_seconds + self.read_seconds, self.connect_seconds, self.read_seconds)


@dataclass(frozen=True)
class Call:
    """One HTTP request to Huawei Cloud."""

    service: Service
    method: str
    url: str
    body: bytes | None = None  # JSON; None for a request without a body
    secrets: tuple[
        Secret, ...
    ] = ()  # the secrets in the body; the text of an answer that repeats part of one is discarded


@dataclass(frozen=True)
class Success:
    """An answer with status 2xx."""

    status: int
    headers: CaseInsensitiveDict[str]
    content: bytes
    huawei_request_id: str | None  # None if the answer has none

    def parsed(self, service: Service) -> object:
        """The body as JSON.

        Raises:
            Unreadable: the body is not JSON.
        """
        try:
            return json.loads(self.content, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            raise Unreadable(f"{service} returned something other than JSON", service) from None


def _reject_constant(name: str) -> object:
    """Rejects NaN and Infinity, which Python accepts and JSON does not have."""
    raise ValueError(f"{name} is no JSON")


def send(session: requests.Session, call: Call, auth: Auth | None, timeouts: Timeouts) -> Success:
    """Sends a call and returns its answer if the status is 2xx.

    Arguments:
        session: a session of `bot.net.session`.
        auth: adds the bot's identity; None for a login, whose body has it.

    Raises:
        NotSent, Throttled, Rejected: nothing was done.
        Unanswered: the call may have been done.
        Unreadable: the call was done, and the answer is larger than MAX_BODY_BYTES.
    """
    prepared = _prepare(session, call, auth)
    try:
        response = session.send(prepared, timeout=timeouts.as_urllib3)  # type: ignore[arg-type]
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        raise NotSent(_INVALID_ADDRESS, call.service) from None
    except requests.exceptions.RequestException as error:
        if _never_connected(error):
            raise NotSent(_failure_text(error), call.service, _next_step(error)) from None
        raise Unanswered(_failure_text(error), service=call.service) from None
    return _read_response(call, response, auth.secrets if auth else ())


def _prepare(session: requests.Session, call: Call, auth: Auth | None) -> requests.PreparedRequest:
    headers = {"Accept": "application/json"}
    if call.body is not None:
        headers["Content-Type"] = "application/json;charset=UTF-8"
    try:
        prepared = session.prepare_request(requests.Request(call.method, call.url, headers, data=call.body, auth=auth))
    except (requests.exceptions.RequestException, ValueError):
        raise NotSent(_INVALID_ADDRESS, call.service) from None
    if not all(_VALID_HEADER_VALUE.fullmatch(str(value)) for value in prepared.headers.values()):
        # http.client would refuse the value too, and put it into the text of its error.
        raise NotSent("the bot's credentials contain characters that cannot be sent", call.service)
    return prepared


def _read_response(call: Call, response: requests.Response, in_headers: tuple[Secret, ...]) -> Success:
    status, headers, content = response.status_code, response.headers, response.content
    if 200 <= status < 300:
        if len(content) > MAX_BODY_BYTES:
            raise Unreadable(f"{call.service} returned more than {MAX_BODY_BYTES:,} bytes", call.service)
        return Success(status, headers, content, request_id_of(headers, (*call.secrets, *in_headers)))
    answer = read_answer(status, headers, content, in_headers, call.secrets)
    if status == 429:
        raise Throttled(_retry_after(headers.get("Retry-After")), answer, call.service)
    if status >= 500:
        raise Unanswered(f"{call.service} answered with {answer.code}", answer, call.service)
    raise Rejected(answer, call.service)


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    """Whether the failure came before a byte of the request was sent.

    Of TLS failures only those of the certificate count: it is checked before anything is sent.
    """
    kinds = (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.NameResolutionError,
        urllib3.exceptions.ConnectTimeoutError,
        ssl.SSLCertVerificationError,
        ProxyError,
    )
    return any(isinstance(cause, kinds) for cause in causes(error))


def _next_step(error: requests.exceptions.RequestException) -> str:
    proxy_error = find_cause(error, ProxyError)
    if proxy_error is not None:
        return proxy_error.next_step
    if find_cause(error, ssl.SSLCertVerificationError) is not None:
        return "Set ca under [network] in bot.toml to the CA certificate that signed it."
    return ""


def _failure_text(error: requests.exceptions.RequestException) -> str:
    """Says what failed. The text of an error of the connection is not used: it may hold parts of the request."""
    proxy_error = find_cause(error, ProxyError)
    match error:
        case _ if proxy_error is not None:
            return proxy_error.problem
        case requests.exceptions.ConnectTimeout():
            return "no connection in time"
        case _ if any(isinstance(cause, TimeoutError | urllib3.exceptions.ReadTimeoutError) for cause in causes(error)):
            return "no answer in time"
        case requests.exceptions.SSLError():
            return "the TLS certificate is not trusted" if _never_connected(error) else "the TLS connection failed"
        case _ if _never_connected(error):
            return "no connection"
        case _:
            return "the connection broke"


def _retry_after(value: str | None) -> int | None:
    """The seconds in a Retry-After header, at most an hour. None if it has a date or something else."""
    return min(int(value), 3600) if value and value.isascii() and value.isdigit() and len(value) < 9 else None
