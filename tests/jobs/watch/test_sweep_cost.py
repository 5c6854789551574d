"""What sweeps of many groups cost, at a simulated time. `tests.bench.watch` measures more groups, and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.task_group import FAILED_STATUSES
from bot.domain.watched_group import Trouble
from bot.jobs.context import Context
from bot.jobs.watch.sweep import MAX_SHOWN
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING, Group
from bot.sandbox.system import Sandbox
from bot.store import groups, tables
from tests.jobs.notify.test_flood import create_moving
from tests.support.simulated_time import run_for, simulated_time
from tests.support.sweep_cost import MeasuredSweeps, SweepCost

FOLLOWED = 100
MAX_STATEMENTS, MAX_CPU_SECONDS = 20, 1.5


def follow(sandbox: Sandbox, context: Context, numbers: range) -> None:
    """Adds requests whose groups move."""
    for number in numbers:
        made, _ = create_moving(sandbox, context, number)
        group = sandbox.oms.state.groups[made.group.group_id]
        group.status, group.bytes_per_second = MONITORING, 100_000


def test_more_followed_groups_cost_more_pages_and_no_other_calls_or_statements(inside: tuple[Sandbox, Context]) -> None:
    sandbox, _ = inside
    with simulated_time(*inside) as (context, clock):
        sandbox.oms.state.groups.clear()
        sandbox.oms.state.now = clock
        measured = MeasuredSweeps(sandbox, context)

        def sweep_for_a_minute() -> list[SweepCost]:
            swept = len(measured.costs)
            run_for(measured.context, clock, 61, {tables.sweeps.name: measured.sweep})
            return measured.costs[swept:]

        follow(sandbox, context, range(1))
        of_one = sweep_for_a_minute()
        follow(sandbox, context, range(1, FOLLOWED))
        of_many = sweep_for_a_minute()
    assert [cost.lists for cost in of_one] == [10, 5, 5, 5, 5, 5, 7]
    assert [cost.lists for cost in of_many] == [6, 6, 6, 6, 6, 8]
    for cost in (*of_one, *of_many):
        assert cost.lists == cost.pages
        assert cost.shows == 0
        assert cost.cpu_seconds <= MAX_CPU_SECONDS
    most = max(cost.statements for cost in of_one)
    assert max(cost.statements for cost in of_many) <= most <= MAX_STATEMENTS


def test_when_many_groups_fail_at_once_the_next_sweep_lists_the_failed_ones(inside: tuple[Sandbox, Context]) -> None:
    sandbox, _ = inside
    with simulated_time(*inside) as (context, clock):
        oms = sandbox.oms.state
        ids = [f"4d4d4d4d-0000-4000-8000-{number:012d}" for number in range(MAX_SHOWN + 1)]
        oms.reset({id_: Group(id_, id_, MONITORING, bytes_per_second=100_000) for id_ in ids})
        oms.now = clock
        measured = MeasuredSweeps(sandbox, context)
        run_for(measured.context, clock, 1, {tables.sweeps.name: measured.sweep})
        for group in oms.groups.values():
            group.status = MIGRATION_FAILED
        run_for(measured.context, clock, 10, {tables.sweeps.name: measured.sweep})
        with measured.context.store.read() as connection:
            known = groups.of_project(connection, "media", FAILED_STATUSES)
    cost = measured.costs[-1]
    assert cost.at - measured.costs[0].at == timedelta(seconds=10)
    assert (cost.lists, cost.shows) == (cost.pages + len(FAILED_STATUSES), 0)
    assert cost.statements <= MAX_STATEMENTS
    assert [group.known_trouble for group in known.values()] == [Trouble.FAILED] * len(ids)
