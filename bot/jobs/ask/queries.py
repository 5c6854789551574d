"""Answers `list` and `status`, and shows App Home: each to one person, with the projects that this person may see."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from slack_sdk.models.views import View

from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.command import ShowStatus
from bot.domain.policy import Person, account_refusal, reader_refusal
from bot.domain.request import Request
from bot.jobs.ask import preflight
from bot.jobs.ask.resumable_groups import MAX_SHOWN, Listed, NotListed, resumable_groups
from bot.jobs.context import Context, reply
from bot.slack.errors import LookupFailed, SlackError
from bot.store import outbox, requests
from bot.store.audit import Event, append
from bot.store.inbox import Message
from bot.ui import refusals, replies
from bot.ui.home import empty_home_view, home_view
from bot.ui.status import status_text


def show_list(context: Context, message: Message) -> None:
    """Answers `list` with the open requests, and the groups that can be resumed or retried.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    projects = _visible_projects(context, context.people.look_up(message.person))
    if not projects:
        reply(context, message, refusals.NOTHING_TO_SEE)
        return
    lines = [replies.OPEN_REQUESTS, *_open_request_lines(context, projects)]
    for project, listing in resumable_groups(context, projects).items():
        lines.extend(_group_lines(context, project, listing))
    reply(context, message, "\n".join(lines))


def show_status(context: Context, message: Message, command: ShowStatus) -> None:
    """Answers `status` for a request, or for a group and all its requests.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    projects = _visible_projects(context, context.people.look_up(message.person))
    visible = [request for request in _requests_of(context, command) if request.plan.project in projects]
    lines = [_request_line(context, request) for request in visible]
    if command.group_id and projects:
        lines = _group_status_lines(context, projects, command.group_id, lines)
    reply(context, message, "\n".join(lines) or refusals.NO_SUCH_REQUEST)


def show_home(context: Context, message: Message) -> None:
    """Shows App Home to the person who has opened it.

    If Slack does not take the view, App Home stays as it was until it is opened again.
    """
    try:
        person = context.people.look_up(message.person)
    except LookupFailed:
        _refuse_home(context, message, refusals.LOOKUP_FAILED, LOOKUP_FAILED_REASON)
        return
    outsider = account_refusal(person)
    projects = _visible_projects(context, person)
    if outsider is not None:
        _refuse_home(context, message, refusals.outsider_text(outsider), outsider.value)
    elif not projects:
        _refuse_home(context, message, refusals.NOTHING_TO_SEE, "no project to see")
    else:
        view = home_view(_open_request_lines(context, projects), replies.help_text(context.command))
        _publish_home(context, message, view)


def _visible_projects(context: Context, person: Person) -> list[str]:
    """The projects in which this person may create or approve requests. They learn nothing about other projects."""
    return [name for name, project in context.projects.items() if reader_refusal(project.policy, person) is None]


def _open_request_lines(context: Context, projects: Sequence[str]) -> list[str]:
    with context.store.read() as connection:
        found = requests.open_requests(connection, projects)
    return [_request_line(context, request) for request in found] or [replies.NOTHING_LISTED]


def _request_line(context: Context, request: Request) -> str:
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return replies.with_link(status_text(request), card.permalink if card else None)


def _group_lines(context: Context, project: str, listing: Listed | NotListed) -> list[str]:
    if isinstance(listing, NotListed):
        return replies.groups_not_listed(project, listing.why, listing.next_step)
    with context.store.read() as connection:
        requested = {request.group.group_id for request in requests.open_requests(connection, [project])}
    return replies.resumable_groups(
        project, listing.groups, requested, max_shown=MAX_SHOWN, unreadable=listing.unreadable
    )


def _requests_of(context: Context, command: ShowStatus) -> list[Request]:
    with context.store.read() as connection:
        if command.request_id:
            request = requests.get(connection, command.request_id)
            return [request] if request else []
        return requests.of_group(connection, command.group_id) if command.group_id else []


def _group_status_lines(
    context: Context, projects: Sequence[str], group_id: str, request_lines: Sequence[str]
) -> list[str]:
    """The status of a group now, the projects that could not be asked for it, and then its requests."""
    found, failures = preflight.search(context, projects, group_id)
    group_lines = [replies.group_status(one.group, one.project) for one in found]
    group_lines += [refusals.group_not_read(group_id, failure.text) for failure in failures]
    if found and not request_lines:
        return [*group_lines, replies.NO_REQUEST_FOR_GROUP]
    return [*(group_lines or [preflight.not_found_text(context, projects, group_id)]), *request_lines]


def _refuse_home(context: Context, message: Message, text: str, why: str) -> None:
    event = Event(AuditEvent.ACTION_REFUSED, message.person, None, {"kind": "home", "why": why})
    with context.store.write() as connection:
        append(connection, event, context.now())
    _publish_home(context, message, empty_home_view(text))


def _publish_home(context: Context, message: Message, view: View) -> None:
    # Nothing is lost with an App Home that was not shown: Slack asks for a new one at the next opening.
    with suppress(SlackError):
        context.messenger.publish_home(message.person, view)
