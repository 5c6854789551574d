"""Measures what each sweep of a project costs: calls to OMS, CPU time, SQL statements, and locks in the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, event

from bot.domain.sweep_plan import STATUSES, due_parts
from bot.huawei.oms import PAGE_SIZE
from bot.jobs.context import Context
from bot.jobs.watch.sweep import sweep_project
from bot.jobs.worker import Result
from bot.sandbox.system import Sandbox
from bot.store import sweeps
from bot.store.database import Store
from bot.store.queue import Claim
from bot.store.state_keys import STATE_KEYS


@dataclass(frozen=True)
class SweepCost:
    """What one sweep cost."""

    at: datetime
    pages: int  # how many pages the lists have whose turn it was
    lists: int  # how many calls listed groups
    shows: int  # how many calls read a single group
    statements: int  # an INSERT of many rows counts as one
    seconds: float  # by the wall clock
    cpu_seconds: float  # of the thread that sweeps, so without the simulated OMS
    locked_seconds: float  # the longest write transaction, from its lock to the end of its commit


class MeasuredSweeps:
    """Runs the sweeps of a project, and measures each.

    Attributes:
        context: runs the sweeps, and all else that happens in the same store.
        costs: of the sweeps so far, oldest first.
    """

    def __init__(self, sandbox: Sandbox, context: Context) -> None:
        self._sandbox = sandbox
        self._store = _MeasuredStore(context.store)
        self.context = replace(context, store=self._store)
        self.costs: list[SweepCost] = []

    def sweep(self, context: Context, claim: Claim) -> Result:
        """Handles a claim of the table `sweeps`."""
        at, pages, called = context.now(), self._pages(context, str(claim.key)), len(self._sandbox.call_log.since())
        self._store.statements, self._store.locked_seconds = 0, 0.0
        began, cpu_began = time.perf_counter(), time.thread_time()
        result = sweep_project(context, claim)
        cpu_seconds, seconds = time.thread_time() - cpu_began, time.perf_counter() - began
        paths = [call.path for call in self._sandbox.call_log.since(called) if call.service == "oms"]
        lists = sum(path.endswith("/taskgroups") for path in paths)
        counts = (pages, lists, len(paths) - lists, self._store.statements)
        self.costs.append(SweepCost(at, *counts, seconds, cpu_seconds, self._store.locked_seconds))
        return result

    def _pages(self, context: Context, project: str) -> int:
        """How many pages a sweep has to list now. After a full page, the next one is always listed."""
        with context.store.read() as connection:
            parts = due_parts(sweeps.get(connection, project), context.now())
        shown = [group.status for group in self._sandbox.oms.state.groups.values()]
        return sum(shown.count(status) // PAGE_SIZE + 1 for part in parts for status in STATUSES[part])


class _MeasuredStore(Store):
    """Uses the database of another store, counts the statements, and measures the write transactions."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.engine, keys=store.engine.get_execution_options()[STATE_KEYS])
        self.statements = 0
        self.locked_seconds = 0.0
        event.listen(self.engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            began = time.perf_counter()
            yield connection
        self.locked_seconds = max(self.locked_seconds, time.perf_counter() - began)
