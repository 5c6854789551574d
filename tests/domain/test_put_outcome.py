"""How a request changes right before its PUT, after the reply, and after a late reply."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from bot.domain.put_outcome import (
    MAX_WAIT,
    PutReply,
    PutReplyKind,
    after_late_reply,
    after_reply,
    before_put,
    sending,
)
from bot.domain.request import Attempt, Request, State, Verb
from bot.domain.task_group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, Scope
from bot.ui.problem_texts import group_problem
from tests.support.values import GROUP, HALF, NOON, request

SOON = NOON + timedelta(seconds=1)
ACCEPTED = PutReply(PutReplyKind.ACCEPTED, "7f3c")
TRY_AGAIN = PutReply(PutReplyKind.TRY_AGAIN)
CONFLICT = PutReply(PutReplyKind.CONFLICT)
REJECTED = PutReply(PutReplyKind.REJECTED)
UNANSWERED = PutReply(PutReplyKind.UNANSWERED)


def sent(state: State = State.SENDING, tries: int = 0, number: int = 1) -> Request:
    return request(state, attempt=Attempt(number, "UCAROL00", NOON, tries=tries, sent_at=NOON), last_seen=None)


# Before the PUT


@pytest.mark.parametrize("status", [GroupStatus.MONITORING, GroupStatus.COMPLETED])
def test_a_group_that_an_earlier_put_of_the_request_may_have_started_is_not_said_to_be_started_elsewhere(
    status: GroupStatus,
) -> None:
    retried = Attempt(2, "UCAROL00", NOON, follows_open_put=True)
    changed = before_put(request(State.APPROVED), retried, replace(GROUP, status=status), group_problem, SOON)
    assert changed is not None
    assert not changed.started_elsewhere


@pytest.mark.parametrize(
    "shown",
    [
        {"description": "harmless test"},
        {"source": replace(GROUP.source, bucket="empty")},
        {"destination": replace(GROUP.destination, save_prefix="test/")},
        {"overwrite_mode": "FULL_OVERWRITE"},
        {"restores_archives": not GROUP.restores_archives},
    ],
)
def test_a_request_that_shows_another_group_than_oms_is_void_even_if_its_settings_are_the_same(
    shown: dict[str, Any],
) -> None:
    forged = replace(request(State.APPROVED), group=replace(GROUP, **shown))
    assert forged.attempt is not None
    changed = before_put(forged, forged.attempt, GROUP, group_problem, SOON)
    assert changed is not None
    assert changed.state is State.VOID
    assert changed.problem is not None
    assert "The group's settings changed after the approval. Nothing was started" in changed.problem.meaning


@pytest.mark.parametrize("verb", list(Verb))
def test_the_put_is_sent_only_in_the_statuses_for_its_verb(verb: Verb) -> None:
    approved = request(State.APPROVED, verb=verb, scope=Scope.ALL_OBJECTS if verb is Verb.RETRY else None)
    assert approved.attempt is not None
    sendable = FAILED_STATUSES if verb is Verb.RETRY else {GroupStatus.PAUSED}
    for status in GroupStatus:
        changed = before_put(approved, approved.attempt, replace(GROUP, status=status), group_problem, SOON)
        assert (changed is None) == (status in sendable), status
        if changed is None:
            continue
        match status:
            case GroupStatus.PAUSING if verb is Verb.RESUME:
                assert changed.state is State.APPROVED
                assert changed.attempt is not None
                assert changed.attempt.not_before == SOON + timedelta(seconds=10)
            case GroupStatus.COMPLETED:
                assert (changed.state, changed.started_elsewhere) == (State.DONE, True)
            case _ if status in RUNNING_STATUSES:
                assert (changed.state, changed.started_elsewhere) == (State.ACCEPTED, True)
            case _:
                assert changed.state is State.VOID
                assert changed.problem is not None
                assert "Nothing was started." in changed.problem.meaning


def test_a_group_with_another_migration_than_the_approved_one_is_not_started() -> None:
    approved = request(State.APPROVED)
    assert approved.attempt is not None
    other = replace(GROUP, settings=(("description", "x" * 99), ("src_node.bucket", "photos-test")))
    explain = partial(group_problem, approved=GROUP)
    changed = before_put(approved, approved.attempt, other, explain, SOON)
    assert changed is not None
    assert changed.state is State.VOID
    assert changed.problem is not None
    assert changed.problem.meaning == (
        f'The group\'s settings changed after the approval: description was not set and is now "{"x" * 59}…"; '
        'dst_node.bucket was "photos-archive" and is now not set; '
        'src_node.bucket was "photos-prod" and is now "photos-test". Nothing was started.'
    )


def test_the_time_of_the_put_and_the_progress_before_it_are_stored_with_the_attempt() -> None:
    approved = request(State.APPROVED)
    assert approved.attempt is not None
    now_moved = replace(GROUP, progress=replace(HALF, success_objects=401))
    stored = sending(approved, approved.attempt, now_moved, SOON)
    assert (stored.state, stored.group, stored.last_seen) == (State.SENDING, now_moved, None)
    assert stored.attempt == replace(approved.attempt, sent_at=SOON, before=now_moved.progress)


# After the reply


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (ACCEPTED, State.ACCEPTED),
        (TRY_AGAIN, State.APPROVED),
        (CONFLICT, State.UNKNOWN),
        (UNANSWERED, State.UNKNOWN),
        (REJECTED, State.NOT_STARTED),
    ],
)
def test_every_kind_of_reply_leads_to_a_state(reply: PutReply, state: State) -> None:
    after = after_reply(sent(), reply, SOON).request
    assert after.state is state
    assert after.started_elsewhere is (reply is CONFLICT)
    assert after.attempt is not None
    assert after.attempt.unanswered_at == (SOON if state is State.UNKNOWN else None)


def test_an_attempt_that_started_nothing_stays_approved_and_its_waits_grow_from_2_to_30_seconds() -> None:
    waiting, waits = sent(), []
    for tries in range(8):
        waiting = after_reply(waiting, TRY_AGAIN, SOON).request
        assert waiting.attempt is not None
        assert waiting.attempt.not_before is not None
        assert (waiting.state, waiting.attempt.tries) == (State.APPROVED, tries + 1)
        waits.append((waiting.attempt.not_before - SOON).total_seconds())
    assert waits == [2, 4, 8, 16, 30, 30, 30, 30]
    assert after_reply(sent(tries=100_000), TRY_AGAIN, SOON).request.attempt == replace(
        sent().attempt or Attempt(1, "", NOON), tries=100_001, not_before=SOON + MAX_WAIT, sent_at=None
    )


def test_the_next_try_waits_as_long_as_the_reply_asks_for() -> None:
    attempt = after_reply(sent(), replace(TRY_AGAIN, retry_after=timedelta(seconds=40)), SOON).request.attempt
    assert attempt is not None
    assert attempt.not_before == SOON + timedelta(seconds=40)
    assert (attempt.number, attempt.tries, attempt.sent_at, attempt.before) == (1, 1, None, None)


# After a late reply


@pytest.mark.parametrize("reply", [ACCEPTED, REJECTED, TRY_AGAIN, CONFLICT])
def test_a_late_reply_counts_while_the_outcome_is_unknown(reply: PutReply) -> None:
    unknown = sent(State.UNKNOWN)
    assert after_late_reply(unknown, 1, reply, SOON) == after_reply(unknown, reply, SOON)


def test_a_late_reply_corrects_not_started_and_never_sends_again() -> None:
    not_started = sent(State.NOT_STARTED)
    for reply, state in ((ACCEPTED, State.ACCEPTED), (REJECTED, State.NOT_STARTED)):
        late = after_late_reply(not_started, 1, reply, SOON)
        assert late is not None
        assert late.request.state is state
    for reply in (TRY_AGAIN, CONFLICT):
        assert after_late_reply(not_started, 1, reply, SOON) is None


def test_a_late_reply_changes_nothing_once_the_request_has_moved_on() -> None:
    for state in set(State) - {State.UNKNOWN, State.NOT_STARTED}:
        assert after_late_reply(sent(state), 1, ACCEPTED, SOON) is None
    for state in State:
        assert after_late_reply(sent(state), 1, UNANSWERED, SOON) is None
        assert after_late_reply(sent(state, number=2), 1, ACCEPTED, SOON) is None
