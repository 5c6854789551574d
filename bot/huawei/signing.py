"""The bot's credentials at Huawei Cloud, and the headers that authenticate a call: a signature or an IAM token.

The SDK-HMAC-SHA256 signature covers the exact bytes that are sent. It is computed anew for each call. Fetching tokens
is left to `iam`.
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
    """The access key of an IAM user."""

    ak: Secret
    sk: Secret
    security_token: Secret | None = None  # of a temporary access key; None for a permanent one


@dataclass(frozen=True)
class PasswordUser:
    """An IAM user who logs in with a password."""

    name: str
    password: Secret
    domain: str  # the name of the account


@dataclass(frozen=True)
class IamToken:
    """An IAM token that was fetched outside the bot. The bot cannot renew it."""

    value: Secret


Credential = AccessKey | PasswordUser | IamToken


def canonical_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """The canonical request that is signed. All of `headers` are signed headers.

    Source: "AK/SK Signing and Authentication Algorithm" of the API Gateway documentation. The canonical path ends
    in a slash even if the path of the URL does not.
    """
    parts = urlsplit(url)
    path = "/".join(quote(unquote(segment), safe=_UNRESERVED) for segment in parts.path.split("/"))
    pairs = [
        (quote(key, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
        for key, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    ]
    values = {name.lower(): value.strip() for name, value in headers.items()}
    names = sorted(values)
    return "\n".join(
        (
            method.upper(),
            path if path.endswith("/") else f"{path}/",
            "&".join(f"{key}={value}" for key, value in pairs),
            "".join(f"{name}:{values[name]}\n" for name in names),
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        )
    )


def signature(canonical: str, sdk_date: str, secret_key: str) -> str:
    """The signature of a canonical request, as hex. `sdk_date` is the value of X-Sdk-Date."""
    to_sign = "\n".join((ALGORITHM, sdk_date, hashlib.sha256(canonical.encode()).hexdigest()))
    return hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


class AccessKeyAuth(AuthBase):
    """Signs a request with an access key.

    Arguments:
        project_id: None while it is not known; then the request has no X-Project-Id.
        now: the time of the signature.
    """

    def __init__(self, key: AccessKey, project_id: str | None, now: Callable[[], datetime]) -> None:
        self._key = key
        self._project_id = project_id
        self._now = now

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that are removed from what an answer echoes."""
        key = self._key
        return (key.ak, key.sk) if key.security_token is None else (key.ak, key.sk, key.security_token)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        if not isinstance(body, bytes):
            raise TypeError("only bytes are signed: they are what is sent")
        sdk_date = self._now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {"Host": urlsplit(request.url or "").netloc, "X-Sdk-Date": sdk_date}
        if self._project_id is not None:
            signed["X-Project-Id"] = self._project_id
        if "Content-Type" in request.headers:
            signed["Content-Type"] = request.headers["Content-Type"]
        if self._key.security_token:
            signed["X-Security-Token"] = self._key.security_token.reveal()
        canonical = canonical_request(request.method or "", request.url or "", signed, body)
        hex_digest = signature(canonical, sdk_date, self._key.sk.reveal())
        names = ";".join(sorted(name.lower() for name in signed))
        request.headers.update(signed)
        request.headers["Authorization"] = (
            f"{ALGORITHM} Access={self._key.ak.reveal()}, SignedHeaders={names}, Signature={hex_digest}"
        )
        return request


class TokenAuth(AuthBase):
    """Adds an IAM token. The request has no other authentication header: the gateway could read the wrong one."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that are removed from what an answer echoes."""
        return (self._token,)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = self._token.reveal()
        return request


Auth = AccessKeyAuth | TokenAuth
