"""Answers `list` and `status`, and shows App Home: each to one person, with the projects that this person may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from slack_sdk.models.views import View

from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.command import ShowStatus
from bot.domain.policy import Person, Refusal, account_refusal, reader_refusal
from bot.domain.request import Request
from bot.jobs.ask import read_oms
from bot.jobs.ask.resumable_groups import Listed, NotListed, resumable_groups
from bot.jobs.context import Context, lookup_text, reply
from bot.jobs.current_settings import names_in_projects
from bot.slack.errors import GroupsUnknown, LookupFailed, SlackError
from bot.store import outbox, requests
from bot.store.audit import Event, append
from bot.store.inbox import Message
from bot.ui import home, lists, refusals, replies
from bot.ui.home import HomeSection, empty_home_view, failed_home_view, home_sections, home_view
from bot.ui.status import status_text


def show_list(context: Context, message: Message) -> None:
    """Answers `list` with the open requests, and the groups that can be resumed or retried.

    Raises:
        LookupFailed: Slack does not tell who the person is, or in which user groups they are.
    """
    person = context.people.look_up(message.person, names_in_projects(context, context.projects))
    projects = _visible_projects(context, person)
    if not projects:
        reply(context, message, _why_nothing_to_see(context, person) or refusals.NOTHING_TO_SEE)
        return
    sections = [lists.open_requests(_open_request_lines(context, projects))]
    for project, listing in resumable_groups(context, projects).items():
        sections.append(_groups_section(context, project, listing))
    reply(context, message, lists.fit(sections))


def show_status(context: Context, message: Message, command: ShowStatus) -> None:
    """Answers `status` for a request, or for a group and all its requests.

    Raises:
        LookupFailed: Slack does not tell who the person is, or in which user groups they are.
    """
    requests_found = _requests_of(context, command)
    asked = {request.plan.project for request in requests_found} if command.request_id else context.projects
    person = context.people.look_up(message.person, names_in_projects(context, asked))
    projects = [name for name in _visible_projects(context, person) if name in asked]
    why = "" if projects else _why_nothing_to_see(context, person)
    if why:
        reply(context, message, why)
        return
    visible = [request for request in requests_found if request.plan.project in projects]
    lines = [_request_line(context, request) for request in visible]
    if command.group_id and projects:
        text = lists.fit(_group_status(context, projects, command.group_id, lines))
    else:
        text = "\n".join(lines)
    reply(context, message, text or refusals.NO_SUCH_REQUEST)


def _why_nothing_to_see(context: Context, person: Person) -> str:
    """Why this person's account sees no project; empty if the account could be named in a project.

    Raises:
        GroupsUnknown: the person may have access, but Slack does not tell who is in the user groups.
    """
    outsider = account_refusal(person)
    if outsider is not None:
        return refusals.account_text(outsider)
    if _are_groups_unknown(context, person):
        raise GroupsUnknown
    return ""


def show_home(context: Context, message: Message) -> None:
    """Shows App Home to the person who has opened or refreshed it.

    If Slack does not take the view, App Home stays as it was until it is opened or refreshed again.
    """
    now = context.now()
    try:
        person = context.people.look_up(message.person, names_in_projects(context, context.projects))
    except LookupFailed as error:
        _refuse_home(
            context,
            message,
            failed_home_view(lookup_text(context, error, home.PERSON_UNKNOWN), now),
            LOOKUP_FAILED_REASON,
        )
        return
    outsider = account_refusal(person)
    projects = _visible_projects(context, person)
    if outsider is not None:
        _refuse_home(context, message, empty_home_view(refusals.account_text(outsider)), outsider.value)
    elif not projects and _are_groups_unknown(context, person):
        _refuse_home(
            context,
            message,
            failed_home_view(lookup_text(context, GroupsUnknown(), home.GROUPS_UNKNOWN), now),
            Refusal.GROUPS_UNKNOWN.value,
        )
    elif not projects:
        _refuse_home(context, message, empty_home_view(refusals.NOTHING_TO_SEE), "no project to see")
    else:
        sections, permalinks = _home_sections(context, person, projects)
        remark = "" if person.groups_known else home.MAY_BE_INCOMPLETE
        view = home_view(sections, permalinks, context.command, replies.help_text(context.command), now, remark)
        _publish_home(context, message, view)


def _visible_projects(context: Context, person: Person) -> list[str]:
    """The projects in which this person may create or approve requests. They learn nothing about other projects."""
    return [name for name, project in context.projects.items() if reader_refusal(project.policy, person) is None]


def _are_groups_unknown(context: Context, person: Person) -> bool:
    """Whether the person may see more projects, if Slack told which user groups they are in."""
    found = (reader_refusal(project.policy, person) for project in context.projects.values())
    return Refusal.GROUPS_UNKNOWN in found


def _home_sections(
    context: Context, person: Person, projects: Sequence[str]
) -> tuple[Sequence[HomeSection], Mapping[str, str]]:
    """The sections of App Home, and the permalinks of the cards by request id."""
    policies = {name: project.policy for name, project in context.projects.items()}
    with context.store.read() as connection:
        sections = home_sections(requests.open_requests(connection, projects), person, policies)
        shown = (request for section in sections for request in section.requests)
        cards = [outbox.get_card(connection, request.id) for request in shown]
    return sections, {card.request_id: card.permalink for card in cards if card and card.permalink}


def _open_request_lines(context: Context, projects: Sequence[str]) -> list[str]:
    with context.store.read() as connection:
        found = requests.open_requests(connection, projects)
    return [_request_line(context, request) for request in found]


def _request_line(context: Context, request: Request) -> str:
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return replies.with_link(status_text(request), card.permalink if card else None)


def _groups_section(context: Context, project: str, listing: Listed | NotListed) -> lists.Section:
    if isinstance(listing, NotListed):
        return lists.groups_not_listed(project, listing.problem)
    with context.store.read() as connection:
        requested = {request.group.group_id for request in requests.open_requests(connection, [project])}
    return lists.groups(
        project,
        listing.failed,
        listing.paused,
        requested,
        more_failed=listing.more_failed,
        more_paused=listing.more_paused,
        unreadable=listing.unreadable,
    )


def _requests_of(context: Context, command: ShowStatus) -> list[Request]:
    with context.store.read() as connection:
        if command.request_id:
            request = requests.get(connection, command.request_id)
            return [request] if request else []
        return requests.of_group(connection, command.group_id) if command.group_id else []


def _group_status(
    context: Context, projects: Sequence[str], group_id: str, request_lines: Sequence[str]
) -> list[lists.Section]:
    """The status of a group now, or why it is not known, and then the requests for it."""
    found, failures = read_oms.search(context, projects, group_id)
    lines = [replies.group_status(one.group, one.project) for one in found]
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


def _refuse_home(context: Context, message: Message, view: View, why: str) -> None:
    event = Event(AuditEvent.ACTION_REFUSED, message.person, None, {"kind": "home", "why": why})
    with context.store.write() as connection:
        append(connection, event, context.now())
    _publish_home(context, message, view)


def _publish_home(context: Context, message: Message, view: View) -> None:
    # Nothing is lost with an App Home that was not shown: Slack asks for a new one at the next opening.
    with suppress(SlackError):
        context.messenger.publish_home(message.person, view)
