"""Applies the circuit breaker of an identity to the calls of this process: lets them through, and stores their result.

Decisions are made in `bot.domain.circuit_breaker`, and waiting is left to `identity`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from bot.domain import circuit_breaker as rules
from bot.domain.circuit_breaker import BreakerState, BreakerStep, CircuitBreaker, CredentialVersion, Verdict
from bot.huawei.credential import LoadedCredential
from bot.huawei.error_catalogue import is_identity_rejected, is_token_expired
from bot.huawei.errors import HuaweiError, Rejected, Service, Suspended, Unanswered
from bot.huawei.signing import Credential, PasswordUser

log = logging.getLogger(__name__)


class BreakerRows(Protocol):
    """Where circuit breakers are stored, one row for each identity and Vault path."""

    def get(self, fingerprint: str, path: str) -> CircuitBreaker | None:
        """The circuit breaker of this identity at this path; None if nothing is stored."""

    def at_path(self, path: str) -> Sequence[CircuitBreaker]:
        """The circuit breakers of every identity that was at this Vault path."""

    def update(self, new: CircuitBreaker, change: Callable[[CircuitBreaker], CircuitBreaker]) -> CircuitBreaker:
        """Changes one row, or `new` if there is none, while nobody else does. Returns it as it was before."""

    def delete(self, path: str, condition: Callable[[CircuitBreaker], bool]) -> None:
        """Deletes the rows at this Vault path that meet the condition, while nobody else changes them."""


class InMemoryRows:
    """Circuit breakers that end with the process, for `check`: what it tries is not counted."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], CircuitBreaker] = {}
        self._lock = threading.Lock()

    def get(self, fingerprint: str, path: str) -> CircuitBreaker | None:
        row = self._rows.get((fingerprint, path))
        return None if row is None else self._with_other_paths(row)

    def at_path(self, path: str) -> Sequence[CircuitBreaker]:
        return [self._with_other_paths(row) for row in list(self._rows.values()) if row.path == path]

    def update(self, new: CircuitBreaker, change: Callable[[CircuitBreaker], CircuitBreaker]) -> CircuitBreaker:
        with self._lock:
            before = self._with_other_paths(self._rows.get((new.fingerprint, new.path), new))
            self._rows[new.fingerprint, new.path] = change(before)
        return before

    def delete(self, path: str, condition: Callable[[CircuitBreaker], bool]) -> None:
        with self._lock:
            self._rows = {key: row for key, row in self._rows.items() if row.path != path or not condition(row)}

    def _with_other_paths(self, row: CircuitBreaker) -> CircuitBreaker:
        others = (one for one in list(self._rows.values()) if one.fingerprint == row.fingerprint)
        elsewhere = tuple(at for other in others if other.path != row.path for at in other.refused_at)
        return replace(row, refused_elsewhere=elsewhere)


def is_refusal(rejected: Rejected) -> bool:
    """Whether the identity was refused, or its token expired.

    IAM gives no code for a wrong password, so that its HTTP status tells (IAM API reference, POST /v3/auth/tokens).
    """
    code = rejected.answer.code
    is_refused_login = rejected.service is Service.IAM and rejected.answer.http_status in (401, 403)
    return is_refused_login or is_identity_rejected(code) or is_token_expired(code)


def verdict_on(error: HuaweiError, credential: Credential) -> Verdict:
    """What an error says of the identity that the call was made with."""
    match error:
        case Rejected() if is_refusal(error):
            # A user logs in again when the token expired; a ready token cannot be renewed.
            is_renewed = is_token_expired(error.answer.code) and isinstance(credential, PasswordUser)
            return Verdict.UNRELATED if is_renewed else Verdict.REFUSED
        case Rejected() if error.answer.code.startswith("OMS."):
            # The gateway, which checks the identity, let the call through to OMS.
            return Verdict.ACCEPTED
        case Unanswered(answer=None):
            return Verdict.UNKNOWN
        case _:
            return Verdict.UNRELATED


