"""Who the bot is to Huawei Cloud, and how a request says so: signed with an access key, or with a token.

SDK-HMAC-SHA256 is computed over the exact bytes that are sent, anew for each attempt, and never kept. What is
called is left to `client` and `iam`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from bot.redaction import Secret

ALGORITHM = "SDK-HMAC-SHA256"
_UNRESERVED = "-_.~"


@dataclass(frozen=True)
class AccessKey:
    """The bot's own access key at Huawei Cloud; with a security token when it is a temporary one."""

    ak: Secret
    sk: Secret
    security_token: Secret | None = None


@dataclass(frozen=True)
class PasswordUser:
    """An IAM user who logs in with a password; `domain` is the account's name."""

    name: str
    password: Secret
    domain: str


@dataclass(frozen=True)
class IamToken:
    """A token that somebody else fetched: nothing renews it."""

    value: Secret


Credential = AccessKey | PasswordUser | IamToken


def canonical_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """The request in the form that is signed: all of `headers`, and nothing else.

    Source: "AK/SK Signing and Authentication Algorithm" of the API Gateway documentation. The path ends
    in a slash here, also where the URL does not.
    """
    parts = urlsplit(url)
    path = "/".join(quote(unquote(segment), safe=_UNRESERVED) for segment in parts.path.split("/"))
    pairs = [
        (quote(key, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
        for key, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    ]
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    names = sorted(lower)
    return "\n".join(
        (
            method.upper(),
            path if path.endswith("/") else f"{path}/",
            "&".join(f"{key}={value}" for key, value in pairs),
            "".join(f"{name}:{lower[name]}\n" for name in names),
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        )
    )


def signature(canonical: str, sdk_date: str, secret_key: str) -> str:
    """The signature of a canonical request, as hex. `sdk_date` is the value of X-Sdk-Date."""
    to_sign = "\n".join((ALGORITHM, sdk_date, hashlib.sha256(canonical.encode()).hexdigest()))
    return hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


class AccessKeyAuth(AuthBase):
    """Adds the headers that are signed, and the signature. Without `project_id` where it is not known yet."""

    def __init__(self, key: AccessKey, project_id: str | None, now: Callable[[], datetime]) -> None:
        self._key = key
        self._project_id = project_id
        self._now = now

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What no answer may give back."""
        key = self._key
        return (key.ak, key.sk) if key.security_token is None else (key.ak, key.sk, key.security_token)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        if not isinstance(body, bytes):
            raise TypeError("only bytes are signed: they are what is sent")
        sdk_date = self._now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {
            "Host": urlsplit(request.url or "").netloc,
            "X-Sdk-Date": sdk_date,
        }
        if self._project_id is not None:
            signed["X-Project-Id"] = self._project_id
        if "Content-Type" in request.headers:
            signed["Content-Type"] = request.headers["Content-Type"]
        if self._key.security_token:
            signed["X-Security-Token"] = self._key.security_token.reveal()
        canonical = canonical_request(request.method or "", request.url or "", signed, body)
        made = signature(canonical, sdk_date, self._key.sk.reveal())
        names = ";".join(sorted(name.lower() for name in signed))
        request.headers.update(signed)
        request.headers["Authorization"] = (
            f"{ALGORITHM} Access={self._key.ak.reveal()}, SignedHeaders={names}, Signature={made}"
        )
        return request


class TokenAuth(AuthBase):
    """Adds a token of IAM, and nothing beside it: the gateway would try to read the wrong one."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What no answer may give back."""
        return (self._token,)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = self._token.reveal()
        return request


Auth = AccessKeyAuth | TokenAuth
