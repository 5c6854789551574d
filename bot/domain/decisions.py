"""Decides what an action changes in a request: approve, deny, cancel, withdraw, choose the scope, retry, pause.

`action_refusal` returns why a person may not act, `decide` returns what the action changes. `bot.jobs.decide` looks up
people and stores the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.domain.approvals import approval_refusal, view_refusal
from bot.domain.policy import Person, Refusal, candidates_for_open_slots, open_slots
from bot.domain.request import Attempt, Decision, Pause, Plan, Policy, Request, State, Vote, VoteProgress
from bot.domain.schedule import reminders_at
from bot.domain.task_group import GroupStatus, Scope

MAX_DENY_REASON_CHARACTERS = 500


class ActionKind(StrEnum):
    """What a person can do to an existing request. The values are those of `bot.store.inbox.Kind`."""

    #: Votes for a pending request. The vote that fills the last open slot approves the request.
    APPROVE = "approve"
    #: Ends a pending request. One person whose approval would count is enough.
    DENY = "deny"
    #: Ends a request for which nothing was sent. Allowed for the requester and the approvers.
    CANCEL = "cancel"
    #: Removes the person's own vote while the request is pending.
    WITHDRAW = "withdraw"
    #: Changes which objects a retry migrates again, if nothing was sent or started. Removes all votes, because they
    #: were for another scope; a request that was approved is pending again.
    CHOOSE_SCOPE = "choose"
    #: Opens the next attempt after one that started nothing. The approval still holds.
    RETRY = "retry"
    #: Pauses the running group. Allowed for everybody who may see the request.
    PAUSE = "pause"


@dataclass(frozen=True)
class Action:
    """One action by one person."""

    kind: ActionKind
    person: Person  # as looked up for this decision
    at: datetime
    reason: str = ""  # of a denial
    scope: Scope | None = None  # the scope on the card, or the new one for CHOOSE_SCOPE; None if the card had none


@dataclass(frozen=True)
class CurrentSettings:
    """The current settings for the project of an existing request.

    A plan that differs from the request's plan makes the request void. Approvers removed from bot.toml no longer
    count. The number of approvals needed does not change.
    """

    plan: Plan | None  # of a new request for the same group; None if the project or its source path was removed
    policy: Policy | None  # None if the project was removed


@dataclass(frozen=True)
class ActionEffect:
    """What an allowed action changes."""

    request: Request  # after the action
    added_vote: Vote | None = None  # None if the action adds none
    removed_voters: tuple[str, ...] = ()  # the user ids of the people whose votes are removed


def action_refusal(request: Request, votes: Sequence[Vote], action: Action, policy: Policy | None) -> Refusal | None:
    """Returns why this person may not do this now, or None.

    Checks first whether the person may see the request, so that the refusal reveals nothing to people who may not.
    Then checks the request's state, then the person's rights.

    Arguments:
        votes: the votes stored so far.
        policy: the project's policy now; None if the project was removed from bot.toml.
    """
    return (
        view_refusal(request, action.person, policy)
        or _state_refusal(request, action)
        or _rights_refusal(request, votes, action, policy)
    )


def decide(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], action: Action, settings: CurrentSettings
) -> ActionEffect | Refusal:
    """Returns what the action changes, or why it is refused.

    GROUPS_UNKNOWN also refuses an action whose effect depends on an earlier voter whose user groups are unknown. The
    votes are counted again only at the next vote, so a voter left out by mistake could be missing until the expiry.

    Arguments:
        votes: the votes stored so far.
        people: everybody who voted so far, by id, as looked up for this decision. A vote counts only if its voter is
            in here and could still approve.
    """
    refusal = action_refusal(request, votes, action, settings.policy)
    if refusal is not None:
        return refusal
    now, person = action.at, action.person
    match action.kind:
        case ActionKind.APPROVE | ActionKind.RETRY if settings.plan != request.plan:
            return ActionEffect(request.with_state(State.VOID, at=now))
        case ActionKind.APPROVE:
            return _approve(request, votes, people, action, settings.policy)
        case ActionKind.WITHDRAW:
            remaining = [vote for vote in votes if vote.person != person.id]
            counted, has_unknown = _counted_voters(request, remaining, people, settings.policy)
            if has_unknown:
                return Refusal.GROUPS_UNKNOWN
            withdrawn = replace(request, vote_progress=_vote_progress(request, counted))
            return ActionEffect(withdrawn, removed_voters=(person.id,))
        case ActionKind.RETRY:
            retried = replace(request, attempt=_next_attempt(request, person, now))
            return ActionEffect(retried.with_state(State.APPROVED, at=now))
        case ActionKind.DENY:
            denied = replace(request, ending=Decision((person.id,), now, action.reason[:MAX_DENY_REASON_CHARACTERS]))
            return ActionEffect(denied.with_state(State.DENIED, at=now))
        case ActionKind.CANCEL:
            cancelled = replace(request, ending=Decision((person.id,), now))
            return ActionEffect(cancelled.with_state(State.CANCELLED, at=now))
        case ActionKind.CHOOSE_SCOPE:
            chosen = replace(
                request,
                scope=action.scope,
                scope_chosen_by=person.id,
                vote_progress=None,
                decision=None,
                void_approvals=(),
            )
            changed = _pending_again(chosen, now)
            return ActionEffect(changed, removed_voters=tuple(vote.person for vote in votes))
        case ActionKind.PAUSE:
            pausing = replace(request, pause=Pause(person.id, now, request.state))
            return ActionEffect(pausing.with_state(State.PAUSING, at=now))


def recheck_approval(
    request: Request, people: Sequence[Person], policy: Policy | None, now: datetime
) -> Request | Refusal | None:
    """Checks the approval of a request again, before its keys are read.

    Arguments:
        people: everybody in the approval (`Request.decision`), as looked up for this check.
        policy: the project's policy now; None if the project was removed from bot.toml.

    Returns:
        None if the quorum is still complete; GROUPS_UNKNOWN if that depends on a person whose user groups are unknown;
        otherwise the request, pending again until its approval would have expired, with the approvals that still count.
    """
    refusals = {person.id: approval_refusal(request, person, policy) for person in people}
    counted = [person for person in people if refusals[person.id] is None]
    if not open_slots(request.policy, counted):
        return None
    if Refusal.GROUPS_UNKNOWN in refusals.values():
        return Refusal.GROUPS_UNKNOWN
    pending = replace(
        request,
        expires_at=request.approval_valid_until,
        decision=None,
        vote_progress=_vote_progress(request, counted),
        void_approvals=tuple(user_id for user_id, refusal in refusals.items() if refusal is not None),
    )
    return _pending_again(pending, now)


def _pending_again(request: Request, now: datetime) -> Request:
    """A request that needs approval again. Reminders that were due while it was approved are not sent later."""
    passed = max(request.reminders, sum(at <= now for at in reminders_at(request)))
    return replace(request, reminders=passed).with_state(State.PENDING, at=now)


def can_choose_scope(request: Request) -> bool:
    """Whether a retry can be limited to the objects that failed: OMS has a list of them, and no PUT can take effect.

    A PUT that OMS accepted or did not answer can still start the group with the scope of that PUT.
    """
    return (
        request.scope is not None
        and not (request.attempt is not None and request.attempt.may_take_effect)
        and request.group.status is GroupStatus.MIGRATION_FAILED
        and request.group.records_failed_objects
    )


def _approve(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], action: Action, policy: Policy | None
) -> ActionEffect | Refusal:
    """Adds the person's vote; the request is approved if no slot stays open."""
    person, now = action.person, action.at
    vote = Vote(person.id, person.team_id, now)
    counted, has_unknown = _counted_voters(request, votes, people, policy)
    approving = [*counted, person]
    if open_slots(request.policy, approving):
        if has_unknown:
            return Refusal.GROUPS_UNKNOWN
        void = tuple(user_id for user_id in request.void_approvals if user_id != person.id)
        progress = _vote_progress(request, approving)
        return ActionEffect(replace(request, vote_progress=progress, void_approvals=void), vote)
    decision = Decision(tuple(voter.id for voter in approving), now)
    attempt = _next_attempt(request, person, now)
    approved = replace(request, vote_progress=None, decision=decision, void_approvals=(), attempt=attempt)
    return ActionEffect(approved.with_state(State.APPROVED, at=now), vote)


