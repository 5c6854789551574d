"""Repeats a call once within a second or so, for as long as a person or a job can wait on the thread.

Which calls may be sent twice, and after which errors, is left to the caller.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_SECONDS = 0.5
# A service that asks for a longer wait is not called again: the caller tries again later, or gives up.
MAX_WAIT_SECONDS = 1.0
# A call that has taken longer is not repeated: its thread has waited long enough.
MAX_FIRST_CALL_SECONDS = 3.0


def retry_once(call: Callable[[], T], wait_after: Callable[[Exception], float | None]) -> T:
    """Calls, and calls a second time if the first call failed soon, with an error that may pass.

    Arguments:
        wait_after: how many seconds the service asks to wait after this error of the first call, 0 if it does not say;
            None if the call must not be repeated. It is not called for the error of the second call.

    Raises:
        Exception: as the last call raised it.
    """
    began = time.monotonic()
    try:
        return call()
    except Exception as error:
        seconds = wait_after(error)
        is_slow = time.monotonic() - began > MAX_FIRST_CALL_SECONDS
        if seconds is None or seconds > MAX_WAIT_SECONDS or is_slow:
            raise
    time.sleep(max(seconds, WAIT_SECONDS))
    return call()
