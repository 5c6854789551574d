"""From the approval to the PUT: sent once, only while everything still is as it was approved, and written down first.

One town for all of them; each request is of a group of its own, approved by carol, and worked on in this process.
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
from bot.jobs.identity.callers import _Lane
from bot.jobs.send import send
from bot.sandbox import oms_state as ow
from bot.sandbox.oms_server import Answer
from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from bot.store import requests, tables
from bot.store.inbox import Kind
from tests.support.in_process import at, create_request, press, sandbox_and_context, stored_request
from tests.support.sandbox import key_reads, put_calls

NUMBERS = itertools.count(1)
KEYS = (ow.SOURCE_AK, ow.SOURCE_SK, ow.DESTINATION_AK, ow.DESTINATION_SK)


class Approved:
    """A request that carol has approved, to be sent in an hour, and that hour has come."""

    def __init__(self, sandbox: Sandbox, context: Context, **changes: object) -> None:
        self.sandbox = sandbox
        start_at = context.now() + timedelta(hours=1)
        made, posted = create_request(sandbox, context, next(NUMBERS), start_at=start_at, **changes)
        self.request = press(context, Kind.APPROVE, w.CAROL, made, posted)
        assert self.request.state is State.APPROVED
        self.context = at(context, start_at)
        self.group = sandbox.world.groups[made.group.group_id]
        self.reads_before = len(key_reads(sandbox))

    def advance(self, after: timedelta = timedelta()) -> Request:
        """One step so much later; the request as it then is."""
        self.context = at(self.context, self.context.now() + after)
        send.send_request(self.context, stored_request(self.context, self.request.id))
        return stored_request(self.context, self.request.id)

    def puts(self) -> list[int]:
        return [call.status for call in put_calls(self.sandbox) if self.group.id in call.path]

    def key_reads(self) -> int:
        return len(key_reads(self.sandbox)) - self.reads_before

    def attempt(self) -> str:
        """How the attempt stands in its own row, which decides whether it may be sent."""
        query = select(tables.attempts.c.state).where(tables.attempts.c.request_id == self.request.id)
        with self.context.store.read() as connection:
            found: str = connection.execute(query).scalar_one()
        return found


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context() as made:
        yield made


@pytest.fixture
def approve(place: tuple[Sandbox, Context]) -> Iterator[Callable[..., Approved]]:
    sandbox, context = place
    sandbox.slack.api._buckets.clear()
    yield lambda **changes: Approved(sandbox, context, **changes)
    sandbox.oms.calm()
    context.callers._lanes["media"] = _Lane(context.callers._lanes["media"].guard)


@pytest.fixture
def approved(approve: Callable[..., Approved]) -> Approved:
    return approve()


def test_before_its_time_and_after_the_approval_ran_out_nothing_is_read_or_sent(approved: Approved) -> None:
    for moment in (timedelta(seconds=-1), timedelta(hours=8)):
        assert approved.advance(moment).state is State.APPROVED
    assert (approved.puts(), approved.key_reads()) == ([], 0)


def test_what_would_now_be_something_else_is_void_and_nothing_is_read_or_sent(approved: Approved) -> None:
    approved.context = replace(approved.context, projects={})
    assert approved.advance().state is State.VOID
    assert (approved.puts(), approved.key_reads(), approved.attempt()) == ([], 0, "settled")


def test_the_row_says_sending_before_anything_is_sent(approved: Approved, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Request, str]] = []

    def start(oms: Oms, group_id: str, body: bytes) -> Accepted:
        seen.append((stored_request(approved.context, approved.request.id), approved.attempt()))
        return Accepted("request id of Huawei")

    monkeypatch.setattr(Oms, "start", start)
    approved.group.complete_bytes += 1
    accepted = approved.advance()
    [(sending, attempt)] = seen
    assert (sending.state, attempt) == (State.SENDING, "sending")
    assert sending.attempt is not None
    assert sending.attempt.sent_at == approved.context.now()
    assert sending.attempt.before == sending.group.progress != approved.request.group.progress
    assert (accepted.state, approved.attempt()) == (State.ACCEPTED, "answered")
    assert accepted.attempt is not None
    assert accepted.attempt.huawei_request_id == "request id of Huawei"


def test_who_still_holds_the_request_as_it_was_sends_nothing(approved: Approved) -> None:
    before = stored_request(approved.context, approved.request.id)
    send.send_request(approved.context, before)
    with pytest.raises(requests.Stale):
        send.send_request(approved.context, before)
    assert approved.puts() == [200]
    assert stored_request(approved.context, approved.request.id).state is State.ACCEPTED


def test_a_group_that_is_still_pausing_is_waited_for(approved: Approved) -> None:
    approved.group.status = ow.PAUSING
    waiting = approved.advance()
    assert (waiting.state, waiting.group.status, approved.attempt()) == (State.APPROVED, GroupStatus.PAUSING, "ready")
    assert approved.advance(timedelta(seconds=9)).version == waiting.version
    assert approved.puts() == []
    approved.group.status = ow.PAUSED
    assert approved.advance(timedelta(seconds=1)).state is State.ACCEPTED
    assert approved.puts() == [200]


def test_a_retry_of_a_group_that_is_pausing_by_now_is_void(approve: Callable[..., Approved]) -> None:
    approved = approve(verb=Verb.RETRY, scope=Scope.ALL_OBJECTS)
    approved.group.status = ow.PAUSING
    assert approved.advance().state is State.VOID
    assert (approved.puts(), approved.attempt()) == ([], "settled")


@pytest.mark.parametrize("status", [ow.COMPLETED, ow.MONITORING])
def test_what_somebody_else_has_started_is_told_as_theirs(approved: Approved, status: int) -> None:
    approved.group.status = status
    told = approved.advance()
    assert told.state is (State.DONE if status == ow.COMPLETED else State.ACCEPTED)
    assert told.started_elsewhere
    assert (approved.puts(), approved.key_reads(), approved.attempt()) == ([], 0, "settled")


@pytest.mark.parametrize("scope", list(Scope))
def test_a_retry_migrates_what_was_chosen(approve: Callable[..., Approved], scope: Scope) -> None:
    approved = approve(verb=Verb.RETRY, scope=scope)
    approved.group.status, approved.group.failed_objects = ow.MIGRATION_FAILED, 3
    approved.group.records_failed_objects = True
    assert approved.advance().state is State.ACCEPTED
    assert approved.group.last_scope == (ow.FAILED_OBJECTS if scope is Scope.FAILED_OBJECTS else ow.ALL_OBJECTS)
    assert (approved.group.starts, approved.group.retries) == (0, 1)


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 5), (2, 5), (30, 30)])
def test_what_was_throttled_waits_and_is_sent_three_times_at_the_most(
    approved: Approved, retry_after: int | None, seconds: int
) -> None:
    approved.sandbox.oms.fault("start", *[Answer(429, "APIG.0308", retry_after=retry_after)] * 3)
    for tries in (1, 2):
        waiting = approved.advance()
        assert waiting.attempt is not None
        assert (waiting.state, waiting.attempt.tries, approved.attempt()) == (State.APPROVED, tries, "ready")
        assert (waiting.attempt.sent_at, waiting.attempt.before) == (None, None)
        approved.advance(timedelta(seconds=seconds - 1))
        assert len(approved.puts()) == tries
        approved.context = at(approved.context, approved.context.now() + timedelta(seconds=1))
    told = approved.advance()
    assert told.state is State.NOT_STARTED
    assert told.problem is not None
    assert told.problem.code == "APIG.0308"
    assert told.problem.huawei_request_id
    assert approved.puts() == [429] * 3
    assert approved.attempt() == "answered"


def test_a_token_that_is_over_is_renewed_at_once_and_three_times_at_the_most(approved: Approved) -> None:
    vault = approved.sandbox.vault
    vault.write("oms/media/caller", ow.CALLERS["password"])
    try:
        approved.sandbox.oms.fault("start", *[Answer(401, "APIGW.0307")] * 3)
        states = [approved.advance().state for _ in range(3)]
    finally:
        vault.write("oms/media/caller", ow.CALLERS["access key"])
    assert states == [State.APPROVED, State.APPROVED, State.NOT_STARTED]
    assert approved.puts() == [401] * 3


def test_a_fault_in_the_call_is_not_known_to_have_started_nothing_and_gives_no_key_away(
    approved: Approved, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(oms: Oms, group_id: str, body: bytes) -> Accepted:
        raise RuntimeError(body.decode())

    monkeypatch.setattr(Oms, "start", fail)
    with caplog.at_level(logging.ERROR):
        unknown = approved.advance()
    assert (unknown.state, approved.attempt()) == (State.UNKNOWN, "unknown")
    assert unknown.problem is not None
    [record] = [record for record in caplog.records if "in the PUT" in record.getMessage()]
    assert "RuntimeError" in record.getMessage()
    assert record.getMessage().split()[1] in unknown.problem.meaning, "the reference leads from the card to the log"
    assert not [key for key in KEYS if key in caplog.text + repr(unknown)]


@pytest.mark.parametrize(
    ("status", "code", "state"), [(503, "APIG.0601", State.UNKNOWN), (429, "APIG.0308", State.APPROVED)]
)
def test_keys_that_are_echoed_are_kept_by_nobody(approved: Approved, status: int, code: str, state: State) -> None:
    words = f"failed with {ow.SOURCE_SK}"
    approved.sandbox.oms.fault("start", Answer(status, code, words, detail=words))
    told = approved.advance()
    assert told.state is state
    assert "failed with [hidden]" in repr(told)
    assert ow.SOURCE_SK not in repr(told)


def test_what_is_refused_before_the_call_settles_the_attempt(approved: Approved) -> None:
    approved.sandbox.oms.fault("show", Answer(403, "OMS.0072"))
    assert approved.advance().state is State.NOT_STARTED
    assert (approved.puts(), approved.key_reads(), approved.attempt()) == ([], 0, "settled")
