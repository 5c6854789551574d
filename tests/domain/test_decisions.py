"""Decisions about a request: who may do what, and that no sequence of actions gives one person two votes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.domain.approvals import is_self_approved
from bot.domain.decisions import Action, ActionEffect, ActionKind, CurrentSettings, decide
from bot.domain.policy import AccountKind, Person, Refusal
from bot.domain.request import Attempt, Decision, Pause, Plan, Policy, Request, State, Verb, Vote, VoteProgress
from bot.domain.task_group import GroupStatus, Scope
from tests.domain.test_policy import GROUPS, USERS, is_quorum, slot_lists
from tests.support.values import GROUP, NOON, PLAN, POLICY, person, request

CAROL = person("UCAROL00")
LATE = NOON + timedelta(hours=8)


def act(
    kind: ActionKind, who: Person, current: Request | None = None, votes: tuple[Vote, ...] = (), *voters: Person
) -> ActionEffect | Refusal:
    """The result of one action at noon, with unchanged settings."""
    current = current or request()
    people = {voter.id: voter for voter in voters}
    return decide(current, votes, people, Action(kind, who, NOON), unchanged_settings(current))


def allowed(result: ActionEffect | Refusal) -> ActionEffect:
    assert isinstance(result, ActionEffect), result
    return result


def unchanged_settings(current: Request) -> CurrentSettings:
    return CurrentSettings(current.plan, current.policy)


def vote_of(user: str) -> Vote:
    return Vote(user, "T0TEST0001", NOON)


class Voting(RuleBasedStateMachine):
    """One request, with accounts, user groups and settings that change between two actions."""

    @initialize(
        slots=st.one_of(slot_lists, st.integers(2, 3).map(lambda number: ((*USERS, *GROUPS),) * number)),
        self_approval=st.booleans(),
        reason=st.sampled_from(["", "network is back"]),
        members=st.fixed_dictionaries({group: st.sets(st.sampled_from(USERS)) for group in GROUPS}),
    )
    def create_request(
        self, slots: tuple[tuple[str, ...], ...], self_approval: bool, reason: str, members: dict[str, set[str]]
    ) -> None:
        self.request = request(policy=Policy(("*",), slots, self_approval), reason=reason)
        self.votes: list[Vote] = []
        self.members = members
        self.account_kinds = dict.fromkeys(USERS, AccountKind.FULL)
        self.groups_known = True
        self.plan: Plan | None = PLAN
        self.policy: Policy | None = self.request.policy
        self.now = NOON
        self.decisions = 0

    def look_up(self, user: str) -> Person:
        groups = [name for name, users in self.members.items() if user in users and self.groups_known]
        return person(user, *groups, account_kind=self.account_kinds[user], groups_known=self.groups_known)

    def may_approve(self, user: str) -> bool:
        """The rule of the policy, written independently of the code under test."""
        voter, is_requester = self.look_up(user), user == self.request.requester
        policies = [self.request.policy, *([self.policy] if self.policy else [])]
        is_named = all(any(user in slot or voter.groups & set(slot) for slot in policy.slots) for policy in policies)
        may_self_approve = all(policy.self_approval for policy in policies) and self.request.reason != ""
        return voter.account_kind is AccountKind.FULL and is_named and (not is_requester or may_self_approve)

    @rule(user=st.sampled_from(USERS))
    def approve(self, user: str) -> None:
        self.act(user, ActionKind.APPROVE)

    @rule(user=st.sampled_from(USERS))
    def approve_again(self, user: str) -> None:
        self.act(self.votes[-1].person if self.votes else user, ActionKind.APPROVE)

    @rule(
        user=st.sampled_from(USERS),
        kind=st.sampled_from([ActionKind.WITHDRAW] * 4 + [ActionKind.DENY, ActionKind.CANCEL]),
    )
    def withdraw_deny_or_cancel(self, user: str, kind: ActionKind) -> None:
        self.act(user, kind)

    def act(self, user: str, kind: ActionKind) -> None:
        people = {vote.person: self.look_up(vote.person) for vote in self.votes}
        action = Action(kind, self.look_up(user), self.now, "no")
        voted_before = [vote.person for vote in self.votes]
        result = decide(self.request, self.votes, people, action, CurrentSettings(self.plan, self.policy))
        if isinstance(result, Refusal):
            if kind is ActionKind.APPROVE and self.is_pending and result is not Refusal.GROUPS_UNKNOWN:
                assert not self.may_approve(user) or user in voted_before
            if result is Refusal.GROUPS_UNKNOWN:
                assert not self.groups_known
            return
        self.check_votes(result, kind, user, voted_before)
        if result.request.state is not self.request.state:
            self.check_new_state(result, user, voted_before)
        self.request = result.request

    @property
    def is_pending(self) -> bool:
        return self.request.state is State.PENDING and self.now < self.request.expires_at

    def check_votes(self, effect: ActionEffect, kind: ActionKind, user: str, voted_before: list[str]) -> None:
        """A vote is added by APPROVE and removed by WITHDRAW alone; the quorum decides whether it approves."""
        if kind is ActionKind.WITHDRAW:
            assert user in voted_before
            assert effect.request.state is self.request.state
            assert effect.removed_voters == (user,)
        else:
            assert effect.removed_voters == ()
        if kind is ActionKind.APPROVE and effect.request.state is not State.VOID:
            assert self.may_approve(user)
            assert user not in voted_before, "a second approval by the same person is not a second vote"
            assert effect.added_vote == Vote(user, effect.request.team_id, self.now)
            assert self.is_quorum([*voted_before, user]) == (effect.request.state is State.APPROVED)
            self.votes.append(effect.added_vote)
        else:
            assert effect.added_vote is None
        self.votes = [vote for vote in self.votes if vote.person not in effect.removed_voters]
        assert len({vote.person for vote in self.votes}) == len(self.votes)

    def check_new_state(self, effect: ActionEffect, user: str, voted_before: list[str]) -> None:
        changed = effect.request
        if (self.request.state, changed.state) == (State.APPROVED, State.CANCELLED):
            return  # Nothing was sent yet, so cancelling is not a second decision to start.
        assert self.is_pending, "a request is decided once, before it expires"
        self.decisions += 1
        if changed.state is State.APPROVED:
            assert changed.decision is not None
            assert all(self.may_approve(voter) for voter in changed.decision.people)
            assert self.plan == PLAN, "an approved request has the plan it was created with"
            assert changed.vote_progress is None
            assert is_self_approved(changed) == (self.request.requester in changed.decision.people)

    def is_quorum(self, users: list[str]) -> bool:
        return is_quorum(self.request.policy, [self.look_up(user) for user in users if self.may_approve(user)])

    @rule(user=st.sampled_from(USERS), account_kind=st.sampled_from([AccountKind.FULL, *AccountKind]))
    def change_account_kind(self, user: str, account_kind: AccountKind) -> None:
        self.account_kinds[self.votes[0].person if self.votes else user] = account_kind

    @rule(user=st.sampled_from(USERS), group=st.sampled_from(GROUPS))
    def join_or_leave_a_group(self, user: str, group: str) -> None:
        self.members[group] ^= {user}

    @rule(slots=st.none() | slot_lists, self_approval=st.booleans())
    def change_policy(self, slots: tuple[tuple[str, ...], ...] | None, self_approval: bool) -> None:
        """None removes the project from the settings, and with it the plan."""
        self.policy = None if slots is None else Policy(("*",), slots, self_approval)
        self.plan = None if slots is None else self.plan or PLAN

    @rule()
    def restore_settings(self) -> None:
        self.plan, self.policy = PLAN, self.request.policy

    @rule(change=st.sampled_from(["groups", "groups", "plan", "time"]))
    def change_surroundings(self, change: str) -> None:
        match change:
            case "groups":
                self.groups_known = not self.groups_known
            case "plan":
                elsewhere = replace(PLAN, oms_url="https://elsewhere.example")
                self.plan = None if self.policy is None else elsewhere if self.plan == PLAN else PLAN
            case _:
                self.now += timedelta(hours=3)

    @invariant()
    def a_request_is_decided_at_most_once(self) -> None:
        assert self.decisions == (self.request.state is not State.PENDING)

    @invariant()
    def vote_progress_names_only_people_who_voted(self) -> None:
        if self.request.vote_progress is not None:
            assert set(self.request.vote_progress.people) <= {vote.person for vote in self.votes}
            assert self.request.vote_progress.missing


TestVoting = Voting.TestCase
TestVoting.settings = settings(max_examples=400, stateful_step_count=20)


def test_a_requester_approves_only_if_self_approval_is_allowed_and_there_is_a_reason() -> None:
    policy = Policy(("*",), (("UALICE00",),), False)
    alice, self_approval = person("UALICE00"), replace(policy, self_approval=True)
    assert act(ActionKind.APPROVE, alice, request(policy=policy)) is Refusal.OWN_REQUEST
    for reason in ("", "  "):
        without_reason = request(policy=self_approval, reason=reason)
        assert act(ActionKind.APPROVE, alice, without_reason) is Refusal.OWN_REQUEST_NEEDS_REASON
    approved = allowed(act(ActionKind.APPROVE, alice, request(policy=self_approval))).request
    assert approved.state is State.APPROVED
    assert is_self_approved(approved)
    assert not is_self_approved(request(State.DONE))


def test_a_pending_request_tells_whether_the_requester_has_approved_it() -> None:
    both = Policy(("*",), (("UALICE00",), ("UCAROL00",)), self_approval=True)
    for user, is_requester in (("UALICE00", True), ("UCAROL00", False)):
        pending = allowed(act(ActionKind.APPROVE, person(user), request(policy=both))).request
        assert pending.state is State.PENDING
        assert is_self_approved(pending) == is_requester
    assert not is_self_approved(request(policy=both))


def test_a_voter_who_was_not_looked_up_for_the_decision_does_not_count() -> None:
    both = Policy(("*",), (("UCAROL00", "UDAVE000"),) * 2, self_approval=False)
    pending = allowed(act(ActionKind.APPROVE, CAROL, request(policy=both), (vote_of("UDAVE000"),))).request
    assert pending.state is State.PENDING
    assert pending.vote_progress == VoteProgress(("UCAROL00",), (("UDAVE000",),))


def test_a_vote_that_depends_on_an_earlier_voter_whose_user_groups_are_unknown_is_refused() -> None:
    lead = person("UDAVE000", groups_known=False)
    current = request(policy=Policy(("*",), (("SLEADS00",), ("UCAROL00", "UERIN000")), False))
    erin_and_lead = (vote_of("UERIN000"), vote_of("UDAVE000"))
    assert act(ActionKind.APPROVE, CAROL, current, (vote_of("UDAVE000"),), lead) is Refusal.GROUPS_UNKNOWN
    withdrawn = act(ActionKind.WITHDRAW, person("UERIN000"), current, erin_and_lead, person("UERIN000"), lead)
    assert withdrawn is Refusal.GROUPS_UNKNOWN


def test_an_earlier_voter_whose_user_groups_are_unknown_does_not_hold_up_a_complete_quorum() -> None:
    lead = person("UDAVE000", groups_known=False)
    current = request(policy=Policy(("*",), (("SLEADS00", "UCAROL00"),), False))
    approved = allowed(act(ActionKind.APPROVE, CAROL, current, (vote_of("UDAVE000"),), lead)).request
    assert approved.decision is not None
    assert approved.decision.people == ("UCAROL00",)


def test_only_approvers_can_deny_and_a_long_reason_is_cut() -> None:
    policy = Policy(("*",), (("UALICE00", "UCAROL00"),), self_approval=False)
    assert act(ActionKind.DENY, person("UALICE00"), request(policy=policy)) is Refusal.OWN_REQUEST
    assert act(ActionKind.DENY, person("UBOB0000"), request(policy=policy)) is Refusal.NOT_AN_APPROVER
    deny = Action(ActionKind.DENY, CAROL, NOON, "x" * 501)
    denied = allowed(decide(request(policy=policy), [], {}, deny, CurrentSettings(PLAN, policy))).request
    assert denied.state is State.DENIED
    assert denied.ending == Decision(("UCAROL00",), NOON, "x" * 500)


def test_a_refusal_tells_an_outsider_nothing_about_the_request() -> None:
    policy = Policy(("UALICE00",), (("UCAROL00",),), False)
    not_named = person("UEVE0000")
    not_full_members = [person("UCAROL00", account_kind=kind) for kind in set(AccountKind) - {AccountKind.FULL}]
    for kind in ActionKind:
        for outsider in (not_named, *not_full_members):
            answers = {act(kind, outsider, request(state, policy=policy)) for state in State}
            assert len(answers) == 1, "the answer does not depend on the state"
            (answer,) = answers
            assert isinstance(answer, Refusal)
            assert (answer is Refusal.CANNOT_SEE_PROJECT) == (outsider is not_named)
            same_kind = person("UEVE0000", account_kind=outsider.account_kind)
            for state in State:
                assert act(kind, same_kind, request(state, policy=policy)) is answer, (
                    "nor on whether the person is named"
                )


def test_an_expired_request_is_not_approved_denied_cancelled_or_withdrawn_from() -> None:
    for kind in (ActionKind.APPROVE, ActionKind.DENY, ActionKind.CANCEL, ActionKind.WITHDRAW):
        late = Action(kind, CAROL, LATE)
        assert decide(request(), [vote_of("UCAROL00")], {}, late, unchanged_settings(request())) is Refusal.EXPIRED


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_decided_request_is_not_decided_again(state: State) -> None:
    can_be_cancelled = state in (State.APPROVED, State.NOT_STARTED)
    for kind in (
        ActionKind.APPROVE,
        ActionKind.DENY,
        ActionKind.WITHDRAW,
        *([] if state is State.NOT_STARTED else [ActionKind.CHOOSE_SCOPE]),
        *([] if can_be_cancelled else [ActionKind.CANCEL]),
    ):
        for who in (CAROL, person("UALICE00")):
            assert act(kind, who, request(state), (vote_of("UCAROL00"),)) is Refusal.NOT_PENDING


@pytest.mark.parametrize("state", [State.APPROVED, State.NOT_STARTED])
def test_the_requester_and_approvers_can_cancel_while_nothing_was_sent(state: State) -> None:
    for who in (CAROL, person("UALICE00")):
        assert allowed(act(ActionKind.CANCEL, who, request(state))).request.state is State.CANCELLED
    assert act(ActionKind.CANCEL, person("UBOB0000"), request(state)) is Refusal.NEITHER_REQUESTER_NOR_APPROVER


def retry_request(**changes: Any) -> Request:
    failed = replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True)
    return request(verb=Verb.RETRY, scope=Scope.ALL_OBJECTS, group=failed, **changes)


def choose(who: Person, current: Request, scope: Scope | None, votes: tuple[Vote, ...] = ()) -> ActionEffect | Refusal:
    action = Action(ActionKind.CHOOSE_SCOPE, who, NOON, scope=scope)
    return decide(current, votes, {}, action, unchanged_settings(current))


def test_the_requester_and_approvers_can_change_the_scope_which_removes_all_votes() -> None:
    current = retry_request(vote_progress=VoteProgress(("UCAROL00",), (("UDAVE000",),)))
    for who in (CAROL, person("UALICE00")):
        changed = allowed(choose(who, current, Scope.FAILED_OBJECTS, (vote_of("UCAROL00"),)))
        assert (changed.request.scope, changed.request.vote_progress) == (Scope.FAILED_OBJECTS, None)
        assert changed.request.state is State.PENDING
        assert (changed.added_vote, changed.removed_voters) == (None, ("UCAROL00",))
        assert choose(who, current, Scope.ALL_OBJECTS) is Refusal.SCOPE_UNCHANGED
        assert choose(who, current, None) is Refusal.NO_SCOPE_TO_CHOOSE
        assert choose(who, request(), Scope.FAILED_OBJECTS) is Refusal.NO_SCOPE_TO_CHOOSE
    assert choose(person("UBOB0000"), current, Scope.FAILED_OBJECTS) is Refusal.NEITHER_REQUESTER_NOR_APPROVER
    for change in ({"records_failed_objects": False}, {"status": GroupStatus.CREATION_FAILED}):
        without_list = replace(current, group=replace(current.group, **change))
        assert choose(CAROL, without_list, Scope.FAILED_OBJECTS) is Refusal.NO_SCOPE_TO_CHOOSE


def test_a_request_that_was_not_started_needs_approval_again_once_its_scope_is_changed() -> None:
    approved = allowed(decide(retry_request(), [], {}, approval(), unchanged_settings(retry_request()))).request
    not_started = approved.with_state(State.NOT_STARTED, at=NOON)
    changed = allowed(choose(CAROL, not_started, Scope.FAILED_OBJECTS, (vote_of("UCAROL00"),)))
    assert changed.removed_voters == ("UCAROL00",)
    assert (changed.request.state, changed.request.decision) == (State.PENDING, None)
    assert (changed.request.scope, changed.request.scope_chosen_by) == (Scope.FAILED_OBJECTS, "UCAROL00")
    again = allowed(decide(changed.request, [], {}, approval(), unchanged_settings(changed.request))).request
    assert again.state is State.APPROVED
    assert again.attempt is not None
    assert again.attempt.number == 2, "a late reply to the first attempt is not taken for a reply to this one"


@pytest.mark.parametrize("end", ["answered_at", "unanswered_at"])
def test_another_scope_cannot_be_chosen_while_a_put_can_still_take_effect(end: str) -> None:
    approved = allowed(decide(retry_request(), [], {}, approval(), unchanged_settings(retry_request()))).request
    assert approved.attempt is not None
    ends = {"answered_at": None, "unanswered_at": None, end: NOON}
    attempt = replace(
        approved.attempt, sent_at=NOON, answered_at=ends["answered_at"], unanswered_at=ends["unanswered_at"]
    )
    not_started = replace(approved, attempt=attempt).with_state(State.NOT_STARTED, at=NOON)
    assert choose(CAROL, not_started, Scope.FAILED_OBJECTS) is Refusal.NO_SCOPE_TO_CHOOSE
    retry = Action(ActionKind.RETRY, CAROL, NOON)
    again = allowed(decide(not_started, [], {}, retry, unchanged_settings(not_started))).request
    assert again.attempt is not None
    assert again.attempt.follows_open_put
    refused_again = again.with_state(State.NOT_STARTED, at=NOON)
    assert choose(CAROL, refused_again, Scope.FAILED_OBJECTS) is Refusal.NO_SCOPE_TO_CHOOSE


def test_a_retry_with_another_selection_than_the_current_scope_sends_nothing() -> None:
    approved = allowed(decide(retry_request(), [], {}, approval(), unchanged_settings(retry_request()))).request
    not_started = approved.with_state(State.NOT_STARTED, at=NOON)
    retry = Action(ActionKind.RETRY, CAROL, NOON, scope=Scope.FAILED_OBJECTS)
    assert decide(not_started, [], {}, retry, unchanged_settings(not_started)) is Refusal.SCOPE_CHANGED_MEANWHILE
    for shown in (Scope.ALL_OBJECTS, None):
        result = decide(not_started, [], {}, replace(retry, scope=shown), unchanged_settings(not_started))
        assert allowed(result).request.state is State.APPROVED


def approval() -> Action:
    return Action(ActionKind.APPROVE, CAROL, NOON)


def test_an_approval_of_another_scope_than_the_current_one_does_not_count() -> None:
    settings_now = unchanged_settings(retry_request())
    approve = Action(ActionKind.APPROVE, CAROL, NOON, scope=Scope.FAILED_OBJECTS)
    assert decide(retry_request(), [], {}, approve, settings_now) is Refusal.SCOPE_CHANGED_MEANWHILE
    for shown in (Scope.ALL_OBJECTS, None):  # None: the card showed no scope
        approved = allowed(decide(retry_request(), [], {}, replace(approve, scope=shown), settings_now)).request
        assert approved.state is State.APPROVED


def test_everybody_who_may_see_a_running_request_can_pause_it() -> None:
    for state in (State.ACCEPTED, State.MOVING):
        for user in ("UBOB0000", "UCAROL00", "UALICE00"):
            pausing = allowed(act(ActionKind.PAUSE, person(user), request(state))).request
            assert pausing.state is State.PAUSING
            assert pausing.pause == Pause(user, NOON, state)
        narrow = request(state, policy=Policy(("UALICE00",), (("UCAROL00",),), False))
        assert act(ActionKind.PAUSE, person("UBOB0000"), narrow) is Refusal.CANNOT_SEE_PROJECT
    for state in set(State) - {State.ACCEPTED, State.MOVING}:
        assert act(ActionKind.PAUSE, CAROL, request(state)) is Refusal.NOT_PAUSABLE


def test_only_the_voter_can_withdraw_a_vote() -> None:
    policy = Policy(("*",), (("UCAROL00", "UDAVE000", "UERIN000"),) * 3, False)
    current = request(policy=policy, vote_progress=VoteProgress(("UCAROL00", "UDAVE000"), (("UERIN000",),)))
    votes = (vote_of("UCAROL00"), vote_of("UDAVE000"))
    for other in ("UALICE00", "UBOB0000", "UERIN000"):
        assert act(ActionKind.WITHDRAW, person(other), current, votes) is Refusal.NOTHING_TO_WITHDRAW
    withdrawn = allowed(act(ActionKind.WITHDRAW, CAROL, current, votes, person("UDAVE000")))
    assert withdrawn.removed_voters == ("UCAROL00",)
    assert withdrawn.request.vote_progress == VoteProgress(("UDAVE000",), (("UCAROL00", "UERIN000"),) * 2)
    last = allowed(act(ActionKind.WITHDRAW, CAROL, current, votes[:1]))
    assert last.request.vote_progress is None


def test_approving_or_retrying_voids_the_request_if_the_settings_lead_to_another_plan() -> None:
    for by_now in (CurrentSettings(None, None), CurrentSettings(replace(PLAN, source_path="elsewhere"), POLICY)):
        for kind, current in ((ActionKind.APPROVE, request()), (ActionKind.RETRY, request(State.NOT_STARTED))):
            effect = allowed(decide(current, [], {}, Action(kind, CAROL, NOON), by_now))
            assert effect.request.state is State.VOID
            assert effect.added_vote is None
            refused = decide(current, [], {}, Action(kind, person("UBOB0000"), NOON), by_now)
            assert isinstance(refused, Refusal), "only people who may approve or retry can end the request like this"


def test_approvers_removed_from_the_settings_no_longer_count_and_the_slots_stay() -> None:
    current = request(policy=Policy(("*",), (("UCAROL00", "UDAVE000"),) * 2, False))
    by_now = CurrentSettings(PLAN, Policy(("*",), (("UDAVE000", "UERIN000"),), False))
    for kind in (ActionKind.APPROVE, ActionKind.DENY, ActionKind.CANCEL):
        is_cancel = kind is ActionKind.CANCEL
        never_named = Refusal.NEITHER_REQUESTER_NOR_APPROVER if is_cancel else Refusal.NOT_AN_APPROVER
        for user, refusal in (("UCAROL00", Refusal.NO_LONGER_NAMED), ("UERIN000", never_named)):
            assert decide(current, [], {}, Action(kind, person(user), NOON), by_now) is refusal
    dave = Action(ActionKind.APPROVE, person("UDAVE000"), NOON)
    pending = allowed(decide(current, [vote_of("UCAROL00")], {"UCAROL00": CAROL}, dave, by_now)).request
    assert pending.state is State.PENDING, "two approvals are still needed, and carol's vote no longer counts"
    assert pending.vote_progress == VoteProgress(("UDAVE000",), (("UCAROL00",),))
    without_alice = CurrentSettings(PLAN, Policy(("UZOE0000",), (("UDAVE000",),), False))
    retry = Action(ActionKind.RETRY, person("UALICE00"), NOON)
    assert decide(request(State.NOT_STARTED), [], {}, retry, without_alice) is Refusal.CANNOT_SEE_PROJECT


def test_retry_opens_the_next_attempt_if_nothing_was_started_and_the_approval_holds() -> None:
    rejected = request(State.NOT_STARTED, attempt=Attempt(1, "UCAROL00", NOON, sent_at=NOON))
    retried = allowed(act(ActionKind.RETRY, person("UALICE00"), rejected)).request
    assert retried.attempt == Attempt(2, "UALICE00", NOON)
    assert retried.state is State.APPROVED
    again = allowed(act(ActionKind.RETRY, CAROL, replace(retried, state=State.NOT_STARTED))).request
    assert again.attempt == Attempt(3, "UCAROL00", NOON)
    for state in set(State) - {State.NOT_STARTED}:
        assert act(ActionKind.RETRY, person("UALICE00"), request(state)) is Refusal.NOT_RETRYABLE
    late = Action(ActionKind.RETRY, person("UALICE00"), LATE)
    not_started = request(State.NOT_STARTED)
    assert decide(not_started, [], {}, late, unchanged_settings(not_started)) is Refusal.EXPIRED
    assert act(ActionKind.RETRY, person("UBOB0000"), not_started) is Refusal.NEITHER_REQUESTER_NOR_APPROVER


def test_an_approval_for_a_late_start_can_be_used_until_an_hour_after_the_start() -> None:
    start = LATE + timedelta(hours=1)
    not_started = request(State.NOT_STARTED, start_at=start)
    for kind in (ActionKind.RETRY, ActionKind.CANCEL):
        for at, expected in ((start, None), (start + timedelta(hours=1), Refusal.EXPIRED)):
            action = Action(kind, person("UALICE00"), at)
            result = decide(not_started, [], {}, action, unchanged_settings(not_started))
            assert (result if isinstance(result, Refusal) else None) is expected
    vote = Action(ActionKind.APPROVE, CAROL, LATE)
    pending = request(start_at=start)
    assert decide(pending, [], {}, vote, unchanged_settings(pending)) is Refusal.EXPIRED
