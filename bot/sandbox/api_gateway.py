"""The gateway in front of OMS and IAM: whether a call is signed with a valid key, or carries a valid token.

Its check of signatures is its own, so that a fault in ours does not pass unseen.
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

from bot.sandbox.credentials import READY_TOKEN, SECURITY_TOKEN, TEMPORARY_AK, TEMPORARY_SK, CloudProject
from bot.sandbox.rejection import Rejection

MAX_SKEW = timedelta(minutes=15)
LOCK_AFTER_FAILURES = 5
LOCKED_FOR = timedelta(minutes=5)
TOKEN_LIFETIME = timedelta(hours=24)
TOKEN_BYTES = 2_400
TOKEN_CHARACTERS = 16_384

_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=(\S+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")


class Locks:
    """Who has failed so often, one time after the other, that nothing is looked at for some minutes."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._failures: dict[str, list[datetime]] = {}

    def is_locked(self, who: str) -> bool:
        failures = self._failures.get(who, [])
        return len(failures) >= LOCK_AFTER_FAILURES and self._now() - failures[-1] < LOCKED_FOR

    def failed(self, who: str) -> None:
        failures = self._failures.setdefault(who, [])
        if len(failures) >= LOCK_AFTER_FAILURES:
            failures.clear()
        failures.append(self._now())

    def succeeded(self, who: str) -> None:
        self._failures.pop(who, None)


@dataclass
class Tokens:
    """The tokens that IAM has given out, and the ready one. `lifetime` is of those that are given out from now on."""

    now: Callable[[], datetime]
    lifetime: timedelta = TOKEN_LIFETIME
    _ends: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ends[READY_TOKEN] = self.now() + TOKEN_LIFETIME

    def issue(self) -> tuple[str, datetime]:
        """A new token, as long as real ones are, and when it ends."""
        token = f"MII{secrets.token_urlsafe(TOKEN_BYTES)}"
        self._ends[token] = self.now() + self.lifetime
        return token, self._ends[token]

    def is_valid(self, token: str) -> bool:
        return token in self._ends and self.now() < self._ends[token]

    def expire(self) -> None:
        """Ends every token at once, as a change of the password or of a permission does."""
        self._ends.clear()


class ApiGateway:
    """Who is let through to one project."""

    def __init__(self, place: CloudProject, tokens: Tokens, now: Callable[[], datetime]) -> None:
        self._place = place
        self._tokens = tokens
        self._now = now
        self._locks = Locks(now)

    def check(self, request: web.Request, body: bytes) -> None:
        """
        Raises:
            Refusal: 401, as the gateway refuses.
        """
        token = request.headers.get("X-Auth-Token")
        if token is None:
            self._check_signature(request, body)
        elif "Authorization" in request.headers or not 1 <= len(token) <= TOKEN_CHARACTERS:
            raise _unauthorised("decrypt token fail")
        elif not self._tokens.is_valid(token):
            raise Rejection(401, "APIG.0307", "The token must be updated.")

    def _check_signature(self, request: web.Request, body: bytes) -> None:
        found = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if found is None:
            raise _unauthorised("Unauthorized")
        access = found[1]
        if self._locks.is_locked(access):
            raise _unauthorised("AK access failed to reach the limit,forbidden")
        wrong = self._wrong_signature(request, body, access, found[2].split(";"), found[3])
        if wrong is not None:
            self._locks.failed(access)
            raise _unauthorised(wrong)
        self._locks.succeeded(access)

    def _wrong_signature(
        self, request: web.Request, body: bytes, access: str, names: list[str], given: str
    ) -> str | None:
        """What is wrong with it, in the gateway's words."""
        keys = {
            self._place.access_key: (self._place.secret_key, None),
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
        if request.headers.get("X-Project-Id", self._place.project_id) != self._place.project_id:
            return "verify aksk signature fail"
        raw_path, _, raw_query = request.raw_path.partition("?")
        lines = [request.method, _encoded_path(raw_path), _encoded_query(raw_query)]
        lines += [f"{name}:{request.headers.get(name, '').strip()}" for name in names]
        lines += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
        canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        text = f"SDK-HMAC-SHA256\n{date}\n{canonical}".encode()
        expected = hmac.new(secret_key.encode(), text, hashlib.sha256).hexdigest()
        return None if hmac.compare_digest(expected, given) else "verify aksk signature fail"


def _unauthorised(why: str) -> Rejection:
    return Rejection(401, "APIG.0301", f"Incorrect IAM authentication information: {why}")


def _encoded_path(raw_path: str) -> str:
    encoded = "/".join(quote(part, safe="-_.~") for part in unquote(raw_path).split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _encoded_query(raw_query: str) -> str:
    pairs = [pair.partition("=") for pair in raw_query.split("&") if pair]
    decoded = sorted((unquote(key), unquote(value)) for key, _, value in pairs)
    return "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in decoded)
