"""Checks who may create, see and approve a request, and when a quorum is complete.

Pure: the caller looks people up and passes them in. A person who could not be looked up does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from bot.domain.request import Policy

# In `Policy.requesters`: every full member of the workspace.
EVERY_FULL_MEMBER = "*"
# Each lookup is a call to users.info, which Slack limits to about 100 a minute for the whole bot.
MAX_LOOKUPS = 20


class AccountKind(StrEnum):
    """The kind of a Slack account, from the fields that users.info returns."""

    #: A member who is neither a guest nor deactivated.
    FULL = "full member"
    #: A guest of one or several channels (`is_restricted`).
    GUEST = "guest"
    #: A bot or an app (`is_bot`).
    BOT = "bot"
    #: An account that was deactivated (`deleted`).
    DEACTIVATED = "deactivated"
    #: A person of another organization, in a shared channel (`is_stranger`, or no member of the workspace).
    EXTERNAL = "of another organization"


@dataclass(frozen=True)
class Person:
    """A person, as looked up in Slack."""

    id: str  # the user id (U… or W…)
    team_id: str  # a workspace of the person (T…)
    account_kind: AccountKind
    groups: frozenset[str] = frozenset()  # the user groups (S…) that bot.toml names and the person is a member of
    groups_known: bool = True  # False if Slack did not return the members of a user group; then `groups` is empty


class Refusal(StrEnum):
    """Why an action is refused. The value goes into the audit; the text for the person is in `bot.ui.refusals`."""

    #: The account is a guest account.
    GUEST = "guest"
    #: The account is a bot account.
    BOT = "bot"
    #: The account is deactivated.
    DEACTIVATED = "deactivated"
    #: The person belongs to another organization.
    EXTERNAL = "stranger"
    #: The person is neither a requester nor an approver of the project, so the bot hides the project from them.
    CANNOT_SEE_PROJECT = "not a reader"
    #: The policy does not name the person as a requester.
    NOT_A_REQUESTER = "not a requester"
    #: The policy does not name the person as an approver.
    NOT_AN_APPROVER = "not an approver"
    #: The person tries to cancel, to retry or to choose the scope, and is neither the requester nor an approver.
    NEITHER_REQUESTER_NOR_APPROVER = "neither requester nor approver"
    #: The policy of the request names the person, but bot.toml no longer does.
    NO_LONGER_NAMED = "no longer named"
    #: The requester tries to approve or deny, and self approval is not allowed.
    OWN_REQUEST = "own request"
    #: The requester tries to approve, self approval is allowed, and the request has no reason.
    OWN_REQUEST_NEEDS_REASON = "own request needs a reason"
    #: Slack did not return the members of a user group, so it is not known whether the policy names the person.
    GROUPS_UNKNOWN = "groups unknown"
    #: The person has voted already.
    ALREADY_APPROVED_BY_YOU = "already approved by you"
    #: The person tries to withdraw a vote, but has not voted.
    NOTHING_TO_WITHDRAW = "nothing to withdraw"
    #: The request is no longer pending. For CANCEL: a PUT was sent, or the request has ended.
    NOT_PENDING = "not pending"
    #: The request, or its approval, has expired.
    EXPIRED = "expired"
    #: RETRY of a request that is not in state NOT_STARTED.
    NOT_RETRYABLE = "not retryable"
    #: PAUSE of a request that is neither ACCEPTED nor MOVING.
    NOT_PAUSABLE = "not pausable"
    #: CHOOSE_SCOPE for a request that has only one scope.
    NO_SCOPE_TO_CHOOSE = "nothing to choose"
    #: CHOOSE_SCOPE with the current scope.
    SCOPE_UNCHANGED = "chosen already"
    #: APPROVE on a card that showed a different scope from the current one.
    SCOPE_CHANGED_MEANWHILE = "chosen otherwise meanwhile"


_ACCOUNT_REFUSALS: Mapping[AccountKind, Refusal] = {
    AccountKind.GUEST: Refusal.GUEST,
    AccountKind.BOT: Refusal.BOT,
    AccountKind.DEACTIVATED: Refusal.DEACTIVATED,
    AccountKind.EXTERNAL: Refusal.EXTERNAL,
}


def is_named(person: Person, names: Iterable[str]) -> bool:
    """Whether `names` holds the person's id, one of their user groups, or `*` for a full member."""
    return any(
        name == person.id
        or name in person.groups
        or (name == EVERY_FULL_MEMBER and person.account_kind is AccountKind.FULL)
        for name in names
    )


def account_refusal(person: Person) -> Refusal | None:
    """Returns why this person's account may do nothing at all, or None for a full member."""
    return _ACCOUNT_REFUSALS.get(person.account_kind)


def requester_refusal(policy: Policy, person: Person) -> Refusal | None:
    """Returns why this person may not create a request, or None."""
    return _named_refusal(person, policy.requesters, Refusal.NOT_A_REQUESTER)


def approver_refusal(policy: Policy, person: Person, requester: str) -> Refusal | None:
    """Returns why this person may not approve a request by `requester` (a user id), or None."""
    refusal = _named_refusal(person, approver_names(policy), Refusal.NOT_AN_APPROVER)
    if refusal is None and person.id == requester and not policy.self_approval:
        return Refusal.OWN_REQUEST
    return refusal


