"""Alerts from sweeps that read the simulated OMS: each trouble of a group without an open request causes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.domain.alert import AlertItem
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import Trouble
from bot.jobs.context import Context
from bot.jobs.watch.sweep import sweep_project
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING, PAUSED, Group
from bot.sandbox.slack.ids import CAROL
from bot.sandbox.system import Sandbox
from bot.store import alerts, groups, queue, tables
from bot.store.inbox import Kind
from bot.store.queue import Claim
from tests.support.in_process import advance_once, context_at, context_of, create_request, press_button

EVERY = timedelta(seconds=30)


class Project:
    """The project media of a sandbox, swept at a simulated time."""

    def __init__(self, sandbox: Sandbox, context: Context) -> None:
        self.sandbox = sandbox
        self.oms = sandbox.oms.state
        self.oms.groups.clear()
        self.context = context_at(context, context.now())
        self.oms.now = lambda: self.context.now()

    def add_group(self, number: int, status: int = MONITORING) -> Group:
        group_id = f"4d4d4d4d-0000-4000-8000-{number:012d}"
        self.oms.groups[group_id] = Group(group_id, f"group {number}", status, bytes_per_second=1_000_000)
        return self.oms.groups[group_id]

    def sweep(self, after: timedelta = EVERY) -> None:
        self.context = context_at(self.context, self.context.now() + after)
        claim = Claim(tables.sweeps.name, "media", 0)
        with self.context.store.write() as connection:
            queue.claim_one(connection, tables.sweeps, "media", self.context.owner)
        sweep_project(self.context, claim)
        with self.context.store.write() as connection:
            queue.release(connection, claim, self.context.owner)

    def alerts(self) -> list[list[tuple[str, Trouble | None, bool]]]:
        """For each alert: the group, the trouble and whether it is over."""
        with self.context.store.write() as connection:
            numbers = connection.execute(select(tables.alerts.c.id).order_by(tables.alerts.c.id)).scalars().all()
            found = [alerts.lock(connection, number) for number in numbers]
        return [[_shown(item) for item in one.alert.items] for one in found if one is not None]


def _shown(item: AlertItem) -> tuple[str, Trouble | None, bool]:
    return item.group.description, item.trouble, item.is_over


@pytest.fixture
def project(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[Project]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield Project(sandbox, context)


def test_the_first_sweep_causes_no_alert_and_the_sweep_that_shows_a_failure_causes_one(project: Project) -> None:
    running = project.add_group(1)
    project.add_group(2, MIGRATION_FAILED)
    project.add_group(3, PAUSED)
    for _ in range(5):
        project.sweep()
    assert project.alerts() == []
    running.status = MIGRATION_FAILED
    project.sweep(timedelta(minutes=1))
    project.sweep(timedelta(minutes=1))
    assert project.alerts() == [[("group 1", Trouble.FAILED, False)]]


def test_one_sweep_causes_one_alert_and_trouble_that_is_over_is_marked(project: Project) -> None:
    one, two = project.add_group(1), project.add_group(2)
    project.sweep()
    one.status = two.status = PAUSED
    project.sweep()
    assert project.alerts() == []
    project.sweep()
    assert project.alerts() == [[("group 1", Trouble.PAUSED, False), ("group 2", Trouble.PAUSED, False)]]
    two.status = MONITORING
    project.sweep()
    assert project.alerts() == [[("group 1", Trouble.PAUSED, False), ("group 2", Trouble.PAUSED, True)]]


def test_a_muted_group_causes_no_alert_until_the_mute_is_over(project: Project) -> None:
    group = project.add_group(1)
    project.sweep()
    with project.context.store.write() as connection:
        groups.mute(connection, f"{PROJECT_ID}/{group.id}", project.context.now() + timedelta(hours=1))
    group.status = MIGRATION_FAILED
    for _ in range(5):
        project.sweep(timedelta(minutes=10))
    assert project.alerts() == []
    project.sweep(timedelta(minutes=20))
    assert project.alerts() == [[("group 1", Trouble.FAILED, False)]]


def test_a_group_that_a_request_started_causes_no_alert_because_its_card_shows_it(project: Project) -> None:
    made, posted = create_request(project.sandbox, project.context, 1)
    group = project.oms.groups[made.group.group_id]
    group.bytes_per_second, group.status_lag = 1_000_000, timedelta()
    project.sweep()
    press_button(project.context, Kind.APPROVE, CAROL, made, posted)
    for _ in range(4):
        project.sweep()
        advance_once(project.context, made.id)
    group.status = PAUSED
    for _ in range(4):
        project.sweep()
        advance_once(project.context, made.id)
    assert project.alerts() == []
    with project.context.store.read() as connection:
        known = groups.get(connection, made.group_key)
    assert known is not None
    assert (known.group.status, known.known_trouble) == (GroupStatus.PAUSED, Trouble.PAUSED)
