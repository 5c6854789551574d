"""Following a group to its end: interrupted PUTs are settled, failed readings are shown, a pause is sent.

The tests share one sandbox. Each has a request for a group of its own, approved by carol and processed in the test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.config.bot_toml import Project
from bot.domain import outcome
from bot.domain.request import Request, State
from bot.domain.schedule import FOLLOW_EVERY
from bot.domain.task_group import ErrorReason, TaskGroup
from bot.domain.watched_group import Trouble
from bot.huawei.oms import Oms
from bot.jobs import request_dispatcher
from bot.jobs.context import Context
from bot.jobs.current_settings import can_be_followed, current_plan
from bot.jobs.follow.follow import explain_group
from bot.jobs.follow.pause import TRY_FOR
from bot.jobs.worker import Failed, Finished, Rescheduled, Result
from bot.sandbox.huawei.faults import Answer, Drop
from bot.sandbox.huawei.group import MONITORING, PAUSED
from bot.sandbox.slack.ids import ALICE, BOB, CAROL
from bot.sandbox.system import Sandbox
from bot.store import requests, tables
from bot.store.audit import rows
from bot.store.inbox import Kind
from bot.store.queue import Claim
from tests.support.in_process import context_at, create_request, press_button, sandbox_and_context, stored_request
from tests.support.sandbox import put_calls
from tests.support.values import GROUP, request

NUMBERS = itertools.count(1)
SECOND = timedelta(seconds=1)


class Followed:
    """A request that carol has approved. After `begin`, its PUT has been sent and the group runs, but nothing moves."""

    def __init__(self, sandbox: Sandbox, context: Context) -> None:
        self.sandbox, self.context = sandbox, context
        start_at = context.now() + timedelta(minutes=1)
        self.made, self.posted = create_request(sandbox, context, next(NUMBERS), start_at=start_at)
        press_button(context, Kind.APPROVE, CAROL, self.made, self.posted)
        self.context = context_at(context, start_at)
        self.group = sandbox.oms.state.groups[self.made.group.group_id]
        self.group.bytes_per_second = 0

    @property
    def request(self) -> Request:
        return stored_request(self.context, self.made.id)

    def begin(self) -> None:
        assert self.advance() == Rescheduled()
        assert self.request.state is State.ACCEPTED
        self.group.pending_changes.clear()
        self.group.status = MONITORING

    def interrupt(self, state: State) -> None:
        """Stores the request as a worker leaves it that dies in this state."""
        old, now = self.request, self.context.now()
        assert old.attempt is not None
        new = replace(old, attempt=replace(old.attempt, sent_at=now)).with_state(state, at=now)
        with self.context.store.write() as connection:
            requests.save(connection, old, new, now)

    def pause(self) -> None:
        press_button(self.context, Kind.PAUSE, BOB, self.request, self.posted)
        assert self.request.state is State.PAUSING

    def advance(self, after: timedelta = timedelta(), tries: int = 0) -> Result:
        """Takes the next step after this time. `tries` is how many steps in a row have failed before."""
        self.context = context_at(self.context, self.context.now() + after)
        return request_dispatcher.advance_request(self.context, Claim(tables.requests.name, self.made.id, tries))

    def events(self) -> list[str]:
        with self.context.store.read() as connection:
            return [link.event for link in rows(connection, self.made.id)]

    def lines(self, words: str) -> list[str]:
        """The lines for the thread that contain these words."""
        with self.context.store.read() as connection:
            of_request = select(tables.notices.c.text).where(tables.notices.c.request_id == self.made.id)
            return [line for line in connection.execute(of_request).scalars() if words in line]

    def puts(self) -> list[str]:
        return [call.path.rpartition("/")[2] for call in put_calls(self.sandbox) if self.group.id in call.path]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context() as made:
        yield made


@pytest.fixture
def followed(place: tuple[Sandbox, Context]) -> Iterator[Followed]:
    sandbox, context = place
    sandbox.slack.api.reset_rate_limits()
    yield Followed(sandbox, context)
    sandbox.oms.faults.clear()


def test_a_request_found_sending_is_never_sent_and_is_settled_by_reading_the_group(followed: Followed) -> None:
    followed.interrupt(State.SENDING)
    for seconds in (0, 59):
        assert followed.advance(seconds * SECOND) == Finished(followed.context.now() + 3 * SECOND)
        assert followed.request.state is State.UNKNOWN
    assert followed.events().count("put.found") == 1
    assert followed.advance(SECOND) == Rescheduled()
    assert followed.request.state is State.NOT_STARTED
    assert followed.puts() == []


def test_a_reply_that_is_stored_while_the_group_is_read_is_not_overwritten(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.interrupt(State.UNKNOWN)
    show = Oms.show

    def show_while_the_reply_is_stored(oms: Oms, group_id: str) -> TaskGroup:
        unknown, now = followed.request, followed.context.now()
        with followed.context.store.write() as connection:
            requests.save(connection, unknown, outcome.accepted(unknown, "7f3c", now), now)
        return show(oms, group_id)

    monkeypatch.setattr(Oms, "show", show_while_the_reply_is_stored)
    followed.group.status = MONITORING
    assert followed.advance() == Finished(followed.context.now()), "the next step is looked up again immediately"
    assert followed.request.state is State.ACCEPTED
    assert followed.request.attempt is not None
    assert followed.request.attempt.huawei_request_id == "7f3c"


def test_a_reading_that_ends_after_another_change_stores_nothing(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.begin()
    show = Oms.show

    def show_and_pause(oms: Oms, group_id: str) -> TaskGroup:
        followed.pause()
        return show(oms, group_id)

    monkeypatch.setattr(Oms, "show", show_and_pause)
    assert followed.advance(3 * SECOND) == Finished(followed.context.now())
    assert followed.request.state is State.PAUSING


def test_a_failed_group_says_why_it_failed_and_where_to_check() -> None:
    failed = replace(GROUP, error=ErrorReason("TRF.0151", "Invalid AK/SK"))
    failure = explain_group(request(State.MOVING))(outcome.GroupProblem.FAILED, failed)
    assert failure.code == "TRF.0151"
    assert "secret/source" in failure.next_step
    assert "press Retry" not in failure.next_step


def test_a_card_with_the_same_content_is_updated_once_a_minute(followed: Followed) -> None:
    followed.begin()
    followed.group.complete_bytes += 1
    assert followed.advance(3 * SECOND) == Rescheduled()
    shown = followed.request.version
    assert followed.advance(40 * SECOND) == Finished(followed.context.now() + 40 * SECOND)
    assert followed.request.version == shown
    assert followed.advance(40 * SECOND) == Rescheduled()
    assert followed.request.version == shown + 1


def test_the_card_changes_when_nothing_moves_and_again_when_nothing_has_moved_for_a_minute(followed: Followed) -> None:
    followed.begin()
    for wait in (3 * SECOND, FOLLOW_EVERY):
        followed.group.complete_bytes += 1
        assert followed.advance(wait) == Rescheduled()
    assert [followed.advance(FOLLOW_EVERY) == Rescheduled() for _ in range(3)] == [True, True, False]


def test_a_stall_and_its_end_are_posted_to_the_thread_once_each(followed: Followed) -> None:
    followed.begin()
    followed.group.complete_bytes += 1
    followed.advance(3 * SECOND)
    for _ in range(20):
        followed.advance(FOLLOW_EVERY)
    assert followed.lines("has stalled") == []
    for _ in range(10):
        followed.advance(FOLLOW_EVERY)
    assert followed.request.announced.trouble is Trouble.STALLED
    [stalled] = followed.lines("has stalled")
    assert stalled.startswith(f"<@{ALICE}>, ")
    for _ in range(2):
        followed.group.complete_bytes += 1
        followed.advance(FOLLOW_EVERY)
    assert followed.request.announced.trouble is None
    [moved] = followed.lines("has moved again")
    assert moved.startswith(f"<@{ALICE}>, ")
    assert followed.lines("has stalled") == [], "it was not sent yet, and the line about its end takes its place"


def test_a_stall_that_two_workers_see_is_posted_once(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    followed.begin()
    followed.group.complete_bytes += 1
    followed.advance(3 * SECOND)
    for _ in range(22):
        followed.advance(FOLLOW_EVERY)
    assert followed.request.announced.trouble is None
    show = Oms.show

    def show_while_another_worker_reads(oms: Oms, group_id: str) -> TaskGroup:
        monkeypatch.setattr(Oms, "show", show)
        assert followed.advance() == Rescheduled()
        assert followed.request.announced.trouble is Trouble.STALLED
        return show(oms, group_id)

    monkeypatch.setattr(Oms, "show", show_while_another_worker_reads)
    assert followed.advance(FOLLOW_EVERY) == Finished(followed.context.now())
    assert len(followed.lines("has stalled")) == 1


def test_failed_readings_are_shown_once_and_repeated(followed: Followed) -> None:
    followed.begin()
    followed.sandbox.oms.faults.add("show", *[Answer(404, "APIG.0101")] * 4)
    for tries, seconds in enumerate((3, 3, 4, 8)):
        assert followed.advance(3 * SECOND, tries) == Failed(followed.context.now() + seconds * SECOND)
        assert (followed.request.problem is not None) == (tries >= 2)
    assert followed.events().count("group.not_visible") == 1
    assert followed.request.state is State.ACCEPTED, "the gateway, not OMS, knows no such address"


def test_a_bug_is_shown_on_the_card_of_an_open_request(followed: Followed) -> None:
    claim = Claim(tables.requests.name, followed.made.id, 0)
    request_dispatcher.report_bug(followed.context, claim, "F-1")
    shown = followed.request
    assert shown.problem is not None
    assert shown.problem.reference == "F-1"
    press_button(followed.context, Kind.CANCEL, ALICE, shown, followed.posted)
    request_dispatcher.report_bug(followed.context, claim, "F-2")
    assert followed.request.problem is None
    assert followed.events().count("bug") == 1


def test_a_group_that_is_already_paused_is_not_paused_again(followed: Followed) -> None:
    followed.begin()
    followed.advance(3 * SECOND)
    followed.pause()
    followed.group.status = PAUSED
    assert followed.advance() == Rescheduled()
    assert followed.request.state is State.PAUSED_AGAIN
    assert "pause.not_needed" in followed.events()
    assert followed.puts() == ["start"]


def test_a_pause_is_tried_three_times_while_the_status_of_the_group_changes(followed: Followed) -> None:
    followed.begin()
    followed.pause()
    followed.sandbox.oms.faults.add("stop", *[Answer(400, "OMS.1038")] * 3)
    for tries in (0, 1):
        assert followed.advance(tries=tries) == Failed(followed.context.now() + 3 * SECOND)
        assert followed.request.state is State.PAUSING
    assert followed.advance(tries=2) == Rescheduled()
    assert followed.request.state is State.ACCEPTED
    assert followed.puts() == ["start", "stop", "stop", "stop"]


@pytest.mark.parametrize(
    ("answer", "says_nothing_paused"),
    [
        (Answer(429, "APIG.0308"), True),
        (Answer(400, "OMS.1038"), True),
        (Answer(503, "APIG.0601"), False),
        (Drop(done=False), False),
    ],
)
def test_a_pause_that_failed_says_no_more_than_is_known(
    followed: Followed, answer: Answer | Drop, says_nothing_paused: bool
) -> None:
    followed.begin()
    followed.pause()
    followed.sandbox.oms.faults.add("stop", answer)
    assert followed.advance(TRY_FOR, tries=20) == Rescheduled()
    failed = followed.request
    assert failed.state is State.ACCEPTED
    assert failed.pause is not None
    assert failed.pause.failure is not None
    assert ("Nothing was paused." in failed.pause.failure.meaning) is says_nothing_paused


CHANGES: list[tuple[Callable[[Project], dict[str, object]], bool]] = [
    (lambda project: {"project_id": "f" * 32}, False),
    (lambda project: {"oms_url": "https://elsewhere.example"}, False),
    (lambda project: {"iam_url": "https://elsewhere.example"}, True),
    (lambda project: {"vault": project.vault.model_copy(update={"source": {"another-bucket": "x"}})}, True),
    (lambda project: {"vault": project.vault.model_copy(update={"destination": "elsewhere"})}, True),
]


@pytest.mark.parametrize(("change", "is_followed"), CHANGES)
def test_a_group_is_followed_until_the_settings_lead_to_another_oms_or_project(
    followed: Followed, change: Callable[[Project], dict[str, object]], is_followed: bool
) -> None:
    request, context = followed.request, followed.context
    assert current_plan(context, request) == request.plan
    project = context.projects["media"]
    changed = replace(context, projects={"media": project.model_copy(update=change(project))})
    assert current_plan(changed, request) != request.plan
    assert can_be_followed(changed, request) == is_followed
    left_to_iam = replace(context, projects={"media": project.model_copy(update={"project_id": None})})
    assert current_plan(left_to_iam, request) == request.plan
    assert can_be_followed(left_to_iam, request)
