"""Who counts as whom: the places of a quorum, who may be in them, and who may not."""

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

slots = st.lists(
    st.lists(st.sampled_from(USERS + GROUPS), min_size=1, max_size=3, unique=True).map(tuple), min_size=1, max_size=3
).map(tuple)
voters = st.lists(
    st.builds(lambda user, groups: person(user, *groups), st.sampled_from(USERS), st.sets(st.sampled_from(GROUPS))),
    max_size=5,
    unique_by=lambda one: one.id,
)


def seats(policy: Policy, people: Sequence[Person]) -> bool:
    """Whether some order of distinct people fills every place: tried one by one."""
    return most_seated(policy, people) == len(policy.slots)


def most_seated(policy: Policy, people: Sequence[Person]) -> int:
    """How many places can be filled at once, tried one by one: people who sit nowhere are `None`."""
    chairs = [*people, *[None] * len(policy.slots)]
    return max(
        sum(
            one is not None and (one.id in place or bool(one.groups & set(place)))
            for one, place in zip(order, policy.slots, strict=True)
        )
        for order in permutations(chairs, len(policy.slots))
    )


@given(slots, voters)
def test_places_are_filled_as_well_as_any_order_could(
    some_places: tuple[tuple[str, ...], ...], people: list[Person]
) -> None:
    policy = Policy(("*",), some_places, False)
    assert len(open_slots(policy, people)) == len(some_places) - most_seated(policy, people)


@given(slots, voters, st.sampled_from(["UFRESH00", *USERS]), st.sampled_from(["", *GROUPS]))
def test_exactly_who_is_named_as_missing_brings_a_quorum_nearer(
    some_places: tuple[tuple[str, ...], ...], people: list[Person], user: str, group: str
) -> None:
    policy = Policy(("*",), some_places, False)
    if user in {one.id for one in people}:
        return
    one_more = person(user, *([group] if group else []))
    missing = candidates_for_open_slots(policy, people)
    helps = most_seated(policy, [*people, one_more]) > most_seated(policy, people)
    assert helps == any(user in place or group in place for place in missing)
    assert len(missing) == len(open_slots(policy, people))


def test_nobody_fills_two_places_and_an_early_voter_moves_for_a_later_one() -> None:
    policy = Policy(("*",), (("SDBA0000", "UALICE00"), ("SSEC0000",)), False)
    both = person("UBOB0000", "SDBA0000", "SSEC0000")
    assert open_slots(policy, [both]) == (("SSEC0000",),)
    assert candidates_for_open_slots(policy, [both]) == (("SSEC0000", "SDBA0000", "UALICE00"),)
    assert open_slots(policy, [both, person("UCAROL00", "SDBA0000")]) == ()


def test_guests_strangers_bots_and_deactivated_accounts_may_do_nothing() -> None:
    policy = Policy(("*", "UERIN000"), (("UERIN000",),), False)
    for account_kind in (AccountKind.GUEST, AccountKind.EXTERNAL, AccountKind.BOT, AccountKind.DEACTIVATED):
        erin = person("UERIN000", account_kind=account_kind)
        assert requester_refusal(policy, erin) is not None
        assert approver_refusal(policy, erin, "UALICE00") is not None
        assert reader_refusal(policy, erin) is not None


def test_who_is_named_in_neither_way_sees_nothing_and_who_is_in_either_sees() -> None:
    policy = Policy(("UALICE00",), (("UCAROL00",), ("SONE0000",)), False)
    for reader in (person("UALICE00"), person("UCAROL00"), person("UBOB0000", "SONE0000")):
        assert reader_refusal(policy, reader) is None
    assert reader_refusal(policy, person("UBOB0000", "STWO0000")) is Refusal.CANNOT_SEE_PROJECT
    assert requester_refusal(policy, person("UCAROL00")) is Refusal.NOT_A_REQUESTER
    assert approver_refusal(policy, person("UALICE00"), "UBOB0000") is Refusal.NOT_AN_APPROVER


def test_who_cannot_be_checked_is_not_listed() -> None:
    policy = Policy(("SONE0000",), (("SONE0000",),), False)
    unknown = person("UBOB0000", groups_known=False)
    assert requester_refusal(policy, unknown) is Refusal.GROUPS_UNKNOWN
    assert approver_refusal(policy, unknown, "UALICE00") is Refusal.GROUPS_UNKNOWN
    assert reader_refusal(policy, unknown) is Refusal.GROUPS_UNKNOWN


