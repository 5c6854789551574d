"""The table of texts and buttons per state is complete, and each row says only what is known in its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.outcome import GroupProblem
from bot.domain.request import Attempt, Decision, LastSeen, Pause, Problem, Request, State, Verb
from bot.domain.task_group import GroupStatus, Progress
from bot.domain.watched_group import Activity, Movement
from bot.ui.card import card
from bot.ui.formatting import local_time
from bot.ui.problem_texts import group_problem
from bot.ui.states import STATES, headline
from bot.ui.thread import thread_line
from tests.support.blocks import elements
from tests.support.values import GROUP, HALF, NOON, request

LATER = NOON + timedelta(hours=1)
PROBLEM = Problem("OMS", "OMS.0057", "Its own words.", "OMS failed. Nothing was started.", "Wait.", None, "F-1", "OMS")
FIRST_ATTEMPT = Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=HALF)
NOT_SENT = request(State.APPROVED, attempt=Attempt(1, "UCAROL00", NOON, tries=1), problem=PROBLEM)
SECOND_ATTEMPT = replace(FIRST_ATTEMPT, number=2, opened_at=LATER)
ALL_MOVED = Progress(10_000_000_000, 10_000_000_000, 1000, 963, failed_objects=37)
SOME_FAILED = replace(HALF, skipped_objects=50, failed_objects=7, speed_bytes_per_second=100_000_000)


def watched(activity: Activity, state: State = State.MOVING) -> Request:
    """A request whose group stands still since noon, an hour later."""
    return request(state, last_seen=LastSeen(LATER, HALF, Movement(activity, still_since=NOON)))


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
        (NOT_SENT, 'Approved, not started yet: "nightly images"'),
        (request(State.APPROVED, start_at=LATER), 'Approved, scheduled: "nightly images"'),
        (request(State.APPROVED), 'Approved, resuming "nightly images"'),
        (request(State.VOID), 'Void, the settings changed: "nightly images"'),
        (request(State.VOID, problem=PROBLEM), 'Void, the group changed: "nightly images"'),
        (request(State.MOVING), 'Resumed, moving: "nightly images"'),
        (request(State.MOVING, problem=PROBLEM), 'Resumed, progress can\'t be read right now: "nightly images"'),
        (request(State.MOVING, started_elsewhere=True), 'Resumed by someone else, moving: "nightly images"'),
        (
            request(State.MOVING, last_seen=LastSeen(NOON, SOME_FAILED)),
            'Resumed, moving at 100 MB/s, about 1 min left: "nightly images"',
        ),
        (watched(Activity.STALLED), 'Stalled for 1 h: "nightly images"'),
        (watched(Activity.STALLED, State.ACCEPTED), 'Stalled for 1 h: "nightly images"'),
        (watched(Activity.QUEUED), 'Resumed, waiting in OMS\'s queue: "nightly images"'),
        (watched(Activity.LISTING, State.ACCEPTED), 'Accepted by OMS, OMS is listing the source: "nightly images"'),
        (watched(Activity.MOVING, State.ACCEPTED), 'Accepted by OMS, nothing has moved yet: "nightly images"'),
        (
            replace(watched(Activity.QUEUED, State.ACCEPTED), started_elsewhere=True),
            'Already resumed by someone else, waiting in OMS\'s queue: "nightly images"',
        ),
        (
            replace(watched(Activity.STALLED), problem=PROBLEM),
            'Resumed, progress can\'t be read right now: "nightly images"',
        ),
        (request(State.DONE), '"nightly images" is done: 400 of 1,000 objects'),
        (
            request(State.DONE, last_seen=LastSeen(NOON, SOME_FAILED)),
            '"nightly images" is done: 450 of 1,000 objects, 7 failed',
        ),
        (request(State.NOT_STARTED), 'Not resumed: "nightly images"'),
        (request(State.UNKNOWN), 'Checking whether "nightly images" was resumed'),
        (request(), 'Resume "nightly images"'),
        (request(verb=Verb.RETRY), 'Retry "nightly images"'),
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
        (
            NOT_SENT,
            '<@UALICE00>, "nightly images" isn\'t started yet. OMS failed. Nothing was started. '
            f"The bot retries automatically until {local_time(NOT_SENT.approval_valid_until)}.",
        ),
        (replace(NOT_SENT, problem=None), None),  # the next try of the same attempt
        (request(State.APPROVED, attempt=SECOND_ATTEMPT), "<@UCAROL00> pressed Retry."),
        (request(State.APPROVED), "Approved by <@UCAROL00>."),
        (
            request(State.APPROVED, decision=Decision(("UALICE00",), NOON)),
            "Approved by <@UALICE00>. Break-glass: <@UALICE00> approved their own request.",
        ),
        (
            request(State.ACCEPTED, started_elsewhere=True),
            "Someone else (outside this bot) already resumed the group. This bot started nothing.",
        ),
        (request(State.ACCEPTED), "OMS accepted the call. Nothing has moved yet."),
        (
            request(State.PAUSED_AGAIN, problem=None),
            '<@UALICE00>, "nightly images" was paused outside this bot. To continue, press Request again.',
        ),
        (
            request(State.PAUSED_AGAIN, problem=None, pause=Pause("UCAROL00", NOON, State.MOVING, NOON)),
            '<@UALICE00>, "nightly images" was paused by <@UCAROL00>. To continue, press Request again.',
        ),
    ],
)
def test_a_thread_line_says_what_changed(made: Request, line: str | None) -> None:
    assert thread_line(made) == line


@pytest.mark.parametrize("state", list(State))
def test_every_headline_names_the_group_even_if_its_description_is_long(state: State) -> None:
    for made in (request(state), request(state, group=replace(GROUP, description="x" * 500))):
        name = '"nightly images"' if made.group is GROUP else f'"{"x" * 77}…"'
        assert name in card(made).blocks[0]["text"]["text"]


@pytest.mark.parametrize("activity", list(Activity))
@pytest.mark.parametrize("state", [State.ACCEPTED, State.MOVING])
def test_the_headline_of_a_running_group_fits_with_the_longest_name(state: State, activity: Activity) -> None:
    running = replace(watched(activity, state), started_elsewhere=True, group=replace(GROUP, description="x" * 500))
    assert f'"{"x" * 77}…"' in card(running).blocks[0]["text"]["text"]


@pytest.mark.parametrize("state", list(State))
def test_a_card_has_one_primary_button_at_most(state: State) -> None:
    assert [element.get("style") for element in elements(card(request(state)))].count("primary") <= 1


@pytest.mark.parametrize(
    "state", [State.DONE, State.FAILED, State.PAUSED_AGAIN, State.APPROVAL_EXPIRED, State.EXPIRED, State.VOID]
)
def test_an_end_that_the_requester_did_not_cause_mentions_them_in_the_thread(state: State) -> None:
    assert (thread_line(request(state)) or "").startswith("<@UALICE00>, ")


def test_the_line_at_the_end_says_how_many_objects_were_migrated() -> None:
    done = request(State.DONE, ended_at=NOON + timedelta(seconds=43), last_seen=LastSeen(NOON, ALL_MOVED))
    assert thread_line(done) == '<@UALICE00>, "nightly images" is done: 963 of 1,000 objects, 37 failed.'


def test_a_request_approved_after_its_start_time_is_not_called_scheduled() -> None:
    late = request(State.APPROVED, start_at=NOON, attempt=Attempt(1, "UCAROL00", NOON + timedelta(hours=1)))
    assert headline(late) == 'Approved, resuming "nightly images"'
    assert "It starts" not in (thread_line(late) or "")


@pytest.mark.parametrize("status", [GroupStatus.WAITING_FOR_DELETION, GroupStatus.DELETED])
def test_a_deleted_group_is_not_to_be_requested_again(status: GroupStatus) -> None:
    group = replace(GROUP, status=status)
    void = request(State.VOID, group=group, problem=group_problem(GroupProblem.OTHER_STATUS, group))
    assert "Request again" not in f"{card(void).blocks} {thread_line(void)}"
