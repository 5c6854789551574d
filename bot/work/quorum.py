"""Whether a quorum could come together at all, as Slack knows people now: asked before asking, and at a reminder."""

from __future__ import annotations

from dataclasses import replace

from bot.request.model import Policy
from bot.request.policy import approver_names, unfillable_places
from bot.work.tools import Tools


def out_of_reach(
    tools: Tools, policy: Policy, in_force: Policy | None, requester: str, reason: str
) -> tuple[tuple[str, ...], ...]:
    """The places that nobody is left for; none when a quorum is possible.

    Without a reason nobody approves what they asked for themselves, whatever the settings allow.

    Arguments:
        policy: the one that it was, or would be, asked under.
        in_force: the one that must name people as well; None where the settings no longer have the project.

    Raises:
        SlackCannotBeAsked: Slack does not tell who somebody is, or who is in a group.
    """
    if not reason.strip():
        policy = replace(policy, self_approval=False)
    members = tools.people.members(approver_names(policy))
    return unfillable_places(policy, in_force, requester, members, tools.people.look_up)
