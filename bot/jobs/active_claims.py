"""The claims that this process is working on just now: these are renewed, and any other runs out by itself.

A claim that nobody works on any more, for whatever reason, is so never kept alive.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bot.store.queue import Claim, Queue


class ActiveClaims:
    """What is in hand. Threads share it."""

    def __init__(self) -> None:
        # Counted: a row may be claimed anew before whoever worked on it last has let go of it here.
        self._claims: Counter[Claim] = Counter()
        self._lock = threading.Lock()

    def take(self, claim: Claim) -> None:
        with self._lock:
            self._claims[claim] += 1

    def claim_within(self, claim: Claim, share: Queue) -> bool:
        """Takes it, unless enough of the same person or project is in hand (`Share.each`)."""
        with self._lock:
            if claim.fairness_key in share.keys_at_limit(self._claims.elements()):
                return False
            self._claims[claim] += 1
            return True

    def let_go(self, claim: Claim) -> None:
        with self._lock:
            self._claims[claim] -= 1
            if self._claims[claim] <= 0:
                del self._claims[claim]

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[None]:
        """Holds a claim while the block runs."""
        self.take(claim)
        try:
            yield
        finally:
            self.let_go(claim)

    @contextmanager
    def holding_within(self, claim: Claim, share: Queue) -> Iterator[bool]:
        """Holds a claim while the block runs, if there is room for it: see `take_within`."""
        has_room = self.claim_within(claim, share)
        try:
            yield has_room
        finally:
            if has_room:
                self.let_go(claim)

    def all(self) -> list[Claim]:
        with self._lock:
            return list(self._claims)
