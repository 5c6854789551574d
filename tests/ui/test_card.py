"""The card in every state: it has both ids, fits Slack's limits, and matches its request."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import slackblocks

from bot.domain.request import Attempt, Decision, LastSeen, Pause, Policy, Problem, Request, State, Verb, VoteProgress
from bot.domain.task_group import ErrorReason, GroupStatus, Scope, SubTasks
from bot.domain.watched_group import Activity, Movement
from bot.jobs.problems import failure_to_retry
from bot.sandbox.slack.checks import problems_of_blocks
from bot.ui.card import card
from bot.ui.formatting import local_time, local_time_with_seconds
from bot.ui.movement import RESTORING
from bot.ui.problem_texts import FAILED_WITHOUT_REASON, LOOK_IN_CONSOLE
from tests.support.blocks import block_texts, elements
from tests.support.values import GROUP, GROUP_ID, HALF, NOON, PLAN, request

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
        (request(), "1,000 objects · paused", request(State.MOVING), "· paused"),
        (
            request(State.MOVING, last_seen=LastSeen(NOON, SOME_FAILED)),
            "450 of 1,000 objects, 50 skipped, 7 failed",
            request(State.MOVING),
            "failed",
        ),
        (request(start_at=LATER), "*Starts*\n<!date^", request(), "*Starts*"),
        (request(start_at=LATER), "At the time on the card, the bot reads", request(), "At the time"),
        (request(State.APPROVED, start_at=LATER), "It starts <!date^", request(State.APPROVED), "starts"),
        (request(State.APPROVED, start_at=LATER), "Cancel request", request(State.APPROVED), "Cancel"),
        (
            request(State.MOVING, pause=FAILED_PAUSE),
            "Not paused:",
            request(State.DONE, pause=FAILED_PAUSE),
            "Not paused",
        ),
        (request(State.MOVING), "as of <!date^", request(State.MOVING, pause=FAILED_PAUSE), "pausing by"),
        (request(State.DONE), "updated <!date^", request(State.MOVING), "updated"),
        (request(State.NOT_STARTED), "The approval is valid until", request(State.FAILED), "The approval is valid"),
        (SECOND_ATTEMPT, "tried 2 times", request(State.NOT_STARTED), "tried"),
        (request(State.DONE), "0 B in less than 1 s (4.0 GB in all)", request(State.MOVING), "in all"),
        (request(State.EXPIRED), "expired <!date^", request(State.VOID), "expired"),
        (request(State.UNKNOWN, problem=PROBLEM), "OMS.0057: OMS failed.", request(State.UNKNOWN), "OMS.0057"),
        (request(State.UNKNOWN, problem=PROBLEM), "reference `F-1`", request(State.FAILED), "reference"),
        (request(State.UNKNOWN, problem=PROBLEM), "OMS said: Its own words.", request(State.UNKNOWN), "said"),
        (request(State.CANCELLED), "canceled by <@UCAROL00>", request(State.DENIED), "canceled"),
        (COSTLY, "Resuming repeats the archive restores at the source", request(), "archive restores"),
        (
            replace(COSTLY, state=State.MOVING, attempt=FIRST_ATTEMPT),
            "Then resuming repeats",
            request(State.MOVING),
            "Later",
        ),
        (
            WITH_CHOICE,
            "Retries only the failed objects. ",
            replace(WITH_CHOICE, scope=Scope.ALL_OBJECTS),
            "Retries only",
        ),
        (WITH_CHOICE, "The objects on OMS's list", replace(WITH_CHOICE, group=GROUP), "The objects on OMS's list"),
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


def approve_dialog(made: Request) -> str:
    [approve] = [element for element in elements(card(made)) if element.get("action_id") == "approve"]
    text: str = approve["confirm"]["text"]["text"]
    return text


@pytest.mark.parametrize("warned", [False, True])
def test_the_approve_dialog_says_that_nothing_starts_before_the_other_approvals(warned: bool) -> None:
    slots = (("UCAROL00", "UDAVE000"), ("SDBA0000",), ("SOPS0000",))
    three = request(policy=Policy(("*",), slots, False), group=replace(GROUP, restores_archives=warned))
    assert "Nothing starts until 2 more people approve too." in approve_dialog(three)
    second = replace(three, vote_progress=VoteProgress(("UDAVE000",), slots[1:]))
    assert "Nothing starts until 1 more person approves too." in approve_dialog(second)
    last = replace(three, vote_progress=VoteProgress(("UDAVE000", "UERIN000"), slots[2:]))
    assert "Nothing starts" not in approve_dialog(last)


def test_a_card_that_was_not_started_names_the_problem_first_and_keeps_its_keys() -> None:
    message = card(request(State.NOT_STARTED))
    assert message.blocks[3]["text"]["text"] == "OMS.0072: It may not. Nothing was started.\nOMS said: words"
    assert "Keys: `secret/source` v7 (ak, sk)" in block_texts(message)


def test_a_retry_that_was_not_started_keeps_its_choice_and_warns_that_it_needs_approval_again() -> None:
    not_started = replace(WITH_CHOICE, state=State.NOT_STARTED, problem=PROBLEM)
    message = card(not_started)
    assert problems_of_blocks(list(message.blocks)) == []
    [radio] = [element for element in elements(message) if "options" in element]
    assert radio["confirm"]["text"]["text"] == (
        "The approval was for the other choice, so the request needs approval again."
    )
    assert "options" not in str(elements(card(request(State.NOT_STARTED))))


def test_a_pending_retry_says_why_the_group_failed_and_what_to_do_before_it_is_approved() -> None:
    failed = replace(WITH_CHOICE.group, error=ErrorReason("TRF.0152", "The source AK/SK has no rights."))
    waiting = replace(WITH_CHOICE, group=failed)
    message = card(waiting, failure=failure_to_retry(waiting))
    texts = block_texts(message)
    assert "*Failed with TRF.0152.* The source key lacks a permission." in texts
    assert "OMS said: The source AK/SK has no rights." in texts
    assert "*Before you approve:* Ask the owner of the source bucket to let the key at secret/source" in texts
    assert "Failed with TRF.0152. The source key lacks a permission." in message.text
    assert failure_to_retry(replace(waiting, state=State.APPROVED)) is None
    assert failure_to_retry(request()) is None


def test_a_pending_retry_says_that_oms_gives_no_reason() -> None:
    waiting = replace(WITH_CHOICE, group=replace(WITH_CHOICE.group, error=None))
    assert FAILED_WITHOUT_REASON in block_texts(card(waiting, failure=failure_to_retry(waiting)))


def test_a_card_says_who_chose_what_is_retried() -> None:
    chosen = replace(WITH_CHOICE, scope_chosen_by="UDAVE000")
    assert "only the failed objects, chosen by <@UDAVE000>" in texts(chosen)
    assert "retries only the failed objects, chosen by <@UDAVE000>" in texts(replace(chosen, state=State.MOVING))
    assert "chosen by" not in texts(WITH_CHOICE)


def test_all_objects_are_not_said_to_be_skipped_if_the_group_overwrites_them() -> None:
    assert "are skipped" in texts(WITH_CHOICE)
    overwriting = replace(WITH_CHOICE, group=replace(WITH_CHOICE.group, overwrite_mode="FULL_OVERWRITE"))
    assert "are skipped" not in texts(overwriting)


def test_a_card_names_the_cdn_of_the_source_and_a_source_without_a_bucket() -> None:
    assert "through CDN `cdn.example`" in texts(request(group=replace(GROUP, cdn_domain="cdn.example")))
    for listed in (
        replace(GROUP, task_type="URL_LIST", source=replace(GROUP.source, bucket="")),
        replace(GROUP, source=replace(GROUP.source, bucket="", cloud_type="URLSOURCE")),
    ):
        assert "*HTTP list of URLs*  →  OBS" in texts(request(group=listed))


def test_a_pause_that_came_too_late_is_not_shown_as_pausing() -> None:
    pause = Pause("UCAROL00", NOON, State.MOVING, NOON)
    assert "pausing, requested by <@UCAROL00>" in texts(request(State.PAUSING, pause=pause))
    assert "paused by <@UCAROL00>" in texts(request(State.PAUSED_AGAIN, pause=pause))
    for state in (State.DONE, State.FAILED):
        assert "pausing" not in texts(request(state, pause=pause))
    assert "done before it could be paused by <@UCAROL00>" in texts(request(State.DONE, pause=pause))


def test_a_card_links_to_the_console_where_it_says_to_look_there() -> None:
    problem = replace(PROBLEM, next_step="Look at the group in the Huawei Cloud console.")
    plan = replace(PLAN, console_url="https://console.example/oms")
    linked = "Look at the group in <https://console.example/oms|the Huawei Cloud console>."
    assert linked in texts(request(State.NOT_STARTED, problem=problem, plan=plan))
    assert problem.next_step in texts(request(State.NOT_STARTED, problem=problem))
    assert plan == PLAN, "another address of the console voids no request"


def test_times_in_the_text_are_shown_in_the_zone_of_the_reader() -> None:
    assert f"Expires {local_time(request().expires_at)}." in card(request()).text
    assert f"It starts {local_time(LATER)}." in card(request(State.APPROVED, start_at=LATER)).text


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
    assert "1 of 2 approved (<@UCAROL00>). Still needed: someone from <!subteam^SDBA0000>." in message.text
    assert "withdraw" in [element["action_id"] for element in elements(message)]
    without = card(replace(waiting, vote_progress=None))
    assert "withdraw" not in [element["action_id"] for element in elements(without)]


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_self_approval_is_marked_in_every_state_after_it(state: State) -> None:
    message = card(replace(request(state), decision=Decision(("UALICE00",), NOON)))
    for text in (message.text, block_texts(message)):
        assert "Break-glass: <@UALICE00> approved their own request." in text
    assert "Break-glass" not in texts(request(state))


def test_a_self_approval_is_not_called_an_approval_while_others_are_missing() -> None:
    waiting = request(vote_progress=VoteProgress(("UALICE00",), (("UCAROL00",),)))
    assert "Break-glass: <@UALICE00> approved their own request. More approvals are needed." in card(waiting).text


def test_a_requester_who_cancels_did_not_approve_and_the_approval_stays_on_the_card() -> None:
    approved = request(State.APPROVED)
    cancelled = replace(approved, ending=Decision(("UALICE00",), NOON)).with_state(State.CANCELLED, at=NOON)
    assert "Break-glass" not in card(cancelled).text
    assert "approved by <@UCAROL00>" in texts(cancelled)
    assert "canceled by <@UALICE00>" in texts(cancelled)


def watched(movement: Movement, state: State = State.MOVING, **group: object) -> Request:
    """A request whose group moves like this. `group` replaces fields of the group."""
    reading = LastSeen(LATER, SOME_FAILED, movement)
    counts = SubTasks(total=48, executing=4, waiting=30, complete=12, failed=2)
    return request(state, last_seen=reading, group=replace(GROUP, **{"sub_tasks": counts, **group}))  # type: ignore[arg-type]


STEADY = Movement(Activity.MOVING, rate=1_000_000, rate_since=NOON)
AS_OF = f"as of {local_time_with_seconds(LATER)}"
COUNTS = "sub-tasks: 12 done, 4 running, 30 waiting, 2 failed"


@pytest.mark.parametrize(
    ("movement", "details"),
    [
        (STEADY, f"1.0 MB/s over the last few minutes · about 1.5 h left · {COUNTS} · {AS_OF}"),
        (
            replace(STEADY, rate_since=LATER - timedelta(seconds=10)),
            f"1.0 MB/s over the last 10 s · {COUNTS} · {AS_OF}",
        ),
        (
            replace(STEADY, grew_at=LATER),
            "1.0 MB/s over the last few minutes · the total is still growing, so the time left isn't known · "
            f"{COUNTS} · {AS_OF}",
        ),
        (
            replace(STEADY, activity=Activity.LISTING),
            "1.0 MB/s over the last few minutes · OMS is still listing the source, so the total is growing · "
            f"{COUNTS} · {AS_OF}",
        ),
        (replace(STEADY, still_since=NOON), f"{COUNTS} · {AS_OF}"),
        (Movement(Activity.STALLED, still_since=NOON), f"{COUNTS} · {AS_OF}"),
    ],
)
def test_a_card_shows_rate_time_left_and_sub_tasks_as_far_as_they_are_known(movement: Movement, details: str) -> None:
    message = card(watched(movement))
    assert problems_of_blocks(list(message.blocks)) == []
    assert [element["text"] for element in message.blocks[4]["elements"]] == [details]


def test_a_card_without_movement_shows_when_the_group_was_read() -> None:
    [element] = card(request(State.MOVING)).blocks[4]["elements"]
    assert element["text"] == f"as of {local_time_with_seconds(NOON)}"
    assert "as of" not in texts(request(State.ACCEPTED, last_seen=None))


STALLED = Movement(Activity.STALLED, still_since=NOON)
NOTHING_MOVED = f"Nothing has moved since {local_time(NOON)}"


@pytest.mark.parametrize("state", [State.ACCEPTED, State.MOVING])
@pytest.mark.parametrize(
    ("movement", "group", "note"),
    [
        (
            STALLED,
            {},
            f":warning: {NOTHING_MOVED}, although 4 sub-tasks are running. {LOOK_IN_CONSOLE}",
        ),
        (
            STALLED,
            {"restores_archives": True},
            f":warning: {NOTHING_MOVED}, although 4 sub-tasks are running. {RESTORING} {LOOK_IN_CONSOLE}",
        ),
        (replace(STALLED, activity=Activity.RESTORING), {"restores_archives": True}, f"{NOTHING_MOVED}. {RESTORING}"),
        (Movement(Activity.QUEUED, still_since=NOON), {}, "All remaining sub-tasks are waiting in OMS's queue."),
        (
            replace(STEADY, slow_since=NOON, is_slow=True),
            {},
            ":warning: The rate has been below the limit for this project (slow_below in bot.toml) since "
            f"{local_time(NOON)}.",
        ),
        (replace(STEADY, still_since=NOON), {}, f"{NOTHING_MOVED}."),
    ],
)
def test_a_card_and_its_text_say_since_when_nothing_moves(
    movement: Movement, group: dict[str, object], note: str, state: State
) -> None:
    message = card(watched(movement, state, **group))
    assert problems_of_blocks(list(message.blocks)) == []
    assert message.blocks[5]["text"]["text"] == note
    assert "40 % done: 4.0 of 10.0 GB, 450 of 1,000 objects, 50 skipped, 7 failed. " in message.text
    assert note.removeprefix(":warning: ") in message.text
    assert ":warning:" not in message.text
    unread = replace(watched(movement, state, **group), problem=PROBLEM)
    assert note not in texts(unread)


def test_a_moving_group_has_no_note() -> None:
    listing = Movement(Activity.LISTING, still_since=NOON)
    for movement in (STEADY, replace(STEADY, still_since=LATER), listing):
        assert len(card(watched(movement)).blocks) == len(card(request(State.MOVING)).blocks)


def test_the_note_of_a_stalled_group_links_to_the_console() -> None:
    linked = replace(watched(STALLED), plan=replace(PLAN, console_url="https://console.example/oms"))
    assert "Check the group in <https://console.example/oms|the Huawei Cloud console>." in texts(linked)
