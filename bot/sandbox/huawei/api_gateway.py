"""The API gateway in front of OMS and IAM: checks that a call is signed with a valid key or carries a valid token.

It has its own implementation of the signature. With the one of `bot.huawei.signing`, an error in it would go unnoticed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from aiohttp import web

from bot.sandbox.huawei.credentials import (
    PREISSUED_TOKEN,
    SECURITY_TOKEN,
    TEMPORARY_AK,
    TEMPORARY_SK,
    CloudProject,
)
from bot.sandbox.huawei.rejection import Rejection

MAX_SKEW = timedelta(minutes=15)
LOCK_AFTER_FAILURES = 5
LOCKED_FOR = timedelta(minutes=5)
TOKEN_LIFETIME = timedelta(hours=24)
TOKEN_BYTES = 2_400
TOKEN_CHARACTERS = 16_384

_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=(\S+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")


class Lockouts:
    """Locks an access key or a user for LOCKED_FOR after LOCK_AFTER_FAILURES failures in a row."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._failures: dict[str, list[datetime]] = {}

    def is_locked(self, identity: str) -> bool:
        failures = self._failures.get(identity, [])
        return len(failures) >= LOCK_AFTER_FAILURES and self._now() - failures[-1] < LOCKED_FOR

    def record_failure(self, identity: str) -> None:
        failures = self._failures.setdefault(identity, [])
        if len(failures) >= LOCK_AFTER_FAILURES:
            failures.clear()
        failures.append(self._now())

    def record_success(self, identity: str) -> None:
        self._failures.pop(identity, None)


@dataclass
class Tokens:
    """The IAM tokens that are valid: those that IAM issued, and the preissued one.

    Arguments:
        lifetime: of the tokens that are issued from now on.
    """

    now: Callable[[], datetime]
    lifetime: timedelta = TOKEN_LIFETIME
    _expires_at: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._expires_at[PREISSUED_TOKEN] = self.now() + TOKEN_LIFETIME

    def issue(self) -> tuple[str, datetime]:
        """A new token, as long as real ones are, and when it expires."""
        token = f"MII{secrets.token_urlsafe(TOKEN_BYTES)}"
        self._expires_at[token] = self.now() + self.lifetime
        return token, self._expires_at[token]

    def is_valid(self, token: str) -> bool:
        return token in self._expires_at and self.now() < self._expires_at[token]

    def expire_all(self) -> None:
        """Invalidates every token, as IAM does when the password or a permission of the user changes."""
        self._expires_at.clear()


class ApiGateway:
    """Authenticates the calls to one project."""

    def __init__(self, project: CloudProject, tokens: Tokens, now: Callable[[], datetime]) -> None:
        self._project = project
        self._tokens = tokens
        self._now = now
        self._lockouts = Lockouts(now)

    def check(self, request: web.Request, body: bytes) -> None:
        """Checks the token or the signature of a call.

        Raises:
            Rejection: with status 401, the call is not authenticated.
        """
        token = request.headers.get("X-Auth-Token")
        if token is None:
            self._check_signature(request, body)
        elif "Authorization" in request.headers or not 1 <= len(token) <= TOKEN_CHARACTERS:
            raise _unauthorized("decrypt token fail")
        elif not self._tokens.is_valid(token):
            raise Rejection(401, "APIG.0307", "The token must be updated.")

    def _check_signature(self, request: web.Request, body: bytes) -> None:
        found = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if found is None:
            raise _unauthorized("Unauthorized")
        access = found[1]
        if self._lockouts.is_locked(access):
            raise _unauthorized("AK access failed to reach the limit,forbidden")
        wrong = self._wrong_signature(request, body, access, found[2].split(";"), found[3])
        if wrong is not None:
            self._lockouts.record_failure(access)
            raise _unauthorized(wrong)
        self._lockouts.record_success(access)

    def _wrong_signature(
        self, request: web.Request, body: bytes, access: str, names: list[str], given: str
    ) -> str | None:
        """What is wrong with the signature, in the gateway's words, or None."""
        keys = {
            self._project.access_key: (self._project.secret_key, None),
            TEMPORARY_AK: (TEMPORARY_SK, SECURITY_TOKEN),
        }
        if access not in keys:
            return f"Get secretKey failed,ak:{access},err:ak not exist"
        secret_key, security_token = keys[access]
        must_be_signed = {"host", "x-sdk-date"} | ({"x-security-token"} if security_token else set())
        if must_be_signed - set(names) or names != sorted(names):
            return "verify aksk signature fail"
        if request.headers.get("X-Security-Token") != security_token:
            return "verify aksk signature fail"
        date = request.headers.get("X-Sdk-Date", "")
        try:
            signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return "verify aksk signature fail"
        now = self._now()
        if abs(now - signed_at) > MAX_SKEW:
            server_time = now.strftime("%Y%m%dT%H%M%SZ")
            return f"calc aksk signature fail:signature expired, signature time:{date},server time:{server_time}"
        if request.headers.get("X-Project-Id", self._project.project_id) != self._project.project_id:
            return "verify aksk signature fail"
        raw_path, _, raw_query = request.raw_path.partition("?")
        lines = [request.method, _encoded_path(raw_path), _encoded_query(raw_query)]
        lines += [f"{name}:{request.headers.get(name, '').strip()}" for name in names]
        lines += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
        canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        text = f"SDK-HMAC-SHA256\n{date}\n{canonical}".encode()
        expected = hmac.new(secret_key.encode(), text, hashlib.sha256).hexdigest()
        return None if hmac.compare_digest(expected, given) else "verify aksk signature fail"


def _unauthorized(why: str) -> Rejection:
    return Rejection(401, "APIG.0301", f"Incorrect IAM authentication information: {why}")


def _encoded_path(raw_path: str) -> str:
    encoded = "/".join(quote(part, safe="-_.~") for part in unquote(raw_path).split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _encoded_query(raw_query: str) -> str:
    pairs = [pair.partition("=") for pair in raw_query.split("&") if pair]
    decoded = sorted((unquote(key), unquote(value)) for key, _, value in pairs)
    return "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in decoded)
