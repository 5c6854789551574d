"""Who may ask, who may approve, and when a quorum is full.

Pure: people come in as they were looked up, and nobody who could not be looked up counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from bot.domain.request import Policy

EVERY_FULL_MEMBER = "*"
# Each look-up is a call, and Slack takes about a hundred of them a minute from the whole bot.
MAX_LOOKUPS = 20


class AccountKind(StrEnum):
    """What Slack says of an account (users.info)."""

    FULL = "full member"
    GUEST = "guest"
    BOT = "bot"
    DEACTIVATED = "deactivated"
    EXTERNAL = "of another organisation"


@dataclass(frozen=True)
class Person:
    """Somebody as just looked up: who they are, and which of the user groups that matter they are in.

    `groups_known` is False when Slack could not be asked; then `groups` holds nobody.
    """

    id: str
    team_id: str
    account_kind: AccountKind
    groups: frozenset[str] = frozenset()
    groups_known: bool = True


class Refusal(StrEnum):
    """Why somebody may not do what they tried."""

    GUEST = "guest"
    BOT = "bot"
    DEACTIVATED = "deactivated"
    EXTERNAL = "stranger"
    CANNOT_SEE_PROJECT = "not a reader"
    NOT_A_REQUESTER = "not a requester"
    NOT_AN_APPROVER = "not an approver"
    NO_LONGER_NAMED = "no longer named"
    OWN_REQUEST = "own request"
    OWN_REQUEST_NEEDS_REASON = "own request needs a reason"
    GROUPS_UNKNOWN = "groups unknown"
    ALREADY_APPROVED_BY_YOU = "already approved by you"
    NOTHING_TO_WITHDRAW = "nothing to withdraw"
    NOT_PENDING = "not pending"
    EXPIRED = "expired"
    NOT_RETRYABLE = "not retryable"
    NOT_PAUSABLE = "not pausable"
    NO_SCOPE_TO_CHOOSE = "nothing to choose"
    SCOPE_UNCHANGED = "chosen already"
    SCOPE_CHANGED_MEANWHILE = "chosen otherwise meanwhile"


_STANDING_REFUSALS: Mapping[AccountKind, Refusal] = {
    AccountKind.GUEST: Refusal.GUEST,
    AccountKind.BOT: Refusal.BOT,
    AccountKind.DEACTIVATED: Refusal.DEACTIVATED,
    AccountKind.EXTERNAL: Refusal.EXTERNAL,
}


def is_named(person: Person, names: Iterable[str]) -> bool:
    """Whether one of these user ids or user group ids is this person, or `*` and they are a full member."""
    return any(
        name == person.id
        or name in person.groups
        or (name == EVERY_FULL_MEMBER and person.account_kind is AccountKind.FULL)
        for name in names
    )


def account_refusal(person: Person) -> Refusal | None:
    """Why this person may do nothing at all, whatever the settings name, or None."""
    return _STANDING_REFUSALS.get(person.account_kind)


def requester_refusal(policy: Policy, person: Person) -> Refusal | None:
    """Why this person may not ask, or None."""
    return _why_not_named(person, policy.requesters, Refusal.NOT_A_REQUESTER)


def approver_refusal(policy: Policy, person: Person, requester: str) -> Refusal | None:
    """Why this person's approval of a request by `requester` would not count, or None."""
    refusal = _why_not_named(person, approver_names(policy), Refusal.NOT_AN_APPROVER)
    if refusal is None and person.id == requester and not policy.self_approval:
        return Refusal.OWN_REQUEST
    return refusal


def refusal_under_either(
    asked_under: Policy, current: Policy | None, why_not: Callable[[Policy], Refusal | None]
) -> Refusal | None:
    """Why somebody may not do what they tried, by the policy that it was asked under or by the one in force.

    Arguments:
        in_force: None where the settings no longer have the project. Nothing is approved there any more, and the
            first policy alone says who may end it.
    """
    refusal = why_not(asked_under)
    if refusal is not None or current is None:
        return refusal
    refusal = why_not(current)
    return Refusal.NO_LONGER_NAMED if refusal in (Refusal.NOT_A_REQUESTER, Refusal.NOT_AN_APPROVER) else refusal


