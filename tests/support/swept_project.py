"""The project media of a sandbox, swept at a simulated time that OMS and the bot share."""

from __future__ import annotations

from datetime import timedelta

from bot.jobs.context import Context
from bot.jobs.watch.sweep import sweep_project
from bot.jobs.worker import Result
from bot.sandbox.huawei.group import MONITORING, Group
from bot.sandbox.system import Sandbox
from bot.store import queue, tables
from bot.store.queue import Claim
from tests.support.in_process import context_at


class SweptProject:
    """A project without groups at first. The time stands still between the calls of `wait` and `sweep`."""

    def __init__(self, sandbox: Sandbox, context: Context) -> None:
        self.sandbox = sandbox
        self.oms = sandbox.oms.state
        self.oms.groups.clear()
        self.context = context_at(context, context.now())
        self.oms.now = lambda: self.context.now()

    def add_group(self, number: int, status: int = MONITORING, name: str = "", **changes: object) -> Group:
        group_id = f"4d4d4d4d-0000-4000-8000-{number:012d}"
        group = Group(group_id, name or f"group {number}", status, **changes)  # type: ignore[arg-type]
        self.oms.groups[group_id] = group
        return group

    def wait(self, time: timedelta) -> None:
        self.context = context_at(self.context, self.context.now() + time)

    def sweep(self, after: timedelta = timedelta()) -> Result:
        """Claims and runs the sweep after this time, as if it were due."""
        self.wait(after)
        claim = Claim(tables.sweeps.name, "media", 0)
        with self.context.store.write() as connection:
            queue.claim_one(connection, tables.sweeps, "media", self.context.owner)
        result = sweep_project(self.context, claim)
        with self.context.store.write() as connection:
            queue.release(connection, claim, self.context.owner)
        return result
