"""Measures the sweeps of 1, 100 and 1,000 followed groups, at a simulated time: `python -m tests.bench.watch [N...]`.

Prints a table for SQLite and one for PostgreSQL. Exits with 1 if a figure is above its limit.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import func, select

from bot.domain.slack_budget import EDITS, RATES
from bot.domain.sweep_plan import EVERY, SAMPLE_EVERY, YOUNG_FOR
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import Trouble, after_first_reading
from bot.jobs.context import Context
from bot.jobs.maintenance import THIN_EVERY
from bot.jobs.request_dispatcher import advance_request
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING, PAUSED, Group
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import groups, tables
from bot.store.connections import BUSY_TIMEOUT_SECONDS
from tests.jobs.notify.test_flood import create_moving, edited
from tests.support.in_process import context_of
from tests.support.postgres import Postgres
from tests.support.simulated_time import SHOW, Clock, Handler, run_for, simulated_time
from tests.support.sweep_cost import MeasuredSweeps
from tests.support.values import GROUP

SIZES = (1, 100, 1_000)
#: So slowly that no group is done before the end.
BYTES_PER_SECOND = 100_000
MINUTES = 1
#: Slack allows 50 edits a minute. The budget of the bot is a little lower.
MAX_EDITS = RATES[EDITS].burst + timedelta(minutes=1) / RATES[EDITS].every
#: People are told this long after the sweep that shows the trouble, at the latest.
TOLD_WITHIN = timedelta(seconds=5)
MONTH = timedelta(days=30)


@dataclass(frozen=True)
class Figure:
    """One measured figure, and the highest value that it may have."""

    value: float
    limit: float

    def __str__(self) -> str:
        return f"{self.value:,.2f}" if self.value % 1 else f"{self.value:,.0f}"


class Migration:
    """Groups of one project that requests follow, and groups that nobody asked for."""

    def __init__(self, sandbox: Sandbox, context: Context, clock: Clock, followed: int) -> None:
        self.sandbox, self.clock = sandbox, clock
        self.oms = sandbox.oms.state
        self.oms.groups.clear()
        self.oms.now = clock
        self.sweeps = MeasuredSweeps(sandbox, context)
        self.context = self.sweeps.context
        self._handlers: dict[str, Handler] = {
            tables.sweeps.name: self.sweeps.sweep,
            tables.requests.name: advance_request,
            **SHOW,
        }
        self.cards: dict[str, PostedMessage] = {}
        for number in range(followed):
            made, self.cards[made.group.group_id] = create_moving(sandbox, self.context, number)
            group = self.oms.groups[made.group.group_id]
            group.status, group.bytes_per_second = MONITORING, BYTES_PER_SECOND

    def add_groups(self, count: int) -> list[Group]:
        """Running groups that no request follows."""
        first = len(self.oms.groups)
        ids = [f"4d4d4d4d-0000-4000-8000-{number:012d}" for number in range(first, first + count)]
        added = [Group(id_, id_, MONITORING, bytes_per_second=BYTES_PER_SECOND) for id_ in ids]
        self.oms.groups.update((group.id, group) for group in added)
        return added

    def run(self, seconds: float) -> None:
        """Sweeps, follows and shows what is due in this time."""
        run_for(self.context, self.clock, seconds, self._handlers)

    def run_until_swept(self) -> None:
        """Runs until a sweep has just ended."""
        swept = len(self.sweeps.costs)
        while len(self.sweeps.costs) == swept:
            self.run(1)

    def are_told(self, troubled: Sequence[Group], trouble: Trouble) -> bool:
        """Whether posted messages tell the trouble of these groups."""
        with self.context.store.read() as connection:
            waiting = select(func.count()).select_from(tables.alerts).where(tables.alerts.c.due_at.is_not(None))
            if connection.execute(waiting).scalar_one():
                return False
            known = groups.of_project(connection, "media", {GroupStatus(troubled[0].status)})
        told = {one.group.group_id for one in known.values() if one.known_trouble is trouble}
        return told >= {group.id for group in troubled}


def moving_figures(migration: Migration) -> Iterator[tuple[str, Figure]]:
    """While all groups move and are swept as often as possible."""
    migration.run(1)
    called, swept = len(migration.sandbox.call_log.since()), len(migration.sweeps.costs)
    migration.run(60 * MINUTES)
    costs = migration.sweeps.costs[swept:]
    calls = sum(call.service == "oms" for call in migration.sandbox.call_log.since(called))
    edits = edited(migration.sandbox, since=called)
    locked_ms = [1_000 * cost.locked_seconds for cost in costs]
    yield (
        "OMS calls per sweep (limit: pages)",
        Figure(
            statistics.median(cost.lists + cost.shows for cost in costs),
            statistics.median(cost.pages for cost in costs),
        ),
    )
    yield (
        "OMS calls of all kinds in all sweeps (limit: pages)",
        Figure(calls, sum(cost.pages for cost in costs)),
    )
    yield "SQL statements per sweep, most", Figure(max(cost.statements for cost in costs), 20)
    yield "CPU per sweep, median, s", Figure(statistics.median(cost.cpu_seconds for cost in costs), 1.5)
    yield "sweep, longest, s", Figure(max(cost.seconds for cost in costs), TOLD_WITHIN.total_seconds())
    yield "write transaction, median, ms", Figure(statistics.median(locked_ms), 200)
    # SQLite lets no other transaction wait for longer.
    yield "write transaction, longest, ms", Figure(max(locked_ms), 1_000 * BUSY_TIMEOUT_SECONDS)
    yield f"{EDITS} a minute", Figure(edits / MINUTES, MAX_EDITS)
    yield f"{EDITS} refused by Slack", Figure(edited(migration.sandbox, 429, called), 0)


def trouble_figures(migration: Migration, count: int) -> Iterator[tuple[str, Figure]]:
    """Seconds until Slack shows what happened as soon as a sweep had ended, with a sweep every 30 s.

    Arguments:
        count: how many groups that no request follows fail at the same time.
    """
    pausing, *failing = migration.add_groups(1 + count)
    migration.run_until_swept()
    # Until now the groups were young, and were swept more often than they will be.
    migration.clock.time += YOUNG_FOR - timedelta(seconds=15)
    for _ in range(3):
        migration.run_until_swept()
    swept = len(migration.sweeps.costs)
    followed_id, card = next(iter(migration.cards.items()))
    for group in (*failing, migration.oms.groups[followed_id]):
        group.status, group.error = MIGRATION_FAILED, ("TRF.0151", "Invalid AK/SK of the source end.")
    pausing.status = PAUSED
    one_sweep = (EVERY + TOLD_WITHIN).total_seconds()
    two_sweeps = (2 * EVERY + TOLD_WITHIN).total_seconds()
    told: Mapping[str, tuple[float, Callable[[], bool]]] = {
        "failure of a followed group on its card, s": (one_sweep, lambda: "failed" in card.text),
        "failure of as many other groups told, s": (one_sweep, lambda: migration.are_told(failing, Trouble.FAILED)),
        "pause by others told, s": (two_sweeps, lambda: migration.are_told([pausing], Trouble.PAUSED)),
    }
    seconds = 0
    for row, (limit, is_told) in told.items():
        while not is_told() and seconds < 300:
            migration.run(1)
            seconds += 1
        yield row, Figure(seconds, limit)
    costs = migration.sweeps.costs[swept:]
    yield "then SQL statements per sweep, most", Figure(max(cost.statements for cost in costs), 40)
    yield "then CPU per sweep, most, s", Figure(max(cost.cpu_seconds for cost in costs), 1.5)
    yield "then sweep, longest, s", Figure(max(cost.seconds for cost in costs), TOLD_WITHIN.total_seconds())
    locked_ms = 1_000 * max(cost.locked_seconds for cost in costs)
    yield "then write transaction, longest, ms", Figure(locked_ms, 1_000 * BUSY_TIMEOUT_SECONDS)


def measure(database_url: str | None, size: int) -> Mapping[str, Figure]:
    sandbox = Sandbox(database_url=database_url).open()
    try:
        with context_of(sandbox) as opened, simulated_time(sandbox, opened) as (context, clock):
            migration = Migration(sandbox, context, clock, size)
            return dict([*moving_figures(migration), *trouble_figures(migration, size)])
    finally:
        sandbox.close()


def most_samples(database_url: str | None) -> Figure:
    """The most samples of one group that are stored at any time in a month, thinned each hour as `serve` does it."""
    sandbox = Sandbox(database_url=database_url).open()
    most = 0
    try:
        with context_of(sandbox) as context:
            start = context.now()
            limits = context.projects["media"].watch_limits
            seen = after_first_reading(f"{PROJECT_ID}/sampled", "media", GROUP, start, limits)
            for hour in range(MONTH // THIN_EVERY):
                began = start + hour * THIN_EVERY
                times = [began + minute * SAMPLE_EVERY for minute in range(THIN_EVERY // SAMPLE_EVERY)]
                with context.store.write() as connection:
                    groups.add_samples(connection, [replace(seen, seen_at=at) for at in times])
                    count = select(func.count()).where(tables.samples.c.group_key == seen.key)
                    most = max(most, connection.execute(count).scalar_one())
                    groups.thin_samples(connection, seen.key, began + THIN_EVERY)
    finally:
        sandbox.close()
    return Figure(most, 2_000)


def print_table(name: str, sizes: tuple[int, ...], measured: list[Mapping[str, Figure]]) -> None:
    print(f"\n{name + ', followed groups:':<58}" + "".join(f"{size:>10,}" for size in sizes) + f"{'limit':>22}")
    for row in measured[0]:
        figures = [of_size[row] for of_size in measured]
        limits = dict.fromkeys(f"{figure.limit:,g}" for figure in figures)
        print(f"{row:<58}" + "".join(f"{figure!s:>10}" for figure in figures) + f"{' / '.join(limits):>22}")
        for size, figure in zip(sizes, figures, strict=True):
            if figure.value > figure.limit:
                print(f"    above the limit with {size:,} groups")


def main() -> None:
    sizes = tuple(int(size) for size in sys.argv[1:]) or SIZES
    postgres = Postgres().start()
    databases: Mapping[str, Callable[[], str | None]] = {"SQLite": lambda: None, "PostgreSQL": postgres.new_database}
    found: list[Figure] = []
    try:
        for name, new_url in databases.items():
            measured = [measure(new_url(), size) for size in sizes]
            print_table(name, sizes, measured)
            samples = most_samples(new_url())
            print(f"{'samples of a group in a month, most':<58}{samples!s:>10}{samples.limit:>22,g}", flush=True)
            found += [samples, *(figure for of_size in measured for figure in of_size.values())]
    finally:
        postgres.stop()
    print(f"\nload of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    sys.exit(0 if all(figure.value <= figure.limit for figure in found) else 1)


if __name__ == "__main__":
    main()
