"""Every refusal has a text, and names the people who may do what was refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.policy import Refusal
from bot.domain.request import Policy, State
from bot.domain.task_group import GroupStatus
from bot.ui.refusals import not_resumable, refusal_text, still_pausing
from tests.support.values import GROUP, GROUP_ID, request


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_a_text(refusal: Refusal) -> None:
    assert refusal_text(refusal, request(State.DONE)).endswith((".", ">"))


CAROL_OR_LEADS = "<@UCAROL00> or <!subteam^S0LEADS00>"


def test_a_refusal_names_the_people_who_may_approve_and_never_the_requester() -> None:
    policy = Policy(("*",), (("UALICE00", "UCAROL00"), ("UALICE00", "S0LEADS00")), self_approval=False)
    requested = request(policy=policy)
    assert refusal_text(Refusal.NOT_AN_APPROVER, requested) == (
        f"You can't approve or deny this; {CAROL_OR_LEADS} can. Nothing changed."
    )
    assert refusal_text(Refusal.OWN_REQUEST, requested) == (
        f"You can't approve or deny your own request; {CAROL_OR_LEADS} can. Nothing changed."
    )


def test_the_refusal_of_a_cancellation_names_the_requester_and_the_approvers() -> None:
    policy = Policy(("*",), (("UALICE00", "UCAROL00"), ("S0LEADS00",)), self_approval=False)
    assert refusal_text(Refusal.NEITHER_REQUESTER_NOR_APPROVER, request(policy=policy)) == (
        f"Only the requester (<@UALICE00>) and the approvers ({CAROL_OR_LEADS}) can do this. Nothing changed."
    )


def test_a_person_who_is_no_longer_an_approver_is_not_named_as_one() -> None:
    assert refusal_text(Refusal.NO_LONGER_NAMED, request()) == (
        "You're no longer an approver of this project. Nothing changed."
    )


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State.PENDING, "This request has expired. Nothing changed. You can request it again."),
        (State.NOT_STARTED, "The approval has expired. Nothing changed. You can request it again."),
    ],
)
def test_an_expired_approval_is_not_called_an_expired_request(state: State, text: str) -> None:
    assert refusal_text(Refusal.EXPIRED, request(state)) == text


def test_a_group_that_is_pausing_for_too_long_has_a_link_to_the_console() -> None:
    linked = still_pausing(GROUP, "https://console.example/oms")
    assert linked.endswith("Check the group in <https://console.example/oms|the Huawei Cloud console>.")
    assert still_pausing(GROUP, "").endswith("Check the group in the Huawei Cloud console.")


def test_a_group_that_cannot_be_resumed_is_named() -> None:
    assert not_resumable(replace(GROUP, status=GroupStatus.COMPLETED)) == (
        f'"nightly images" (group `{GROUP_ID}`) is done, so there\'s nothing to resume. No request was created.'
    )
