"""The loop: claims what is due, hands it to workers, writes down when it is due again.

What the work is comes in from outside. A fault in it is logged whole under a reference id, and tried again later.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.metrics import FAULTS, STEPS
from bot.store import claims, tables
from bot.store.claims import Claim
from bot.store.engine import Store
from bot.work.held import Held

log = logging.getLogger(__name__)

WORKERS = 8
LOOK_EVERY_SECONDS = 1.0
RENEW_EVERY_SECONDS = 5.0
MAX_BACKOFF = timedelta(minutes=2)


@dataclass(frozen=True)
class Finished:
    """The row needs nothing more, or is due again then."""

    due_at: datetime | None = None


@dataclass(frozen=True)
class Failed:
    """It did not work out and is tried again then; the row counts one more try."""

    due_at: datetime


@dataclass(frozen=True)
class Kept:
    """When the row is due again was written with the row."""


Result = Finished | Failed | Kept
Step = Callable[[Claim], Result]
# What a fault tells people: the claim, and the reference under which the log has it whole.
Confess = Callable[[Claim, str], None]


def backoff(tries: int) -> timedelta:
    """How long to wait after so many failed tries: 1 s, 2 s, 4 s … 2 min."""
    return min(timedelta(seconds=2 ** min(tries, 10)), MAX_BACKOFF)


class Loop:
    """One process's share of the work.

    Arguments:
        steps: what to do with a row of each queue, by the queue's name.
        confess: called once for each fault.
        held: the claims in hand, which the loop keeps alive.
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        now: Callable[[], datetime],
        steps: Mapping[str, Step],
        confess: Confess,
        held: Held,
    ) -> None:
        self._store = store
        self._owner = owner
        self._now = now
        self._steps = steps
        self._confess = confess
        self._held = held
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._workers = ThreadPoolExecutor(WORKERS, "work")
        # Notices are sent one after the other, so that a thread reads in the order in which things happened.
        self._teller = ThreadPoolExecutor(1, "tell")
        self._running: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name="loop", daemon=True),
            threading.Thread(target=self._renew, name="renew", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """Something may be due: look now."""
        self._wake.set()

    def hand_over(self, claim: Claim) -> None:
        """Works on a row that the caller has claimed for this process."""
        if self._stopping.is_set():
            return  # The row stays; whoever starts next finds it.
        pool = self._teller if claim.queue == tables.notices.name else self._workers
        self._held.take(claim)
        with self._lock:
            try:
                future = pool.submit(self._work, claim)
            except RuntimeError:
                self._held.let_go(claim)
                return  # Shut down between the look and the hand-over: as above.
            self._running.add(future)
        future.add_done_callback(self._forget)

    def stop(self, grace_seconds: float) -> bool:
        """Takes nothing new and gives what is in hand this long; True when all of it ended."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            running = set(self._running)
        _, left = wait(running, timeout=grace_seconds)
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._teller.shutdown(wait=False, cancel_futures=True)
        return not left

    def _forget(self, future: Future[None]) -> None:
        with self._lock:
            self._running.discard(future)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                taken = self._claim_due()
                pause = 0.0 if taken else self._seconds_to_next()
            except SQLAlchemyError:
                log.warning("the database does not answer", exc_info=True)
                pause = LOOK_EVERY_SECONDS
            if pause:
                self._wake.wait(pause)

    def _claim_due(self) -> int:
        with self._lock:
            free = WORKERS * 2 - len(self._running)
        if free <= 0:
            self._wake.wait(0.05)
            return 0
        taken: list[Claim] = []
        with self._store.write() as connection:
            for queue in claims.QUEUES:
                taken += claims.claim_due(connection, queue, self._owner, self._now(), max(1, free - len(taken)))
        for claim in taken:
            self.hand_over(claim)
        return len(taken)

    def _seconds_to_next(self) -> float:
        with self._store.read() as connection:
            due = claims.next_due(connection)
        if due is None:
            return LOOK_EVERY_SECONDS
        return min(max((due - self._now()).total_seconds(), 0.01), LOOK_EVERY_SECONDS)

    def _work(self, claim: Claim) -> None:
        try:
            with STEPS.labels(claim.queue).time():
                result = self._steps[claim.queue](claim)
        except Exception:
            # The family of faults: logged whole here, shown to people as a reference, tried again.
            reference = f"F-{secrets.token_hex(4).upper()}"
            FAULTS.labels(claim.queue).inc()
            log.exception("fault %s while working on %s %s", reference, claim.queue, claim.key)
            self._tell_of_fault(claim, reference)
            result = Failed(self._now() + max(backoff(claim.tries), timedelta(seconds=5)))
        self._write_down(claim, result)
        self._held.let_go(claim)
        self._wake.set()

    def _tell_of_fault(self, claim: Claim, reference: str) -> None:
        try:
            self._confess(claim, reference)
        except SQLAlchemyError:
            log.exception("fault %s could not be told to anybody", reference)

    def _write_down(self, claim: Claim, result: Result) -> None:
        try:
            with self._store.write() as connection:
                match result:
                    case Finished(due_at):
                        claims.finish(connection, claim, self._owner, due_at)
                    case Failed(due_at):
                        claims.postpone(connection, claim, self._owner, due_at)
                    case Kept():
                        claims.release(connection, claim, self._owner)
        except SQLAlchemyError:
            # The lease runs out by itself, and the row is then claimed again.
            log.warning("the end of work on %s %s was not written down", claim.queue, claim.key, exc_info=True)

    def _renew(self) -> None:
        while not self._stopping.wait(RENEW_EVERY_SECONDS):
            try:
                held = self._held.all()
                if held:
                    with self._store.write() as connection:
                        claims.renew(connection, self._owner, held)
            except SQLAlchemyError:
                log.warning("leases were not renewed", exc_info=True)
