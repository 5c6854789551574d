"""The card in every state: it has both ids, fits Slack's limits, and matches its request."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import slackblocks

from bot.domain.request import Attempt, Decision, LastSeen, Pause, Policy, Problem, Request, State, Verb, VoteProgress
from bot.domain.task_group import GroupStatus, Scope
from bot.sandbox.slack.checks import problems_of_blocks
from bot.ui.card import card
from tests.support.blocks import block_texts, elements
from tests.support.values import GROUP, GROUP_ID, HALF, NOON, request

LATER = NOON + timedelta(hours=1)
PROBLEM = Problem("OMS", "OMS.0057", "Its own words.", "OMS failed. Nothing was started.", "Wait.", None, "F-1", "OMS")
FAILED_PAUSE = Pause("UCAROL00", NOON, State.MOVING, NOON, Problem("OMS", "OMS.0072", "", "It may not.", "Grant it."))
FIRST_ATTEMPT = Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=HALF)
SOME_FAILED = replace(HALF, skipped_objects=50, failed_objects=7, speed_bytes_per_second=100_000_000)
COSTLY = request(group=replace(GROUP, restores_archives=True))
SECOND_ATTEMPT = request(State.NOT_STARTED, attempt=replace(FIRST_ATTEMPT, number=2))
WITH_CHOICE = request(
    verb=Verb.RETRY,
    scope=Scope.FAILED_OBJECTS,
    group=replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True),
)


def texts(made: Request) -> str:
    """Every text in the card's blocks."""
    return block_texts(card(made))


@pytest.mark.parametrize("state", list(State))
def test_the_card_of_every_state_fits_slacks_limits_and_has_both_ids(state: State) -> None:
    message = card(request(state))
    assert problems_of_blocks(list(message.blocks)) == []
    assert GROUP_ID in block_texts(message)
    assert "R-00000001" in block_texts(message)
    assert GROUP_ID in message.text, "notifications and screen readers use the text"
    assert len(message.text) <= 4000


def test_an_independent_library_accepts_the_texts_of_the_card() -> None:
    for block in card(request()).blocks:
        if block["type"] == "section" and "text" in block:
            slackblocks.SectionBlock(text=slackblocks.Text(block["text"]["text"]))
        if block["type"] == "header":
            slackblocks.HeaderBlock(text=block["text"]["text"])


@pytest.mark.parametrize(
    ("made", "words", "other", "absent"),
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
        (SECOND_ATTEMPT, "tried 2 times", request(State.NOT_STARTED), "tried"),
        (request(State.DONE), "took 1 s", request(State.MOVING), "took"),
        (request(State.EXPIRED), "expired <!date^", request(State.VOID), "expired"),
        (request(State.UNKNOWN, problem=PROBLEM), "OMS.0057: OMS failed.", request(State.UNKNOWN), "OMS.0057"),
        (request(State.UNKNOWN, problem=PROBLEM), "reference `F-1`", request(State.FAILED), "reference"),
        (request(State.UNKNOWN, problem=PROBLEM), "OMS said: Its own words.", request(State.UNKNOWN), "said"),
        (request(State.CANCELLED), "cancelled by <@UCAROL00>", request(State.DENIED), "cancelled"),
        (COSTLY, "Resuming repeats the archive restores at the source", request(), "archive restores"),
        (
            replace(COSTLY, state=State.MOVING, attempt=FIRST_ATTEMPT),
            "Later, resuming repeats",
            request(State.MOVING),
            "Later",
        ),
        (
            WITH_CHOICE,
            "Retries only the failed objects. ",
            replace(WITH_CHOICE, scope=Scope.ALL_OBJECTS),
            "Retries only",
        ),
        (WITH_CHOICE, "Those that OMS has on its list", replace(WITH_CHOICE, group=GROUP), "Those that OMS has"),
    ],
)
def test_a_card_has_the_text_for_its_request_and_other_cards_do_not(
    made: Request, words: str, other: Request, absent: str
) -> None:
    assert words in texts(made)
    assert absent not in texts(other)


def test_a_card_warns_of_side_effects() -> None:
    costly = request(group=replace(GROUP, restores_archives=True, overwrite_mode="FULL_OVERWRITE"))
    assert "archive restores" in texts(costly)
    assert "copied again and overwritten" in texts(costly)
    assert " Warning: resuming repeats the archive restores" in card(COSTLY).text
    assert "Warning" not in card(request()).text


def test_a_card_names_the_keys_and_says_which_were_not_checked() -> None:
    assert "v7 (ak, sk)" in texts(request())
    assert "(keys not checked)" in texts(request())


def test_the_chosen_scope_is_preselected() -> None:
    [radio] = [element for element in elements(card(WITH_CHOICE)) if "options" in element]
    assert radio["initial_option"]["value"] == Scope.FAILED_OBJECTS.value


def test_a_message_that_the_meaning_repeats_is_shown_once() -> None:
    same = replace(PROBLEM, message="OMS failed.")
    assert texts(request(State.UNKNOWN, problem=same)).count("OMS failed") == 1


def test_a_card_with_a_vote_names_the_open_slots_and_can_be_withdrawn() -> None:
    slots = (("UCAROL00", "SDBA0000"), ("UCAROL00", "SDBA0000"))
    waiting = request(policy=Policy(("*",), slots, False), vote_progress=VoteProgress(("UCAROL00",), (("SDBA0000",),)))
    message = card(waiting)
    assert problems_of_blocks(list(message.blocks)) == []
    assert "1 of <!subteam^SDBA0000> still missing; approved by <@UCAROL00>" in message.text
    assert "withdraw" in [element["action_id"] for element in elements(message)]
    without = card(replace(waiting, vote_progress=None))
    assert "withdraw" not in [element["action_id"] for element in elements(without)]


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_self_approval_is_marked_in_every_state_after_it(state: State) -> None:
    message = card(replace(request(state), decision=Decision(("UALICE00",), NOON)))
    for text in (message.text, block_texts(message)):
        assert "Break-glass: approved by whoever asked." in text
    assert "Break-glass" not in texts(request(state))


def test_a_self_approval_is_not_called_an_approval_while_others_are_missing() -> None:
    waiting = request(vote_progress=VoteProgress(("UALICE00",), (("UCAROL00",),)))
    assert "Break-glass: the approval of whoever asked counts, too." in card(waiting).text
    assert "approved by whoever asked" not in card(waiting).text


def test_a_requester_who_cancels_did_not_approve_and_the_approval_stays_on_the_card() -> None:
    approved = request(State.APPROVED)
    cancelled = replace(approved, ending=Decision(("UALICE00",), NOON)).with_state(State.CANCELLED, at=NOON)
    assert "Break-glass" not in card(cancelled).text
    assert "approved by <@UCAROL00>" in texts(cancelled)
    assert "cancelled by <@UALICE00>" in texts(cancelled)
