"""Whether a quorum could come together at all, as Slack knows people now: asked before asking, and at a reminder."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.decisions import CurrentSettings
from bot.domain.policy import approver_names, unfillable_slots
from bot.domain.request import Plan, Policy, Request
from bot.jobs.context import Context


def slots_without_candidates(
    context: Context, policy: Policy, current: Policy | None, requester: str, reason: str
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
    members = context.people.members(approver_names(policy))
    return unfillable_slots(policy, current, requester, members, context.people.look_up)


def current_plan(context: Context, request: Request) -> Plan | None:
    """The plan that asking now would give; None when the settings no longer have the project."""
    plan = request.plan
    project = context.projects.get(plan.project)
    if project is None:
        return None
    source_path = project.source_path(request.group.source.bucket) if plan.source_path is not None else None
    # Where the settings leave the project's id to IAM, the one that it told then still holds.
    return project.plan(plan.project, project.project_id or plan.project_id, source_path)


def current_policy(context: Context, request: Request) -> Policy | None:
    """Who may ask and who must approve by now; None when the settings no longer have the project."""
    project = context.projects.get(request.plan.project)
    return None if project is None else project.policy


def current_settings(context: Context, request: Request) -> CurrentSettings:
    """What the settings say by now of a request, for the decision on it."""
    return CurrentSettings(current_plan(context, request), current_policy(context, request))


def can_be_followed(context: Context, request: Request) -> bool:
    """Whether the bot still looks for this group where it was started."""
    project, plan = context.projects.get(request.plan.project), request.plan
    if project is None:
        return False
    return (project.oms_address, project.project_id or plan.project_id) == (plan.oms_url, plan.project_id)
