"""Answers `list` and `status`: only to the person who typed, and only of projects that are theirs to see."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain import command
from bot.domain.command import ShowStatus
from bot.domain.policy import Person, reader_refusal
from bot.domain.progress import percent
from bot.domain.request import Request
from bot.jobs.ask import preflight
from bot.jobs.ask.preflight import Found
from bot.jobs.ask.resumable_groups import MAX_SHOWN, Listed, NotListed, resumable_groups
from bot.jobs.context import Context, reply
from bot.store import outbox, requests
from bot.store.inbox import Kind, Message
from bot.ui.formatting import escape_mrkdwn, status_name
from bot.ui.replies import NO_SUCH_REQUEST, NOTHING_TO_SEE, with_link
from bot.ui.status import group_name, status_text


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
    return [_line(context, request) for request in found] or ["none"]


def _list(context: Context, mine: Sequence[str]) -> str:
    if not mine:
        return NOTHING_TO_SEE
    lines = ["*Open requests*", *open_request_lines(context, mine)]
    for name, found in resumable_groups(context, mine).items():
        lines.append(f"*Groups of {name} that can be asked for*")
        lines.extend(_groups(context, name, found))
    return "\n".join(lines)


def _groups(context: Context, name: str, found: Listed | NotListed) -> list[str]:
    if isinstance(found, NotListed):
        return [f"They cannot be listed just now. {escape_mrkdwn(found.why)} Next: {escape_mrkdwn(found.next_step)}"]
    with context.store.read() as connection:
        asked = {request.group.group_id for request in requests.open_requests(connection, [name])}
    lines = [
        f"`{group.group_id}` {escape_mrkdwn(group_name(group), 80)}, {status_name(group.status)}"
        + (", asked for already" if group.group_id in asked else "")
        for group in found.groups[:MAX_SHOWN]
    ]
    if len(found.groups) > MAX_SHOWN:
        lines.append(f"and more; the first {MAX_SHOWN} are shown")
    if found.unreadable:
        lines.append(f"and {found.unreadable} that OMS describes in a way that the bot cannot read")
    return lines or ["none"]


def _status(context: Context, message: Message, mine: Sequence[str]) -> str:
    asked = command.parse(message.text, context.command)
    if not isinstance(asked, ShowStatus):
        return NO_SUCH_REQUEST
    found: list[Request] = []
    with context.store.read() as connection:
        if asked.request_id:
            one = requests.get(connection, asked.request_id)
            found = [one] if one else []
        elif asked.group_id:
            found = requests.of_group(connection, asked.group_id)
    lines = [_line(context, request) for request in found if request.plan.project in mine]
    if not asked.group_id or not mine:
        return "\n".join(lines) or NO_SUCH_REQUEST
    return "\n".join(_of_group(context, mine, asked.group_id, lines))


def _of_group(context: Context, mine: Sequence[str], group_id: str, lines: Sequence[str]) -> list[str]:
    """How a group stands now, whatever was asked for it, and then that; and which projects could not be asked."""
    found, failures = preflight.look_everywhere(context, mine, group_id)
    said = [*map(_now, found), *(f"Group `{group_id}`: {failure.said}" for failure in failures)]
    if found and not lines:
        return [*said, "Nobody has asked for it."]
    return [*(said or [preflight.nowhere(context, mine, group_id)]), *lines]


def _now(found: Found) -> str:
    group, share = found.group, percent(found.group.progress)
    done = f", {share} % done" if share is not None else ""
    what = f"`{group.group_id}` {escape_mrkdwn(group_name(group), 80)} in project {found.project}"
    return f"{what} is {status_name(group.status)} now{done}."


def _line(context: Context, request: Request) -> str:
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return with_link(status_text(request), card.permalink if card else None)
