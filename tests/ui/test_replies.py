"""What a card and its thread say besides, each where it is so and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.request import Attempt, Decision, LastSeen, Pause, Problem, Request, State, Verb
from bot.domain.task_group import GroupStatus, Progress, Scope, status_name
from bot.ui.card import card
from bot.ui.formatting import approvals_needed, escape_mrkdwn, local_time
from bot.ui.replies import already_open_by_you, request_created, thread_line
from bot.ui.status import headline
from tests.support.sandbox import _texts
from tests.support.values import GROUP, HALF, NOON, request

LATER = NOON + timedelta(hours=1)
ODD = Problem("OMS", "OMS.0057", "Its own words.", "OMS failed. Nothing was started.", "Wait.", None, "F-1", "OMS")
FAILED_PAUSE = Pause("UCAROL00", NOON, State.MOVING, NOON, Problem("OMS", "OMS.0072", "", "It may not.", "Grant it."))
FIRST = Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=HALF)
SOME_FAILED = replace(HALF, skipped_objects=50, failed_objects=7, speed_bytes_per_second=100_000_000)


def whole(made: Request) -> str:
    """All that the card says, a line for each text."""
    return "\n".join(_texts(list(card(made).blocks)))


COSTLY = request(group=replace(GROUP, restores_archives=True))
TRIED = request(State.NOT_STARTED, attempt=replace(FIRST, number=2))
NOT_SENT = request(State.APPROVED, attempt=Attempt(1, "UCAROL00", NOON, tries=1), problem=ODD)
CHOICE = request(
    verb=Verb.RETRY,
    scope=Scope.FAILED_OBJECTS,
    group=replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True),
)


@pytest.mark.parametrize(
    ("made", "words", "other", "not_there"),
    [
        (request(), "1,000 objects · paused", request(State.MOVING), "paused"),
        (
            request(State.MOVING, last_seen=LastSeen(NOON, SOME_FAILED)),
            "7 of them failed",
            request(State.MOVING),
            "failed",
        ),
        (request(start_at=LATER), "not at once", request(), "not at once"),
        (request(start_at=LATER), "At the time on the card, the bot reads", request(), "At the time"),
        (request(State.APPROVED, start_at=LATER), "starts <!date^", request(State.APPROVED), "starts"),
        (request(State.APPROVED, start_at=LATER), "Cancel it", request(State.APPROVED), "Cancel"),
        (
            request(State.MOVING, pause=FAILED_PAUSE),
            "Not paused:",
            request(State.DONE, pause=FAILED_PAUSE),
            "Not paused",
        ),
        (request(State.MOVING), "updated", request(State.MOVING, pause=FAILED_PAUSE), "pausing by"),
        (request(State.NOT_STARTED), "The approval holds until", request(State.FAILED), "The approval holds"),
        (TRIED, "tried 2 times", request(State.NOT_STARTED), "tried"),
        (request(State.DONE), "took 1 s", request(State.MOVING), "took"),
        (request(State.UNKNOWN, problem=ODD), "OMS.0057: OMS failed.", request(State.UNKNOWN), "OMS.0057"),
        (request(State.UNKNOWN, problem=ODD), "reference `F-1`", request(State.FAILED), "reference"),
        (request(State.UNKNOWN, problem=ODD), "OMS said: Its own words.", request(State.UNKNOWN), "said"),
        (request(State.CANCELLED), "cancelled by <@UCAROL00>", request(State.DENIED), "cancelled"),
        (COSTLY, "Resuming repeats the archive restores at the source", request(), "archive restores"),
        (replace(COSTLY, state=State.MOVING, attempt=FIRST), "Later, resuming repeats", request(State.MOVING), "Later"),
        (CHOICE, "Retries only the failed objects. ", replace(CHOICE, scope=Scope.ALL_OBJECTS), "Retries only"),
        (CHOICE, "Those that OMS has on its list", replace(CHOICE, group=GROUP), "Those that OMS has"),
    ],
)
def test_a_card_says_what_is_so_and_not_what_is_not(made: Request, words: str, other: Request, not_there: str) -> None:
    assert words in whole(made)
    assert not_there not in whole(other)


def test_the_sentence_of_a_card_warns_too() -> None:
    assert " Warning: resuming repeats the archive restores" in card(COSTLY).text
    assert "Warning" not in card(request()).text


def test_the_choice_that_stands_is_the_one_that_was_made() -> None:
    [radio] = [e for b in card(CHOICE).blocks if b["type"] == "actions" for e in b["elements"] if "options" in e]
    assert radio["initial_option"]["value"] == Scope.FAILED_OBJECTS.value


def test_words_that_the_meaning_has_already_are_not_said_twice() -> None:
    same = replace(ODD, message="OMS failed.")
    assert whole(request(State.UNKNOWN, problem=same)).count("OMS failed") == 1


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (NOT_SENT, "Approved, not started yet, trying again: nightly images"),
        (request(State.APPROVED, start_at=LATER), "Approved, waits for its time: nightly images"),
        (request(State.APPROVED), "Approved, resuming: nightly images"),
        (request(State.VOID), "Void, the settings have changed: nightly images"),
        (request(State.VOID, problem=ODD), "Void, the group has changed since it was asked: nightly images"),
        (request(State.MOVING), "Resumed, moving: nightly images"),
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
        (request(State.NOT_STARTED, problem=ODD), "Not resumed: OMS.0057, OMS failed"),
        (request(State.NOT_STARTED), "Not resumed: OMS.0072, it may not"),
    ],
)
def test_the_headline_says_no_more_than_is_known(made: Request, line: str) -> None:
    assert headline(made) == line


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (NOT_SENT, "Not sent yet: OMS failed. Nothing was started. The bot tries again by itself."),
        (replace(NOT_SENT, problem=None), None),  # sent again: nothing has turned
        (request(State.APPROVED, attempt=replace(FIRST, number=2)), "Retry by <@UCAROL00>."),
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
            request(State.PAUSED_AGAIN, problem=None, pause=replace(FAILED_PAUSE, failure=None)),
            "<@UALICE00>: paused by <@UCAROL00>. To go on, press Ask again.",
        ),
    ],
)
def test_the_thread_says_how_things_turned(made: Request, line: str | None) -> None:
    assert thread_line(made) == line


def test_what_was_asked_says_of_which_group_and_when_it_starts() -> None:
    text = "Asked. <@UCAROL00> may approve. Request R-00000001: nightly images, group `"
    assert request_created(request(), None) == f"{text}{GROUP.group_id}`."
    assert f"It starts {local_time(LATER)}, not at once. Request " in request_created(request(start_at=LATER), None)
    unnamed = request(group=replace(GROUP, description=" "))
    assert request_created(unnamed, None).endswith(f"Request R-00000001: group `{GROUP.group_id}`.")


def test_only_what_is_not_decided_can_be_asked_for_otherwise() -> None:
    assert "cancel that request first" in already_open_by_you(request(), None)
    assert "cancel" not in already_open_by_you(request(State.MOVING), None)


def test_small_words() -> None:
    assert escape_mrkdwn("`a` " + "x" * 10, 8) == "\u02cba\u02cb xxx…"
    assert escape_mrkdwn("x" * 8, 8) == "x" * 8
    assert approvals_needed((("UA",), ("SB",))) == "1 of <@UA>; and 1 of <!subteam^SB>"
    assert approvals_needed((("UA", "UB"),) * 2) == "2 of <@UA>, <@UB>"
    assert status_name(GroupStatus.MONITORING) == "running"
    assert status_name(GroupStatus.WAITING_FOR_DELETION) == "waiting for deletion"
    assert Progress(success_objects=1, skipped_objects=2, failed_objects=3).handled_objects == 6
