"""Who may ask, who may approve, and when a quorum is full.

Pure: people come in as they were looked up, and nobody who could not be looked up counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.request.model import Policy

EVERY_FULL_MEMBER = "*"


class Standing(StrEnum):
    """What Slack says of an account (users.info)."""

    FULL = "full member"
    GUEST = "guest"
    BOT = "bot"
    DEACTIVATED = "deactivated"
    STRANGER = "of another organisation"


@dataclass(frozen=True)
class Person:
    """Somebody as just looked up: who they are, and which of the user groups that matter they are in.

    `groups_known` is False when Slack could not be asked; then `groups` holds nobody.
    """

    id: str
    team_id: str
    standing: Standing
    groups: frozenset[str] = frozenset()
    groups_known: bool = True


class Refusal(StrEnum):
    """Why somebody may not do what they tried."""

    GUEST = "guest"
    BOT = "bot"
    DEACTIVATED = "deactivated"
    STRANGER = "stranger"
    NOT_A_REQUESTER = "not a requester"
    NOT_AN_APPROVER = "not an approver"
    OWN_REQUEST = "own request"
    GROUPS_UNKNOWN = "groups unknown"
    ALREADY_APPROVED_BY_YOU = "already approved by you"
    NOT_PENDING = "not pending"
    EXPIRED = "expired"
    NOT_RETRYABLE = "not retryable"


_STANDING_REFUSALS: Mapping[Standing, Refusal] = {
    Standing.GUEST: Refusal.GUEST,
    Standing.BOT: Refusal.BOT,
    Standing.DEACTIVATED: Refusal.DEACTIVATED,
    Standing.STRANGER: Refusal.STRANGER,
}


def is_named(person: Person, names: Iterable[str]) -> bool:
    """Whether one of these user ids or user group ids is this person, or `*` and they are a full member."""
    return any(
        name == person.id or name in person.groups or (name == EVERY_FULL_MEMBER and person.standing is Standing.FULL)
        for name in names
    )


def why_not_requester(policy: Policy, person: Person) -> Refusal | None:
    """Why this person may not ask, or None."""
    return _why_not_named(person, policy.requesters, Refusal.NOT_A_REQUESTER)


def why_not_approver(policy: Policy, person: Person, requester: str) -> Refusal | None:
    """Why this person's approval of a request by `requester` would not count, or None."""
    refusal = _why_not_named(person, approver_names(policy), Refusal.NOT_AN_APPROVER)
    if refusal is None and person.id == requester and not policy.self_approval:
        return Refusal.OWN_REQUEST
    return refusal


def why_not_reader(policy: Policy, person: Person) -> Refusal | None:
    """Why this person may not even see that the project exists, or None."""
    return _why_not_named(person, (*policy.requesters, *approver_names(policy)), Refusal.NOT_A_REQUESTER)


def _why_not_named(person: Person, names: Iterable[str], otherwise: Refusal) -> Refusal | None:
    if person.standing is not Standing.FULL:
        return _STANDING_REFUSALS[person.standing]
    if is_named(person, names):
        return None
    return otherwise if person.groups_known else Refusal.GROUPS_UNKNOWN


def approver_names(policy: Policy) -> tuple[str, ...]:
    """Every user id and user group id that a place names, each once, in the order of the settings."""
    return tuple(dict.fromkeys(name for place in policy.places for name in place))


def unfilled_places(policy: Policy, approving: Iterable[Person]) -> tuple[tuple[str, ...], ...]:
    """The places still without a person of their own, after seating as many of these people as can be.

    Nobody fills two places, and no order of arrival matters: an early voter moves to another place
    of theirs when a later one fits only here (augmenting paths of a bipartite matching).
    """
    people = {person.id: person for person in approving}
    seated: dict[int, str] = {}

    def seat(person: Person, tried: set[int]) -> bool:
        for index, place in enumerate(policy.places):
            if index in tried or not is_named(person, place):
                continue
            tried.add(index)
            if index not in seated or seat(people[seated[index]], tried):
                seated[index] = person.id
                return True
        return False

    for person in people.values():
        seat(person, set())
    return tuple(place for index, place in enumerate(policy.places) if index not in seated)


def quorum_is_possible(policy: Policy, requester: str, members: Mapping[str, frozenset[str]]) -> bool:
    """Whether anybody could ever fill every place, given who is in each user group.

    Arguments:
        members: the user ids of each user group that the places name.
    """
    candidates: dict[str, set[str]] = {}
    for name in approver_names(policy):
        for user in members.get(name, frozenset({name})):
            candidates.setdefault(user, set()).add(name)
    people = [
        Person(user, "", Standing.FULL, frozenset(names - {user}))
        for user, names in candidates.items()
        if user != requester or policy.self_approval
    ]
    return not unfilled_places(policy, people)
