"""Nobody approves alone what others must approve: for any sequence of clicks, departures and changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.domain.decisions import (
    Action,
    ActionKind,
    ActionRejected,
    CurrentSettings,
    Decided,
    ScopeChanged,
    StateChanged,
    VoteAdded,
    VoteWithdrawn,
    decide,
    is_self_approved,
    missing_approvers,
)
from bot.domain.policy import AccountKind, Person, Refusal
from bot.domain.request import Attempt, Decision, Pause, Plan, Policy, Request, State, Verb, Vote, VoteProgress
from bot.domain.task_group import GroupStatus, Scope
from tests.domain.test_policy import GROUPS, USERS, seats, slots
from tests.support.values import GROUP, NOON, PLAN, POLICY, person, request

CAROL = person("UCAROL00")
LATE = NOON + timedelta(hours=8)


def press(
    act: ActionKind, who: Person, current: Request | None = None, votes: tuple[Vote, ...] = (), *others: Person
) -> Decided:
    """One click at noon, with the settings as they were."""
    people = {one.id: one for one in others}
    current = current or request()
    return decide(current, votes, people, Action(act, who, NOON), as_asked(current))


def as_asked(current: Request) -> CurrentSettings:
    """Settings that nobody has changed since."""
    return CurrentSettings(current.plan, current.policy)


def vote_of(user: str) -> Vote:
    return Vote(user, "T0TEST0001", NOON)


class Voting(RuleBasedStateMachine):
    """One request, and a workspace in which anything may happen between two clicks."""

    @initialize(
        some_places=st.one_of(slots, st.integers(2, 3).map(lambda number: ((*USERS, *GROUPS),) * number)),
        self_approval=st.booleans(),
        reason=st.sampled_from(["", "network is back"]),
        members=st.fixed_dictionaries({group: st.sets(st.sampled_from(USERS)) for group in GROUPS}),
    )
    def ask(
        self, some_places: tuple[tuple[str, ...], ...], self_approval: bool, reason: str, members: dict[str, set[str]]
    ) -> None:
        self.request = request(policy=Policy(("*",), some_places, self_approval), reason=reason)
        self.votes: list[Vote] = []
        self.members = members
        self.standings = dict.fromkeys(USERS, AccountKind.FULL)
        self.groups_known = True
        self.plan: Plan | None = PLAN
        self.current: Policy | None = self.request.policy
        self.now = NOON
        self.decisions = 0

    def look_up(self, user: str) -> Person:
        groups = [name for name, users in self.members.items() if user in users and self.groups_known]
        return person(user, *groups, account_kind=self.standings[user], groups_known=self.groups_known)

    def may_approve(self, user: str) -> bool:
        """Said again in other words than the code's."""
        one, own = self.look_up(user), user == self.request.requester
        policies = [self.request.policy, *([self.current] if self.current else [])]
        named = all(any(user in place or one.groups & set(place) for place in policy.slots) for policy in policies)
        alone = all(policy.self_approval for policy in policies) and self.request.reason != ""
        return one.account_kind is AccountKind.FULL and named and (not own or alone)

    @rule(user=st.sampled_from(USERS))
    def approve(self, user: str) -> None:
        self.press(user, ActionKind.APPROVE)

    @rule(user=st.sampled_from(USERS))
    def approve_again(self, user: str) -> None:
        self.press(self.votes[-1].person if self.votes else user, ActionKind.APPROVE)

    @rule(
        user=st.sampled_from(USERS),
        act=st.sampled_from([ActionKind.WITHDRAW] * 4 + [ActionKind.DENY, ActionKind.CANCEL]),
    )
    def press_something_else(self, user: str, act: ActionKind) -> None:
        self.press(user, act)

    def press(self, user: str, act: ActionKind) -> None:
        people = {vote.person: self.look_up(vote.person) for vote in self.votes}
        click = Action(act, self.look_up(user), self.now, "no")
        before = [vote.person for vote in self.votes]
        verdict = decide(self.request, self.votes, people, click, CurrentSettings(self.plan, self.current))
        match verdict:
            case VoteAdded(vote, counted):
                assert self.may_approve(user)
                assert not self.is_quorum([*before, user])
                self.votes.append(vote)
                self.request = counted
            case VoteWithdrawn(without):
                assert user in before
                self.votes = [vote for vote in self.votes if vote.person != user]
                self.request = without
            case StateChanged(changed, vote):
                self.turn(changed, vote, user, before)
            case ActionRejected():
                if (
                    act is ActionKind.APPROVE
                    and self.request.state is State.PENDING
                    and self.now < self.request.expires_at
                ):
                    assert not self.may_approve(user) or user in before
        assert len({vote.person for vote in self.votes}) == len(self.votes)

    def turn(self, changed: Request, vote: Vote | None, user: str, before: list[str]) -> None:
        if (self.request.state, changed.state) == (State.APPROVED, State.CANCELLED):
            self.request = changed  # Nothing was sent yet: calling it off is no second decision to start.
            return
        assert self.request.state is State.PENDING, "what is decided is not decided again"
        assert self.now < self.request.expires_at
        self.decisions += 1
        if changed.state is State.APPROVED:
            assert vote is not None
            assert user not in before, "a second click of the same person is no second vote"
            assert self.is_quorum([*before, user])
            assert changed.decision is not None
            assert all(self.may_approve(one) for one in changed.decision.people)
            assert self.plan == PLAN, "what would be called is what was asked for"
            assert changed.vote_progress is None, "nobody is missing any more"
            assert is_self_approved(changed) == (self.request.requester in changed.decision.people)
            self.votes.append(vote)
        self.request = changed

    def is_quorum(self, users: list[str]) -> bool:
        return seats(self.request.policy, [self.look_up(user) for user in users if self.may_approve(user)])

    @rule(user=st.sampled_from(USERS), account_kind=st.sampled_from([AccountKind.FULL, *AccountKind]))
    def change_standing(self, user: str, account_kind: AccountKind) -> None:
        self.standings[self.votes[0].person if self.votes else user] = account_kind

    @rule(user=st.sampled_from(USERS), group=st.sampled_from(GROUPS))
    def join_or_leave(self, user: str, group: str) -> None:
        self.members[group] ^= {user}

    @rule(names=st.none() | slots, self_approval=st.booleans())
    def change_who_counts(self, names: tuple[tuple[str, ...], ...] | None, self_approval: bool) -> None:
        """Also back to how it was; and a project that is gone from the settings has no plan either."""
        self.current = None if names is None else Policy(("*",), names, self_approval)
        self.plan = None if names is None else self.plan or PLAN

    @rule()
    def change_nothing_after_all(self) -> None:
        self.plan, self.current = PLAN, self.request.policy

    @rule(what=st.sampled_from(["groups", "groups", "settings", "time"]))
    def change_the_world(self, what: str) -> None:
        match what:
            case "groups":
                self.groups_known = not self.groups_known
            case "settings":
                elsewhere = replace(PLAN, oms_url="https://elsewhere.example")
                self.plan = None if self.current is None else elsewhere if self.plan == PLAN else PLAN
            case _:
                self.now += timedelta(hours=3)

    @invariant()
    def is_decided_at_most_once(self) -> None:
        assert self.decisions == (self.request.state is not State.PENDING)

    @invariant()
    def the_card_names_only_people_who_voted(self) -> None:
        if self.request.vote_progress is not None:
            assert set(self.request.vote_progress.people) <= {vote.person for vote in self.votes}
            assert self.request.vote_progress.missing


