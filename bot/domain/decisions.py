"""What a click on a card does: approving, denying, cancelling, withdrawing, choosing, retrying, pausing.

`why_not` has the reason for every refusal, `decide` says what becomes of the request. Looking people up and writing
the answer down is left to `bot.jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from bot.domain.policy import (
    Person,
    Refusal,
    approver_refusal,
    candidates_for_open_slots,
    open_slots,
    reader_refusal,
    refusal_under_either,
)
from bot.domain.request import Attempt, Decision, Pause, Plan, Policy, Request, State, Vote, VoteProgress
from bot.domain.task_group import GroupStatus, Scope

MAX_DENY_REASON_CHARACTERS = 500


class ActionKind(StrEnum):
    """What somebody can do to a request that is there."""

    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"
    CHOOSE_SCOPE = "choose"
    RETRY = "retry"
    PAUSE = "pause"


@dataclass(frozen=True)
class Action:
    """Who does what, looked up for this very decision, and when.

    `reason` is that of a denial. `scope` is what the card showed as chosen when it was pressed; None where it
    showed no choice.
    """

    kind: ActionKind
    person: Person
    at: datetime
    reason: str = ""
    scope: Scope | None = None


@dataclass(frozen=True)
class CurrentSettings:
    """What the settings say by now: what would be called for this group, and who counts.

    Another plan than was asked for makes the request void, before anything is approved that nobody will do. Whoever
    the policy no longer names does not count, though the request was asked while it did; how many must approve stays
    as it was. None where the settings no longer have the project, or the bucket's path.
    """

    plan: Plan | None
    policy: Policy | None


@dataclass(frozen=True)
class ActionRejected:
    """Nothing changes; this person is told why."""

    why: Refusal


@dataclass(frozen=True)
class VoteAdded:
    """The vote counts, and the quorum is not full yet."""

    vote: Vote
    request: Request


@dataclass(frozen=True)
class VoteWithdrawn:
    """This person's vote is taken out again."""

    request: Request


@dataclass(frozen=True)
class ScopeChanged:
    """The retry is to migrate something else: approvals so far were of something else, and are void."""

    request: Request


@dataclass(frozen=True)
class StateChanged:
    """The request turns. `vote` is the one that tipped it, if it was a vote."""

    request: Request
    vote: Vote | None = None


Decided = ActionRejected | VoteAdded | VoteWithdrawn | ScopeChanged | StateChanged


def action_refusal(request: Request, votes: Sequence[Vote], click: Action, policy: Policy | None) -> Refusal | None:
    """Why this person may not do this now, or None.

    Who may not even see the project learns nothing of the request: that comes first. Then how the request stands,
    then what this person is to it.

    Arguments:
        policy: the one in force.
    """
    return (
        view_refusal(request, click.person, policy)
        or _why_not_now(request, click)
        or _why_not_theirs(request, votes, click, policy)
    )


