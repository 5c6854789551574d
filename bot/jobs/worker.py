"""Claims jobs that are due, runs them on the threads of their lane, and stores when each is due again.

What a job does is left to the handlers. If a handler raises an exception, the worker logs it under a reference, reports
a bug, and tries the job again later. A database that fails is no bug: the job is only tried again.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.domain.schedule import doubling_wait
from bot.jobs.active_claims import ActiveClaims
from bot.jobs.lanes import Lane, new_lanes
from bot.metrics import BUGS, JOB_SECONDS
from bot.store import queue
from bot.store.database import Store
from bot.store.faults import DATABASE_FAILURES, failure_text
from bot.store.queue import Claim, Queue

log = logging.getLogger(__name__)

#: The longest pause between two looks for due rows, because other replicas add rows as well.
POLL_SECONDS = 1.0
#: The pause after a look at which other replicas had claimed everything that was due.
NOTHING_CLAIMED_SECONDS = 0.05
RENEW_EVERY_SECONDS = 5.0
#: Below 60 s, the time within which every card is up to date again after a fault.
MAX_BACKOFF = timedelta(seconds=30)
#: The limits of the pause before a job that raised an exception is tried again.
MIN_BACKOFF_AFTER_BUG, MAX_BACKOFF_AFTER_BUG = timedelta(seconds=5), timedelta(minutes=2)


@dataclass(frozen=True)
class Finished:
    """The job succeeded. Its row is due again at `due_at`, or never if that is None."""

    due_at: datetime | None = None


@dataclass(frozen=True)
class Failed:
    """The job failed. Its row is due again at `due_at`, and counts one more try."""

    due_at: datetime


@dataclass(frozen=True)
class Rescheduled:
    """The job succeeded, and has itself stored when its row is due again."""


Result = Finished | Failed | Rescheduled
Handler = Callable[[Claim], Result]
#: Takes the claim of a job that raised an exception, and the reference under which the exception is in the log.
ReportBug = Callable[[Claim, str], None]


def backoff(tries: int, limit: timedelta = MAX_BACKOFF) -> timedelta:
    """Returns how long to wait after this many failed tries: 1 s, 2 s, 4 s and so on, up to `limit`."""
    return doubling_wait(tries, timedelta(seconds=1), limit)


class Worker:
    """Runs the jobs of one process.

    One thread claims due rows, another renews the leases of the active claims, and each lane has a pool of threads that
    run the jobs.

    Arguments:
        owner: identifies this process in the claims.
        handlers: run the job of a row; by the name of the row's table.
        report_bug: called when a handler raises an exception and no earlier try of the row has failed.
        active_claims: the claims of this process. The worker adds and removes those of its own jobs.
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        now: Callable[[], datetime],
        handlers: Mapping[str, Handler],
        report_bug: ReportBug,
        active_claims: ActiveClaims,
    ) -> None:
        self._store = store
        self._owner = owner
        self._now = now
        self._handlers = handlers
        self._report_bug = report_bug
        self._active_claims = active_claims
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lanes = new_lanes()
        self._unstarted: list[Claim] = []
        self._lock = threading.Lock()  # guards `_unstarted`, and `running` of each lane
        self._threads = [
            threading.Thread(target=self._claim_until_stopped, name="claim", daemon=True),
            threading.Thread(target=self._renew_until_stopped, name="renew", daemon=True),
        ]

    def start(self) -> None:
        """Starts to claim rows and to renew leases."""
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether both threads, the one that claims and the one that renews, are running."""
        return all(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """Ends the current pause between two looks for due rows."""
        self._wake.set()

    def submit(self, claim: Claim) -> None:
        """Runs the job of a row that the caller has claimed for this process.

        If the lane has no room, or the person or project is at its limit, the claim is released and the row stays due.
        While the worker stops, nothing happens: the lease ends, and the row is claimed after the next start.
        """
        if self._stopping.is_set():
            return
        lane, claimed_from = self._lane_and_queue(claim)
        with self._lock:
            if lane.room <= 0 or not self._active_claims.add_within_limit(claim, claimed_from):
                # The claiming thread releases it. Slack waits for the caller, so this method does not write.
                self._unstarted.append(claim)
                self._wake.set()
                return
            try:
                future = lane.pool.submit(self._run_job, claim)
            except RuntimeError:
                # `stop` was called in the meantime.
                self._active_claims.remove(claim)
                return
            lane.running.add(future)
        future.add_done_callback(lambda done: self._job_ended(lane, done))

    def stop(self, grace_seconds: float) -> bool:
        """Claims nothing more, and waits this long for the running jobs. Returns whether all of them ended."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            running = {future for lane in self._lanes for future in lane.running}
        _, still_running = wait(running, timeout=grace_seconds)
        for lane in self._lanes:
            lane.pool.shutdown(wait=False, cancel_futures=True)
        return not still_running

    def _lane_and_queue(self, claim: Claim) -> tuple[Lane, Queue]:
        return next((lane, one) for lane in self._lanes for one in lane.queues if one.holds(claim))

    def _job_ended(self, lane: Lane, future: Future[None]) -> None:
        with self._lock:
            lane.running.discard(future)
        self._wake.set()

    # Claiming

    def _claim_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._release_unstarted()
                pause = self._claim_and_submit()
            except SQLAlchemyError as error:
                log.warning("jobs cannot be claimed: %s", failure_text(error))
                pause = POLL_SECONDS
            if pause:
                self._wake.wait(pause)

    def _release_unstarted(self) -> None:
        """Releases the claims that `submit` had no room for. If that fails, their rows are due when the lease ends."""
        with self._lock:
            unstarted, self._unstarted = self._unstarted, []
        if unstarted:
            with self._store.write() as connection:
                for claim in unstarted:
                    queue.release_unchanged(connection, claim, self._owner)

    def _claim_and_submit(self) -> float:
        """Claims the rows that are due, and runs their jobs. Returns how many seconds to wait before the next look."""
        due_at = self._next_due()
        now = self._now()
        due = sorted((one for one in due_at if due_at[one] <= now), key=lambda one: due_at[one])
        if not due:
            return min([POLL_SECONDS, *((at - now).total_seconds() for at in due_at.values())])
        # A write transaction holds up other writers, so it begins only if something is due.
        claims = self._claim_due(due)
        for claim in claims:
            self.submit(claim)
        return 0.0 if claims else NOTHING_CLAIMED_SECONDS

    def _next_due(self) -> Mapping[Queue, datetime]:
        # Lanes without room are left out. When one of their jobs ends, `_job_ended` starts the next look.
        with self._lock:
            queues = [one for lane in self._lanes if lane.room > 0 for one in lane.queues]
        with self._store.read() as connection:
            return queue.next_due(connection, self._now(), queues, self._active_claims.all())

    def _claim_due(self, due: Sequence[Queue]) -> list[Claim]:
        """Claims as many due rows as the lanes have room for.

        Arguments:
            due: the queue with the longest due row comes first, so that many actions do not hold up the requests, which
                share their lane.
        """
        with self._lock:
            room = {lane: lane.room for lane in self._lanes}
        claims: list[Claim] = []
        with self._store.write() as connection:
            active_claims = self._active_claims.all()
            for one in due:
                lane = next(lane for lane in self._lanes if one in lane.queues)
                found = queue.claim_due(connection, one, self._owner, self._now(), room[lane], active_claims)
                room[lane] -= len(found)
                claims += found
        return claims

    # Running jobs, on the threads of the lanes

    def _run_job(self, claim: Claim) -> None:
        try:
            self._store_result(claim, self._handle(claim))
        finally:
            self._active_claims.remove(claim)

    def _handle(self, claim: Claim) -> Result:
        try:
            with JOB_SECONDS.labels(claim.queue).time():
                return self._handlers[claim.queue](claim)
        except DATABASE_FAILURES as error:
            log.warning("the database failed in the job %s %s: %s", claim.queue, claim.key, failure_text(error))
            return Failed(self._now() + backoff(claim.tries))
        except Exception:
            reference = f"F-{secrets.token_hex(4).upper()}"
            BUGS.labels(claim.queue).inc()
            log.exception("bug %s in the job %s %s", reference, claim.queue, claim.key)
            if claim.tries == 0:
                self._try_to_report_bug(claim, reference)
            return Failed(self._now() + max(backoff(claim.tries, MAX_BACKOFF_AFTER_BUG), MIN_BACKOFF_AFTER_BUG))

    def _try_to_report_bug(self, claim: Claim, reference: str) -> None:
        try:
            self._report_bug(claim, reference)
        except Exception:
            log.exception("bug %s could not be reported", reference)

    def _store_result(self, claim: Claim, result: Result) -> None:
        try:
            with self._store.write() as connection:
                match result:
                    case Finished(due_at):
                        queue.finish(connection, claim, self._owner, due_at)
                    case Failed(due_at):
                        queue.postpone(connection, claim, self._owner, due_at)
                    case Rescheduled():
                        queue.release(connection, claim, self._owner)
        except DATABASE_FAILURES as error:
            # The claim is no longer renewed. When its lease ends, the row is claimed again.
            log.warning("the result of the job %s %s was not stored: %s", claim.queue, claim.key, failure_text(error))
        except Exception:
            log.exception("the result of the job %s %s was not stored", claim.queue, claim.key)

    # Renewing leases

    def _renew_until_stopped(self) -> None:
        while not self._stopping.wait(RENEW_EVERY_SECONDS):
            try:
                active_claims = self._active_claims.all()
                for table in queue.TABLES:
                    # One transaction for each table: one for all tables could deadlock with a transaction that locks
                    # rows of two tables in another order.
                    if any(claim.queue == table.name for claim in active_claims):
                        with self._store.write() as connection:
                            queue.renew(connection, table, self._owner, active_claims)
            except SQLAlchemyError as error:
                log.warning("leases were not renewed: %s", failure_text(error))