TestVoting = Voting.TestCase
TestVoting.settings = settings(max_examples=400, stateful_step_count=20)


def test_the_requester_does_not_approve_unless_the_settings_say_so_and_there_is_a_reason() -> None:
    policy = Policy(("*",), (("UALICE00",),), False)
    alice, allowed = person("UALICE00"), replace(policy, self_approval=True)
    assert press(ActionKind.APPROVE, alice, request(policy=policy)) == ActionRejected(Refusal.OWN_REQUEST)
    for reason in ("", "  "):
        assert press(ActionKind.APPROVE, alice, request(policy=allowed, reason=reason)) == ActionRejected(
            Refusal.OWN_REQUEST_NEEDS_REASON
        )
    verdict = press(ActionKind.APPROVE, alice, request(policy=allowed))
    assert isinstance(verdict, StateChanged)
    assert is_self_approved(verdict.request)
    assert not is_self_approved(request(State.DONE))


def test_an_approval_of_the_requesters_own_is_said_while_others_are_still_missing() -> None:
    both = Policy(("*",), (("UALICE00",), ("UCAROL00",)), self_approval=True)
    for user, is_own in (("UALICE00", True), ("UCAROL00", False)):
        verdict = press(ActionKind.APPROVE, person(user), request(policy=both))
        assert isinstance(verdict, VoteAdded)
        assert is_self_approved(verdict.request) == is_own
    assert not is_self_approved(request(policy=both))


