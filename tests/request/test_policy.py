"""Nobody approves alone what others must approve: for any sequence of clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from bot.request.model import Policy, Request, State, Vote
from bot.request.policy import (
    Person,
    Refusal,
    Standing,
    quorum_is_possible,
    unfilled_places,
    why_not_approver,
    why_not_reader,
    why_not_requester,
)
from bot.request.votes import Counted, Refused, Turned, approve, cancel, deny, retry
from tests.support.values import NOON, person, request

USERS = ["UALICE00", "UBOB0000", "UCAROL00", "UDAVE000", "UERIN000"]
GROUPS = ["SONE0000", "STWO0000"]

people = st.builds(
    lambda user, groups, standing, known: person(user, *groups, standing=standing, groups_known=known),
    st.sampled_from(USERS),
    st.sets(st.sampled_from(GROUPS)),
    st.sampled_from([Standing.FULL, Standing.FULL, Standing.FULL, Standing.GUEST, Standing.DEACTIVATED]),
    st.booleans(),
)
places = st.lists(
    st.lists(st.sampled_from(USERS + GROUPS), min_size=1, max_size=3, unique=True).map(tuple), min_size=1, max_size=3
).map(tuple)


def seats(policy: Policy, voters: Sequence[Person]) -> bool:
    """Whether some order of distinct people fills every place: tried one by one."""
    for order in permutations(voters, len(policy.places)):
        if all(one.id in place or one.groups & set(place) for one, place in zip(order, policy.places, strict=True)):
            return True
    return False


@given(places, st.booleans(), st.lists(people, max_size=8))
def test_no_sequence_of_clicks_approves_without_a_quorum_of_distinct_eligible_others(
    some_places: tuple[tuple[str, ...], ...], self_approval: bool, clicks: list[Person]
) -> None:
    policy = Policy(("*",), some_places, self_approval)
    current: Request = request(policy=policy)
    votes: list[Vote] = []
    decisions = 0
    latest: dict[str, Person] = {}
    for click in clicks:
        latest[click.id] = click
        verdict = approve(current, votes, latest, click, NOON)
        match verdict:
            case Counted(vote, _):
                votes.append(vote)
            case Turned(turned, vote):
                assert vote is not None
                votes.append(vote)
                current = turned
                decisions += 1
                eligible = [
                    latest[one.person]
                    for one in votes
                    if why_not_approver(policy, latest[one.person], current.requester) is None
                ]
                assert seats(policy, eligible)
                assert self_approval or all(one.id != current.requester for one in eligible)
                assert all(one.standing is Standing.FULL for one in eligible)
            case Refused():
                pass
        assert len({vote.person for vote in votes}) == len(votes)
    assert decisions <= 1
    assert (current.state is State.APPROVED) == (decisions == 1)


@given(places, st.lists(people, max_size=6, unique_by=lambda one: one.id))
def test_places_are_seated_as_well_as_any_order_could(
    some_places: tuple[tuple[str, ...], ...], voters: list[Person]
) -> None:
    policy = Policy(("*",), some_places, False)
    assert (not unfilled_places(policy, voters)) == seats(policy, voters)


def test_the_requester_does_not_approve_unless_the_settings_say_so() -> None:
    policy = Policy(("*",), (("UALICE00",),), False)
    alice = person("UALICE00")
    assert approve(request(policy=policy), [], {}, alice, NOON) == Refused(Refusal.OWN_REQUEST)
    allowed = replace(policy, self_approval=True)
    assert isinstance(approve(request(policy=allowed), [], {}, alice, NOON), Turned)


def test_guests_strangers_bots_and_deactivated_accounts_may_do_nothing() -> None:
    policy = Policy(("*", "UERIN000"), (("UERIN000",),), False)
    for standing in (Standing.GUEST, Standing.STRANGER, Standing.BOT, Standing.DEACTIVATED):
        erin = person("UERIN000", standing=standing)
        assert why_not_requester(policy, erin) is not None
        assert why_not_approver(policy, erin, "UALICE00") is not None
        assert why_not_reader(policy, erin) is not None


def test_who_cannot_be_checked_is_not_listed() -> None:
    policy = Policy(("SONE0000",), (("SONE0000",),), False)
    unknown = person("UBOB0000", groups_known=False)
    assert why_not_requester(policy, unknown) is Refusal.GROUPS_UNKNOWN
    assert why_not_approver(policy, unknown, "UALICE00") is Refusal.GROUPS_UNKNOWN


def test_a_quorum_that_only_the_requester_could_fill_is_no_quorum() -> None:
    policy = Policy(("*",), (("SONE0000",),), False)
    assert not quorum_is_possible(policy, "UALICE00", {"SONE0000": frozenset({"UALICE00"})})
    assert quorum_is_possible(policy, "UALICE00", {"SONE0000": frozenset({"UALICE00", "UBOB0000"})})
    two = Policy(("*",), (("SONE0000",), ("SONE0000",)), False)
    assert not quorum_is_possible(two, "UALICE00", {"SONE0000": frozenset({"UALICE00", "UBOB0000"})})


def test_an_expired_request_is_neither_approved_nor_denied() -> None:
    late = NOON + timedelta(hours=8)
    assert approve(request(), [], {}, person("UCAROL00"), late) == Refused(Refusal.EXPIRED)
    assert deny(request(), person("UCAROL00"), "", late) == Refused(Refusal.EXPIRED)


def test_a_decided_request_is_not_decided_again() -> None:
    for state in State:
        if state is State.PENDING:
            continue
        decided = request(state)
        assert approve(decided, [], {}, person("UCAROL00"), NOON) == Refused(Refusal.NOT_PENDING)
        assert deny(decided, person("UCAROL00"), "", NOON) == Refused(Refusal.NOT_PENDING)
        assert cancel(decided, person("UALICE00"), NOON) == Refused(Refusal.NOT_PENDING)


def test_retry_opens_the_next_attempt_only_when_nothing_was_started_and_the_approval_holds() -> None:
    verdict = retry(request(State.NOT_STARTED), person("UALICE00"), NOON)
    assert isinstance(verdict, Turned)
    assert verdict.request.attempt is not None
    assert verdict.request.attempt.number == 2
    assert verdict.request.state is State.APPROVED
    for state in set(State) - {State.NOT_STARTED}:
        assert retry(request(state), person("UALICE00"), NOON) == Refused(Refusal.NOT_RETRYABLE)
    late = NOON + timedelta(hours=8)
    assert retry(request(State.NOT_STARTED), person("UALICE00"), late) == Refused(Refusal.EXPIRED)
    assert retry(request(State.NOT_STARTED), person("UBOB0000"), NOON) == Refused(Refusal.NOT_AN_APPROVER)
