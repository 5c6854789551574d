"""Compares a request with what bot.toml and Slack say now.

Deciding what follows from a difference is left to `bot.domain.decisions`.
"""

from __future__ import annotations

from dataclasses import replace

from bot.domain.decisions import CurrentSettings
from bot.domain.policy import approver_names, unfillable_slots
from bot.domain.request import Plan, Policy, Request
from bot.jobs.context import Context


def slots_without_candidates(
    context: Context, policy: Policy, current: Policy | None, requester: str, reason: str
) -> tuple[tuple[str, ...], ...]:
    """The slots that nobody can fill, as Slack knows people now. Empty if a quorum is possible.

    A request without a reason needs somebody else's approval, even if the policy allows self approval.

    Arguments:
        policy: the policy stored with the request, or the one that a new request would get.
        current: the project's policy now. People must be named in both. None if the project was removed from bot.toml.
        requester: the user id of the requester.

    Raises:
        LookupFailed: Slack did not return a person, or the members of a user group.
    """
    if not reason.strip():
        policy = replace(policy, self_approval=False)
    members = context.people.members(approver_names(policy))
    return unfillable_slots(policy, current, requester, members, context.people.look_up)


def current_plan(context: Context, request: Request) -> Plan | None:
    """The plan of the same request if it were created now; None if the project was removed from bot.toml."""
    plan = request.plan
    project = context.projects.get(plan.project)
    if project is None:
        return None
    source_path = project.source_path(request.group.source.bucket) if plan.source_path is not None else None
    # Without a project_id in bot.toml, the id comes from IAM, and the one in the plan is kept.
    return project.plan(plan.project, project.project_id or plan.project_id, source_path)


def current_policy(context: Context, request: Request) -> Policy | None:
    """The policy of the request's project now; None if the project was removed from bot.toml."""
    project = context.projects.get(request.plan.project)
    return None if project is None else project.policy


def current_settings(context: Context, request: Request) -> CurrentSettings:
    """What bot.toml says now about the project of the request, for `decisions.decide`."""
    return CurrentSettings(current_plan(context, request), current_policy(context, request))


def can_be_followed(context: Context, request: Request) -> bool:
    """Whether bot.toml still leads to the OMS and the Huawei Cloud project where the request's group is."""
    project, plan = context.projects.get(request.plan.project), request.plan
    if project is None:
        return False
    return (project.oms_address, project.project_id or plan.project_id) == (plan.oms_url, plan.project_id)
