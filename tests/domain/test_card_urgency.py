"""How urgent a change of a card is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.announcements import Announced
from bot.domain.card_urgency import Urgency, card_urgency
from bot.domain.failure_causes import FailureCauses
from bot.domain.request import LastSeen, Problem, State
from bot.domain.watched_group import Trouble
from tests.support.values import HALF, NOON, request


@pytest.mark.parametrize(
    ("old", "new", "urgency"),
    [
        (State.PENDING, State.APPROVED, Urgency.BUTTONS),
        (State.PENDING, State.DENIED, Urgency.BUTTONS),
        (State.PENDING, State.CANCELLED, Urgency.BUTTONS),
        (State.PENDING, State.EXPIRED, Urgency.BUTTONS),
        (State.PENDING, State.VOID, Urgency.BUTTONS),
        (State.PENDING, State.PENDING, Urgency.BUTTONS),
        (State.NOT_STARTED, State.APPROVED, Urgency.BUTTONS),
        (State.NOT_STARTED, State.APPROVAL_EXPIRED, Urgency.BUTTONS),
        (State.APPROVED, State.SENDING, Urgency.BUTTONS),
        (State.APPROVED, State.CANCELLED, Urgency.BUTTONS),
        (State.MOVING, State.PAUSING, Urgency.BUTTONS),
        (State.APPROVED, State.NOT_STARTED, Urgency.FAILURE),
        (State.SENDING, State.NOT_STARTED, Urgency.FAILURE),
        (State.MOVING, State.FAILED, Urgency.FAILURE),
        (State.MOVING, State.DONE, Urgency.END),
        (State.PAUSING, State.PAUSED_AGAIN, Urgency.END),
        (State.ACCEPTED, State.NOT_FOLLOWED, Urgency.END),
        (State.SENDING, State.ACCEPTED, Urgency.STATE),
        (State.SENDING, State.UNKNOWN, Urgency.STATE),
        (State.ACCEPTED, State.MOVING, Urgency.STATE),
        (State.PAUSING, State.MOVING, Urgency.STATE),
        (State.ACCEPTED, State.ACCEPTED, Urgency.PROGRESS),
        (State.MOVING, State.MOVING, Urgency.PROGRESS),
        (State.APPROVED, State.APPROVED, Urgency.PROGRESS),
    ],
)
def test_the_urgency_follows_from_both_states(old: State, new: State, urgency: Urgency) -> None:
    assert card_urgency(request(old), request(new)) is urgency


def test_another_problem_is_more_urgent_than_progress() -> None:
    moving = request(State.MOVING)
    moved = replace(moving, last_seen=LastSeen(NOON + timedelta(seconds=10), replace(HALF, complete_bytes=5)))
    assert card_urgency(moving, moved) is Urgency.PROGRESS
    unread = replace(moving, problem=Problem("OMS", "503", "words", "The group can't be read.", ""))
    assert card_urgency(moving, unread) is Urgency.STATE
    assert card_urgency(unread, moved) is Urgency.STATE


@pytest.mark.parametrize(
    ("old", "new", "urgency"),
    [
        (None, Trouble.STALLED, Urgency.FAILURE),
        (Trouble.SLOW, Trouble.STALLED, Urgency.FAILURE),
        (Trouble.STALLED, Trouble.STALLED, Urgency.PROGRESS),
        (Trouble.STALLED, None, Urgency.STATE),
        (None, Trouble.SLOW, Urgency.STATE),
        (Trouble.SLOW, None, Urgency.STATE),
    ],
)
def test_a_stall_is_as_urgent_as_a_failure(old: Trouble | None, new: Trouble | None, urgency: Urgency) -> None:
    assert (
        card_urgency(request(State.MOVING, announced=Announced(old)), request(State.MOVING, announced=Announced(new)))
        is urgency
    )


def test_a_milestone_makes_a_card_no_more_urgent() -> None:
    assert (
        card_urgency(request(State.MOVING), request(State.MOVING, announced=Announced(milestone=25)))
        is Urgency.PROGRESS
    )


def test_the_causes_of_failures_are_more_urgent_than_progress() -> None:
    moving = request(State.MOVING)
    assert card_urgency(moving, replace(moving, failure_causes=FailureCauses(NOON, 3))) is Urgency.STATE