def test_who_voted_and_was_not_looked_up_for_the_decision_does_not_count() -> None:
    both = Policy(("*",), (("UCAROL00", "UDAVE000"),) * 2, self_approval=False)
    verdict = press(ActionKind.APPROVE, CAROL, request(policy=both), (vote_of("UDAVE000"),))
    assert isinstance(verdict, VoteAdded)
    assert verdict.request.vote_progress == VoteProgress(("UCAROL00",), (("UDAVE000",),))


def test_only_who_could_approve_can_deny_and_what_they_say_is_kept_to_its_length() -> None:
    policy = Policy(("*",), (("UALICE00", "UCAROL00"),), self_approval=False)
    assert press(ActionKind.DENY, person("UALICE00"), request(policy=policy)) == ActionRejected(Refusal.OWN_REQUEST)
    assert press(ActionKind.DENY, person("UBOB0000"), request(policy=policy)) == ActionRejected(Refusal.NOT_AN_APPROVER)
    verdict = decide(
        request(policy=policy), [], {}, Action(ActionKind.DENY, CAROL, NOON, "x" * 501), CurrentSettings(PLAN, policy)
    )
    assert isinstance(verdict, StateChanged)
    assert verdict.request.state is State.DENIED
    assert verdict.request.ending == Decision(("UCAROL00",), NOON, "x" * 500)


def test_an_outsider_learns_nothing_of_how_a_request_stands() -> None:
    policy = Policy(("UALICE00",), (("UCAROL00",),), False)
    for act in ActionKind:
        answers = {
            (who.account_kind, state): press(act, who, request(state, policy=policy))
            for who in (
                person("UEVE0000"),
                *(person("UCAROL00", account_kind=one) for one in set(AccountKind) - {AccountKind.FULL}),
            )
            for state in State
        }
        for (account_kind, state), verdict in answers.items():
            assert verdict == answers[account_kind, State.PENDING], (act, account_kind, state)
            assert isinstance(verdict, ActionRejected)
            assert (verdict.why is Refusal.CANNOT_SEE_PROJECT) == (account_kind is AccountKind.FULL)
            who = person("UEVE0000", account_kind=account_kind)
            assert press(act, who, request(state, policy=policy)) == verdict, "nor whether the settings name them"


def test_an_expired_request_is_neither_approved_nor_denied_nor_withdrawn_from() -> None:
    for act in (ActionKind.APPROVE, ActionKind.DENY, ActionKind.CANCEL, ActionKind.WITHDRAW):
        verdict = decide(request(), [vote_of("UCAROL00")], {}, Action(act, CAROL, LATE), as_asked(request()))
        assert verdict == ActionRejected(Refusal.EXPIRED), act


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_decided_request_is_not_decided_again(state: State) -> None:
    not_sent_yet = (State.APPROVED, State.NOT_STARTED)
    for act in (
        ActionKind.APPROVE,
        ActionKind.DENY,
        ActionKind.WITHDRAW,
        ActionKind.CHOOSE_SCOPE,
        *([] if state in not_sent_yet else [ActionKind.CANCEL]),
    ):
        for who in (CAROL, person("UALICE00")):
            assert press(act, who, request(state), (vote_of("UCAROL00"),)) == ActionRejected(Refusal.NOT_PENDING)


@pytest.mark.parametrize("state", [State.APPROVED, State.NOT_STARTED])
def test_what_was_not_sent_can_be_called_off_by_whoever_is_involved(state: State) -> None:
    for who in (CAROL, person("UALICE00")):
        verdict = press(ActionKind.CANCEL, who, request(state))
        assert isinstance(verdict, StateChanged)
        assert verdict.request.state is State.CANCELLED
    assert press(ActionKind.CANCEL, person("UBOB0000"), request(state)) == ActionRejected(Refusal.NOT_AN_APPROVER)


