"""What comes next follows from the row and the clock alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.request import Attempt, LastSeen, Pause, State
from bot.domain.schedule import Step, due_at, next_step, reminders_at
from tests.support.values import HALF, NOON, request

LATER = NOON + timedelta(hours=1)
TOO_LATE = NOON + timedelta(hours=9)
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
def test_each_open_state_has_its_step(state: State, step: Step | None) -> None:
    assert next_step(request(state), LATER) is step


def test_what_waits_for_people_ends_when_its_time_is_over() -> None:
    assert next_step(request(State.PENDING), TOO_LATE) is Step.EXPIRE
    assert next_step(request(State.NOT_STARTED), TOO_LATE) is Step.EXPIRE_APPROVAL
    assert next_step(request(State.APPROVED), TOO_LATE) is Step.EXPIRE_APPROVAL
    reminded = request(State.PENDING, reminders=2)
    for state, ends, before in (
        (reminded, Step.EXPIRE, None),
        (request(State.NOT_STARTED), Step.EXPIRE_APPROVAL, None),
        (request(State.APPROVED), Step.EXPIRE_APPROVAL, Step.SEND),
    ):
        assert next_step(state, state.expires_at) is ends, "at that very moment"
        assert next_step(state, state.expires_at - SECOND) is before


def test_what_has_ended_is_never_due() -> None:
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
        assert next_step(request(state), TOO_LATE) is None


def test_an_approved_request_waits_for_its_own_time_and_for_its_back_off() -> None:
    attempt = Attempt(1, "UCAROL00", NOON)
    waiting = request(State.APPROVED, attempt=attempt, start_at=LATER)
    assert next_step(waiting, LATER - timedelta(seconds=1)) is None
    assert next_step(waiting, LATER) is Step.SEND
    backed_off = request(State.APPROVED, attempt=replace(attempt, not_before=LATER))
    assert next_step(backed_off, LATER - timedelta(seconds=1)) is None


def test_a_moving_group_is_looked_at_every_ten_seconds_and_an_accepted_one_every_three() -> None:
    assert due_at(request(State.MOVING)) == NOON + timedelta(seconds=10)
    assert due_at(request(State.ACCEPTED)) == NOON + timedelta(seconds=3)
    seen_at = NOON + timedelta(minutes=1)
    still = request(State.ACCEPTED, last_seen=LastSeen(seen_at, HALF))
    assert due_at(still) == seen_at + timedelta(seconds=10), "a minute later it is as any other"
    looked_at_before = request(State.MOVING, last_seen=LastSeen(NOON - timedelta(minutes=1), HALF))
    assert due_at(looked_at_before) == NOON + timedelta(seconds=10)


def test_what_a_call_did_is_looked_at_at_once_and_then_every_three_seconds() -> None:
    for state in (State.SENDING, State.UNKNOWN):
        assert due_at(request(state, last_seen=None)) == NOON
        assert due_at(request(state, last_seen=LastSeen(LATER, HALF))) == LATER + timedelta(seconds=3)


def test_a_pause_is_sent_at_once_and_looked_at_from_then_on() -> None:
    wanted = Pause("UCAROL00", LATER, State.MOVING)
    assert next_step(request(State.PAUSING, pause=wanted), LATER - SECOND) is None
    assert next_step(request(State.PAUSING, pause=wanted), LATER) is Step.PAUSE
    sent = request(State.PAUSING, pause=replace(wanted, sent_at=LATER))
    assert next_step(sent, LATER + 2 * SECOND) is None
    assert next_step(sent, LATER + 3 * SECOND) is Step.FOLLOW


def test_people_are_reminded_at_half_time_and_shortly_before_the_end_and_no_more() -> None:
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
    assert next_step(pending, TOO_LATE) is Step.EXPIRE, "who slept through both ends it and reminds nobody"


@pytest.mark.parametrize(("minutes", "before_the_end"), [(20, None), (21, 5), (60, 7.5), (24 * 60, 30)])
def test_the_last_reminder_leaves_time_to_act_and_a_short_request_has_none(
    minutes: int, before_the_end: float | None
) -> None:
    short = request(expires_at=NOON + timedelta(minutes=minutes))
    times = reminders_at(short)
    if before_the_end is None:
        assert times == ()
        assert due_at(short) == short.expires_at
    else:
        assert short.expires_at - times[1] == timedelta(minutes=before_the_end)
        assert times[0] < times[1]
