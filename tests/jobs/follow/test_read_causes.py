"""Why sub-tasks failed is read from OMS through real sockets, and shown on the card and in the thread.

The tests share one sandbox. Each has a request of its own for a group that runs and moves nothing.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request, State
from bot.domain.schedule import REPORT_WAITS
from bot.jobs import request_dispatcher
from bot.jobs.context import Context
from bot.jobs.follow.read_causes import TRY_FOR
from bot.jobs.worker import Failed, Finished, Rescheduled, Result
from bot.sandbox.huawei import console
from bot.sandbox.huawei.faults import Answer, Drop
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING, Failure
from bot.sandbox.slack.ids import CAROL, MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import tables
from bot.store.audit import rows
from bot.store.inbox import Kind
from bot.store.queue import Claim
from tests.jobs.notify.test_notices import send_due
from tests.support.in_process import (
    card_text,
    context_at,
    create_request,
    press_button,
    sandbox_and_context,
    stored_request,
)

NUMBERS = itertools.count(501)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
THREE_CODES = tuple(
    Failure(code, "broken", count) for code, count in (("TRF.0159", 120), ("TRF.0156", 80), ("TRF.0152", 50))
)
MISSING = "The bot isn't allowed to list the group's sub-tasks, so it can't tell why they failed."


class Running:
    """A request whose group runs with 1,000 sub-tasks."""

    def __init__(self, sandbox: Sandbox, context: Context) -> None:
        self.sandbox = sandbox
        start_at = context.now() + MINUTE
        self.made, self.posted = create_request(sandbox, context, next(NUMBERS), start_at=start_at)
        press_button(context, Kind.APPROVE, CAROL, self.made, self.posted)
        self.context = context_at(context, start_at)
        self.group = sandbox.oms.state.groups[self.made.group.group_id]
        self.group.bytes_per_second = 0
        self.group.sub_tasks, self.group.total_objects = 1_000, 100_000
        assert self.step() == Rescheduled()
        self.group.pending_changes.clear()
        self.group.status = MONITORING
        self.step_at(3 * SECOND)

    @property
    def request(self) -> Request:
        return stored_request(self.context, self.made.id)

    def step(self, tries: int = 0) -> Result:
        return request_dispatcher.advance_request(self.context, Claim(tables.requests.name, self.made.id, tries))

    def step_at(self, after: timedelta, tries: int = 0) -> Result:
        self.context = context_at(self.context, self.context.now() + after)
        return self.step(tries)

    def fail_in_parts(self, *failures: Failure, failed_objects: int = 500) -> None:
        console.fail_in_parts(self.sandbox.oms.state, self.group.id, failures, failed_objects)

    def fail(self) -> None:
        self.group.status, self.group.error = MIGRATION_FAILED, ("TRF.0159", "The source end limits the rate.")

    def task_lists(self) -> int:
        return sum(call.path.endswith("/tasks") for call in self.sandbox.call_log.since())

    def card(self) -> str:
        return card_text(self.context, self.posted, self.made.id)

    def report(self) -> PostedMessage:
        """Sends the lines of the thread, and returns the last one."""
        for _ in range(3):  # Slack takes few posts in one second.
            self.context = context_at(self.context, self.context.now() + REPORT_WAITS)
            send_due(self.context)
        return self.sandbox.workspace.messages_in(MIGRATIONS, self.posted.ts)[-1]

    def lines(self) -> list[str]:
        """The lines for the thread."""
        of_thread = select(tables.notices.c.text).where(tables.notices.c.request_id == self.made.id)
        with self.context.store.read() as connection:
            return list(connection.execute(of_thread).scalars())

    def recorded(self) -> list[object]:
        with self.context.store.read() as connection:
            found = list(rows(connection, self.made.id))
        return [json.loads(row.detail) for row in found if row.event == AuditEvent.CAUSES_READ]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context() as made:
        yield made


@pytest.fixture
def running(place: tuple[Sandbox, Context]) -> Iterator[Running]:
    sandbox, context = place
    sandbox.slack.api.reset_rate_limits()
    yield Running(sandbox, context)
    sandbox.oms.faults.clear()
    sandbox.oms.state.may_list_tasks = True


def test_three_codes_in_250_failed_sub_tasks_are_posted_when_the_group_has_failed(running: Running) -> None:
    running.fail_in_parts(*THREE_CODES)
    running.group.sub_tasks, running.group.complete_bytes = 1_000, running.group.reachable_bytes
    running.fail()
    before = running.task_lists()
    running.step_at(40 * SECOND)
    assert running.request.state is State.FAILED
    assert "Migration failed" in running.card(), "the failure is shown before its causes are known"
    assert running.step() == Rescheduled()
    assert running.task_lists() - before == 3, "pages of 100"
    card = running.card()
    assert "*TRF.0159: 120 failed sub-tasks*, explained above" in card
    assert "*TRF.0156: 80 failed sub-tasks* · the source storage\nAn object at the source doesn't exist." in card
    assert "*TRF.0152: 50 failed sub-tasks* · " in card
    assert "500 failed" in card
    assert f"in the destination bucket photos-archive as `oms/failed/{running.group.id}.txt`" in card
    assert "request" in card, "Request again asks for a new approval"
    assert not any("TRF.0156" in line for line in running.lines()), "the report has the causes"
    report = running.report()
    assert "250 failed sub-tasks, 120 with TRF.0159, 80 with TRF.0156 and 50 with TRF.0152." in report.text
    assert "*TRF.0152: 50 failed sub-tasks* · " in str(report.blocks)
    assert running.recorded() == [{"codes": ["TRF.0159: 120", "TRF.0156: 80", "TRF.0152: 50"], "why": None}]
    assert running.step() == Finished(), "nothing is due any more"
    assert running.task_lists() - before == 3


def test_causes_that_oms_lists_after_the_report_get_a_line_of_their_own(running: Running) -> None:
    running.fail_in_parts(*THREE_CODES)
    running.group.sub_tasks, running.group.complete_bytes = 1_000, running.group.reachable_bytes
    running.fail()
    running.step_at(40 * SECOND)
    report = running.report()
    assert "TRF.0159" in report.text
    assert "TRF.0156" not in report.text
    running.step()
    [line] = [line for line in running.lines() if "TRF.0156" in line]
    assert line.startswith('250 sub-tasks of "')


def test_failures_are_posted_while_the_group_runs_and_read_again_at_most_every_ten_minutes(running: Running) -> None:
    before = running.task_lists()
    running.fail_in_parts(Failure("TRF.0152", "no rights", 3))
    running.step_at(40 * SECOND)
    running.step()
    assert running.request.is_open
    assert running.task_lists() - before == 1
    assert "*TRF.0152: 3 failed sub-tasks*" in running.card()
    assert "Ask the owner of the source bucket to let the key at secret/oms/media/source" in running.card()
    assert any(line.startswith("3 sub-tasks of ") and "The others continue." in line for line in running.lines())

    running.fail_in_parts(Failure("TRF.0152", "no rights", 2))
    for _ in range(9):
        running.step_at(MINUTE)
        running.step()
    assert running.task_lists() - before == 1
    running.step_at(MINUTE)
    running.step()
    assert running.task_lists() - before == 2
    assert "*TRF.0152: 5 failed sub-tasks*" in running.card()
    assert len([line for line in running.lines() if "TRF.0152" in line]) == 1, "the thread shows only new codes"


def test_a_missing_permission_is_posted_once_and_the_bot_still_follows_the_group(running: Running) -> None:
    running.sandbox.oms.state.may_list_tasks = False
    before = running.task_lists()
    running.fail_in_parts(Failure("TRF.0152", "no rights", 3))
    running.step_at(40 * SECOND)
    running.step()
    assert running.card().count(MISSING) == 1
    assert "grant the permission list of oms:task to the IAM user" in running.card()
    for _ in range(20):
        running.step_at(MINUTE)
        running.step()
    assert running.task_lists() - before == 1
    running.group.bytes_per_second = 100
    running.step_at(MINUTE)
    assert running.request.is_open
    running.fail()
    running.step_at(40 * SECOND)
    running.step()
    assert running.request.state is State.FAILED
    assert running.card().count(MISSING) == 1
    assert not any(re.search("sub-tasks? of ", line) or MISSING in line for line in running.lines())
    assert running.recorded() == [{"codes": [], "why": MISSING}] * 2


@pytest.mark.parametrize("fault", [Answer(429, "APIG.0308"), Answer(503, "APIG.0601"), Drop(done=False)])
def test_a_fault_that_passes_is_waited_out_after_the_group_has_failed(running: Running, fault: Answer | Drop) -> None:
    running.fail()
    running.step_at(40 * SECOND)
    running.sandbox.oms.faults.add("tasks", *[fault] * 9)
    assert isinstance(running.step(), Failed)
    running.sandbox.oms.faults.clear()
    assert running.step(tries=1) == Rescheduled()
    assert running.request.failure_causes is not None
    assert running.request.failure_causes.causes


def test_a_fault_that_lasts_is_named_after_an_hour(running: Running) -> None:
    running.fail()
    running.step_at(40 * SECOND)
    running.sandbox.oms.faults.add("tasks", *[Answer(503, "APIG.0601")] * 9)
    assert running.step_at(TRY_FOR, tries=50) == Rescheduled()
    assert "The bot can't read why sub-tasks failed." in running.card()
    assert running.step() == Finished()


def test_a_fault_while_the_group_runs_costs_one_call_in_ten_minutes(running: Running) -> None:
    running.fail_in_parts(Failure("TRF.0152", "no rights", 3))
    running.step_at(40 * SECOND)
    running.sandbox.oms.faults.add("tasks", *[Answer(503, "APIG.0601")] * 9)
    running.step()
    calls = running.task_lists()
    for _ in range(9):
        running.step_at(MINUTE)
        running.step()
    assert running.task_lists() == calls
    running.sandbox.oms.faults.clear()
    running.step_at(2 * MINUTE)
    running.step()
    assert "*TRF.0152: 3 failed sub-tasks*" in running.card()
