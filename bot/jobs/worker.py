"""The loop: claims what is due, hands it to workers, writes down when it is due again.

What the work is comes in from outside. A fault in it is logged whole under a reference id, and tried again later.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.jobs.active_claims import ActiveClaims
from bot.metrics import BUGS, JOB_SECONDS
from bot.store import queue, tables
from bot.store.database import Store
from bot.store.inbox import FAST_KINDS, SLOW_KINDS
from bot.store.queue import Claim, Queue

log = logging.getLogger(__name__)

# Whoever shows people what is has threads apart: while Slack hangs, what is under way at OMS goes on; and a notice that
# hangs keeps no other waiting. That a thread reads in the order in which things happened is seen to by the claims. What
# people ask has threads apart as well: however much it is, clicks and requests go on.
DECISION_THREADS, ASK_THREADS, CARD_THREADS, NOTICE_THREADS = 12, 4, 4, 4
# Nobody keeps the others waiting: neither somebody who types and presses a lot, nor a project whose OMS hangs. A click
# goes on to the call that it decides: whoever pressed for such a project alone can still press for another.
ASKS = Queue(tables.inbox, SLOW_KINDS, max_per_key=2)
CLICKS = Queue(tables.inbox, FAST_KINDS, max_per_key=6)
REQUESTS = Queue(tables.requests, max_per_key=4)
LOOK_EVERY_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.05
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
class Rescheduled:
    """When the row is due again was written with the row."""


Result = Finished | Failed | Rescheduled
Step = Callable[[Claim], Result]
# What a fault tells people: the claim, and the reference under which the log has it whole.
ReportBug = Callable[[Claim, str], None]


def backoff(tries: int, most: timedelta = MAX_BACKOFF) -> timedelta:
    """How long to wait after so many failed tries: 1 s, 2 s, 4 s … 2 min, or another `most`."""
    return min(timedelta(seconds=2 ** min(tries, 10)), most)


class _Lane:
    """Threads for some of the rows, and what is in their hands: no more than they will soon get to."""

    def __init__(self, name: str, threads: int, *shares: Queue) -> None:
        self.shares = shares
        self.pool = ThreadPoolExecutor(threads, name)
        self.running: set[Future[None]] = set()
        self._most = threads * 2

    @property
    def room(self) -> int:
        return self._most - len(self.running)


class Worker:
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
        report_bug: ReportBug,
        active_claims: ActiveClaims,
    ) -> None:
        self._store = store
        self._owner = owner
        self._now = now
        self._steps = steps
        self._report_bug = report_bug
        self._active_claims = active_claims
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lanes = (
            _Lane("work", DECISION_THREADS, CLICKS, REQUESTS, Queue(tables.maintenance)),
            _Lane("ask", ASK_THREADS, ASKS),
            _Lane("show", CARD_THREADS, Queue(tables.cards)),
            _Lane("tell", NOTICE_THREADS, Queue(tables.notices)),
        )
        self._turned_away: list[Claim] = []
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

    def submit(self, claim: Claim) -> None:
        """Works on a row that the caller has claimed for this process; where there is no room, it stays due."""
        if self._stopping.is_set():
            return  # The row stays; whoever starts next finds it.
        lane, share = self._place_of(claim)
        with self._lock:
            if lane.room <= 0 or not self._active_claims.claim_within(claim, share):
                # Given back by the loop: whoever hands over acknowledges, and writes nothing more.
                self._turned_away.append(claim)
                self._wake.set()
                return
            try:
                future = lane.pool.submit(self._work, claim)
            except RuntimeError:
                self._active_claims.let_go(claim)
                return  # Shut down between the look and the hand-over: as above.
            lane.running.add(future)
        future.add_done_callback(lambda done: self._forget(lane, done))

    def _place_of(self, claim: Claim) -> tuple[_Lane, Queue]:
        return next((lane, share) for lane in self._lanes for share in lane.shares if share.holds(claim))

    def stop(self, grace_seconds: float) -> bool:
        """Takes nothing new and gives what is in hand this long; True when all of it ended."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            running = {future for lane in self._lanes for future in lane.running}
        _, left = wait(running, timeout=grace_seconds)
        for lane in self._lanes:
            lane.pool.shutdown(wait=False, cancel_futures=True)
        return not left

    def _forget(self, lane: _Lane, future: Future[None]) -> None:
        with self._lock:
            lane.running.discard(future)
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._give_back()
                due = self._next_due()
                now = self._now()
                ready = sorted((share for share in due if due[share] <= now), key=lambda share: due[share])
                if ready:
                    # Only now a write, which keeps others waiting. What was due another replica may have taken.
                    pause = 0.0 if self._claim_due(ready) else LOOK_AGAIN_SECONDS
                else:
                    seconds = [(at - now).total_seconds() for at in due.values()]
                    pause = min([*seconds, LOOK_EVERY_SECONDS])
            except SQLAlchemyError:
                log.warning("the database does not answer", exc_info=True)
                pause = LOOK_EVERY_SECONDS
            if pause:
                self._wake.wait(pause)

    def _give_back(self) -> None:
        """What there was no room for is due again at once; where that cannot be written down, after its lease."""
        with self._lock:
            turned_away, self._turned_away = self._turned_away, []
        if turned_away:
            with self._store.write() as connection:
                for claim in turned_away:
                    queue.release_unchanged(connection, claim, self._owner)

    def _claim_due(self, ready: Sequence[Queue]) -> int:
        with self._lock:
            rooms = {lane: lane.room for lane in self._lanes}
        taken: list[Claim] = []
        with self._store.write() as connection:
            in_hand = self._active_claims.all()
            # The longest due first, also among what shares threads: so a flood of clicks keeps no request waiting.
            for share in ready:
                lane = next(lane for lane in self._lanes if share in lane.shares)
                found = queue.claim_due(connection, share, self._owner, self._now(), rooms[lane], in_hand)
                rooms[lane] -= len(found)
                taken += found
        for claim in taken:
            self.submit(claim)
        return len(taken)

    def _next_due(self) -> Mapping[Queue, datetime]:
        # What has no room is looked at when something has ended, which wakes the loop.
        with self._lock:
            shares = [share for lane in self._lanes if lane.room > 0 for share in lane.shares]
        with self._store.read() as connection:
            return queue.next_due(connection, shares, self._active_claims.all())

    def _work(self, claim: Claim) -> None:
        try:
            self._write_down(claim, self._take_step(claim))
        finally:
            self._active_claims.let_go(claim)

    def _take_step(self, claim: Claim) -> Result:
        try:
            with JOB_SECONDS.labels(claim.queue).time():
                return self._steps[claim.queue](claim)
        except Exception:
            # The family of faults: logged whole here, shown to people as a reference, tried again.
            reference = f"F-{secrets.token_hex(4).upper()}"
            BUGS.labels(claim.queue).inc()
            log.exception("fault %s while working on %s %s", reference, claim.queue, claim.key)
            self._tell_of_fault(claim, reference)
            return Failed(self._now() + max(backoff(claim.tries), timedelta(seconds=5)))

    def _tell_of_fault(self, claim: Claim, reference: str) -> None:
        try:
            self._report_bug(claim, reference)
        except Exception:
            log.exception("fault %s could not be told to anybody", reference)

    def _write_down(self, claim: Claim, result: Result) -> None:
        try:
            with self._store.write() as connection:
                match result:
                    case Finished(due_at):
                        queue.finish(connection, claim, self._owner, due_at)
                    case Failed(due_at):
                        queue.postpone(connection, claim, self._owner, due_at)
                    case Rescheduled():
                        queue.release(connection, claim, self._owner)
        except Exception:
            # The lease runs out by itself, and the row is then claimed again.
            log.exception("the end of work on %s %s was not written down", claim.queue, claim.key)

    def _renew(self) -> None:
        while not self._stopping.wait(RENEW_EVERY_SECONDS):
            try:
                active_claims = self._active_claims.all()
                for table in queue.TABLES:
                    # Each by itself: rows of several queues are not locked in an order that others do not keep.
                    if any(claim.queue == table.name for claim in active_claims):
                        with self._store.write() as connection:
                            queue.renew(connection, table, self._owner, active_claims)
            except SQLAlchemyError:
                log.warning("leases were not renewed", exc_info=True)
