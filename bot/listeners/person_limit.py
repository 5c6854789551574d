"""Limits how many payloads each person can send, before anything is stored or looked up for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bot.domain.token_bucket import TokenBucket

EVERY_SECONDS, BURST = 1.0, 60
# Above this number of people, those whose burst is available again are forgotten.
MAX_PEOPLE = 1_000


class PersonLimit:
    """Allows each person so many payloads at once, and then one after each `every_seconds`.

    Arguments:
        monotonic: a clock in seconds.
    """

    def __init__(
        self, monotonic: Callable[[], float], every_seconds: float = EVERY_SECONDS, burst: int = BURST
    ) -> None:
        self._monotonic = monotonic
        self._every_seconds, self._burst = every_seconds, burst
        self._lock = threading.Lock()
        self._buckets: dict[str, TokenBucket] = {}

    def allows(self, person: str) -> bool:
        """Whether a payload of a person may be handled. A refused payload does not use up the limit."""
        now = self._monotonic()
        with self._lock:
            if len(self._buckets) > MAX_PEOPLE:
                self._buckets = {one: bucket for one, bucket in self._buckets.items() if bucket.full_at > now}
            return self._buckets.setdefault(person, TokenBucket(self._every_seconds, self._burst)).take(now)
