"""Answers `list` and `status`: only to the person who typed, and only of projects that are theirs to see."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain import command
from bot.domain.command import ShowStatus
from bot.domain.policy import Person, reader_refusal
from bot.domain.request import Request
from bot.jobs.ask import preflight
from bot.jobs.ask.resumable_groups import MAX_SHOWN, Listed, NotListed, resumable_groups
from bot.jobs.context import Context, reply
from bot.store import outbox, requests
from bot.store.inbox import Kind, Message
from bot.ui import refusals, replies
from bot.ui.status import status_text


def answer_query(context: Context, message: Message) -> None:
    """Works on one `list` or `status`.

    Raises:
        SlackCannotBeAsked: who asks is not known.
    """
    mine = visible_projects(context, context.people.look_up(message.person))
    text = _list(context, mine) if message.kind is Kind.LIST else _status(context, message, mine)
    reply(context, message, text)


def visible_projects(context: Context, person: Person) -> list[str]:
    """The projects in which this person may ask or approve: of any other they see nothing."""
    return [name for name, project in context.projects.items() if reader_refusal(project.policy, person) is None]


def open_request_lines(context: Context, mine: Sequence[str]) -> list[str]:
    """The open requests of these projects, a line each."""
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


def _status(context: Context, message: Message, mine: Sequence[str]) -> str:
    asked = command.parse(message.text, context.command)
    if not isinstance(asked, ShowStatus):
        return refusals.NO_SUCH_REQUEST
    found: list[Request] = []
    with context.store.read() as connection:
        if asked.request_id:
            one = requests.get(connection, asked.request_id)
            found = [one] if one else []
        elif asked.group_id:
            found = requests.of_group(connection, asked.group_id)
    lines = [_line(context, request) for request in found if request.plan.project in mine]
    if not asked.group_id or not mine:
        return "\n".join(lines) or refusals.NO_SUCH_REQUEST
    return "\n".join(_of_group(context, mine, asked.group_id, lines))


def _of_group(context: Context, mine: Sequence[str], group_id: str, lines: Sequence[str]) -> list[str]:
    """How a group stands now, whatever was asked for it, and then that; and which projects could not be asked."""
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
