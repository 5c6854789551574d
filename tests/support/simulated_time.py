"""Runs the jobs that show cards, notices and alerts at a simulated time, in front of the stand-ins of a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.jobs.context import Context
from bot.jobs.notify import cards, notices
from bot.jobs.watch import alerts
from bot.jobs.worker import Failed, Finished, Result
from bot.sandbox.system import Sandbox
from bot.store import queue, tables
from bot.store.queue import Claim, Queue

Handlers = Mapping[str, Callable[[Context, Claim], Result]]
#: The jobs that show something in Slack, by the name of their table.
SHOWING: Handlers = {
    tables.cards.name: cards.update_card,
    tables.notices.name: notices.send_notice,
    tables.alerts.name: alerts.show_alert,
}


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time


@contextmanager
def simulated_time(sandbox: Sandbox, context: Context) -> Iterator[tuple[Context, Clock]]:
    """The context, with a clock that the rate limits of the simulated Slack follow as well."""
    clock = Clock(context.now())
    sandbox.workspace.now = clock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.slack.client.monotonic", lambda: clock().timestamp())
        yield replace(context, now=clock), clock


def run_for(context: Context, clock: Clock, seconds: float, handlers: Handlers = SHOWING) -> None:
    """Runs each of these jobs as soon as it can be claimed, and lets this time pass."""
    end = clock() + timedelta(seconds=seconds)
    queues = [Queue(tables.metadata.tables[name]) for name in handlers]
    while True:
        with context.store.read() as connection:
            due_at = queue.next_due(connection, clock(), queues)
        at = min(due_at.values(), default=end)
        if at >= end:
            clock.time = end
            return
        clock.time = max(clock(), at)
        for one in queues:
            with context.store.write() as connection:
                claims = queue.claim_due(connection, one, context.owner, clock(), 8)
            for claim in claims:
                _run(context, claim, handlers[claim.queue])


def _run(context: Context, claim: Claim, handle: Callable[[Context, Claim], Result]) -> None:
    result = handle(context, claim)
    with context.store.write() as connection:
        match result:
            case Finished(due_at):
                queue.finish(connection, claim, context.owner, due_at)
            case Failed(due_at):
                queue.postpone(connection, claim, context.owner, due_at)
            case _:
                queue.release(connection, claim, context.owner)
