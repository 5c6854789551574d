"""Decides when the bot may call with its identity at Huawei Cloud: a circuit breaker for each identity. Pure.

API Gateway locks an access key for everybody for five minutes after five refused signatures in a row (API Gateway FAQ),
and IAM locks a user after failed logins. `bot.store` stores the circuit breakers; `bot.huawei` waits and sends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

MAX_REFUSALS = 3
REFUSALS_COUNT_FOR = timedelta(minutes=5)
# A login, or a call to OMS, takes 25 s at most: a probe that has not ended by then was lost with its process.
PROBE_LEASE = timedelta(seconds=60)


class BreakerState(StrEnum):
    """Whether calls may be sent with an identity."""

    #: The identity was accepted. Calls are sent in parallel, and no call changes the stored row.
    CLOSED = "closed"
    #: The identity was refused. No call is sent.
    OPEN = "open"
    #: The identity is not proven. One call at a time is sent, as a probe.
    HALF_OPEN = "half-open"


class BreakerStep(StrEnum):
    """What a call that is about to be sent has to do."""

    #: Send at once.
    SEND = "send"
    #: Store that the call is a probe, then send it.
    PROBE = "probe"
    #: Wait for the result of a probe that another call has sent.
    WAIT = "wait"
    #: Fail without sending.
    FAIL = "fail"


class Verdict(StrEnum):
    """What the end of a call says of the identity."""

    #: The answer is one that only an accepted identity gets.
    ACCEPTED = "accepted"
    #: The identity was refused.
    REFUSED = "refused"
    #: The call was not sent, or its answer does not concern the identity.
    UNRELATED = "unrelated"
    #: The call may have been sent, and no answer came.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class CircuitBreaker:
    """What is stored of one identity.

    Attributes:
        fingerprint: identifies the identity and reveals nothing secret.
        path: the Vault path, with the mount, of the credential that was used last.
        version: the version of that credential in Vault; None on KV version 1, which has no versions.
        code: the error code of the refusal that opened the circuit breaker; empty if the identity was not refused.
        refused_at: when the refusals of the last five minutes were sent. A probe counts as refused from before it is
            sent until its answer shows that it was not.
        probe_until: when the probe that is under way counts as lost; None if there is none.
    """

    fingerprint: str
    path: str
    version: int | None
    state: BreakerState = BreakerState.HALF_OPEN
    code: str = ""
    refused_at: tuple[datetime, ...] = ()
    probe_until: datetime | None = None


@dataclass(frozen=True)
class CredentialVersion:
    """The version of a credential that a call is about to use.

    Attributes:
        path: its Vault path, with the mount.
        version: its version in Vault; None on KV version 1.
        was_judged_last: whether this process saw exactly this credential accepted or refused, and no other credential
            of the identity since; None if it saw none.
    """

    path: str
    version: int | None
    was_judged_last: bool | None = None


def next_step(breaker: CircuitBreaker, version: CredentialVersion, now: datetime) -> BreakerStep:
    """What a call with this version has to do."""
    is_same = _is_same(breaker, version)
    if breaker.state is BreakerState.CLOSED and is_same:
        return BreakerStep.SEND
    # Only the path of the refused credential tells that it changed: two paths with one access key and different secret
    # keys would otherwise look changed to each other after each refusal.
    is_changed = breaker.path == version.path and is_same is False
    if breaker.state is BreakerState.OPEN and not is_changed:
        return BreakerStep.FAIL
    if breaker.probe_until is not None and now < breaker.probe_until:
        return BreakerStep.WAIT
    return BreakerStep.FAIL if is_close_to_lock(breaker, now) else BreakerStep.PROBE


def is_close_to_lock(breaker: CircuitBreaker, now: datetime) -> bool:
    """Whether as many refusals count as may be sent in five minutes."""
    return len(_counted(breaker, now)) >= MAX_REFUSALS


def is_quiet(breaker: CircuitBreaker, now: datetime) -> bool:
    """Whether no refusal counts any more."""
    return not _counted(breaker, now)


def with_probe(breaker: CircuitBreaker, version: CredentialVersion, now: datetime) -> CircuitBreaker:
    """The circuit breaker when a call with this version is about to be sent: unchanged unless the call is a probe."""
    if next_step(breaker, version, now) is not BreakerStep.PROBE:
        return breaker
    half_open = _about(breaker, version, BreakerState.HALF_OPEN)
    return replace(half_open, refused_at=(*_counted(breaker, now), now), probe_until=now + PROBE_LEASE)


def with_verdict(
    breaker: CircuitBreaker,
    version: CredentialVersion,
    verdict: Verdict,
    now: datetime,
    probed_at: datetime | None,
    code: str = "",
) -> CircuitBreaker:
    """The circuit breaker when a call with this version has ended, however late.

    Arguments:
        probed_at: when the call was counted as a probe; None for a call that was sent while it was closed.
        code: the error code of a refusal.
    """
    counted = _counted(breaker, now)
    is_current_probe = probed_at is not None and breaker.probe_until == probed_at + PROBE_LEASE
    ended = replace(breaker, probe_until=None if is_current_probe else breaker.probe_until)
    if verdict is Verdict.REFUSED:
        counted = counted if probed_at is not None else (*counted, now)
        return replace(_about(ended, version, BreakerState.OPEN), code=code, refused_at=counted)
    if probed_at is None:
        return breaker
    if verdict is not Verdict.UNKNOWN and probed_at in counted:
        at = counted.index(probed_at)
        counted = counted[:at] + counted[at + 1 :]
    # An accepted probe leaves earlier refusals counted: the limit holds for any five minutes.
    ended = replace(ended, refused_at=counted)
    return _about(ended, version, BreakerState.CLOSED) if verdict is Verdict.ACCEPTED else ended


def with_retry_allowed(breaker: CircuitBreaker, now: datetime) -> CircuitBreaker:
    """The circuit breaker when a person asks for another try: changed only if it is open and not close to the lock."""
    if breaker.state is not BreakerState.OPEN or is_close_to_lock(breaker, now):
        return breaker
    return replace(breaker, state=BreakerState.HALF_OPEN)


def _about(breaker: CircuitBreaker, version: CredentialVersion, state: BreakerState) -> CircuitBreaker:
    """The circuit breaker in this state, which is about this version."""
    return replace(breaker, path=version.path, version=version.version, state=state, code="")


def _is_same(breaker: CircuitBreaker, version: CredentialVersion) -> bool | None:
    """Whether the state of the circuit breaker is about this version; None if that is not known."""
    if breaker.path == version.path and (breaker.version, version.version) != (None, None):
        return breaker.version == version.version
    return version.was_judged_last


def _counted(breaker: CircuitBreaker, now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in breaker.refused_at if now - at < REFUSALS_COUNT_FOR)