def _next_attempt(request: Request, person: Person, now: datetime) -> Attempt:
    # A pending request has an attempt if its scope was changed after that attempt started nothing.
    last = request.attempt
    if last is None:
        return Attempt(1, person.id, now)
    return Attempt(last.number + 1, person.id, now, follows_open_put=last.may_take_effect)


def _counted_voters(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], policy: Policy | None
) -> tuple[list[Person], bool]:
    """The voters whose approval counts, and whether there are voters of whom this is unknown."""
    voters = [people[vote.person] for vote in votes if vote.person in people]
    refusals = [approval_refusal(request, voter, policy) for voter in voters]
    counted = [voter for voter, refusal in zip(voters, refusals, strict=True) if refusal is None]
    return counted, Refusal.GROUPS_UNKNOWN in refusals


def _vote_progress(request: Request, approving: Sequence[Person]) -> VoteProgress | None:
    if not approving:
        return None
    return VoteProgress(tuple(voter.id for voter in approving), candidates_for_open_slots(request.policy, approving))


# Nothing was sent in these states.
_CANCELLABLE_STATES = frozenset({State.PENDING, State.APPROVED, State.NOT_STARTED})
#: The group runs, and can be paused.
PAUSABLE_STATES = frozenset({State.ACCEPTED, State.MOVING})
_STATES_TO_CHOOSE_SCOPE_IN = frozenset({State.PENDING, State.NOT_STARTED})


