"""Answers `list` and `status`: each to one person, with the projects that this person may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.domain.command import ShowList, ShowStatus
from bot.domain.decisions import PAUSABLE_STATES
from bot.domain.policy import Person, account_refusal
from bot.domain.request import FOLLOWED_STATES, LastSeen, Request, Verb
from bot.domain.sweep_plan import STATUSES, Part
from bot.domain.task_group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus
from bot.domain.watched_group import Reading, after_reading
from bot.jobs.ask import read_oms
from bot.jobs.ask.listed_groups import NotListed
from bot.jobs.ask.project_groups import project_groups
from bot.jobs.ask.read_oms import Failure, Found
from bot.jobs.context import Context, reply
from bot.jobs.current_settings import are_groups_unknown, names_in_projects, visible_projects
from bot.jobs.problems import RetryHint, explain_reason
from bot.slack.errors import GroupsUnknown
from bot.store import groups, outbox, requests
from bot.store.inbox import Message
from bot.ui import lists, refusals, replies
from bot.ui.movement import last_reading
from bot.ui.status import status_text
from bot.ui.watched_group import running_details, running_status, stopped_status


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
    request_ids = {request.group.group_id: request.id for request in open_requests}
    sections = []
    if command.only is None:
        lines = [_request_line(context, request) for request in open_requests if command.matches(request.group)]
        if lines or not command.name:
            sections.append(lists.open_requests(lines))
    for project, found in project_groups(context, projects, command.kinds).items():
        if isinstance(found, NotListed):
            sections.append(lists.groups_not_listed(project, found.problem))
            continue
        if command.name and command.only is None:
            found = replace(found, ended=_ended(context, project))
        sections.append(lists.groups(found, request_ids, command))
    if command.name and command.only is None and not any(section.lines for section in sections):
        sections.append(lists.filters(context.command))
    reply(context, message, lists.page(sections, command, context.command))


def _ended(context: Context, project: str) -> list[Reading]:
    """The groups of a project that are done or deleted, the newest first. Only those that the sweeps saw before."""
    with context.store.read() as connection:
        ended = groups.of_project(connection, project, STATUSES[Part.ENDED])
    return [one.reading for one in sorted(ended.values(), key=lambda one: one.status_since, reverse=True)]


def show_status(context: Context, message: Message, command: ShowStatus) -> None:
    """Answers `status` for a request, or for a group and all its requests.

    For a name that several groups have, or none, the answer is that of `list`.

    Raises:
        LookupFailed: Slack does not tell who the person is, or in which user groups they are.
    """
    if command.name:
        by_name = ShowList(1, name=command.name)
        group_id = _group_with_name(context, message, by_name)
        if not group_id:
            show_list(context, message, by_name)
            return
        command = ShowStatus(group_id=group_id)
    requests_found = _requests_of(context, command)
    asked = {request.plan.project for request in requests_found} if command.request_id else context.projects
    person = context.people.look_up(message.person, names_in_projects(context, asked))
    projects = [name for name in visible_projects(context, person) if name in asked]
    why = "" if projects else _why_nothing_to_see(context, person)
    if why:
        reply(context, message, why)
        return
    visible = [request for request in requests_found if request.plan.project in projects]
    verb = None
    if command.group_id and projects:
        found, failures = read_oms.search(context, projects, command.group_id)
        readings = {one.key: _reading(context, one) for one in found}
        lines = [_request_line(context, _as_read(request, readings)) for request in visible]
        has_request = any(request.is_open for request in visible)
        verb = next((_verb(one) for one in found), None) if not has_request else None
        texts = [_found_text(context, one, readings[one.key], verb) for one in found]
        sections = _group_status(context, projects, command.group_id, texts, failures, lines)
        group_key = next((one.key for one in found if verb or one.group.status in RUNNING_STATUSES), "")
    else:
        lines = [_request_line(context, request) for request in visible]
        lines += [_progress(request) for request in visible if request.state in FOLLOWED_STATES]
        sections = [lists.Section("", tuple(lines), len(lines))]
        group_key = next((request.group_key for request in visible if request.state in PAUSABLE_STATES), "")
    text = lists.fit(sections)
    reply(context, message, text or refusals.NO_SUCH_REQUEST, group_key=group_key, verb=verb)


def _group_with_name(context: Context, message: Message, command: ShowList) -> str:
    """The id of the only group that has not ended and that the command matches; empty if there are several or none.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    person = context.people.look_up(message.person, names_in_projects(context, context.projects))
    with context.store.read() as connection:
        found = [
            one.group.group_id
            for project in visible_projects(context, person)
            for one in groups.of_project(connection, project, set(GroupStatus) - STATUSES[Part.ENDED]).values()
            if command.matches(one.group)
        ]
    return found[0] if len(found) == 1 else ""


def _verb(found: Found) -> Verb | None:
    """What can be requested for a group; None while it runs or after it has ended."""
    if found.group.status in FAILED_STATUSES:
        return Verb.RETRY
    return Verb.RESUME if found.group.status is GroupStatus.PAUSED else None


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
    found: Sequence[str],
    failures: Sequence[Failure],
    request_lines: Sequence[str],
) -> list[lists.Section]:
    """The status of a group now, or why it is not known, and then the requests for it.

    Arguments:
        found: the status in each project that has the group.
    """
    lines = found
    if not found:
        lines = [refusals.group_not_read(group_id, failure.text) for failure in failures]
    if not lines:
        with context.store.read() as connection:
            deleted = groups.find_deleted(connection, projects, group_id)
        not_found = read_oms.not_found_text(context, projects, group_id)
        lines = [stopped_status(deleted.reading, deleted.project, None, None, "") if deleted else not_found]
    sections = [lists.Section("", tuple(lines), len(lines))]
    if request_lines:
        sections.append(lists.requests_of_group(request_lines))
    elif found:
        sections.append(lists.Section("", (replies.NO_REQUEST_FOR_GROUP,), 1))
    return sections


def _reading(context: Context, found: Found) -> Reading:
    """A group that OMS has just shown. How it moves follows from what the sweeps saw before."""
    limits, now = context.projects[found.project].watch_limits, context.now()
    with context.store.read() as connection:
        before = groups.get(connection, found.key)
    reading = after_reading(before, found.key, found.project, found.group, now, limits).reading
    return reading if before is not None else replace(reading, noticed_at=None)


def _as_read(request: Request, readings: Mapping[str, Reading]) -> Request:
    """The request with the new reading of its running group, so that the answer has one rate and one time left."""
    reading = readings.get(request.group_key)
    if reading is None or request.state not in FOLLOWED_STATES or reading.group.status not in RUNNING_STATUSES:
        return request
    seen = LastSeen(reading.at, reading.group.progress, reading.movement)
    return replace(request.with_reading(reading.group), last_seen=seen)


def _found_text(context: Context, found: Found, reading: Reading, verb: Verb | None) -> str:
    """The status of a group that OMS has just shown.

    Arguments:
        verb: what the button below the status requests; None if there is no such button.
    """
    name, group, project = found.project, found.group, context.projects[found.project]
    if group.status in RUNNING_STATUSES:
        return running_status(reading, name)
    problem = None
    if group.status in FAILED_STATUSES:
        plan = project.plan(name, found.project_id, project.source_path(group.source.bucket))
        problem = explain_reason(group.error, plan, RetryHint.NOTHING)
    return stopped_status(reading, name, verb, problem, project.console_url or "")
