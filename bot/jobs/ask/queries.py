"""Answers `list` and `status`, to the person who typed them alone, and of the projects that this person may see."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.command import ShowStatus
from bot.domain.policy import Person, reader_refusal
from bot.domain.request import Request
from bot.jobs.ask import preflight
from bot.jobs.ask.resumable_groups import MAX_SHOWN, Listed, NotListed, resumable_groups
from bot.jobs.context import Context, reply
from bot.store import outbox, requests
from bot.store.inbox import Message
from bot.ui import refusals, replies
from bot.ui.status import status_text


def show_list(context: Context, message: Message) -> None:
    """Answers `list`.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    mine = visible_projects(context, context.people.look_up(message.person))
    reply(context, message, _list(context, mine))


def show_status(context: Context, message: Message, command: ShowStatus) -> None:
    """Answers `status`.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    mine = visible_projects(context, context.people.look_up(message.person))
    reply(context, message, _status(context, command, mine))


def visible_projects(context: Context, person: Person) -> list[str]:
    """The projects in which this person may ask or approve. A person sees nothing of any other project."""
    return [name for name, project in context.projects.items() if reader_refusal(project.policy, person) is None]


def open_request_lines(context: Context, mine: Sequence[str]) -> list[str]:
    """One line for each open request of these projects."""
    with context.store.read() as connection:
        found = requests.open_requests(connection, mine)
    return [_line(context, request) for request in found] or [replies.NOTHING_LISTED]


def _list(context: Context, mine: Sequence[str]) -> str:
    if not mine:
        return refusals.NOTHING_TO_SEE
    lines = [replies.OPEN_REQUESTS, *open_request_lines(context, mine)]
    for name, found in resumable_groups(context, mine).items():
        lines.extend(_groups(context, name, found))
    return "\n".join(lines)


def _groups(context: Context, name: str, found: Listed | NotListed) -> list[str]:
    if isinstance(found, NotListed):
        return replies.groups_not_listed(name, found.why, found.next_step)
    with context.store.read() as connection:
        asked = {request.group.group_id for request in requests.open_requests(connection, [name])}
    return replies.resumable_groups(name, found.groups, asked, max_shown=MAX_SHOWN, unreadable=found.unreadable)


def _status(context: Context, command: ShowStatus, mine: Sequence[str]) -> str:
    found: list[Request] = []
    with context.store.read() as connection:
        if command.request_id:
            one = requests.get(connection, command.request_id)
            found = [one] if one else []
        elif command.group_id:
            found = requests.of_group(connection, command.group_id)
    lines = [_line(context, request) for request in found if request.plan.project in mine]
    if not command.group_id or not mine:
        return "\n".join(lines) or refusals.NO_SUCH_REQUEST
    return "\n".join(_of_group(context, mine, command.group_id, lines))


def _of_group(context: Context, mine: Sequence[str], group_id: str, lines: Sequence[str]) -> list[str]:
    """The status of a group now, then its requests (`lines`), and the projects that could not be asked for it."""
    found, failures = preflight.look_everywhere(context, mine, group_id)
    said = [replies.group_status(one.group, one.project) for one in found]
    said += [refusals.group_not_read(group_id, failure.said) for failure in failures]
    if found and not lines:
        return [*said, replies.NO_REQUEST_FOR_GROUP]
    return [*(said or [preflight.nowhere(context, mine, group_id)]), *lines]


def _line(context: Context, request: Request) -> str:
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return replies.with_link(status_text(request), card.permalink if card else None)
