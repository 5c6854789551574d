"""Fills the request form with the groups that the person can create a request for.

Opened from the card of a request that has ended, the form is filled with the values of that request. Opened from an
alert, it is filled with the group.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter

from bot.domain.approvals import view_refusal
from bot.domain.policy import Person
from bot.domain.task_group import GroupStatus
from bot.jobs.ask import preflight
from bot.jobs.ask.listed_groups import NotListed, listed_groups
from bot.jobs.ask.preflight import CannotCreate
from bot.jobs.context import Context
from bot.jobs.current_settings import current_policy
from bot.jobs.notify.forms import FormContent, fill_form
from bot.store import groups, requests
from bot.store.inbox import Message
from bot.ui import modals
from bot.ui.modals import GroupChoice


def fill_request_form(context: Context, message: Message) -> bool:
    """Fills the request form that was opened for a message.

    Returns:
        Whether to try again.
    """
    names = [name for project in context.projects.values() for name in project.policy.requesters]
    return fill_form(context, message, modals.REQUEST_TITLE, names, partial(_content, context, message))


def _content(context: Context, message: Message, person: Person) -> FormContent:
    try:
        projects = preflight.projects_of(context, person, None)
    except CannotCreate as refusal:
        return FormContent(modals.note(modals.REQUEST_TITLE, str(refusal)), "may not ask")
    can_schedule = any(context.projects[name].schedule_limit for name in projects)
    with context.store.read() as connection:
        previous = requests.get(connection, message.request_id) if message.request_id else None
        watched = groups.get(connection, message.group_key) if message.group_key else None
    if previous is not None and view_refusal(previous, person, current_policy(context, previous)) is None:
        project, reason = previous.plan.project, previous.reason
        return FormContent(modals.request_form(projects, (), "", previous.group, project, reason, can_schedule))
    if watched is not None and watched.project in projects:
        return FormContent(modals.request_form(projects, (), "", watched.group, watched.project, "", can_schedule))
    choices: list[tuple[bool, int, GroupChoice]] = []
    remarks: list[str] = []
    for project, listing in listed_groups(context, projects).items():
        if isinstance(listing, NotListed):
            remarks.append(modals.groups_not_listed(project, listing.problem.meaning))
        else:
            choices += [
                (group.status is GroupStatus.PAUSED, place, modals.group_choice(project, group))
                for place, group in enumerate(listing.groups)
            ]
    # Failed groups first, and the projects in turn: the form shows no more than `modals.MAX_OPTIONS`.
    ordered = [choice for _, _, choice in sorted(choices, key=itemgetter(0, 1))]
    if len(ordered) > modals.MAX_OPTIONS:
        remarks.append(modals.groups_left_out(len(ordered) - modals.MAX_OPTIONS))
    return FormContent(modals.request_form(projects, ordered, " ".join(remarks), can_schedule=can_schedule))