class Directory:
    """Who is in which group, and who is more, or less, than a full member. Counts whom it was asked for."""

    def __init__(self, groups: dict[str, set[str]], standings: dict[str, AccountKind] | None = None) -> None:
        self.members = {name: frozenset(users) for name, users in groups.items()}
        self._standings = standings or {}
        self.asked: list[str] = []

    def look_up(self, user: str) -> Person:
        self.asked.append(user)
        groups = [name for name, users in self.members.items() if user in users]
        return person(user, *groups, account_kind=self._standings.get(user, AccountKind.FULL))


def missing(policy: Policy, directory: Directory, requester: str = "UALICE00") -> tuple[tuple[str, ...], ...]:
    return unfillable_slots(policy, policy, requester, directory.members, directory.look_up)


def test_a_quorum_that_only_the_requester_could_fill_is_no_quorum() -> None:
    one, two = (("SONE0000",),), (("SONE0000",), ("SONE0000",))
    assert missing(Policy(("*",), one, False), Directory({"SONE0000": {"UALICE00"}})) == one
    assert missing(Policy(("*",), one, True), Directory({"SONE0000": {"UALICE00"}})) == ()
    assert missing(Policy(("*",), one, False), Directory({"SONE0000": {"UALICE00", "UBOB0000"}})) == ()
    assert missing(Policy(("*",), two, False), Directory({"SONE0000": {"UALICE00", "UBOB0000"}})) == one


def test_approvers_who_left_or_became_guests_make_no_quorum() -> None:
    policy = Policy(("*",), (("UCAROL00", "SONE0000"),), False)
    gone = {"UCAROL00": AccountKind.DEACTIVATED, "UDAVE000": AccountKind.GUEST}
    assert missing(policy, Directory({"SONE0000": {"UDAVE000"}}, gone)) == policy.slots
    assert missing(policy, Directory({"SONE0000": {"UDAVE000", "UERIN000"}}, gone)) == ()


def test_where_slack_does_not_tell_who_is_in_a_group_a_quorum_counts_as_possible() -> None:
    policy = Policy(("*",), (("SONE0000",),), False)
    unknown = person("UBOB0000", groups_known=False)
    assert unfillable_slots(policy, policy, "UALICE00", {"SONE0000": frozenset({"UBOB0000"})}, lambda _: unknown) == ()


@given(slots, st.dictionaries(st.sampled_from(GROUPS), st.sets(st.sampled_from(USERS))), st.booleans())
def test_whether_a_quorum_is_possible_is_what_trying_everybody_says(
    some_places: tuple[tuple[str, ...], ...], groups: dict[str, set[str]], self_approval: bool
) -> None:
    policy = Policy(("*",), some_places, self_approval)
    standings = {"UBOB0000": AccountKind.GUEST, "UERIN000": AccountKind.DEACTIVATED}
    directory = Directory({name: groups.get(name, set()) for name in GROUPS}, standings)
    everybody = [directory.look_up(user) for user in USERS]
    eligible = [one for one in everybody if approver_refusal(policy, one, "UALICE00") is None]
    assert (not missing(policy, directory)) == seats(policy, eligible)


def test_approvers_whom_the_settings_no_longer_name_make_no_quorum() -> None:
    policy, directory = Policy(("*",), (("UCAROL00",),), False), Directory({})
    for by_now, left in ((("UDAVE000",), policy.slots), (("UDAVE000", "UCAROL00"), ())):
        current = Policy(("*",), (by_now,), False)
        assert unfillable_slots(policy, current, "UALICE00", directory.members, directory.look_up) == left


def test_no_more_people_are_looked_up_than_it_takes_and_never_very_many() -> None:
    crowd = {f"U{number:07d}" for number in range(500)}
    policy = Policy(("*",), (("SONE0000",), ("UCAROL00",)), False)
    plenty = Directory({"SONE0000": crowd})
    assert missing(policy, plenty) == ()
    assert len(plenty.asked) == 2
    guests = Directory({"SONE0000": crowd}, dict.fromkeys(crowd, AccountKind.GUEST))
    assert missing(policy, guests) == (), "in doubt it is asked: every vote is checked again"
    assert len(guests.asked) == MAX_LOOKUPS
