"""When an identity at Huawei Cloud may come again, and what every answer says of it. Pure.

Five refused signatures in a row lock an access key for everybody, for five minutes (API Gateway FAQ): the bot never
comes with the fifth. So a try is counted as refused before it is sent, unless the identity is in use.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.store.identities import IdentityState

LOCKS_AFTER = 5
LOCKED_FOR = timedelta(minutes=5)
# Calls of an identity in use are not counted beforehand. When it is taken away, all that are under way are refused, and
# of a process that died nobody wrote it down; one try more is left for whoever asks.
CALLS_AT_ONCE = LOCKS_AFTER - 2


def untried(path: str, who: str, version: int | None, now: datetime) -> IdentityState:
    """What is known of an identity that was never tried."""
    return IdentityState(path, who, version, code="", refusals=0, refused_at=now, is_awake=False, is_in_use=False)


def is_close_to_lock(rest: IdentityState, now: datetime) -> bool:
    return rest.refusals >= LOCKS_AFTER - 1 and now - rest.refused_at < LOCKED_FOR


def may_be_tried(rest: IdentityState, now: datetime, *, is_changed: bool) -> bool:
    """Whether to come with it, though it is not in use.

    Arguments:
        is_changed: something of it is another than when it was refused.
    """
    return (not rest.code or rest.is_awake or is_changed) and not is_close_to_lock(rest, now)


def tried(rest: IdentityState, version: int | None, now: datetime) -> IdentityState:
    """It is about to be sent. Whoever asked for this try has had it."""
    return replace(rest, version=version, code="", refusals=rest.refusals + 1, refused_at=now, is_awake=False)


def accepted(rest: IdentityState, version: int | None) -> IdentityState:
    return replace(rest, version=version, code="", refusals=0, is_awake=False, is_in_use=True)


def refused(rest: IdentityState, code: str, now: datetime, *, was_counted: bool) -> IdentityState:
    """Arguments:
    was_counted: by `tried`; otherwise it came as one in use.
    """
    least = CALLS_AT_ONCE * (rest.is_in_use or not was_counted) + was_counted
    refusals = max(rest.refusals, least)
    return replace(rest, code=code, refusals=refusals, refused_at=now, is_awake=False, is_in_use=False)


def given_back(rest: IdentityState) -> IdentityState:
    """The try that was counted was none: nothing was sent, or the answer says nothing of who came."""
    return replace(rest, refusals=max(rest.refusals - 1, 0))


def unanswered(rest: IdentityState) -> IdentityState:
    """The try that was counted had no answer. The silence of one in use is no refusal; of any other it may be."""
    return given_back(rest) if rest.is_in_use else rest
