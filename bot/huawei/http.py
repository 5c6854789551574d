"""Sends one request to Huawei Cloud, and tells apart what was sent from what was not.

Thin. It repeats nothing and follows nothing; what an answer says is left to whoever asked.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3
import urllib3.exceptions
from requests.structures import CaseInsensitiveDict

from bot.huawei.errors import NotSent, Rejected, Service, Throttled, Unanswered, Unreadable, read_answer, request_id_of
from bot.huawei.signing import Auth
from bot.net.session import MAX_BODY_BYTES
from bot.redaction import Secret

NO_ADDRESS = "that is no address"
_SENDABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for a connection, at each address and for TLS, and then for the whole answer."""

    connect_seconds: float = 5.0
    read_seconds: float = 20.0

    @property
    def whole(self) -> urllib3.Timeout:
        """Each by itself and both together, with what it takes to send."""
        return urllib3.Timeout(self.connect_seconds + self.read_seconds, self.connect_seconds, self.read_seconds)


@dataclass(frozen=True)
class Call:
    """One request, whom it is sent to, and the secrets in its body, which no answer may give back."""

    service: Service
    method: str
    url: str
    body: bytes | None = None
    secrets: tuple[Secret, ...] = ()


@dataclass(frozen=True)
class Success:
    """An answer of 2xx."""

    status: int
    headers: CaseInsensitiveDict[str]
    content: bytes
    huawei_request_id: str | None

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


def send(session: requests.Session, call: Call, auth: Auth | None, timeouts: Timeouts) -> Success:
    """The answer, when it is one of 2xx.

    Arguments:
        session: of `bot.net.session`.

    Raises:
        NotSent, Throttled, Refused: nothing was done.
        Unanswered: it may have been done.
        Unreadable: it was done, and the answer is larger than can be.
    """
    prepared = _prepared(session, call, auth)
    try:
        response = session.send(prepared, timeout=timeouts.whole)  # type: ignore[arg-type]
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        raise NotSent(NO_ADDRESS, call.service) from None
    except requests.exceptions.RequestException as error:
        if _never_connected(error):
            raise NotSent(_why(error), call.service) from None
        raise Unanswered(_why(error), service=call.service) from None
    return _read(call, response, (*call.secrets, *(auth.secrets if auth else ())))


def _prepared(session: requests.Session, call: Call, auth: Auth | None) -> requests.PreparedRequest:
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


def _read(call: Call, response: requests.Response, secrets: tuple[Secret, ...]) -> Success:
    status, headers, content = response.status_code, response.headers, response.content
    if 200 <= status < 300:
        if len(content) > MAX_BODY_BYTES:
            raise Unreadable(f"{call.service} answered with more than {MAX_BODY_BYTES:,} bytes", call.service)
        return Success(status, headers, content, request_id_of(headers, secrets))
    answer = read_answer(status, headers, content, secrets)
    if status == 429:
        raise Throttled(_retry_after(headers.get("Retry-After")), answer, call.service)
    if status >= 500:
        raise Unanswered(f"{call.service} answered with {answer.code}", answer, call.service)
    raise Rejected(answer, call.service)


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    """Whether the failure came before one byte of the request had left.

    A TLS failure counts only where it is about the certificate, which is looked at before anything is sent.
    """
    return _holds(
        error,
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.NameResolutionError,
        urllib3.exceptions.ConnectTimeoutError,
        ssl.SSLCertVerificationError,
    )


def _holds(error: BaseException, *kinds: type[BaseException]) -> bool:
    return any(isinstance(inner, kinds) for inner in _inside(error))


def _inside(error: BaseException | None) -> Iterator[BaseException]:
    """A failure and those that it was made of, and none that was only under way when it came."""
    while error is not None:
        yield error
        if isinstance(error, urllib3.exceptions.MaxRetryError):
            error = error.reason
        else:
            error = next((part for part in error.args if isinstance(part, BaseException)), None)


def _why(error: requests.exceptions.RequestException) -> str:
    """What happened, in words that hold nothing of the request."""
    match error:
        case requests.exceptions.ConnectTimeout():
            return "no connection in time"
        case _ if any(
            isinstance(inner, TimeoutError | urllib3.exceptions.ReadTimeoutError) for inner in _inside(error)
        ):
            return "no answer in time"
        case requests.exceptions.SSLError():
            return "the TLS certificate is not trusted" if _never_connected(error) else "the TLS connection failed"
        case _ if _never_connected(error):
            return "no connection"
        case _:
            return "the connection broke"


def _retry_after(value: str | None) -> int | None:
    return min(int(value), 3600) if value and value.isascii() and value.isdigit() and len(value) < 9 else None
