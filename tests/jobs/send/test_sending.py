"""From the approval to the PUT: it is sent once, only if nothing has changed, and stored before it is sent.

The tests share one sandbox. Each has a request for a group of its own, approved by carol and processed in the test.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.domain.request import Request, State, Verb
from bot.domain.task_group import GroupStatus, Scope
from bot.huawei.oms import Accepted, Oms
from bot.jobs.context import Context
from bot.jobs.send import send
from bot.sandbox.huawei.credentials import CALLERS, DESTINATION_AK, DESTINATION_SK, SOURCE_AK, SOURCE_SK
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.huawei.group import (
    ALL_OBJECTS,
    COMPLETED,
    FAILED_OBJECTS,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    PAUSING,
)
from bot.sandbox.slack.ids import CAROL
from bot.sandbox.system import Sandbox
from bot.store import requests, tables
from bot.store.inbox import Kind
from bot.ui.problem_texts import KEY_REPEATED
from tests.support.in_process import context_at, create_request, press_button, sandbox_and_context, stored_request
from tests.support.sandbox import key_reads, put_calls

NUMBERS = itertools.count(1)
KEYS = (SOURCE_AK, SOURCE_SK, DESTINATION_AK, DESTINATION_SK)


class Approved:
    """A request that carol approved an hour before its start time. It is now that time."""

    def __init__(self, sandbox: Sandbox, context: Context, **changes: object) -> None:
        self.sandbox = sandbox
        start_at = context.now() + timedelta(hours=1)
        made, posted = create_request(sandbox, context, next(NUMBERS), start_at=start_at, **changes)
        self.request = press_button(context, Kind.APPROVE, CAROL, made, posted)
        assert self.request.state is State.APPROVED
        self.context = context_at(context, start_at)
        self.group = sandbox.oms.state.groups[made.group.group_id]
        self.reads_before = len(key_reads(sandbox))

    def advance(self, after: timedelta = timedelta()) -> Request:
        """Calls `send_request` after this time, and returns the request as it is stored then."""
        self.context = context_at(self.context, self.context.now() + after)
        send.send_request(self.context, stored_request(self.context, self.request.id))
        return stored_request(self.context, self.request.id)

    def puts(self) -> list[int]:
        return [call.status for call in put_calls(self.sandbox) if self.group.id in call.path]

    def key_reads(self) -> int:
        return len(key_reads(self.sandbox)) - self.reads_before


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context() as made:
        yield made


@pytest.fixture
def approve(place: tuple[Sandbox, Context]) -> Iterator[Callable[..., Approved]]:
    sandbox, context = place
    sandbox.slack.api.reset_rate_limits()
    yield lambda **changes: Approved(sandbox, context, **changes)
    sandbox.oms.faults.clear()


@pytest.fixture
def approved(approve: Callable[..., Approved]) -> Approved:
    return approve()


def test_nothing_is_read_or_sent_before_the_start_time_or_after_the_approval_expired(approved: Approved) -> None:
    for moment in (timedelta(seconds=-1), timedelta(hours=8)):
        assert approved.advance(moment).state is State.APPROVED
    assert (approved.puts(), approved.key_reads()) == ([], 0)


def test_a_request_whose_settings_changed_is_void_and_nothing_is_read_or_sent(approved: Approved) -> None:
    approved.context = replace(approved.context, projects={})
    assert approved.advance().state is State.VOID
    assert (approved.puts(), approved.key_reads()) == ([], 0)


def test_sending_is_stored_before_the_put(approved: Approved, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_at_put: list[Request] = []

    def start(oms: Oms, group_id: str, body: bytes) -> Accepted:
        stored_at_put.append(stored_request(approved.context, approved.request.id))
        return Accepted("request id of Huawei")

    monkeypatch.setattr(Oms, "start", start)
    approved.group.complete_bytes += 1
    accepted = approved.advance()
    [sending] = stored_at_put
    assert sending.state is State.SENDING
    assert sending.attempt is not None
    assert sending.attempt.sent_at == approved.context.now()
    assert sending.attempt.before == sending.group.progress != approved.request.group.progress
    assert accepted.state is State.ACCEPTED
    assert accepted.attempt is not None
    assert accepted.attempt.huawei_request_id == "request id of Huawei"


def test_a_worker_with_an_older_version_of_the_request_sends_nothing(approved: Approved) -> None:
    before = stored_request(approved.context, approved.request.id)
    send.send_request(approved.context, before)
    with pytest.raises(requests.Stale):
        send.send_request(approved.context, before)
    assert approved.puts() == [200]
    assert stored_request(approved.context, approved.request.id).state is State.ACCEPTED


def test_a_group_that_is_still_pausing_is_waited_for(approved: Approved) -> None:
    approved.group.status = PAUSING
    waiting = approved.advance()
    assert (waiting.state, waiting.group.status) == (State.APPROVED, GroupStatus.PAUSING)
    assert approved.advance(timedelta(seconds=9)).version == waiting.version
    assert approved.puts() == []
    approved.group.status = PAUSED
    assert approved.advance(timedelta(seconds=1)).state is State.ACCEPTED
    assert approved.puts() == [200]


def test_a_retry_of_a_group_that_is_now_pausing_is_void(approve: Callable[..., Approved]) -> None:
    approved = approve(verb=Verb.RETRY, scope=Scope.ALL_OBJECTS)
    approved.group.status = PAUSING
    assert approved.advance().state is State.VOID
    assert approved.puts() == []


@pytest.mark.parametrize("status", [COMPLETED, MONITORING])
def test_a_group_that_somebody_else_has_started_is_shown_as_such(approved: Approved, status: int) -> None:
    approved.group.status = status
    after = approved.advance()
    assert after.state is (State.DONE if status == COMPLETED else State.ACCEPTED)
    assert after.started_elsewhere
    assert (approved.puts(), approved.key_reads()) == ([], 0)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_retry_migrates_the_chosen_scope(approve: Callable[..., Approved], scope: Scope) -> None:
    approved = approve(verb=Verb.RETRY, scope=scope)
    approved.group.status, approved.group.failed_objects = MIGRATION_FAILED, 3
    assert approved.advance().state is State.ACCEPTED
    assert approved.group.last_scope == (FAILED_OBJECTS if scope is Scope.FAILED_OBJECTS else ALL_OBJECTS)
    assert (approved.group.starts, approved.group.retries) == (0, 1)


@pytest.mark.parametrize("retry_after", [None, 2, 20])
def test_a_throttled_put_waits_and_is_sent_until_it_is_accepted(approved: Approved, retry_after: int | None) -> None:
    approved.sandbox.oms.faults.add("start", *[Answer(429, "APIG.0308", retry_after=retry_after)] * 5)
    for tries, seconds in enumerate((2, 4, 8, 16, 30), 1):
        waiting = approved.advance()
        assert waiting.attempt is not None
        assert (waiting.state, waiting.attempt.tries) == (State.APPROVED, tries)
        assert (waiting.attempt.sent_at, waiting.attempt.before) == (None, None)
        approved.advance(timedelta(seconds=max(seconds, retry_after or 0) - 1))
        assert len(approved.puts()) == tries
        approved.context = context_at(approved.context, approved.context.now() + timedelta(seconds=1))
    assert approved.advance().state is State.ACCEPTED
    assert approved.puts() == [429] * 5 + [200]


def test_a_throttled_put_is_posted_once_in_the_thread(approved: Approved) -> None:
    approved.sandbox.oms.faults.add("start", *[Answer(429, "APIG.0308")] * 3)
    for _ in range(3):
        approved.advance(timedelta(seconds=30))
    with approved.context.store.read() as connection:
        texts = connection.execute(
            select(tables.notices.c.text).where(tables.notices.c.request_id == approved.request.id)
        ).scalars()
        assert len([text for text in texts if "The bot retries automatically until" in text]) == 1


def test_an_expired_token_is_renewed_for_the_next_put(approved: Approved) -> None:
    vault = approved.sandbox.vault
    vault.write("oms/media/caller", CALLERS["password"])
    approved.context.identity.allow_retry("media")  # has it read again
    try:
        approved.sandbox.oms.faults.add("start", Answer(401, "APIGW.0307"))
        states = [approved.advance().state, approved.advance(timedelta(seconds=2)).state]
    finally:
        vault.write("oms/media/caller", CALLERS["access key"])
        approved.context.identity.allow_retry("media")
    assert states == [State.APPROVED, State.ACCEPTED]
    assert approved.puts() == [401, 200]


def test_after_a_bug_in_the_put_the_outcome_is_unknown_and_no_key_is_logged(
    approved: Approved, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(oms: Oms, group_id: str, body: bytes) -> Accepted:
        raise RuntimeError(body.decode())

    monkeypatch.setattr(Oms, "start", fail)
    with caplog.at_level(logging.ERROR):
        unknown = approved.advance()
    assert unknown.state is State.UNKNOWN
    assert unknown.problem is not None
    [record] = [record for record in caplog.records if "in the PUT" in record.getMessage()]
    assert "RuntimeError" in record.getMessage()
    assert record.getMessage().split()[1] in unknown.problem.meaning, "the reference leads from the card to the log"
    assert not [key for key in KEYS if key in caplog.text + repr(unknown)]


@pytest.mark.parametrize(
    ("status", "code", "state"), [(503, "APIG.0601", State.UNKNOWN), (429, "APIG.0308", State.APPROVED)]
)
def test_keys_that_oms_echoes_are_not_stored(approved: Approved, status: int, code: str, state: State) -> None:
    words = f"failed with {SOURCE_SK}"
    approved.sandbox.oms.faults.add("start", Answer(status, code, words, detail=words))
    after = approved.advance()
    assert after.state is state
    assert "failed with" not in repr(after)
    assert KEY_REPEATED in repr(after)


def test_a_rejected_look_before_the_put_ends_the_attempt(approved: Approved) -> None:
    approved.sandbox.oms.faults.add("show", Answer(403, "OMS.0072"))
    assert approved.advance().state is State.NOT_STARTED
    assert (approved.puts(), approved.key_reads()) == ([], 0)
