"""The lanes of the worker: which threads run which jobs, and how many jobs one person or one project may have running.

Claiming the jobs and running them is left to `bot.jobs.worker`.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from bot.domain.request import State
from bot.store import tables
from bot.store.inbox import FAST_KINDS, SLOW_KINDS
from bot.store.queue import Queue

# Messages are limited for each person, requests for each project. So one person who sends many messages, or one project
# whose OMS hangs, cannot occupy all threads of a lane. An action that approves a request also sends its PUT, and counts
# for both limits. The limit of the person is the higher one: someone whose actions wait for a project that hangs can
# still act for another project.
FAST_MESSAGES = Queue(tables.inbox, FAST_KINDS, max_per_key=6)
SLOW_MESSAGES = Queue(tables.inbox, SLOW_KINDS, max_per_key=2)
# In an outage of Vault or OMS the approved requests are tried again and again, and each try may hang. They have a queue
# and a lane of their own, so that pauses, readings of groups, reminders and expiries of other requests do not wait.
APPROVED_REQUESTS = Queue(tables.requests, frozenset({State.APPROVED}), max_per_key=2)
OTHER_REQUESTS = Queue(tables.requests, frozenset(State) - {State.APPROVED}, max_per_key=4)
# An action that approves a request leaves the PUT to the lane of the approved requests while this many of them are in
# progress. So the threads for decisions are never all waiting for a Vault or an OMS that does not answer.
MAX_REQUESTS_OF_ACTIONS = 6


class Lane:
    """The threads that run the jobs of some queues."""

    def __init__(self, name: str, threads: int, *queues: Queue) -> None:
        self.queues = queues
        self.pool = ThreadPoolExecutor(threads, name)
        self.running: set[Future[None]] = set()  # includes the jobs that wait for a thread
        # More than there are threads, so that a thread finds its next job at once. Not many more, because no other
        # replica can run a job that waits here.
        self._max_running = threads * 2

    @property
    def room(self) -> int:
        """How many more jobs the lane takes."""
        return self._max_running - len(self.running)


def new_lanes() -> tuple[Lane, ...]:
    """Creates the lanes, without any running job.

    Each lane has threads of its own, so that jobs that wait for one service do not hold up jobs that do not need it.
    While Slack hangs, cards, notices and alerts wait, and requests go on. While slow messages read many task groups, or
    approved requests wait for Vault or OMS, actions and all other requests go on.
    """
    return (
        Lane("decisions", 12, FAST_MESSAGES),
        Lane("approved", 8, APPROVED_REQUESTS),
        Lane("requests", 8, OTHER_REQUESTS, Queue(tables.maintenance)),
        Lane("slow-messages", 4, SLOW_MESSAGES),
        # A sweep waits for OMS several times, so that it has threads of its own.
        Lane("sweeps", 4, Queue(tables.sweeps)),
        Lane("cards", 4, Queue(tables.cards)),
        # The notices of one Slack thread stay in order: a notice is not claimed before the older ones are sent.
        Lane("notices", 4, Queue(tables.notices), Queue(tables.alerts)),
    )
