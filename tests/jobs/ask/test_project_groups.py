"""`list` shows the groups as the last sweep saw them, or reads OMS if none is recent. `status` shows how they move."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bot.domain.command import ShowList, ShowStatus, parse
from bot.domain.request import State
from bot.jobs.ask import queries
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.faults import Raw
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING, PAUSED
from bot.sandbox.slack.ids import BOB, MIGRATIONS, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.store import outbox, tables
from bot.store.inbox import Kind, Message
from bot.ui.formatting import local_time
from tests.support.in_process import context_of, create_request, store_message
from tests.support.swept_project import SweptProject

MINUTE = timedelta(minutes=1)
NUMBERS = itertools.count(1)


class Project(SweptProject):
    def answer(self, typed: str) -> tuple[str, str]:
        """The answer of a command to bob: its text, and the key of the group that it offers to pause."""
        command, key = parse(typed), f"typed {next(NUMBERS)}"
        assert isinstance(command, ShowList | ShowStatus)
        kind = Kind.LIST if isinstance(command, ShowList) else Kind.STATUS
        message = Message(kind, key, BOB, TEAM_ID, MIGRATIONS, command, response_url="https://hooks.slack.com/x")
        store_message(self.context, message)
        if isinstance(command, ShowList):
            queries.show_list(self.context, message, command)
        else:
            queries.show_status(self.context, message, command)
        with self.context.store.read() as connection:
            number = max(row.id for row in connection.execute(tables.notices.select()))
            notice = outbox.get_notice(connection, number)[0]
        return notice.text, " ".join(notice.address.split(" ")[2:])

    def calls(self) -> int:
        return sum(call.path.startswith("/v2/") for call in self.sandbox.call_log.since())


@pytest.fixture
def project(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[Project]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield Project(sandbox, context)


def test_a_list_soon_after_a_sweep_makes_no_call_and_shows_its_time(project: Project) -> None:
    project.add_group(1, MONITORING, "fast", bytes_per_second=100_000_000)
    project.add_group(2, PAUSED, "waiting")
    project.add_group(3, MIGRATION_FAILED, "broken")
    for _ in range(3):
        project.wait(MINUTE / 3)
        project.sweep()
    # Failed groups are listed once a minute, so their list is the oldest.
    oldest, calls = project.context.now() - MINUTE * 2 / 3, project.calls()
    project.wait(MINUTE / 2)
    text, _ = project.answer("list")
    assert project.calls() == calls
    assert "1 failed, 1 running, 1 paused*" in text
    assert f"as of {local_time(oldest)}: " in text
    [running] = [line for line in text.splitlines() if '"fast"' in line]
    assert "MB/s" in running
    assert "left" in running


def test_a_list_without_a_recent_sweep_reads_oms(project: Project) -> None:
    project.sweep()
    project.add_group(1, MONITORING, "new")
    project.wait(2 * MINUTE)
    calls = project.calls()
    text, _ = project.answer("list")
    assert project.calls() > calls
    assert "1 running" in text
    assert '"new"' in text


def test_a_list_before_the_first_sweep_reads_oms(project: Project) -> None:
    project.add_group(1, MIGRATION_FAILED, "broken")
    text, _ = project.answer("list failed")
    assert "1 failed*" in text


def test_a_filter_limits_the_list_to_matching_groups_and_requests(project: Project) -> None:
    made, _ = create_request(project.sandbox, project.context, 1)
    project.add_group(2, MIGRATION_FAILED, "broken")
    everything, _ = project.answer("list")
    assert made.id in everything
    failed, _ = project.answer("list failed")
    assert made.id not in failed
    assert '"broken"' in failed
    named, _ = project.answer("list group 1")
    assert made.id in named
    assert '"broken"' not in named


@pytest.mark.parametrize("is_swept", [True, False])
def test_a_group_that_the_bot_cannot_read_hides_no_other_from_the_list(project: Project, is_swept: bool) -> None:
    project.add_group(1, MIGRATION_FAILED, "broken")
    body = b'{"count": 1, "taskgroups": [{"group_id": "5d5d5d5d-0000-4000-8000-000000000001"}]}'
    project.sandbox.oms.faults.add("list", Raw(body=body))
    if is_swept:
        project.sweep()
    text, _ = project.answer("list")
    assert "1 unreadable*" in text
    assert '"broken"' in text


def test_status_of_a_running_group_shows_progress_rate_and_sub_tasks_and_offers_to_pause_it(project: Project) -> None:
    group = project.add_group(1, MONITORING, "fast", bytes_per_second=10_000_000)
    for _ in range(3):
        project.sweep()
        project.wait(MINUTE / 3)
    text, to_pause = project.answer(f"status {group.id}")
    assert "is running now" in text
    assert "MB/s" in text
    assert "█" in text
    assert to_pause == f"{PROJECT_ID}/{group.id}"


def test_status_of_a_group_that_does_not_run_offers_no_pause(project: Project) -> None:
    group = project.add_group(1, PAUSED, "waiting")
    text, to_pause = project.answer(f"status {group.id}")
    assert "is paused now" in text
    assert to_pause == ""


def test_status_of_a_request_whose_group_runs_offers_to_pause_it(project: Project) -> None:
    made, _ = create_request(project.sandbox, project.context, 1, state=State.MOVING)
    text, to_pause = project.answer(f"status {made.id}")
    assert made.id in text
    assert "█" in text
    assert to_pause == made.group_key
