"""Answers `list` and `status`: each to one person, with the projects that this person may see."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.command import ShowList, ShowStatus
from bot.domain.decisions import PAUSABLE_STATES
from bot.domain.policy import Person, account_refusal
from bot.domain.request import FOLLOWED_STATES, Request
from bot.domain.task_group import RUNNING_STATUSES
from bot.domain.watched_group import after_reading
from bot.jobs.ask import read_oms
from bot.jobs.ask.listed_groups import NotListed
from bot.jobs.ask.project_groups import project_groups
from bot.jobs.ask.read_oms import Failure, Found
from bot.jobs.context import Context, reply
from bot.jobs.current_settings import are_groups_unknown, names_in_projects, visible_projects
from bot.slack.errors import GroupsUnknown
from bot.store import groups, outbox, requests
from bot.store.inbox import Message
from bot.ui import lists, refusals, replies
from bot.ui.movement import last_reading
from bot.ui.status import status_text
from bot.ui.watched_group import running_details, running_status


def show_list(context: Context, message: Message, command: ShowList) -> None:
    """Answers `list` with the open requests, and the groups that failed, run or are paused.

    Raises:
        LookupFailed: Slack does not tell who the person is, or in which user groups they are.
    """
    person = context.people.look_up(message.person, names_in_projects(context, context.projects))
    projects = visible_projects(context, person)
    if not projects:
        reply(context, message, _why_nothing_to_see(context, person) or refusals.NOTHING_TO_SEE)
        return
    with context.store.read() as connection:
        open_requests = requests.open_requests(connection, projects)
    requested = {request.group.group_id for request in open_requests}
    sections = []
    if command.only is None:
        lines = [_request_line(context, request) for request in open_requests if command.matches(request.group)]
        sections.append(lists.open_requests(lines))
    for project, found in project_groups(context, projects, command.kinds).items():
        if isinstance(found, NotListed):
            sections.append(lists.groups_not_listed(project, found.problem))
        else:
            sections.append(lists.groups(found, requested, command))
    reply(context, message, lists.page(sections, command, context.command))


def show_status(context: Context, message: Message, command: ShowStatus) -> None:
    """Answers `status` for a request, or for a group and all its requests.

    Raises:
        LookupFailed: Slack does not tell who the person is, or in which user groups they are.
    """
    requests_found = _requests_of(context, command)
    asked = {request.plan.project for request in requests_found} if command.request_id else context.projects
    person = context.people.look_up(message.person, names_in_projects(context, asked))
    projects = [name for name in visible_projects(context, person) if name in asked]
    why = "" if projects else _why_nothing_to_see(context, person)
    if why:
        reply(context, message, why)
        return
    visible = [request for request in requests_found if request.plan.project in projects]
    lines = [_request_line(context, request) for request in visible]
    if command.group_id and projects:
        found, failures = read_oms.search(context, projects, command.group_id)
        sections = _group_status(context, projects, command.group_id, found, failures, lines)
        to_pause = next((one.key for one in found if one.group.status in RUNNING_STATUSES), "")
    else:
        lines += [_progress(request) for request in visible if request.state in FOLLOWED_STATES]
        sections = [lists.Section("", tuple(lines), len(lines))]
        to_pause = next((request.group_key for request in visible if request.state in PAUSABLE_STATES), "")
    text = lists.fit(sections)
    reply(context, message, text or refusals.NO_SUCH_REQUEST, to_pause=to_pause)


def _why_nothing_to_see(context: Context, person: Person) -> str:
    """Why this person's account sees no project; empty if the account could be named in a project.

    Raises:
        GroupsUnknown: the person may have access, but Slack does not tell who is in the user groups.
    """
    outsider = account_refusal(person)
    if outsider is not None:
        return refusals.account_text(outsider)
    if are_groups_unknown(context, person):
        raise GroupsUnknown
    return ""


def _request_line(context: Context, request: Request) -> str:
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return replies.with_link(status_text(request), card.permalink if card else None)


def _progress(request: Request) -> str:
    """How the group of a request moves, as its card shows it."""
    return running_details(last_reading(request))


def _requests_of(context: Context, command: ShowStatus) -> list[Request]:
    with context.store.read() as connection:
        if command.request_id:
            request = requests.get(connection, command.request_id)
            return [request] if request else []
        return requests.of_group(connection, command.group_id) if command.group_id else []


def _group_status(
    context: Context,
    projects: Sequence[str],
    group_id: str,
    found: Sequence[Found],
    failures: Sequence[Failure],
    request_lines: Sequence[str],
) -> list[lists.Section]:
    """The status of a group now, or why it is not known, and then the requests for it."""
    lines = [_found_line(context, one) for one in found]
    if not found:
        lines = [refusals.group_not_read(group_id, failure.text) for failure in failures]
    if not lines:
        lines = [read_oms.not_found_text(context, projects, group_id)]
    sections = [lists.Section("", tuple(lines), len(lines))]
    if request_lines:
        sections.append(lists.requests_of_group(request_lines))
    elif found:
        sections.append(lists.Section("", (replies.NO_REQUEST_FOR_GROUP,), 1))
    return sections


def _found_line(context: Context, found: Found) -> str:
    """The status of a group that OMS has just shown. How it moves follows from what the sweeps saw before."""
    if found.group.status not in RUNNING_STATUSES:
        return replies.group_status(found.group, found.project)
    key, limits, now = found.key, context.projects[found.project].watch_limits, context.now()
    with context.store.read() as connection:
        before = groups.get(connection, key)
    watched = after_reading(before, key, found.project, found.group, now, limits)
    return running_status(watched.reading, found.project)
