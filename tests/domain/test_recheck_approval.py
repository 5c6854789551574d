"""The approval of a request is checked again before its keys are read, and holds only while a quorum still counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.decisions import recheck_approval
from bot.domain.policy import AccountKind, Person, Refusal
from bot.domain.request import Decision, Policy, Request, State, VoteProgress
from tests.domain.test_policy import GROUPS, USERS, is_quorum, slot_lists
from tests.support.values import NOON, person, request

CAROL, DAVE, ERIN = person("UCAROL00"), person("UDAVE000"), person("UERIN000")
TWO = Policy(("*",), (("UCAROL00", "UDAVE000"),) * 2, self_approval=False)
LEAD_AND_CAROL = Policy(("*",), (("SLEADS00",), ("UCAROL00",)), self_approval=False)
SELF = Policy(("*",), (("UALICE00",),), self_approval=True)
LATER = NOON + timedelta(hours=5)


def approved(policy: Policy, people: Sequence[Person]) -> Request:
    """A request that these people approved at noon."""
    return request(State.APPROVED, policy=policy, decision=Decision(tuple(voter.id for voter in people), NOON))


def recheck(policy: Policy, *people: Person, by_now: Policy | None = None) -> Request | Refusal | None:
    """The result five hours after these people approved, as they are now, with the settings as they were."""
    return recheck_approval(approved(policy, people), people, by_now or policy, LATER)


def pending(result: Request | Refusal | None) -> Request:
    assert isinstance(result, Request), result
    assert (result.state, result.decision) == (State.PENDING, None)
    return result


def test_an_approval_holds_while_everybody_still_counts() -> None:
    assert recheck(TWO, CAROL, DAVE) is None
    assert recheck(LEAD_AND_CAROL, person("UDAVE000", "SLEADS00"), CAROL) is None


@pytest.mark.parametrize("kind", [kind for kind in AccountKind if kind is not AccountKind.FULL])
def test_an_approver_who_is_no_longer_a_full_member_does_not_count(kind: AccountKind) -> None:
    gone = person("UCAROL00", account_kind=kind)
    again = pending(recheck(TWO, gone, DAVE))
    assert again.vote_progress == VoteProgress(("UDAVE000",), (("UCAROL00",),))
    assert again.void_approvals == ("UCAROL00",)


def test_an_approver_who_left_the_user_group_does_not_count() -> None:
    again = pending(recheck(LEAD_AND_CAROL, DAVE, CAROL))
    assert again.vote_progress == VoteProgress(("UCAROL00",), (("SLEADS00",),))
    assert again.void_approvals == ("UDAVE000",)


def test_an_approver_removed_from_the_settings_does_not_count_and_the_slots_stay() -> None:
    by_now = Policy(("*",), (("UDAVE000", "UERIN000"),), self_approval=False)
    again = pending(recheck(TWO, CAROL, DAVE, by_now=by_now))
    assert again.policy == TWO
    assert again.vote_progress == VoteProgress(("UDAVE000",), (("UCAROL00",),))


def test_an_approver_added_to_the_settings_later_does_not_count() -> None:
    by_now = Policy(("*",), (("UCAROL00", "UERIN000"),), self_approval=False)
    one = Policy(("*",), (("UCAROL00",),), self_approval=False)
    assert pending(recheck(one, ERIN, by_now=by_now)).void_approvals == ("UERIN000",)


def test_the_requester_counts_only_while_the_policy_allows_self_approval() -> None:
    alice = person("UALICE00")
    assert recheck(SELF, alice) is None
    forbidden = replace(SELF, self_approval=False)
    for stored, by_now in ((SELF, forbidden), (forbidden, SELF), (forbidden, forbidden)):
        assert pending(recheck(stored, alice, by_now=by_now)).void_approvals == ("UALICE00",)
    gone = person("UALICE00", account_kind=AccountKind.DEACTIVATED)
    assert pending(recheck(SELF, gone)).void_approvals == ("UALICE00",)


def test_a_project_removed_from_the_settings_leaves_the_policy_of_the_request() -> None:
    current = approved(TWO, (CAROL, DAVE))
    assert recheck_approval(current, (CAROL, DAVE), None, LATER) is None
    gone = person("UCAROL00", account_kind=AccountKind.GUEST)
    assert pending(recheck_approval(current, (gone, DAVE), None, LATER)).void_approvals == ("UCAROL00",)


def test_one_approval_more_than_needed_makes_up_for_one_that_does_not_count() -> None:
    carol_or_dave = Policy(("*",), (("UCAROL00", "UDAVE000"), ("UERIN000",)), self_approval=False)
    gone = person("UCAROL00", account_kind=AccountKind.DEACTIVATED)
    assert recheck(carol_or_dave, gone, DAVE, ERIN) is None
    unknown = person("UCAROL00", groups_known=False)
    assert recheck(carol_or_dave, unknown, DAVE, ERIN) is None


def test_an_approver_who_still_counts_moves_to_another_slot() -> None:
    lead_or_carol = Policy(("*",), (("SLEADS00", "UCAROL00"), ("UCAROL00", "UDAVE000")), self_approval=False)
    lead = person("UERIN000", "SLEADS00")
    assert recheck(lead_or_carol, lead, CAROL) is None
    again = pending(recheck(lead_or_carol, ERIN, CAROL))
    # Carol fills either slot.
    assert again.vote_progress == VoteProgress(("UCAROL00",), (("UDAVE000", "SLEADS00"),))


def test_an_approval_that_depends_on_unknown_user_groups_is_neither_kept_nor_ended() -> None:
    lead = person("UDAVE000", groups_known=False)
    assert recheck(LEAD_AND_CAROL, lead, CAROL) is Refusal.GROUPS_UNKNOWN
    gone = person("UCAROL00", account_kind=AccountKind.DEACTIVATED)
    assert recheck(LEAD_AND_CAROL, lead, gone) is Refusal.GROUPS_UNKNOWN
    assert recheck(TWO, person("UCAROL00", groups_known=False), DAVE) is None, "named by their user id"


def test_a_request_that_is_pending_again_ends_when_its_approval_would_have_ended() -> None:
    gone = person("UCAROL00", account_kind=AccountKind.DEACTIVATED)
    # Five hours later, the reminder at half of the lifetime was due only for the request that starts at once.
    for start, reminders in ((None, 1), (NOON + timedelta(hours=20), 0)):
        current = replace(approved(TWO, (gone, DAVE)), start_at=start)
        again = pending(recheck_approval(current, (gone, DAVE), TWO, LATER))
        assert again.expires_at == again.approval_valid_until == current.approval_valid_until
        assert (again.start_at, again.attempt) == (current.start_at, current.attempt)
        assert again.reminders == reminders, "it is not sent late"


def test_an_approval_without_any_approver_who_still_counts_is_void() -> None:
    gone = [person(user, account_kind=AccountKind.DEACTIVATED) for user in ("UCAROL00", "UDAVE000")]
    again = pending(recheck(TWO, *gone))
    assert (again.vote_progress, again.void_approvals) == (None, ("UCAROL00", "UDAVE000"))
    without_people = approved(TWO, ())
    assert pending(recheck_approval(without_people, (), TWO, LATER)).void_approvals == ()


people_now = st.lists(
    st.builds(
        lambda user, groups, kind, known: person(
            user, *(groups if known else ()), account_kind=kind, groups_known=known
        ),
        st.sampled_from(USERS),
        st.sets(st.sampled_from(GROUPS)),
        st.sampled_from([AccountKind.FULL] * 3 + [AccountKind.DEACTIVATED]),
        st.booleans(),
    ),
    max_size=4,
    unique_by=lambda voter: voter.id,
)


@given(slot_lists, st.booleans(), st.none() | slot_lists, st.booleans(), people_now)
def test_an_approval_holds_exactly_if_those_who_count_under_both_policies_are_a_quorum(
    slots: tuple[tuple[str, ...], ...],
    self_approval: bool,
    slots_by_now: tuple[tuple[str, ...], ...] | None,
    self_approval_by_now: bool,
    people: list[Person],
) -> None:
    stored = Policy(("*",), slots, self_approval)
    by_now = None if slots_by_now is None else Policy(("*",), slots_by_now, self_approval_by_now)
    policies = [stored, *([by_now] if by_now else [])]

    def counts(voter: Person) -> bool:
        """The rule, written independently of the code under test."""
        is_named = all(any(voter.id in slot or voter.groups & set(slot) for slot in one.slots) for one in policies)
        may_self_approve = voter.id != "UALICE00" or all(one.self_approval for one in policies)
        return voter.account_kind is AccountKind.FULL and is_named and may_self_approve

    counted = [voter for voter in people if counts(voter)]
    result = recheck_approval(approved(stored, people), people, by_now, LATER)
    assert (result is None) == is_quorum(stored, counted)
    if result is Refusal.GROUPS_UNKNOWN:
        assert any(not voter.groups_known for voter in people)
    elif isinstance(result, Request):
        progress = result.vote_progress
        assert (progress.people if progress else ()) == tuple(voter.id for voter in counted)
        assert set(result.void_approvals) == {voter.id for voter in people} - {voter.id for voter in counted}