def reader_refusal(policy: Policy, person: Person) -> Refusal | None:
    """Why this person may not even see that the project exists, or None."""
    return _why_not_named(person, (*policy.requesters, *approver_names(policy)), Refusal.CANNOT_SEE_PROJECT)


def _why_not_named(person: Person, names: Iterable[str], otherwise: Refusal) -> Refusal | None:
    refusal = account_refusal(person)
    if refusal is not None or is_named(person, names):
        return refusal
    return otherwise if person.groups_known else Refusal.GROUPS_UNKNOWN


def approver_names(policy: Policy) -> tuple[str, ...]:
    """Every user id and user group id that a place names, each once, in the order of the settings."""
    return tuple(dict.fromkeys(name for place in policy.slots for name in place))


def open_slots(policy: Policy, approving: Iterable[Person]) -> tuple[tuple[str, ...], ...]:
    """The places still without a person of their own, after seating as many of these people as can be."""
    seated = _seating(policy, {person.id: person for person in approving})
    return tuple(place for index, place in enumerate(policy.slots) if index not in seated)


def candidates_for_open_slots(policy: Policy, approving: Iterable[Person]) -> tuple[tuple[str, ...], ...]:
    """For each unfilled place, the users and user groups of whom one more person would fill it.

    These may be named for another place: whoever sits there then moves here. Who has approved is left out.
    """
    people = {person.id: person for person in approving}
    seated = _seating(policy, people)
    missing = []
    for free in range(len(policy.slots)):
        if free in seated:
            continue
        within_reach = [free]
        found: list[str] = []
        for index in within_reach:
            found.extend(name for name in policy.slots[index] if name not in people)
            within_reach.extend(
                other
                for other, user in seated.items()
                if other not in within_reach and is_named(people[user], policy.slots[index])
            )
        missing.append(tuple(dict.fromkeys(found)))
    return tuple(missing)


def _seating(policy: Policy, people: Mapping[str, Person]) -> Mapping[int, str]:
    """Which place is whose.

    Nobody fills two places, and no order of arrival matters: an early voter moves to another place
    of theirs when a later one fits only here (augmenting paths of a bipartite matching).
    """
    seated: dict[int, str] = {}

    def seat(person: Person, tried: set[int]) -> bool:
        for index, place in enumerate(policy.slots):
            if index in tried or not is_named(person, place):
                continue
            tried.add(index)
            if index not in seated or seat(people[seated[index]], tried):
                seated[index] = person.id
                return True
        return False

    for person in people.values():
        seat(person, set())
    return seated


def unfillable_slots(
    policy: Policy,
    current: Policy | None,
    requester: str,
    members: Mapping[str, frozenset[str]],
    look_up: Callable[[str], Person],
) -> tuple[tuple[str, ...], ...]:
    """The places that stay free were everybody to approve who may; none when a quorum is possible.

    Looks up no more people than it takes to fill every place. After `MOST_LOOKED_UP`, or where Slack does not
    tell who is in the groups, a quorum counts as possible: every vote is checked again, whatever is said here.

    Arguments:
        in_force: the policy that must name them as well: see `of_both`.
        members: the user ids of each user group that the places name.
        look_up: the person behind a user id.
    """
    eligible: list[Person] = []
    seen = set() if policy.self_approval else {requester}
    for _ in range(MAX_LOOKUPS):
        missing = open_slots(policy, eligible)
        named = (name for place in (*missing, *policy.slots) for name in place)
        users = (user for name in named for user in sorted(members.get(name, {name})))
        candidate = next((user for user in users if user not in seen), None)
        if not missing or candidate is None:
            return missing
        seen.add(candidate)
        person = look_up(candidate)
        match refusal_under_either(policy, current, partial(approver_refusal, person=person, requester=requester)):
            case None:
                eligible.append(person)
            case Refusal.GROUPS_UNKNOWN:
                return ()
    return ()
