"""Compares a request with what bot.toml and Slack say now.

Deciding what follows from a difference is left to `bot.domain.decisions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from bot.domain.decisions import CurrentSettings
from bot.domain.policy import (
    Person,
    Refusal,
    approver_names,
    reader_names,
    reader_refusal,
    requester_refusal,
    unfillable_slots,
)
from bot.domain.request import Plan, Policy, Request
from bot.jobs.context import Context


def slots_without_candidates(
    context: Context, policy: Policy, current: Policy | None, requester: str, reason: str
) -> tuple[tuple[str, ...], ...]:
    """The slots that nobody can fill, as Slack knows people now. Empty if a quorum is possible.

    A request without a reason needs someone else's approval, even if the policy allows self approval.

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
    names = (*members, *(approver_names(current) if current else ()))
    return unfillable_slots(policy, current, requester, members, partial(context.people.look_up, names=names))


def look_up_requester(context: Context, user_id: str, named: str | None) -> Person:
    """The person who creates a request, with the user groups of the project that they named, or of all projects.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    project = context.projects.get(named or "")
    if project is not None:
        person = context.people.look_up(user_id, project.policy.requesters)
        if requester_refusal(project.policy, person) is None:
            return person
    # The refusal names the projects in which the person may create requests.
    names = [name for project in context.projects.values() for name in project.policy.requesters]
    return context.people.look_up(user_id, names)


def names_in_projects(context: Context, projects: Iterable[str]) -> tuple[str, ...]:
    """The ids of all users and user groups that bot.toml names in these projects, which it may not have."""
    policies = (context.projects[name].policy for name in projects if name in context.projects)
    return tuple(dict.fromkeys(name for policy in policies for name in reader_names(policy)))


def visible_projects(context: Context, person: Person) -> list[str]:
    """The projects in which this person may create or approve requests. They learn nothing about other projects."""
    return [name for name, project in context.projects.items() if reader_refusal(project.policy, person) is None]


def are_groups_unknown(context: Context, person: Person) -> bool:
    """Whether the person may see more projects, if Slack told which user groups they are in."""
    found = (reader_refusal(project.policy, person) for project in context.projects.values())
    return Refusal.GROUPS_UNKNOWN in found


def names_in_request(context: Context, request: Request | None) -> tuple[str, ...]:
    """The ids of all users and user groups that may see a request, now or at its creation."""
    if request is None:
        return ()
    return (*reader_names(request.policy), *names_in_projects(context, [request.plan.project]))


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
