"""The next step of a request and when it is due, from the stored request and the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.request import Attempt, LastSeen, Pause, State
from bot.domain.schedule import Step, due_at, next_step, reminders_at
from bot.domain.start_time import voting_ends
from tests.support.values import HALF, NOON, request

LATER = NOON + timedelta(hours=1)
AFTER_EXPIRY = NOON + timedelta(hours=9)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (State.SENDING, Step.SETTLE),
        (State.UNKNOWN, Step.SETTLE),
        (State.ACCEPTED, Step.FOLLOW),
        (State.MOVING, Step.FOLLOW),
        (State.APPROVED, Step.SEND),
        (State.PENDING, None),
        (State.NOT_STARTED, None),
    ],
)
def test_each_open_state_has_its_next_step(state: State, step: Step | None) -> None:
    assert next_step(request(state), LATER) is step


def test_a_request_that_waits_for_people_ends_at_its_expiry() -> None:
    assert next_step(request(State.PENDING), AFTER_EXPIRY) is Step.EXPIRE
    assert next_step(request(State.NOT_STARTED), AFTER_EXPIRY) is Step.EXPIRE_APPROVAL
    assert next_step(request(State.APPROVED), AFTER_EXPIRY) is Step.EXPIRE_APPROVAL
    reminded = request(State.PENDING, reminders=2)
    for waiting, at_expiry, before_expiry in (
        (reminded, Step.EXPIRE, None),
        (request(State.NOT_STARTED), Step.EXPIRE_APPROVAL, None),
        (request(State.APPROVED), Step.EXPIRE_APPROVAL, Step.SEND),
    ):
        assert next_step(waiting, waiting.expires_at) is at_expiry
        assert next_step(waiting, waiting.expires_at - SECOND) is before_expiry


def test_a_request_that_has_ended_is_never_due() -> None:
    for state in (
        State.DONE,
        State.FAILED,
        State.DENIED,
        State.CANCELLED,
        State.EXPIRED,
        State.VOID,
        State.APPROVAL_EXPIRED,
    ):
        assert due_at(request(state)) is None
        assert next_step(request(state), AFTER_EXPIRY) is None


def test_an_approved_request_waits_for_its_start_time_and_for_the_retry_delay() -> None:
    attempt = Attempt(1, "UCAROL00", NOON)
    waiting = request(State.APPROVED, attempt=attempt, start_at=LATER)
    assert next_step(waiting, LATER - timedelta(seconds=1)) is None
    assert next_step(waiting, LATER) is Step.SEND
    delayed = request(State.APPROVED, attempt=replace(attempt, not_before=LATER))
    assert next_step(delayed, LATER - timedelta(seconds=1)) is None


def test_an_approval_is_valid_until_an_hour_after_a_start_that_is_after_the_vote() -> None:
    attempt, start = Attempt(1, "UCAROL00", NOON), NOON + timedelta(hours=12)
    pending = request(start_at=start, reminders=2)
    waiting = request(State.APPROVED, attempt=attempt, start_at=start)
    not_started = request(State.NOT_STARTED, start_at=start)
    end = start + timedelta(hours=1)
    assert next_step(pending, pending.expires_at) is Step.EXPIRE
    assert next_step(waiting, waiting.expires_at) is None
    assert next_step(waiting, start) is next_step(waiting, end - SECOND) is Step.SEND
    assert next_step(waiting, end) is Step.EXPIRE_APPROVAL
    assert next_step(not_started, end - SECOND) is None
    assert next_step(not_started, end) is Step.EXPIRE_APPROVAL


def test_a_request_approved_after_its_start_time_is_sent_at_once() -> None:
    decided_at = LATER + timedelta(minutes=30)
    late = request(State.APPROVED, attempt=Attempt(1, "UCAROL00", decided_at), start_at=LATER)
    assert next_step(late, decided_at) is Step.SEND


@pytest.mark.parametrize("hours_to_start", [1, 12])
def test_reminders_come_before_the_voting_ends_whatever_the_start_time(hours_to_start: int) -> None:
    start = NOON + timedelta(hours=hours_to_start)
    pending = request(start_at=start, expires_at=voting_ends(NOON, timedelta(hours=8), start))
    assert NOON < reminders_at(pending)[0] < reminders_at(pending)[1] < pending.expires_at


def test_a_moving_group_is_read_every_40_seconds_without_sweeps_and_an_accepted_one_every_three() -> None:
    assert due_at(request(State.MOVING)) == NOON + timedelta(seconds=40)
    assert due_at(request(State.ACCEPTED)) == NOON + timedelta(seconds=3)
    seen_at = NOON + timedelta(minutes=1)
    after_a_minute = request(State.ACCEPTED, last_seen=LastSeen(seen_at, HALF))
    assert due_at(after_a_minute) == seen_at + timedelta(seconds=40)
    read_before_the_answer = request(State.MOVING, last_seen=LastSeen(NOON - timedelta(minutes=1), HALF))
    assert due_at(read_before_the_answer) == NOON + timedelta(seconds=40)


def test_after_a_call_without_an_answer_the_group_is_read_at_once_and_then_every_three_seconds() -> None:
    for state in (State.SENDING, State.UNKNOWN):
        assert due_at(request(state, last_seen=None)) == NOON
        assert due_at(request(state, last_seen=LastSeen(LATER, HALF))) == LATER + timedelta(seconds=3)


def test_a_pause_is_sent_at_once_and_then_the_group_is_read() -> None:
    pause = Pause("UCAROL00", LATER, State.MOVING)
    assert next_step(request(State.PAUSING, pause=pause), LATER - SECOND) is None
    assert next_step(request(State.PAUSING, pause=pause), LATER) is Step.PAUSE
    sent = request(State.PAUSING, pause=replace(pause, sent_at=LATER))
    assert next_step(sent, LATER + 2 * SECOND) is None
    assert next_step(sent, LATER + 3 * SECOND) is Step.FOLLOW


def test_people_are_reminded_at_half_time_and_once_more_before_the_expiry() -> None:
    pending = request()
    half, last = reminders_at(pending)
    assert (half, last) == (NOON + timedelta(hours=4), NOON + timedelta(hours=7, minutes=30))
    assert due_at(pending) == half
    assert next_step(pending, half - timedelta(seconds=1)) is None
    assert next_step(pending, half) is Step.REMIND
    once, twice = replace(pending, reminders=1), replace(pending, reminders=2)
    assert next_step(once, last - timedelta(seconds=1)) is None
    assert next_step(once, last) is Step.REMIND
    assert due_at(twice) == pending.expires_at
    assert next_step(pending, AFTER_EXPIRY) is Step.EXPIRE, "after the expiry nobody is reminded"


@pytest.mark.parametrize(("minutes", "minutes_left"), [(20, None), (21, 5), (60, 7.5), (24 * 60, 30)])
def test_the_last_reminder_leaves_time_to_act_and_a_short_request_gets_none(
    minutes: int, minutes_left: float | None
) -> None:
    short = request(expires_at=NOON + timedelta(minutes=minutes))
    times = reminders_at(short)
    if minutes_left is None:
        assert times == ()
        assert due_at(short) == short.expires_at
    else:
        assert short.expires_at - times[1] == timedelta(minutes=minutes_left)
        assert times[0] < times[1]
