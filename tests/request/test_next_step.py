"""What comes next follows from the row and the clock alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.request.model import Attempt, State
from bot.request.next_step import Step, due_at, next_step
from tests.support.values import NOON, request

LATER = NOON + timedelta(hours=1)
TOO_LATE = NOON + timedelta(hours=9)


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (State.SENDING, Step.SETTLE),
        (State.UNKNOWN, Step.SETTLE),
        (State.ACCEPTED, Step.FOLLOW),
        (State.MOVING, Step.FOLLOW),
        (State.APPROVED, Step.RELEASE),
        (State.PENDING, None),
        (State.NOT_STARTED, None),
    ],
)
def test_each_open_state_has_its_step(state: State, step: Step | None) -> None:
    assert next_step(request(state), LATER) is step


def test_what_waits_for_people_ends_when_its_time_is_over() -> None:
    assert next_step(request(State.PENDING), TOO_LATE) is Step.EXPIRE
    assert next_step(request(State.NOT_STARTED), TOO_LATE) is Step.LAPSE
    assert next_step(request(State.APPROVED), TOO_LATE) is Step.LAPSE


def test_what_has_ended_is_never_due() -> None:
    for state in (State.DONE, State.FAILED, State.DENIED, State.CANCELLED, State.EXPIRED, State.VOID, State.LAPSED):
        assert due_at(request(state)) is None
        assert next_step(request(state), TOO_LATE) is None


def test_an_approved_request_waits_for_its_own_time_and_for_its_back_off() -> None:
    attempt = Attempt(1, "UCAROL00", NOON)
    waiting = request(State.APPROVED, attempt=attempt, start_at=LATER)
    assert next_step(waiting, LATER - timedelta(seconds=1)) is None
    assert next_step(waiting, LATER) is Step.RELEASE
    backed_off = request(State.APPROVED, attempt=replace(attempt, not_before=LATER))
    assert next_step(backed_off, LATER - timedelta(seconds=1)) is None


def test_a_moving_group_is_looked_at_every_ten_seconds_and_an_accepted_one_every_three() -> None:
    assert due_at(request(State.MOVING)) == NOON + timedelta(seconds=10)
    assert due_at(request(State.ACCEPTED)) == NOON + timedelta(seconds=3)