class IdentityBreaker:
    """The circuit breaker of one identity at one Vault path, for the threads of this process."""

    def __init__(self, rows: BreakerRows, fingerprint: str, now: Callable[[], datetime]) -> None:
        self._rows = rows
        self._fingerprint = fingerprint
        self._now = now
        self._judged_last: Credential | None = None
        # The last refusals that this process saw. A row that someone changed in the database does not hide them.
        self._refused_at: tuple[datetime, ...] = ()
        self._code = ""
        # Held while the row and `_judged_last` are updated. On KV version 1, a probe that begins between the two would
        # take the refused credential for a changed one.
        self._lock = threading.Lock()

    def next_step(self, loaded: LoadedCredential) -> BreakerStep:
        """What a call with this credential has to do, after one look at the stored row."""
        # Read before the row. On KV version 1, a refusal stored between the two would otherwise make the refused
        # credential look accepted.
        version = self._version(loaded)
        row = self._rows.get(self._fingerprint, loaded.path) or self._new(loaded)
        now = self._now()
        return BreakerStep.FAIL if self._is_close_to_lock(loaded, now) else rules.next_step(row, version, now)

    def begin_probe(self, loaded: LoadedCredential) -> Permit | None:
        """Counts a probe with this credential before it is sent.

        Returns:
            None if another call was quicker, so that the next step has to be looked up again.

        Raises:
            Suspended: no call may be sent.
        """
        with self._lock:
            version, now = self._version(loaded), self._now()
            if self._is_close_to_lock(loaded, now):
                raise Suspended(loaded.path, self._code, is_close_to_lock=True)
            before = self._rows.update(self._new(loaded), partial(rules.with_probe, version=version, now=now))
        match rules.next_step(before, version, now):
            case BreakerStep.PROBE:
                return Permit(self, loaded, probed_at=now)
            case BreakerStep.FAIL:
                is_close = rules.is_close_to_lock(before, now)
                raise Suspended(before.path, before.code, is_close_to_lock=is_close)
            case _:
                return None

    def store_verdict(
        self, loaded: LoadedCredential, probed_at: datetime | None, verdict: Verdict, code: str = ""
    ) -> None:
        """Stores what a call says of the identity. The arguments are those of `rules.with_verdict`."""
        if probed_at is None and verdict is not Verdict.REFUSED:
            return
        with self._lock:
            version, now = self._version(loaded), self._now()
            change = partial(
                rules.with_verdict, version=version, verdict=verdict, now=now, probed_at=probed_at, code=code
            )
            before = self._rows.update(self._new(loaded), change)
            if verdict is Verdict.REFUSED:
                self._refused_at, self._code = (*self._refused_at, now)[-rules.MAX_REFUSALS :], code
            if verdict in (Verdict.ACCEPTED, Verdict.REFUSED):
                # Set after the row, because `next_step` reads it before the row, and without the lock.
                self._judged_last = loaded.credential
        if verdict is Verdict.ACCEPTED:
            self._forget_replaced(loaded.path, now)
        elif verdict is Verdict.REFUSED and before.state is not BreakerState.OPEN:
            log.warning("the identity at %s was refused with %s, and is suspended", loaded.path, code)

    def _forget_replaced(self, path: str, now: datetime) -> None:
        """Deletes the rows of identities that were at this path before, once none of their refusals counts."""

        def is_forgotten(row: CircuitBreaker) -> bool:
            return row.fingerprint != self._fingerprint and rules.is_quiet(row, now)

        # Most often there is none, and reading needs no lock.
        if any(is_forgotten(row) for row in self._rows.at_path(path)):
            self._rows.delete(path, is_forgotten)

    def _is_close_to_lock(self, loaded: LoadedCredential, now: datetime) -> bool:
        return rules.is_close_to_lock(replace(self._new(loaded), refused_at=self._refused_at), now)

    def _new(self, loaded: LoadedCredential) -> CircuitBreaker:
        return CircuitBreaker(self._fingerprint, loaded.path, loaded.version)

    def _version(self, loaded: LoadedCredential) -> CredentialVersion:
        judged = self._judged_last
        was_judged_last = None if judged is None else judged == loaded.credential
        return CredentialVersion(loaded.version, was_judged_last)


@dataclass
class Permit:
    """Permission to call with this credential.

    Attributes:
        probed_at: when the call was counted as a probe; None if it is no probe, or its verdict is stored.
    """

    breaker: IdentityBreaker
    loaded: LoadedCredential
    probed_at: datetime | None = None

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Stores what the call in the block says of the identity."""
        verdict, code = Verdict.UNKNOWN, ""
        try:
            yield
            verdict = Verdict.ACCEPTED
        except HuaweiError as error:
            verdict = verdict_on(error, self.loaded.credential)
            code = error.answer.code if isinstance(error, Rejected) else ""
            raise
        finally:
            self._end(verdict, code)

    def close(self) -> None:
        """Gives the permission back. If no call was observed, none was sent."""
        self._end(Verdict.UNRELATED, "")

    def _end(self, verdict: Verdict, code: str) -> None:
        self.breaker.store_verdict(self.loaded, self.probed_at, verdict, code)
        self.probed_at = None


def allow_retry(rows: BreakerRows, path: str, now: datetime, asked_at: datetime) -> None:
    """Half-opens the circuit breakers at a Vault path, unless a lock is close or they were tried since `asked_at`."""
    for row in rows.at_path(path):
        if row.state is BreakerState.OPEN:
            rows.update(row, partial(rules.with_retry_allowed, now=now, asked_at=asked_at))
