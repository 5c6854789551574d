"""Tells who may see and approve an existing request, who has approved it, and who still can.

What an approval changes is left to `bot.domain.decisions`, and the rules of the policy to `bot.domain.policy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bot.domain.policy import (
    Person,
    Refusal,
    approver_names,
    approver_refusal,
    is_named,
    reader_refusal,
    refusal_under_either,
)
from bot.domain.request import Policy, Request, State


def view_refusal(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """Returns why this person may not see the request, or None.

    Arguments:
        policy: the project's policy now; None if the project was removed from bot.toml.
    """
    return refusal_under_either(request.policy, policy, partial(reader_refusal, person=person))


def approval_refusal(request: Request, person: Person, policy: Policy | None) -> Refusal | None:
    """Returns why this person's approval would not count, or None. `policy` is as for `view_refusal`."""
    return refusal_under_either(
        request.policy, policy, partial(approver_refusal, person=person, requester=request.requester)
    )


def missing_approvers(request: Request) -> tuple[tuple[str, ...], ...]:
    """For each open slot, the ids of the users and user groups that could fill it.

    Leaves out the requester if their own approval does not count, unless a slot names only the requester.
    """
    missing = request.vote_progress.missing if request.vote_progress else request.policy.slots
    return tuple(_without_uncounted_requester(request, slot) or slot for slot in missing)


def possible_approvers(request: Request) -> tuple[str, ...]:
    """The ids of all users and user groups that may approve the request, whether or not they have approved.

    Leaves out the requester if their own approval does not count.
    """
    return _without_uncounted_requester(request, approver_names(request.policy))


def _without_uncounted_requester(request: Request, names: Sequence[str]) -> tuple[str, ...]:
    # With self approval, the requester's own approval counts only for a request with a reason.
    if request.policy.self_approval and request.reason.strip():
        return tuple(names)
    return tuple(name for name in names if name != request.requester)


def awaits_approval_by(request: Request, person: Person, policy: Policy | None) -> bool:
    """Whether another person's request needs this person's approval: it would count and fill an open slot.

    Arguments:
        policy: the project's policy now; None if the project was removed from bot.toml.
    """
    has_voted = request.vote_progress is not None and person.id in request.vote_progress.people
    if request.state is not State.PENDING or has_voted or person.id == request.requester:
        return False
    if approval_refusal(request, person, policy) is not None:
        return False
    return any(is_named(person, slot) for slot in missing_approvers(request))


def is_self_approved(request: Request) -> bool:
    """Whether the requester's own vote counts towards the quorum, or counted when the request was approved."""
    if request.state is State.PENDING:
        return request.vote_progress is not None and request.requester in request.vote_progress.people
    return request.decision is not None and request.requester in request.decision.people
