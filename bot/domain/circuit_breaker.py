"""Decides when the bot may send calls with an identity at Huawei Cloud, by one circuit breaker per identity. Pure.

API Gateway locks an access key for everybody for five minutes after five refused signatures in a row (API Gateway FAQ),
and IAM locks a user after failed logins. `bot.store` stores the circuit breakers, `bot.huawei` sends the calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

MAX_REFUSALS = 3
REFUSALS_COUNT_FOR = timedelta(minutes=5)
# A login or a call to OMS takes 25 s at most. A probe without a result after this time was lost with its process.
PROBE_LEASE = timedelta(seconds=60)


class BreakerState(StrEnum):
    """Whether calls may be sent with an identity."""

    #: The identity was accepted. Calls are sent in parallel, and only a refusal changes the stored row.
    CLOSED = "closed"
    #: The identity was refused. No call is sent.
    OPEN = "open"
    #: Not known whether the identity is accepted. One call at a time is sent, as a probe.
    HALF_OPEN = "half-open"


class BreakerStep(StrEnum):
    """What to do with a call that is about to be sent."""

    #: Send at once.
    SEND = "send"
    #: Store that the call is a probe, then send it.
    PROBE = "probe"
    #: Wait for the result of a probe that another call has sent.
    WAIT = "wait"
    #: Fail without sending.
    FAIL = "fail"


class Verdict(StrEnum):
    """What the result of a call shows about the identity."""

    #: The answer shows that the identity was accepted.
    ACCEPTED = "accepted"
    #: The identity was refused.
    REFUSED = "refused"
    #: The call was not sent, or its answer shows nothing about the identity.
    UNRELATED = "unrelated"
    #: The call may have been sent, and no answer came.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class CircuitBreaker:
    """The stored state of one identity, as it is at one Vault path.

    Two paths can hold the same access key with different secret keys, so each has a state of its own. The refusals of
    all paths count together, because Huawei Cloud locks the access key.

    Attributes:
        fingerprint: identifies the identity and reveals nothing secret.
        path: the Vault path of the credential, with the mount.
        version: the version of the credential that was used last; None on KV version 1, which has no versions.
        code: the error code of the refusal that opened the circuit breaker; empty if the identity was not refused.
        refused_at: the send times of the calls refused in the last five minutes. A probe counts as refused from before
            it is sent until its answer shows that it was not.
        probe_until: when the current probe counts as lost; None if no probe was sent, or its result is known.
        refused_elsewhere: as `refused_at`, of this identity at other paths. Read, and never stored.
    """

    fingerprint: str
    path: str
    version: int | None
    state: BreakerState = BreakerState.HALF_OPEN
    code: str = ""
    refused_at: tuple[datetime, ...] = ()
    probe_until: datetime | None = None
    refused_elsewhere: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class CredentialVersion:
    """The version of a credential that a call is about to use.

    Attributes:
        version: its version in Vault; None on KV version 1.
        was_judged_last: whether the last credential at this path that this process saw accepted or refused is this
            one; None if it saw none.
    """

    version: int | None
    was_judged_last: bool | None = None


def next_step(breaker: CircuitBreaker, version: CredentialVersion, now: datetime) -> BreakerStep:
    """What to do with a call that uses this version."""
    is_same = _is_same(breaker, version)
    if breaker.state is BreakerState.CLOSED and is_same:
        return BreakerStep.SEND
    if breaker.state is BreakerState.OPEN and is_same is not False:
        return BreakerStep.FAIL
    # The clocks of replicas may differ by less than a lease. A lease that ends later than that is ignored.
    if breaker.probe_until is not None and now < breaker.probe_until < now + 2 * PROBE_LEASE:
        return BreakerStep.WAIT
    return BreakerStep.FAIL if is_close_to_lock(breaker, now) else BreakerStep.PROBE


def is_close_to_lock(breaker: CircuitBreaker, now: datetime) -> bool:
    """Whether `MAX_REFUSALS` is reached, at all paths together."""
    return len((*_counting(breaker.refused_at, now), *_counting(breaker.refused_elsewhere, now))) >= MAX_REFUSALS


def is_quiet(breaker: CircuitBreaker, now: datetime) -> bool:
    """Whether no refusal counts at this time."""
    return not _counting(breaker.refused_at, now)


def with_probe(breaker: CircuitBreaker, version: CredentialVersion, now: datetime) -> CircuitBreaker:
    """The circuit breaker before a call with this version is sent. Unchanged unless the call is a probe."""
    if next_step(breaker, version, now) is not BreakerStep.PROBE:
        return breaker
    probing = breaker
    # On KV version 1 a new process cannot tell whether the credential changed. Others may know that it did not.
    if breaker.state is not BreakerState.CLOSED or _is_same(breaker, version) is False:
        probing = _with_version(breaker, version, BreakerState.HALF_OPEN)
    refused_at = (*_counting(breaker.refused_at, now), now)
    return replace(probing, refused_at=refused_at, probe_until=now + PROBE_LEASE)


def with_verdict(
    breaker: CircuitBreaker,
    version: CredentialVersion,
    verdict: Verdict,
    now: datetime,
    probed_at: datetime | None,
    code: str = "",
) -> CircuitBreaker:
    """The circuit breaker after a call with this version has ended. The result may arrive late.

    Arguments:
        probed_at: the time passed to `with_probe`; None if the call was not a probe.
        code: the error code of a refusal.
    """
    counted = _counting(breaker.refused_at, now)
    is_current_probe = probed_at is not None and breaker.probe_until == probed_at + PROBE_LEASE
    ended = replace(breaker, probe_until=None if is_current_probe else breaker.probe_until)
    if verdict is Verdict.REFUSED:
        counted = counted if probed_at is not None else (*counted, now)
        return replace(_with_version(ended, version, BreakerState.OPEN), code=code, refused_at=counted)
    if probed_at is None:
        return breaker
    # A probe without an answer may have been refused, unless other calls with the identity are accepted.
    is_known = verdict is not Verdict.UNKNOWN or breaker.state is BreakerState.CLOSED
    if is_known and probed_at in counted:
        at = counted.index(probed_at)
        counted = counted[:at] + counted[at + 1 :]
    # Earlier refusals still count after an accepted probe, because the limit applies to any five minutes.
    ended = replace(ended, refused_at=counted)
    return _with_version(ended, version, BreakerState.CLOSED) if verdict is Verdict.ACCEPTED else ended


def with_retry_allowed(breaker: CircuitBreaker, now: datetime, asked_at: datetime) -> CircuitBreaker:
    """The circuit breaker after a person requests a retry. Unchanged unless it is open and not close to the lock.

    Arguments:
        asked_at: when the person requested it. Unchanged also if the identity was refused since: that was the retry.
    """
    was_tried = any(at > asked_at for at in breaker.refused_at)
    if breaker.state is not BreakerState.OPEN or was_tried or is_close_to_lock(breaker, now):
        return breaker
    return replace(breaker, state=BreakerState.HALF_OPEN)


def _with_version(breaker: CircuitBreaker, version: CredentialVersion, state: BreakerState) -> CircuitBreaker:
    """The circuit breaker with this version and state, and without an error code."""
    return replace(breaker, version=version.version, state=state, code="")


def _is_same(breaker: CircuitBreaker, version: CredentialVersion) -> bool | None:
    """Whether the circuit breaker has the state of this version; None if that is not known."""
    if (breaker.version, version.version) != (None, None):
        return breaker.version == version.version
    return version.was_judged_last


def _counting(refused_at: Iterable[datetime], now: datetime) -> tuple[datetime, ...]:
    """The refusals that count at this time. One from the future was stored by a process whose clock is ahead."""
    return tuple(at for at in refused_at if abs(now - at) < REFUSALS_COUNT_FOR)
