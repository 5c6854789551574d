"""Reads from OMS for the answer to a command: tries once more after an error that may pass within a second.

Calls that change something are left to `bot.jobs.send`, which never repeats them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bot.huawei.errors import HuaweiError, NotSent, Service, Suspended, Throttled, Unanswered, UnusableIdentity
from bot.vault.errors import VaultError

T = TypeVar("T")

WAIT_SECONDS = 0.7
MAX_WAIT_SECONDS = 1.0
# A read that has taken longer than this is not repeated: the person waits for the answer.
MAX_FIRST_TRY_SECONDS = 3.0


def with_one_retry(read: Callable[[], T], wait_seconds: float = WAIT_SECONDS) -> T:
    """Calls `read`, and calls it once more after a 429, a 5xx or a lost connection.

    A refusal is not repeated, and neither is a login without an answer, because it may have been refused: refusals lock
    the identity for everybody. The circuit breaker of the identity applies to the second call as to any other. If OMS
    answers nothing to a new identity, two reads therefore use up its three probes.

    Raises:
        HuaweiError, VaultError: as the last call raised it. If nothing was sent the second time, as the first call did.
    """
    began = time.monotonic()
    try:
        return read()
    except (NotSent, Throttled, Unanswered) as error:
        wait = _seconds_to_wait(error, wait_seconds)
        if wait is None or time.monotonic() - began > MAX_FIRST_TRY_SECONDS:
            raise
        first_error = error
    time.sleep(wait)
    try:
        return read()
    except (Suspended, UnusableIdentity, VaultError):
        raise first_error from None


def _seconds_to_wait(error: HuaweiError, wait_seconds: float) -> float | None:
    """How long to wait before the second try; None if there is none."""
    match error:
        case Throttled(retry_after_seconds=int(seconds)):
            return max(seconds, wait_seconds) if seconds <= MAX_WAIT_SECONDS else None
        case Unanswered(service=Service.IAM, answer=None):
            return None
        case _:
            return wait_seconds
