"""The call log: every call that reached a stand-in, in order, without its secrets.

The stand-ins write it; the control panel, the demo and the tests read it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Call:
    """One call.

    Arguments:
        number: counts from 1.
        service: "slack", "oms", "iam" or "vault".
        status: the HTTP status of the answer, 0 if none was sent.
        note: what the call carried, or what the answer was, in a few words.
    """

    number: int
    at: datetime
    service: str
    method: str
    path: str
    status: int
    note: str


class CallLog:
    """An append-only list of calls, for use by several threads."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._calls: list[Call] = []
        self._changed = threading.Condition()

    def write(self, service: str, method: str, path: str, status: int, note: str = "") -> Call:
        with self._changed:
            call = Call(len(self._calls) + 1, self._now(), service, method, path, status, note)
            self._calls.append(call)
            self._changed.notify_all()
            return call

    def clear(self) -> None:
        """Removes all calls. The next one has number 1."""
        with self._changed:
            self._calls.clear()

    def since(self, number: int = 0) -> list[Call]:
        """The calls after the one with this number, oldest first."""
        with self._changed:
            return self._calls[number:]

    def wait_for(self, matches: Callable[[Call], bool], timeout_seconds: float = 30.0) -> Call:
        """Returns the first call that matches, as soon as there is one.

        Raises:
            TimeoutError: there was none in time.
        """
        found: list[Call] = []

        def is_there() -> bool:
            found[:] = [call for call in self._calls if matches(call)][:1]
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(is_there, timeout_seconds):
                raise TimeoutError("no such call reached the stand-ins in time")
        return found[0]
