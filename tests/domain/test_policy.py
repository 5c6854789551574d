"""Who may create, see and approve a request, and how people fill the slots of a quorum."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.policy import (
    MAX_LOOKUPS,
    AccountKind,
    Person,
    Refusal,
    approver_refusal,
    candidates_for_open_slots,
    open_slots,
    reader_refusal,
    requester_refusal,
    unfillable_slots,
)
from bot.domain.request import Policy
from tests.support.values import person

USERS = ["UALICE00", "UBOB0000", "UCAROL00", "UDAVE000", "UERIN000"]
GROUPS = ["SONE0000", "STWO0000"]

slot_lists = st.lists(
    st.lists(st.sampled_from(USERS + GROUPS), min_size=1, max_size=3, unique=True).map(tuple), min_size=1, max_size=3
).map(tuple)
voters = st.lists(
    st.builds(lambda user, groups: person(user, *groups), st.sampled_from(USERS), st.sets(st.sampled_from(GROUPS))),
    max_size=5,
    unique_by=lambda voter: voter.id,
)


def is_quorum(policy: Policy, people: Sequence[Person]) -> bool:
    """Whether these people can fill every slot, found by trying every order."""
    return max_filled_slots(policy, people) == len(policy.slots)


def max_filled_slots(policy: Policy, people: Sequence[Person]) -> int:
    """How many slots these people can fill, found by trying every order. None is a slot without a person."""
    candidates = [*people, *[None] * len(policy.slots)]
    return max(
        sum(
            candidate is not None and (candidate.id in slot or bool(candidate.groups & set(slot)))
            for candidate, slot in zip(order, policy.slots, strict=True)
        )
        for order in permutations(candidates, len(policy.slots))
    )


@given(slot_lists, voters)
def test_as_many_slots_are_filled_as_any_order_of_people_could_fill(
    slots: tuple[tuple[str, ...], ...], people: list[Person]
) -> None:
    policy = Policy(("*",), slots, False)
    assert len(open_slots(policy, people)) == len(slots) - max_filled_slots(policy, people)


@given(slot_lists, voters, st.sampled_from(["UFRESH00", *USERS]), st.sampled_from(["", *GROUPS]))
def test_a_person_is_a_candidate_exactly_if_their_approval_fills_one_more_slot(
    slots: tuple[tuple[str, ...], ...], people: list[Person], user: str, group: str
) -> None:
    policy = Policy(("*",), slots, False)
    if user in {voter.id for voter in people}:
        return
    one_more = person(user, *([group] if group else []))
    candidates = candidates_for_open_slots(policy, people)
    fills_one_more = max_filled_slots(policy, [*people, one_more]) > max_filled_slots(policy, people)
    assert fills_one_more == any(user in names or group in names for names in candidates)
    assert len(candidates) == len(open_slots(policy, people))


def test_a_person_fills_one_slot_and_moves_to_another_for_a_later_voter() -> None:
    policy = Policy(("*",), (("SDBA0000", "UALICE00"), ("SSEC0000",)), False)
    both = person("UBOB0000", "SDBA0000", "SSEC0000")
    assert open_slots(policy, [both]) == (("SSEC0000",),)
    assert candidates_for_open_slots(policy, [both]) == (("SSEC0000", "SDBA0000", "UALICE00"),)
    assert open_slots(policy, [both, person("UCAROL00", "SDBA0000")]) == ()


def test_accounts_other_than_full_members_may_do_nothing() -> None:
    policy = Policy(("*", "UERIN000"), (("UERIN000",),), False)
    for account_kind in (AccountKind.GUEST, AccountKind.EXTERNAL, AccountKind.BOT, AccountKind.DEACTIVATED):
        erin = person("UERIN000", account_kind=account_kind)
        assert requester_refusal(policy, erin) is not None
        assert approver_refusal(policy, erin, "UALICE00") is not None
        assert reader_refusal(policy, erin) is not None


def test_requesters_and_approvers_may_see_a_project_and_others_may_not() -> None:
    policy = Policy(("UALICE00",), (("UCAROL00",), ("SONE0000",)), False)
    for reader in (person("UALICE00"), person("UCAROL00"), person("UBOB0000", "SONE0000")):
        assert reader_refusal(policy, reader) is None
    assert reader_refusal(policy, person("UBOB0000", "STWO0000")) is Refusal.CANNOT_SEE_PROJECT
    assert requester_refusal(policy, person("UCAROL00")) is Refusal.NOT_A_REQUESTER
    assert approver_refusal(policy, person("UALICE00"), "UBOB0000") is Refusal.NOT_AN_APPROVER


def test_a_person_whose_user_groups_are_unknown_is_refused() -> None:
    policy = Policy(("SONE0000",), (("SONE0000",),), False)
    unknown = person("UBOB0000", groups_known=False)
    assert requester_refusal(policy, unknown) is Refusal.GROUPS_UNKNOWN
    assert approver_refusal(policy, unknown, "UALICE00") is Refusal.GROUPS_UNKNOWN
    assert reader_refusal(policy, unknown) is Refusal.GROUPS_UNKNOWN


class Directory:
    """The members of the user groups and the kinds of accounts. Records the ids that are looked up."""

    def __init__(self, groups: dict[str, set[str]], account_kinds: dict[str, AccountKind] | None = None) -> None:
        self.members = {name: frozenset(users) for name, users in groups.items()}
        self._account_kinds = account_kinds or {}
        self.looked_up: list[str] = []

    def look_up(self, user: str) -> Person:
        self.looked_up.append(user)
        groups = [name for name, users in self.members.items() if user in users]
        return person(user, *groups, account_kind=self._account_kinds.get(user, AccountKind.FULL))


def unfillable(policy: Policy, directory: Directory, requester: str = "UALICE00") -> tuple[tuple[str, ...], ...]:
    return unfillable_slots(policy, policy, requester, directory.members, directory.look_up)


def test_the_requester_does_not_make_a_quorum_possible_without_self_approval() -> None:
    one, two = (("SONE0000",),), (("SONE0000",), ("SONE0000",))
    assert unfillable(Policy(("*",), one, False), Directory({"SONE0000": {"UALICE00"}})) == one
    assert unfillable(Policy(("*",), one, True), Directory({"SONE0000": {"UALICE00"}})) == ()
    assert unfillable(Policy(("*",), one, False), Directory({"SONE0000": {"UALICE00", "UBOB0000"}})) == ()
    assert unfillable(Policy(("*",), two, False), Directory({"SONE0000": {"UALICE00", "UBOB0000"}})) == one


def test_deactivated_approvers_and_guests_do_not_make_a_quorum_possible() -> None:
    policy = Policy(("*",), (("UCAROL00", "SONE0000"),), False)
    account_kinds = {"UCAROL00": AccountKind.DEACTIVATED, "UDAVE000": AccountKind.GUEST}
    assert unfillable(policy, Directory({"SONE0000": {"UDAVE000"}}, account_kinds)) == policy.slots
    assert unfillable(policy, Directory({"SONE0000": {"UDAVE000", "UERIN000"}}, account_kinds)) == ()


def test_a_quorum_counts_as_possible_while_the_user_groups_are_unknown() -> None:
    policy = Policy(("*",), (("SONE0000",),), False)
    unknown = person("UBOB0000", groups_known=False)
    assert unfillable_slots(policy, policy, "UALICE00", {"SONE0000": frozenset({"UBOB0000"})}, lambda _: unknown) == ()


@given(slot_lists, st.dictionaries(st.sampled_from(GROUPS), st.sets(st.sampled_from(USERS))), st.booleans())
def test_a_quorum_is_possible_exactly_if_everybody_together_would_fill_it(
    slots: tuple[tuple[str, ...], ...], groups: dict[str, set[str]], self_approval: bool
) -> None:
    policy = Policy(("*",), slots, self_approval)
    account_kinds = {"UBOB0000": AccountKind.GUEST, "UERIN000": AccountKind.DEACTIVATED}
    directory = Directory({name: groups.get(name, set()) for name in GROUPS}, account_kinds)
    everybody = [directory.look_up(user) for user in USERS]
    eligible = [voter for voter in everybody if approver_refusal(policy, voter, "UALICE00") is None]
    assert (not unfillable(policy, directory)) == is_quorum(policy, eligible)


def test_approvers_removed_from_the_settings_do_not_make_a_quorum_possible() -> None:
    policy, directory = Policy(("*",), (("UCAROL00",),), False), Directory({})
    for approvers_now, expected in ((("UDAVE000",), policy.slots), (("UDAVE000", "UCAROL00"), ())):
        current = Policy(("*",), (approvers_now,), False)
        assert unfillable_slots(policy, current, "UALICE00", directory.members, directory.look_up) == expected


def test_no_more_people_are_looked_up_than_a_quorum_needs_or_the_limit_allows() -> None:
    crowd = {f"U{number:07d}" for number in range(500)}
    policy = Policy(("*",), (("SONE0000",), ("UCAROL00",)), False)
    members = Directory({"SONE0000": crowd})
    assert unfillable(policy, members) == ()
    assert len(members.looked_up) == 2
    guests = Directory({"SONE0000": crowd}, dict.fromkeys(crowd, AccountKind.GUEST))
    assert unfillable(policy, guests) == (), "after the limit a quorum counts as possible"
    assert len(guests.looked_up) == MAX_LOOKUPS