def retried(**changes: Any) -> Request:
    failed = replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True)
    return request(verb=Verb.RETRY, scope=Scope.ALL_OBJECTS, group=failed, **changes)


def choose(who: Person, current: Request, scope: Scope | None) -> Decided:
    return decide(current, [], {}, Action(ActionKind.CHOOSE_SCOPE, who, NOON, scope=scope), as_asked(current))


def test_what_to_retry_is_chosen_by_whoever_is_involved_and_voids_what_was_approved_before() -> None:
    current = retried(vote_progress=VoteProgress(("UCAROL00",), (("UDAVE000",),)))
    for who in (CAROL, person("UALICE00")):
        chosen = choose(who, current, Scope.FAILED_OBJECTS)
        assert isinstance(chosen, ScopeChanged)
        assert (chosen.request.scope, chosen.request.vote_progress) == (Scope.FAILED_OBJECTS, None)
        assert choose(who, current, Scope.ALL_OBJECTS) == ActionRejected(Refusal.SCOPE_UNCHANGED)
        assert choose(who, current, None) == ActionRejected(Refusal.NO_SCOPE_TO_CHOOSE)
        assert choose(who, request(), Scope.FAILED_OBJECTS) == ActionRejected(Refusal.NO_SCOPE_TO_CHOOSE)
    assert choose(person("UBOB0000"), current, Scope.FAILED_OBJECTS) == ActionRejected(Refusal.NOT_AN_APPROVER)
    for change in ({"records_failed_objects": False}, {"status": GroupStatus.CREATION_FAILED}):
        unrecorded = replace(current, group=replace(current.group, **change))
        assert choose(CAROL, unrecorded, Scope.FAILED_OBJECTS) == ActionRejected(Refusal.NO_SCOPE_TO_CHOOSE)


def test_an_approval_of_another_choice_than_the_card_showed_does_not_count() -> None:
    seen = Action(ActionKind.APPROVE, CAROL, NOON, scope=Scope.FAILED_OBJECTS)
    assert decide(retried(), [], {}, seen, as_asked(retried())) == ActionRejected(Refusal.SCOPE_CHANGED_MEANWHILE)
    for as_it_is in (Scope.ALL_OBJECTS, None):  # None: the card showed no choice
        assert isinstance(decide(retried(), [], {}, replace(seen, scope=as_it_is), as_asked(retried())), StateChanged)


def test_whoever_may_ask_or_approve_may_pause_what_runs_and_nothing_else() -> None:
    for state in (State.ACCEPTED, State.MOVING):
        for user in ("UBOB0000", "UCAROL00", "UALICE00"):
            verdict = press(ActionKind.PAUSE, person(user), request(state))
            assert isinstance(verdict, StateChanged)
            assert verdict.request.state is State.PAUSING
            assert verdict.request.pause == Pause(user, NOON, state)
        narrow = Policy(("UALICE00",), (("UCAROL00",),), False)
        assert press(ActionKind.PAUSE, person("UBOB0000"), request(state, policy=narrow)) == ActionRejected(
            Refusal.CANNOT_SEE_PROJECT
        )
    for state in set(State) - {State.ACCEPTED, State.MOVING}:
        assert press(ActionKind.PAUSE, CAROL, request(state)) == ActionRejected(Refusal.NOT_PAUSABLE)


def test_a_vote_is_withdrawn_by_whoever_cast_it_and_by_nobody_else() -> None:
    policy = Policy(("*",), (("UCAROL00", "UDAVE000", "UERIN000"),) * 3, False)
    current = request(policy=policy, vote_progress=VoteProgress(("UCAROL00", "UDAVE000"), (("UERIN000",),)))
    votes = (vote_of("UCAROL00"), vote_of("UDAVE000"))
    for other in ("UALICE00", "UBOB0000", "UERIN000"):
        assert press(ActionKind.WITHDRAW, person(other), current, votes) == ActionRejected(Refusal.NOTHING_TO_WITHDRAW)
    verdict = press(ActionKind.WITHDRAW, CAROL, current, votes, person("UDAVE000"))
    assert isinstance(verdict, VoteWithdrawn)
    assert verdict.request.vote_progress == VoteProgress(("UDAVE000",), (("UCAROL00", "UERIN000"),) * 2)
    verdict = press(ActionKind.WITHDRAW, CAROL, current, votes[:1])
    assert isinstance(verdict, VoteWithdrawn)
    assert verdict.request.vote_progress is None


