"""The table of texts and buttons per state is complete, and each row says only what is known in its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.request import Attempt, Decision, LastSeen, Pause, Problem, Request, State
from bot.ui.card import card
from bot.ui.states import STATES, headline
from bot.ui.thread import thread_line
from tests.support.blocks import elements
from tests.support.values import HALF, NOON, request

LATER = NOON + timedelta(hours=1)
PROBLEM = Problem("OMS", "OMS.0057", "Its own words.", "OMS failed. Nothing was started.", "Wait.", None, "F-1", "OMS")
FIRST_ATTEMPT = Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=HALF)
NOT_SENT = request(State.APPROVED, attempt=Attempt(1, "UCAROL00", NOON, tries=1), problem=PROBLEM)
SOME_FAILED = replace(HALF, skipped_objects=50, failed_objects=7, speed_bytes_per_second=100_000_000)


def test_every_state_has_a_row() -> None:
    assert list(STATES) == list(State)


@pytest.mark.parametrize("state", list(State))
def test_a_card_has_the_buttons_that_its_state_allows(state: State) -> None:
    found = elements(card(request(state)))
    expected = {
        State.PENDING: ["approve", "deny", "cancel"],
        State.NOT_STARTED: ["retry", "cancel"],
        State.ACCEPTED: ["pause"],
        State.MOVING: ["pause"],
        State.FAILED: ["request"],
        State.PAUSED_AGAIN: ["request"],
        State.APPROVAL_EXPIRED: ["request"],
        State.CANCELLED: ["request"],
        State.EXPIRED: ["request"],
        State.VOID: ["request"],
    }
    assert [element["action_id"] for element in found] == expected.get(state, [])
    assert all(element["value"] == "R-00000001" for element in found)


def test_an_approved_request_can_be_cancelled_while_it_waits() -> None:
    problem = Problem("OMS", "HTTP 429", "", "OMS asks to slow down. Nothing was started.", "Wait a minute.")
    for waiting in (request(State.APPROVED, start_at=NOON), request(State.APPROVED, problem=problem)):
        assert [element["action_id"] for element in elements(card(waiting))] == ["cancel"]
    assert elements(card(request(State.APPROVED))) == []


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (NOT_SENT, "Approved, not started yet, trying again: nightly images"),
        (request(State.APPROVED, start_at=LATER), "Approved, waits for its time: nightly images"),
        (request(State.APPROVED), "Approved, resuming: nightly images"),
        (request(State.VOID), "Void, the settings have changed: nightly images"),
        (request(State.VOID, problem=PROBLEM), "Void, the group has changed since it was asked: nightly images"),
        (request(State.MOVING), "Resumed, moving: nightly images"),
        (request(State.MOVING, problem=PROBLEM), "Resumed, cannot be seen just now: nightly images"),
        (request(State.MOVING, started_elsewhere=True), "Resumed by somebody else, moving: nightly images"),
        (
            request(State.MOVING, last_seen=LastSeen(NOON, SOME_FAILED)),
            "Resumed, moving at 100 MB/s, about 1 min left: nightly images",
        ),
        (request(State.DONE), "Done: nightly images, 400 objects, 4.0 GB"),
        (
            request(State.DONE, last_seen=LastSeen(NOON, SOME_FAILED)),
            "Done: nightly images, 450 objects, 4.0 GB, 7 objects failed",
        ),
        (request(State.NOT_STARTED, problem=PROBLEM), "Not resumed: OMS.0057, OMS failed"),
        (request(State.NOT_STARTED), "Not resumed: OMS.0072, it may not"),
    ],
)
def test_a_headline_says_what_is_known(made: Request, line: str) -> None:
    assert headline(made) == line


@pytest.mark.parametrize(
    "state",
    [
        State.DENIED,
        State.CANCELLED,
        State.EXPIRED,
        State.APPROVAL_EXPIRED,
        State.VOID,
        State.DONE,
        State.FAILED,
        State.PAUSED_AGAIN,
        State.NOT_FOLLOWED,
    ],
)
def test_every_end_is_posted_to_the_thread(state: State) -> None:
    assert not request(state).is_open
    assert thread_line(request(state))


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (NOT_SENT, "Not sent yet: OMS failed. Nothing was started. The bot tries again by itself."),
        (replace(NOT_SENT, problem=None), None),  # the next try of the same attempt
        (request(State.APPROVED, attempt=replace(FIRST_ATTEMPT, number=2)), "Retry by <@UCAROL00>."),
        (request(State.APPROVED), "Approved by <@UCAROL00>."),
        (
            request(State.APPROVED, decision=Decision(("UALICE00",), NOON)),
            "Approved by <@UALICE00>. Break-glass: approved by whoever asked.",
        ),
        (
            request(State.ACCEPTED, started_elsewhere=True),
            "Already resumed by somebody else, nothing has moved yet: nightly images. This bot started nothing.",
        ),
        (request(State.ACCEPTED), "Accepted by OMS. Nothing has moved yet."),
        (
            request(State.PAUSED_AGAIN, problem=None),
            "<@UALICE00>: paused, not by this bot. To go on, press Ask again.",
        ),
        (
            request(State.PAUSED_AGAIN, problem=None, pause=Pause("UCAROL00", NOON, State.MOVING, NOON)),
            "<@UALICE00>: paused by <@UCAROL00>. To go on, press Ask again.",
        ),
    ],
)
def test_a_thread_line_says_what_changed(made: Request, line: str | None) -> None:
    assert thread_line(made) == line
