"""What the bot did, in order: one line for each call that reached a stand-in, its secrets left out.

The stand-ins write it; the page, the story of `--play` and the tests read it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Call:
    """One call. `service` is "slack", "oms", "iam" or "vault"; `note` says briefly what it carried or answered."""

    number: int
    at: datetime
    service: str
    method: str
    path: str
    status: int
    note: str


class CallLog:
    """An append-only list of calls that threads share."""

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

    def start_over(self) -> None:
        """Nothing was called yet."""
        with self._changed:
            self._calls.clear()

    def since(self, number: int = 0) -> list[Call]:
        """The calls after the one with this number, oldest first."""
        with self._changed:
            return self._calls[number:]

    def wait_for(self, wanted: Callable[[Call], bool], timeout_seconds: float = 30.0) -> Call:
        """The first call that is wanted, waited for if it has not come yet.

        Raises:
            TimeoutError: none came in time.
        """
        found: list[Call] = []

        def came() -> bool:
            found[:] = [call for call in self._calls if wanted(call)][:1]
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(came, timeout_seconds):
                raise TimeoutError("no such call reached the stand-ins in time")
        return found[0]
