"""A rate limit: so many at once, and then one at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class TokenBucket:
    """Allows `burst` at once after a pause, and one more after each `every_seconds`.

    In any minute it allows at most `burst` and those of a minute.
    """

    every_seconds: float
    burst: int
    full_at: float = -math.inf

    def take(self, now: float) -> bool:
        """Whether one more is allowed. A refused one does not count.

        Arguments:
            now: in seconds, of a clock that never goes back.
        """
        full_at = max(self.full_at, now) + self.every_seconds
        if full_at - now > self.burst * self.every_seconds:
            return False
        self.full_at = full_at
        return True