def _state_refusal(request: Request, action: Action) -> Refusal | None:
    """Returns why the request's state, or its expiry, does not allow the action, or None."""
    match action.kind:
        case ActionKind.RETRY if request.state is not State.NOT_STARTED:
            return Refusal.NOT_RETRYABLE
        case ActionKind.PAUSE:
            return None if request.state in PAUSABLE_STATES else Refusal.NOT_PAUSABLE
        case ActionKind.CANCEL if request.state not in _CANCELLABLE_STATES:
            return Refusal.NOT_PENDING
        case ActionKind.CHOOSE_SCOPE if request.state not in _STATES_TO_CHOOSE_SCOPE_IN:
            return Refusal.NOT_PENDING
        case ActionKind.APPROVE | ActionKind.DENY | ActionKind.WITHDRAW if request.state is not State.PENDING:
            return Refusal.NOT_PENDING
    # Another scope has to be voted on again, so it can only be chosen while people can vote.
    needs_votes = request.state is State.PENDING or action.kind is ActionKind.CHOOSE_SCOPE
    expires_at = request.expires_at if needs_votes else request.approval_valid_until
    return Refusal.EXPIRED if action.at >= expires_at else None


def _rights_refusal(request: Request, votes: Sequence[Vote], action: Action, policy: Policy | None) -> Refusal | None:
    """Returns why this person does not have the right to the action, or None."""
    person = action.person
    has_voted = any(vote.person == person.id for vote in votes)
    match action.kind:
        case ActionKind.APPROVE:
            refusal = approval_refusal(request, person, policy)
            if refusal is None and person.id == request.requester and not request.reason.strip():
                return Refusal.OWN_REQUEST_NEEDS_REASON
            if refusal is None and action.scope not in (None, request.scope):
                return Refusal.SCOPE_CHANGED_MEANWHILE
            return refusal or (Refusal.ALREADY_APPROVED_BY_YOU if has_voted else None)
        case ActionKind.DENY:
            return approval_refusal(request, person, policy)
        case ActionKind.WITHDRAW:
            return None if has_voted else Refusal.NOTHING_TO_WITHDRAW
        case ActionKind.CHOOSE_SCOPE:
            refusal = _requester_or_approver_refusal(request, person, policy)
            if refusal is None and (not can_choose_scope(request) or action.scope is None):
                return Refusal.NO_SCOPE_TO_CHOOSE
            return refusal or (Refusal.SCOPE_UNCHANGED if action.scope is request.scope else None)
        case ActionKind.RETRY | ActionKind.CANCEL:
            refusal = _requester_or_approver_refusal(request, person, policy)
            sends_other = action.kind is ActionKind.RETRY and action.scope not in (None, request.scope)
            return refusal or (Refusal.SCOPE_CHANGED_MEANWHILE if sends_other else None)
        case ActionKind.PAUSE:
            # Pausing undoes nothing, so everybody who may see the request may pause.
            return None


def _requester_or_approver_refusal(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """Returns why this person is neither the requester nor an approver, or None."""
    if person.id == request.requester:
        return None
    refusal = approval_refusal(request, person, policy)
    return Refusal.NEITHER_REQUESTER_NOR_APPROVER if refusal is Refusal.NOT_AN_APPROVER else refusal