def view_refusal(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """Why this person may not even see the request, or None."""
    return refusal_under_either(request.policy, policy, partial(reader_refusal, person=person))


def approval_refusal(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """Why this person's approval would not count, or None."""
    return refusal_under_either(
        request.policy, policy, partial(approver_refusal, person=person, requester=request.requester)
    )


def decide(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], click: Action, settings: CurrentSettings
) -> Decided:
    """What this click does.

    Arguments:
        votes: those stored so far.
        people: everybody who voted so far, as looked up for this very decision. Whoever is missing here,
            or is no longer eligible, does not count.
    """
    refusal = action_refusal(request, votes, click, settings.policy)
    if refusal is not None:
        return ActionRejected(refusal)
    now, person = click.at, click.person
    match click.kind:
        case ActionKind.APPROVE | ActionKind.RETRY if settings.plan != request.plan:
            return StateChanged(request.with_state(State.VOID, at=now))
        case ActionKind.APPROVE:
            return _approved(request, _counting(request, votes, people, settings.policy), person, now)
        case ActionKind.WITHDRAW:
            left = [vote for vote in votes if vote.person != person.id]
            counting = _counting(request, left, people, settings.policy)
            return VoteWithdrawn(replace(request, vote_progress=_tally(request, counting)))
        case ActionKind.RETRY:
            number = request.attempt.number + 1 if request.attempt else 1
            again = replace(request, attempt=Attempt(number, person.id, now))
            return StateChanged(again.with_state(State.APPROVED, at=now))
        case ActionKind.DENY:
            denied = replace(request, ending=Decision((person.id,), now, click.reason[:MAX_DENY_REASON_CHARACTERS]))
            return StateChanged(denied.with_state(State.DENIED, at=now))
        case ActionKind.CANCEL:
            cancelled = replace(request, ending=Decision((person.id,), now))
            return StateChanged(cancelled.with_state(State.CANCELLED, at=now))
        case ActionKind.CHOOSE_SCOPE:
            return ScopeChanged(replace(request, scope=click.scope, vote_progress=None))
        case ActionKind.PAUSE:
            pausing = replace(request, pause=Pause(person.id, now, request.state))
            return StateChanged(pausing.with_state(State.PAUSING, at=now))


def can_choose_scope(request: Request) -> bool:
    """Whether OMS knows which objects failed, so that they alone may be retried."""
    return (
        request.scope is not None
        and request.group.status is GroupStatus.MIGRATION_FAILED
        and request.group.records_failed_objects
    )


def missing_approvers(request: Request) -> tuple[tuple[str, ...], ...]:
    """For each free place, who could fill it; without whoever asked, where their own approval does not count."""
    missing = request.vote_progress.missing if request.vote_progress else request.policy.slots
    if request.policy.self_approval:
        return missing
    return tuple(tuple(name for name in place if name != request.requester) or place for place in missing)


def is_self_approved(request: Request) -> bool:
    """Whether the requester's own approval counts, or has counted."""
    if request.state is State.PENDING:
        return request.vote_progress is not None and request.requester in request.vote_progress.people
    return request.decision is not None and request.requester in request.decision.people


def _approved(request: Request, counting: Sequence[Person], person: Person, now: datetime) -> VoteAdded | StateChanged:
    vote = Vote(person.id, person.team_id, now)
    approving = [*counting, person]
    if open_slots(request.policy, approving):
        return VoteAdded(vote, replace(request, vote_progress=_tally(request, approving)))
    decision = Decision(tuple(one.id for one in approving), now)
    approved = replace(request, vote_progress=None, decision=decision, attempt=Attempt(1, person.id, now))
    return StateChanged(approved.with_state(State.APPROVED, at=now), vote)


def _counting(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], policy: Policy | None
) -> list[Person]:
    voters = [people[vote.person] for vote in votes if vote.person in people]
    return [voter for voter in voters if approval_refusal(request, voter, policy) is None]


def _tally(request: Request, approving: Sequence[Person]) -> VoteProgress | None:
    if not approving:
        return None
    return VoteProgress(tuple(one.id for one in approving), candidates_for_open_slots(request.policy, approving))


# Until something was sent it can be called off.
_CANCELLABLE = frozenset({State.PENDING, State.APPROVED, State.NOT_STARTED})
_PAUSABLE = frozenset({State.ACCEPTED, State.MOVING})


def _why_not_now(request: Request, click: Action) -> Refusal | None:
    match click.kind:
        case ActionKind.RETRY if request.state is not State.NOT_STARTED:
            return Refusal.NOT_RETRYABLE
        case ActionKind.PAUSE:
            return None if request.state in _PAUSABLE else Refusal.NOT_PAUSABLE
        case ActionKind.CANCEL if request.state not in _CANCELLABLE:
            return Refusal.NOT_PENDING
        case ActionKind.APPROVE | ActionKind.DENY | ActionKind.WITHDRAW | ActionKind.CHOOSE_SCOPE if (
            request.state is not State.PENDING
        ):
            return Refusal.NOT_PENDING
    return Refusal.EXPIRED if click.at >= request.expires_at else None


def _why_not_theirs(request: Request, votes: Sequence[Vote], click: Action, policy: Policy | None) -> Refusal | None:
    person = click.person
    has_voted = any(vote.person == person.id for vote in votes)
    match click.kind:
        case ActionKind.APPROVE:
            refusal = approval_refusal(request, person, policy)
            if refusal is None and person.id == request.requester and not request.reason.strip():
                return Refusal.OWN_REQUEST_NEEDS_REASON
            if refusal is None and click.scope not in (None, request.scope):
                return Refusal.SCOPE_CHANGED_MEANWHILE
            return refusal or (Refusal.ALREADY_APPROVED_BY_YOU if has_voted else None)
        case ActionKind.DENY:
            # One is enough, from anybody whose approval would count.
            return approval_refusal(request, person, policy)
        case ActionKind.WITHDRAW:
            return None if has_voted else Refusal.NOTHING_TO_WITHDRAW
        case ActionKind.CHOOSE_SCOPE:
            refusal = _why_not_involved(request, person, policy)
            if refusal is None and (not can_choose_scope(request) or click.scope is None):
                return Refusal.NO_SCOPE_TO_CHOOSE
            return refusal or (Refusal.SCOPE_UNCHANGED if click.scope is request.scope else None)
        case ActionKind.CANCEL | ActionKind.RETRY:
            return _why_not_involved(request, person, policy)
        case ActionKind.PAUSE:
            # Whoever may ask or approve may pause: it is the way back, and undoes nothing.
            return None


def _why_not_involved(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """The requester, who is still a reader, or anybody named as an approver."""
    if person.id == request.requester:
        return None
    return approval_refusal(request, person, policy)