def reader_refusal(policy: Policy, person: Person) -> Refusal | None:
    """Returns why this person may not know that the project exists, or None."""
    return _named_refusal(person, reader_names(policy), Refusal.CANNOT_SEE_PROJECT)


def refusal_under_either(
    stored: Policy, current: Policy | None, check: Callable[[Policy], Refusal | None]
) -> Refusal | None:
    """Returns the refusal by the policy stored with the request or by the current one, or None if both allow it.

    Arguments:
        stored: the policy at the time the request was created.
        current: the policy now. None if the project was removed from bot.toml; then only `stored` is checked, so that
            people can end the request. An approval makes it void.
        check: returns the refusal under one policy, or None.
    """
    refusal = check(stored)
    if refusal is not None or current is None:
        return refusal
    refusal = check(current)
    return Refusal.NO_LONGER_NAMED if refusal in (Refusal.NOT_A_REQUESTER, Refusal.NOT_AN_APPROVER) else refusal


def _named_refusal(person: Person, names: Iterable[str], not_named: Refusal) -> Refusal | None:
    refusal = account_refusal(person)
    if refusal is not None or is_named(person, names):
        return refusal
    return not_named if person.groups_known else Refusal.GROUPS_UNKNOWN


def approver_names(policy: Policy) -> tuple[str, ...]:
    """The ids of all users and user groups that the slots name, without repetitions, in the order of the slots."""
    return tuple(dict.fromkeys(name for slot in policy.slots for name in slot))


def reader_names(policy: Policy) -> tuple[str, ...]:
    """The ids of all users and user groups that may see the project's requests; with `*` if every full member may."""
    return tuple(dict.fromkeys((*policy.requesters, *approver_names(policy))))


def open_slots(policy: Policy, approving: Iterable[Person]) -> tuple[tuple[str, ...], ...]:
    """The slots that these people cannot fill. Empty when the quorum is complete."""
    assigned = _assign_slots(policy, {person.id: person for person in approving})
    return tuple(slot for index, slot in enumerate(policy.slots) if index not in assigned)


def candidates_for_open_slots(policy: Policy, approving: Iterable[Person]) -> tuple[tuple[str, ...], ...]:
    """For each open slot, the ids of the users and user groups whose approval would fill it.

    A candidate can be named in a filled slot only: the person in that slot then moves to the open one. Leaves out
    people who have approved.
    """
    people = {person.id: person for person in approving}
    assigned = _assign_slots(policy, people)
    candidates = []
    for open_index in range(len(policy.slots)):
        if open_index in assigned:
            continue
        # The open slot, and every slot whose person can move so that the open one is filled.
        reachable = [open_index]
        names: list[str] = []
        for index in reachable:
            names.extend(name for name in policy.slots[index] if name not in people)
            reachable.extend(
                other
                for other, user_id in assigned.items()
                if other not in reachable and is_named(people[user_id], policy.slots[index])
            )
        candidates.append(tuple(dict.fromkeys(names)))
    return tuple(candidates)


def _assign_slots(policy: Policy, people: Mapping[str, Person]) -> Mapping[int, str]:
    """Assigns as many slots as possible, each to a different person. Returns user ids by slot index.

    The order of the votes does not matter: if a later voter fits only a filled slot, the person in it moves to another
    slot (bipartite matching with augmenting paths).
    """
    assigned: dict[int, str] = {}

    def assign(person: Person, tried: set[int]) -> bool:
        for index, slot in enumerate(policy.slots):
            if index in tried or not is_named(person, slot):
                continue
            tried.add(index)
            if index not in assigned or assign(people[assigned[index]], tried):
                assigned[index] = person.id
                return True
        return False

    for person in people.values():
        assign(person, set())
    return assigned


def unfillable_slots(
    policy: Policy,
    current: Policy | None,
    requester: str,
    members: Mapping[str, frozenset[str]],
    look_up: Callable[[str], Person],
) -> tuple[tuple[str, ...], ...]:
    """The slots that stay open even if all eligible people approve. Empty when a quorum is possible.

    Stops looking people up once every slot can be filled. Returns an empty result also when `MAX_LOOKUPS` is reached,
    or when Slack does not return the members of a user group. That is safe: every vote checks the voters again.

    Arguments:
        policy: the policy stored with the request.
        current: the policy now, as for `refusal_under_either`.
        requester: the user id of the requester.
        members: the user ids of each user group that the slots name.
        look_up: returns the person with a user id.
    """
    eligible: list[Person] = []
    seen = set() if policy.self_approval else {requester}
    for _ in range(MAX_LOOKUPS):
        still_open = open_slots(policy, eligible)
        # Names in filled slots come last: such a person can still replace another one, who moves to an open slot.
        names = (name for slot in (*still_open, *policy.slots) for name in slot)
        user_ids = (user_id for name in names for user_id in sorted(members.get(name, {name})))
        candidate = next((user_id for user_id in user_ids if user_id not in seen), None)
        if not still_open or candidate is None:
            return still_open
        seen.add(candidate)
        person = look_up(candidate)
        match refusal_under_either(policy, current, partial(approver_refusal, person=person, requester=requester)):
            case None:
                eligible.append(person)
            case Refusal.GROUPS_UNKNOWN:
                return ()
    return ()
