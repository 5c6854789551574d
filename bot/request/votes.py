"""What a click on a card does: approving, denying, cancelling, withdrawing, choosing, retrying, pausing.

`why_not` has the reason for every refusal, `decide` says what becomes of the request. Looking people up and writing
the answer down is left to `bot.work`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from bot.request.group import GroupStatus, Scope
from bot.request.model import Attempt, Decision, Pause, Plan, Policy, Request, State, Tally, Vote
from bot.request.policy import (
    Person,
    Refusal,
    of_both,
    unfilled_places,
    who_is_missing,
    why_not_approver,
    why_not_reader,
)

DENY_REASON_CHARACTERS = 500


class Act(StrEnum):
    """What somebody can do to a request that is there."""

    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"
    CHOOSE = "choose"
    RETRY = "retry"
    PAUSE = "pause"


@dataclass(frozen=True)
class Click:
    """Who does what, looked up for this very decision, and when.

    `reason` is that of a denial. `scope` is what the card showed as chosen when it was pressed; None where it
    showed no choice.
    """

    act: Act
    person: Person
    at: datetime
    reason: str = ""
    scope: Scope | None = None


@dataclass(frozen=True)
class InForce:
    """What the settings say by now: what would be called for this group, and who counts.

    Another plan than was asked for makes the request void, before anything is approved that nobody will do. Whoever
    the policy no longer names does not count, though the request was asked while it did; how many must approve stays
    as it was. None where the settings no longer have the project, or the bucket's path.
    """

    plan: Plan | None
    policy: Policy | None


@dataclass(frozen=True)
class Refused:
    """Nothing changes; this person is told why."""

    why: Refusal


@dataclass(frozen=True)
class Counted:
    """The vote counts, and the quorum is not full yet."""

    vote: Vote
    request: Request


@dataclass(frozen=True)
class Withdrawn:
    """This person's vote is taken out again."""

    request: Request


@dataclass(frozen=True)
class Chosen:
    """The retry is to migrate something else: approvals so far were of something else, and are void."""

    request: Request


@dataclass(frozen=True)
class Turned:
    """The request turns. `vote` is the one that tipped it, if it was a vote."""

    request: Request
    vote: Vote | None = None


Verdict = Refused | Counted | Withdrawn | Chosen | Turned


def why_not(request: Request, votes: Sequence[Vote], click: Click, policy: Policy | None) -> Refusal | None:
    """Why this person may not do this now, or None.

    Who may not even see the project learns nothing of the request: that comes first. Then how the request stands,
    then what this person is to it.

    Arguments:
        policy: the one in force.
    """
    return (
        why_not_seen(request, click.person, policy)
        or _why_not_now(request, click)
        or _why_not_theirs(request, votes, click, policy)
    )