def test_what_is_missing_leaves_out_a_requester_whose_approval_does_not_count() -> None:
    policy = Policy(("*",), (("UALICE00", "UCAROL00"),), False)
    assert missing_approvers(request(policy=policy)) == (("UCAROL00",),)
    assert missing_approvers(request(policy=replace(policy, self_approval=True))) == policy.slots


def test_a_vote_for_what_would_now_be_something_else_makes_the_request_void() -> None:
    for by_now in (CurrentSettings(None, None), CurrentSettings(replace(PLAN, source_path="elsewhere"), POLICY)):
        for act, current in ((ActionKind.APPROVE, request()), (ActionKind.RETRY, request(State.NOT_STARTED))):
            verdict = decide(current, [], {}, Action(act, CAROL, NOON), by_now)
            assert isinstance(verdict, StateChanged)
            assert verdict.request.state is State.VOID
            assert verdict.vote is None
            stranger = decide(current, [], {}, Action(act, person("UBOB0000"), NOON), by_now)
            assert stranger == ActionRejected(Refusal.NOT_AN_APPROVER), "only who may decide can end it so"


def test_whom_the_settings_no_longer_name_does_not_count_though_the_request_was_asked_while_they_did() -> None:
    asked_under = Policy(("*",), (("UCAROL00", "UDAVE000"),) * 2, False)
    current = request(policy=asked_under)
    by_now = CurrentSettings(PLAN, Policy(("*",), (("UDAVE000", "UERIN000"),), False))
    for act in (ActionKind.APPROVE, ActionKind.DENY, ActionKind.CANCEL):
        for user, why in (("UCAROL00", Refusal.NO_LONGER_NAMED), ("UERIN000", Refusal.NOT_AN_APPROVER)):
            assert decide(current, [], {}, Action(act, person(user), NOON), by_now) == ActionRejected(why)
    dave = Action(ActionKind.APPROVE, person("UDAVE000"), NOON)
    verdict = decide(current, [vote_of("UCAROL00")], {"UCAROL00": CAROL}, dave, by_now)
    assert isinstance(verdict, VoteAdded), "two must approve, as when it was asked, and carol's vote is none any more"
    assert verdict.request.vote_progress == VoteProgress(("UDAVE000",), (("UCAROL00",),))
    nobody_else = CurrentSettings(PLAN, Policy(("UZOE0000",), (("UDAVE000",),), False))
    retry = Action(ActionKind.RETRY, person("UALICE00"), NOON)
    assert decide(request(State.NOT_STARTED), [], {}, retry, nobody_else) == ActionRejected(Refusal.CANNOT_SEE_PROJECT)


def test_retry_opens_the_next_attempt_only_when_nothing_was_started_and_the_approval_holds() -> None:
    verdict = press(ActionKind.RETRY, person("UALICE00"), request(State.NOT_STARTED))
    assert isinstance(verdict, StateChanged)
    assert verdict.request.attempt == Attempt(2, "UALICE00", NOON)
    assert verdict.request.state is State.APPROVED
    failed_again = replace(verdict.request, state=State.NOT_STARTED)
    verdict = press(ActionKind.RETRY, CAROL, failed_again)
    assert isinstance(verdict, StateChanged)
    assert verdict.request.attempt == Attempt(3, "UCAROL00", NOON)
    for state in set(State) - {State.NOT_STARTED}:
        assert press(ActionKind.RETRY, person("UALICE00"), request(state)) == ActionRejected(Refusal.NOT_RETRYABLE)
    late = decide(
        request(State.NOT_STARTED), [], {}, Action(ActionKind.RETRY, person("UALICE00"), LATE), as_asked(request())
    )
    assert late == ActionRejected(Refusal.EXPIRED)
    assert press(ActionKind.RETRY, person("UBOB0000"), request(State.NOT_STARTED)) == ActionRejected(
        Refusal.NOT_AN_APPROVER
    )
