"""`list` shows the groups as the last sweep saw them, or reads OMS if none is recent. `status` shows how they move."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bot.domain.command import ShowList, ShowStatus, parse
from bot.domain.request import State
from bot.jobs.ask import queries
from bot.sandbox.huawei.credentials import PROJECT_ID, REGION
from bot.sandbox.huawei.faults import Raw
from bot.sandbox.huawei.group import COMPLETED, MIGRATION_FAILED, MONITORING, PAUSED
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
        """The answer of a command to bob: its text, and the group and the verb of its button.

        The button pauses the group if there is no verb.
        """
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
    broken = project.add_group(1, MIGRATION_FAILED, "broken")
    # The groups of each status are listed at the same time, so any of these calls may get this answer.
    listed = [broken.as_json(REGION), {"group_id": "5d5d5d5d-0000-4000-8000-000000000001"}]
    project.sandbox.oms.faults.add("list", Raw(body=json.dumps({"count": 2, "taskgroups": listed}).encode()))
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
    assert "in project media is running. " in text
    assert "MB/s" in text
    assert "█" in text
    assert to_pause == f"{PROJECT_ID}/{group.id}"


def test_status_of_a_running_group_and_the_line_of_its_request_have_the_same_rate(project: Project) -> None:
    made, _ = create_request(project.sandbox, project.context, 1, state=State.MOVING)
    group = project.oms.groups[made.group.group_id]
    group.status, group.bytes_per_second = MONITORING, 10_000_000
    project.sweep()
    project.wait(MINUTE)
    text, _ = project.answer(f"status {group.id}")
    status, *_, line = text.splitlines()
    assert made.id in line
    [pace] = set(re.findall("[Mm](oving at .*? left)", text))
    assert f"M{pace}" in status
    assert f"Resumed, m{pace}: " in line


def test_status_of_a_paused_group_says_since_when_and_offers_to_resume_it(project: Project) -> None:
    group = project.add_group(1, MONITORING, "waiting")
    project.sweep()
    group.status = PAUSED
    project.sweep(MINUTE)
    paused_at = project.context.now()
    project.sweep(MINUTE)
    text, offered = project.answer(f"status {group.id}")
    named = f'"waiting" (group `{group.id}`)'
    assert text.startswith(f"{named} in project media is paused, noticed {local_time(paused_at)}.\n")
    assert "\nResume… opens the request form. The request needs approval.\n" in text
    assert offered == f"{PROJECT_ID}/{group.id} resume"


def test_status_of_a_failed_group_says_why_and_offers_to_retry_it(project: Project) -> None:
    group = project.add_group(1, MIGRATION_FAILED, "broken", error=("TRF.0151", "words"), failed_objects=37)
    text, offered = project.answer(f"status {group.id}")
    assert text.startswith(f'"broken" (group `{group.id}`) in project media failed.\n')
    assert ", 37 failed\nTRF.0151: " in text
    assert "\n*Next:* " in text
    assert "\nRetry… opens the request form. The request needs approval.\n" in text
    assert offered == f"{PROJECT_ID}/{group.id} retry"


def test_status_of_a_group_with_an_open_request_offers_no_other_request(project: Project) -> None:
    made, _ = create_request(project.sandbox, project.context, 1)
    text, offered = project.answer(f"status {made.group.group_id}")
    assert made.id in text
    assert "Resume…" not in text
    assert offered == ""


def test_status_of_a_deleted_group_says_that_it_was_deleted(project: Project) -> None:
    group = project.add_group(1, MONITORING, "gone")
    project.sweep()
    del project.oms.groups[group.id]
    project.sweep(MINUTE)
    deleted_at = project.context.now()
    project.wait(MINUTE)
    text, offered = project.answer(f"status {group.id}")
    assert text == f'"gone" (group `{group.id}`) in project media was deleted, noticed {local_time(deleted_at)}.'
    assert offered == ""


def test_status_by_name_shows_the_only_group_with_this_name(project: Project) -> None:
    group = project.add_group(1, MONITORING, "Nightly images")
    project.add_group(2, PAUSED, "nightly logs")
    project.sweep()
    text, offered = project.answer("status IMAGES nightly")
    assert text.startswith(f'"Nightly images" (group `{group.id}`) in project media is running. ')
    assert offered == f"{PROJECT_ID}/{group.id}"
    several, offered = project.answer("status nightly")
    assert "1 running, 1 paused*" in several
    assert offered == ""


def test_a_group_that_is_done_is_found_by_its_name(project: Project) -> None:
    group = project.add_group(1, MONITORING, "nightly images")
    project.sweep()
    group.status = COMPLETED
    project.sweep(10 * MINUTE)
    text, _ = project.answer("list nightly")
    heading, line = text.splitlines()
    assert heading.endswith(": 1 done*")
    assert f'"nightly images" (`{group.id}`), done, ' in line
    assert "No failed, running or paused group in media as of" in project.answer("list")[0]


def test_a_word_that_names_no_group_is_answered_with_the_filters(project: Project) -> None:
    text, _ = project.answer("list stalled")
    heading, hint = text.splitlines()
    assert heading.startswith("*No failed, running or paused group in media has `stalled` in its name as of ")
    assert hint.startswith("To filter by status, type `/resume-taskgroup list failed`")
    filtered, _ = project.answer("list failed stalled")
    assert filtered.startswith("*No failed group in media has `stalled` in its name as of ")
    assert "To filter by status" not in filtered


def test_status_of_a_request_whose_group_runs_offers_to_pause_it(project: Project) -> None:
    made, _ = create_request(project.sandbox, project.context, 1, state=State.MOVING)
    text, to_pause = project.answer(f"status {made.id}")
    assert made.id in text
    assert "█" in text
    assert to_pause == made.group_key
