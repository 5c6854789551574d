"""Alerts from sweeps that read the simulated OMS: each trouble of a group without an open request causes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.domain.alert import AlertItem
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import Trouble
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING, PAUSED
from bot.sandbox.slack.ids import CAROL
from bot.sandbox.system import Sandbox
from bot.store import alerts, groups, tables
from bot.store.inbox import Kind
from tests.support.in_process import advance_once, context_of, create_request, press_button
from tests.support.swept_project import SweptProject

EVERY = timedelta(seconds=30)
SPEED = 1_000_000


class Project(SweptProject):
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
    running = project.add_group(1, bytes_per_second=SPEED)
    project.add_group(2, MIGRATION_FAILED)
    project.add_group(3, PAUSED)
    for _ in range(5):
        project.sweep(EVERY)
    assert project.alerts() == []
    running.status = MIGRATION_FAILED
    project.sweep(timedelta(minutes=1))
    project.sweep(timedelta(minutes=1))
    assert project.alerts() == [[("group 1", Trouble.FAILED, False)]]


def test_a_group_that_fails_before_a_sweep_sees_it_run_causes_an_alert(project: Project) -> None:
    project.sweep(EVERY)
    project.add_group(1, MIGRATION_FAILED)
    for _ in range(5):
        project.sweep(EVERY)
    assert project.alerts() == [[("group 1", Trouble.FAILED, False)]]


def test_a_clock_that_goes_back_repeats_no_alert(project: Project) -> None:
    group = project.add_group(1, bytes_per_second=SPEED)
    project.sweep(EVERY)
    group.status = MIGRATION_FAILED
    project.sweep(-timedelta(minutes=5))
    for _ in range(20):
        project.sweep(EVERY)
    assert project.alerts() == [[("group 1", Trouble.FAILED, False)]]


def test_one_sweep_causes_one_alert_and_trouble_that_is_over_is_marked(project: Project) -> None:
    one, two = project.add_group(1, bytes_per_second=SPEED), project.add_group(2, bytes_per_second=SPEED)
    project.sweep(EVERY)
    one.status = two.status = PAUSED
    project.sweep(EVERY)
    assert project.alerts() == []
    project.sweep(EVERY)
    assert project.alerts() == [[("group 1", Trouble.PAUSED, False), ("group 2", Trouble.PAUSED, False)]]
    two.status = MONITORING
    project.sweep(EVERY)
    assert project.alerts() == [[("group 1", Trouble.PAUSED, False), ("group 2", Trouble.PAUSED, True)]]


def test_a_muted_group_causes_no_alert_until_the_mute_is_over(project: Project) -> None:
    group = project.add_group(1, bytes_per_second=SPEED)
    project.sweep(EVERY)
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
    project.sweep(EVERY)
    press_button(project.context, Kind.APPROVE, CAROL, made, posted)
    for _ in range(4):
        project.sweep(EVERY)
        advance_once(project.context, made.id)
    group.status = PAUSED
    for _ in range(4):
        project.sweep(EVERY)
        advance_once(project.context, made.id)
    assert project.alerts() == []
    with project.context.store.read() as connection:
        known = groups.get(connection, made.group_key)
    assert known is not None
    assert (known.group.status, known.known_trouble) == (GroupStatus.PAUSED, Trouble.PAUSED)
