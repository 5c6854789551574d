"""Answers to one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.request import State
from bot.ui.replies import (
    already_open,
    already_open_by_you,
    card_not_posted_yet,
    looking_up_groups,
    looking_up_request,
    request_created,
)
from bot.ui.start_time import start_taken
from tests.support.values import GROUP, NOON, POLICY, request

LATER = NOON + timedelta(hours=1)


def test_a_created_request_names_its_group_and_start_time() -> None:
    text = f'Created R-00000001 to resume "nightly images" (group `{GROUP.group_id}`). <@UCAROL00> can approve.'
    assert request_created(request(), None) == text
    later = request(start_at=LATER)
    assert request_created(later, None) == f"{text} {start_taken(later)}"
    unnamed = request(group=replace(GROUP, description=" "))
    assert request_created(unnamed, None).startswith(f"Created R-00000001 to resume group `{GROUP.group_id}`. ")


def test_the_people_who_can_approve_exclude_the_requester() -> None:
    slots = (("UALICE00", "UCAROL00"), ("UCAROL00", "S0LEADS00"))
    text = request_created(request(policy=replace(POLICY, slots=slots)), None)
    assert text.endswith(" <@UCAROL00> or <!subteam^S0LEADS00> can approve. 2 approvals are needed.")


def test_a_request_whose_card_is_not_posted_yet_is_created() -> None:
    assert card_not_posted_yet(request()) == (
        f'Created R-00000001 to resume "nightly images" (group `{GROUP.group_id}`). Its card will appear in '
        "<#C0TEST0001>. If the bot can't post it there, it sends you a message."
    )


def test_an_open_request_for_the_same_group_is_named() -> None:
    named = f'R-00000001 for "nightly images" (group `{GROUP.group_id}`). No request was created.'
    assert already_open(request(), None) == f"<@UALICE00> has already requested this: {named}"
    assert already_open_by_you(request(State.MOVING), None) == f"You've already requested this: {named}"


def test_the_acknowledgement_names_what_is_looked_up() -> None:
    assert looking_up_groups([GROUP.group_id]) == "Looking up group 00878453…"
    assert looking_up_groups([GROUP.group_id, "b", "c"]) == "Looking up 3 groups…"
    assert looking_up_request("R-7K3F2Q00") == "Looking up R-7K3F2Q00…"


def test_only_a_pending_request_can_be_replaced() -> None:
    assert "cancel that request first" in already_open_by_you(request(), None)
    assert "cancel" not in already_open_by_you(request(State.MOVING), None)
