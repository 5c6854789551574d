"""Tracks the claims this process holds, so that the worker can renew their leases.

A claim is tracked only while a job works on its row. If the job cannot release the claim, its lease ends by itself.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bot.store.queue import Claim, Queue


class ActiveClaims:
    """The claims that this process holds. Safe to use from several threads."""

    def __init__(self) -> None:
        # A row may be claimed again before the code that held it has removed its claim, so claims are counted.
        self._claims: Counter[Claim] = Counter()
        self._lock = threading.Lock()

    def add(self, claim: Claim) -> None:
        """Adds a claim."""
        with self._lock:
            self._claims[claim] += 1

    def add_within_limit(self, claim: Claim, queue: Queue) -> bool:
        """Adds a claim, unless its person or project is at the limit (`Queue.max_per_key`). Returns whether it did."""
        with self._lock:
            if claim.fairness_key in queue.keys_at_limit(self._claims.elements()):
                return False
            self._claims[claim] += 1
            return True

    def remove(self, claim: Claim) -> None:
        """Removes a claim that was added. It stays active if it was added twice."""
        with self._lock:
            self._claims[claim] -= 1
            if self._claims[claim] <= 0:
                del self._claims[claim]

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[None]:
        """Keeps a claim active while the block runs."""
        self.add(claim)
        try:
            yield
        finally:
            self.remove(claim)

    @contextmanager
    def holding_within_limit(self, claim: Claim, queue: Queue, max_active: int) -> Iterator[bool]:
        """Keeps a claim active while the block runs, unless its person or project is at the limit.

        Arguments:
            max_active: how many claims of the queue may be active, with this one.

        Yields:
            Whether the claim is active. The block runs in either case.
        """
        has_room = sum(queue.holds(active) for active in self.all()) < max_active
        is_active = has_room and self.add_within_limit(claim, queue)
        try:
            yield is_active
        finally:
            if is_active:
                self.remove(claim)

    def all(self) -> list[Claim]:
        """The active claims, each once."""
        with self._lock:
            return list(self._claims)
