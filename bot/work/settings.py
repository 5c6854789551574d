"""What the settings in force would do for a request: compared with what was asked for before anything is done."""

from __future__ import annotations

from bot.request.model import Plan, Policy, Request
from bot.request.votes import InForce
from bot.work.tools import Tools


def plan_now(tools: Tools, request: Request) -> Plan | None:
    """The plan that asking now would give; None when the settings no longer have the project."""
    plan = request.plan
    project = tools.projects.get(plan.project)
    if project is None:
        return None
    source_path = project.source_path(request.group.source.bucket) if plan.source_path is not None else None
    # Where the settings leave the project's id to IAM, the one that it told then still holds.
    return project.plan(plan.project, project.project_id or plan.project_id, source_path)


def policy_now(tools: Tools, request: Request) -> Policy | None:
    """Who may ask and who must approve by now; None when the settings no longer have the project."""
    project = tools.projects.get(request.plan.project)
    return None if project is None else project.policy


def in_force(tools: Tools, request: Request) -> InForce:
    """What the settings say by now of a request, for the decision on it."""
    return InForce(plan_now(tools, request), policy_now(tools, request))


def can_be_followed(tools: Tools, request: Request) -> bool:
    """Whether the bot still looks for this group where it was started."""
    project, plan = tools.projects.get(request.plan.project), request.plan
    if project is None:
        return False
    return (project.oms_address, project.project_id or plan.project_id) == (plan.oms_url, plan.project_id)
