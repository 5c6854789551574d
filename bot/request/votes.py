"""What a click on a card does: one pure function each for approving, denying, cancelling and retrying.

They say what becomes of the request or why not. Looking people up and writing the answer down is left to `bot.work`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.request.model import Attempt, Decision, Request, State, Vote
from bot.request.policy import Person, Refusal, unfilled_places, why_not_approver, why_not_requester

DENY_REASON_CHARACTERS = 500


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
class Turned:
    """The request turns. `vote` is the one that tipped it, if it was a vote."""

    request: Request
    vote: Vote | None = None


Verdict = Refused | Counted | Turned


def approve(
    request: Request, votes: Sequence[Vote], people: Mapping[str, Person], person: Person, now: datetime
) -> Verdict:
    """What this person's approval does.

    Arguments:
        votes: those stored so far.
        people: everybody who voted so far, as looked up for this very decision. Whoever is missing here,
            or is no longer eligible, does not count.
        person: who presses, likewise.
    """
    not_open = _why_not_pending(request, now)
    if not_open is not None:
        return Refused(not_open)
    refusal = why_not_approver(request.policy, person, request.requester)
    if refusal is not None:
        return Refused(refusal)
    if any(vote.person == person.id for vote in votes):
        return Refused(Refusal.ALREADY_APPROVED_BY_YOU)

    vote = Vote(person.id, person.team_id, now)
    counting = [
        people[earlier.person]
        for earlier in votes
        if earlier.person in people
        and why_not_approver(request.policy, people[earlier.person], request.requester) is None
    ]
    if unfilled_places(request.policy, [*counting, person]):
        return Counted(vote, request)
    decision = Decision((*(earlier.id for earlier in counting), person.id), now)
    approved = replace(request, decision=decision, attempt=Attempt(1, person.id, now))
    return Turned(approved.turned(State.APPROVED, at=now), vote)


def deny(request: Request, person: Person, reason: str, now: datetime) -> Verdict:
    """What this person's denial does: one is enough, from anybody whose approval would count."""
    refusal = _why_not_pending(request, now) or why_not_approver(request.policy, person, request.requester)
    if refusal is not None:
        return Refused(refusal)
    denied = replace(request, decision=Decision((person.id,), now, reason[:DENY_REASON_CHARACTERS]))
    return Turned(denied.turned(State.DENIED, at=now))


def cancel(request: Request, person: Person, now: datetime) -> Verdict:
    """What this person's cancelling does: the requester may, and whoever may approve."""
    refusal = _why_not_pending(request, now) or _why_not_involved(request, person)
    if refusal is not None:
        return Refused(refusal)
    cancelled = replace(request, decision=Decision((person.id,), now))
    return Turned(cancelled.turned(State.CANCELLED, at=now))


def retry(request: Request, person: Person, now: datetime) -> Verdict:
    """Opens another attempt: by somebody involved, once nothing was started, while the approval holds."""
    if request.state is not State.NOT_STARTED or request.attempt is None:
        return Refused(Refusal.NOT_RETRYABLE)
    if now >= request.expires_at:
        return Refused(Refusal.EXPIRED)
    refusal = _why_not_involved(request, person)
    if refusal is not None:
        return Refused(refusal)
    again = replace(request, attempt=Attempt(request.attempt.number + 1, person.id, now))
    return Turned(again.turned(State.APPROVED, at=now))


def _why_not_pending(request: Request, now: datetime) -> Refusal | None:
    if request.state is not State.PENDING:
        return Refusal.NOT_PENDING
    return Refusal.EXPIRED if now >= request.expires_at else None


def _why_not_involved(request: Request, person: Person) -> Refusal | None:
    """The requester (if still somebody who may ask) or anybody named as an approver."""
    as_approver = why_not_approver(request.policy, person, requester="")
    if as_approver is None:
        return None
    if person.id == request.requester:
        return why_not_requester(request.policy, person)
    return as_approver