def why_not_seen(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """Why this person may not even see the request, or None."""
    return of_both(request.policy, policy, partial(why_not_reader, person=person))


def why_not_counted(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """Why this person's approval would not count, or None."""
    return of_both(request.policy, policy, partial(why_not_approver, person=person, requester=request.requester))


def decide(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], click: Click, settings: InForce
) -> Verdict:
    """What this click does.

    Arguments:
        votes: those stored so far.
        people: everybody who voted so far, as looked up for this very decision. Whoever is missing here,
            or is no longer eligible, does not count.
    """
    refusal = why_not(request, votes, click, settings.policy)
    if refusal is not None:
        return Refused(refusal)
    now, person = click.at, click.person
    match click.act:
        case Act.APPROVE | Act.RETRY if settings.plan != request.plan:
            return Turned(request.turned(State.VOID, at=now))
        case Act.APPROVE:
            return _approved(request, _counting(request, votes, people, settings.policy), person, now)
        case Act.WITHDRAW:
            left = [vote for vote in votes if vote.person != person.id]
            counting = _counting(request, left, people, settings.policy)
            return Withdrawn(replace(request, tally=_tally(request, counting)))
        case Act.RETRY:
            number = request.attempt.number + 1 if request.attempt else 1
            again = replace(request, attempt=Attempt(number, person.id, now))
            return Turned(again.turned(State.APPROVED, at=now))
        case Act.DENY:
            denied = replace(request, ending=Decision((person.id,), now, click.reason[:DENY_REASON_CHARACTERS]))
            return Turned(denied.turned(State.DENIED, at=now))
        case Act.CANCEL:
            cancelled = replace(request, ending=Decision((person.id,), now))
            return Turned(cancelled.turned(State.CANCELLED, at=now))
        case Act.CHOOSE:
            return Chosen(replace(request, scope=click.scope, tally=None))
        case Act.PAUSE:
            pausing = replace(request, pause=Pause(person.id, now, request.state))
            return Turned(pausing.turned(State.PAUSING, at=now))


def may_choose(request: Request) -> bool:
    """Whether OMS knows which objects failed, so that they alone may be retried."""
    return (
        request.scope is not None
        and request.group.status is GroupStatus.MIGRATION_FAILED
        and request.group.records_failed_objects
    )


def still_missing(request: Request) -> tuple[tuple[str, ...], ...]:
    """For each free place, who could fill it; without whoever asked, where their own approval does not count."""
    missing = request.tally.missing if request.tally else request.policy.places
    if request.policy.self_approval:
        return missing
    return tuple(tuple(name for name in place if name != request.requester) or place for place in missing)


def is_break_glass(request: Request) -> bool:
    """Whether the requester's own approval counts, or has counted."""
    if request.state is State.PENDING:
        return request.tally is not None and request.requester in request.tally.people
    return request.decision is not None and request.requester in request.decision.people


def _approved(request: Request, counting: Sequence[Person], person: Person, now: datetime) -> Counted | Turned:
    vote = Vote(person.id, person.team_id, now)
    approving = [*counting, person]
    if unfilled_places(request.policy, approving):
        return Counted(vote, replace(request, tally=_tally(request, approving)))
    decision = Decision(tuple(one.id for one in approving), now)
    approved = replace(request, tally=None, decision=decision, attempt=Attempt(1, person.id, now))
    return Turned(approved.turned(State.APPROVED, at=now), vote)


def _counting(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], policy: Policy | None
) -> list[Person]:
    voters = [people[vote.person] for vote in votes if vote.person in people]
    return [voter for voter in voters if why_not_counted(request, voter, policy) is None]


def _tally(request: Request, approving: Sequence[Person]) -> Tally | None:
    if not approving:
        return None
    return Tally(tuple(one.id for one in approving), who_is_missing(request.policy, approving))


# Until something was sent it can be called off.
_CANCELLABLE = frozenset({State.PENDING, State.APPROVED, State.NOT_STARTED})
_PAUSABLE = frozenset({State.ACCEPTED, State.MOVING})


def _why_not_now(request: Request, click: Click) -> Refusal | None:
    match click.act:
        case Act.RETRY if request.state is not State.NOT_STARTED:
            return Refusal.NOT_RETRYABLE
        case Act.PAUSE:
            return None if request.state in _PAUSABLE else Refusal.NOT_PAUSABLE
        case Act.CANCEL if request.state not in _CANCELLABLE:
            return Refusal.NOT_PENDING
        case Act.APPROVE | Act.DENY | Act.WITHDRAW | Act.CHOOSE if request.state is not State.PENDING:
            return Refusal.NOT_PENDING
    return Refusal.EXPIRED if click.at >= request.expires_at else None


def _why_not_theirs(request: Request, votes: Sequence[Vote], click: Click, policy: Policy | None) -> Refusal | None:
    person = click.person
    has_voted = any(vote.person == person.id for vote in votes)
    match click.act:
        case Act.APPROVE:
            refusal = why_not_counted(request, person, policy)
            if refusal is None and person.id == request.requester and not request.reason.strip():
                return Refusal.OWN_REQUEST_NEEDS_REASON
            if refusal is None and click.scope not in (None, request.scope):
                return Refusal.CHOSEN_OTHERWISE
            return refusal or (Refusal.ALREADY_APPROVED_BY_YOU if has_voted else None)
        case Act.DENY:
            # One is enough, from anybody whose approval would count.
            return why_not_counted(request, person, policy)
        case Act.WITHDRAW:
            return None if has_voted else Refusal.NOTHING_TO_WITHDRAW
        case Act.CHOOSE:
            refusal = _why_not_involved(request, person, policy)
            if refusal is None and (not may_choose(request) or click.scope is None):
                return Refusal.NOTHING_TO_CHOOSE
            return refusal or (Refusal.CHOSEN_ALREADY if click.scope is request.scope else None)
        case Act.CANCEL | Act.RETRY:
            return _why_not_involved(request, person, policy)
        case Act.PAUSE:
            # Whoever may ask or approve may pause: it is the way back, and undoes nothing.
            return None


def _why_not_involved(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """The requester, who is still a reader, or anybody named as an approver."""
    if person.id == request.requester:
        return None
    return why_not_counted(request, person, policy)
