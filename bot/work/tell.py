"""Answers `list` and `status`: only to the person who typed, and only of projects that are theirs to see."""

from __future__ import annotations

from collections.abc import Sequence

from bot.request import command
from bot.request.command import ShowStatus
from bot.request.model import Request
from bot.request.policy import Person, why_not_reader
from bot.request.progress import percent
from bot.slack.answers import NO_SUCH_REQUEST, NOTHING_TO_SEE, with_link
from bot.slack.headlines import group_name
from bot.slack.standing import stands
from bot.slack.words import plain, status_name
from bot.store import outbox, requests
from bot.store.inbox import Kind, Message
from bot.work import preflight
from bot.work.askable import MOST_SHOWN, Askable, NotListed, askable
from bot.work.preflight import Found
from bot.work.tools import Tools, reply


def answer_question(tools: Tools, message: Message) -> None:
    """Works on one `list` or `status`.

    Raises:
        SlackCannotBeAsked: who asks is not known.
    """
    mine = projects_to_see(tools, tools.people.look_up(message.person))
    text = _list(tools, mine) if message.kind is Kind.LIST else _status(tools, message, mine)
    reply(tools, message, text)


def projects_to_see(tools: Tools, person: Person) -> list[str]:
    """The projects in which this person may ask or approve: of any other they see nothing."""
    return [name for name, project in tools.projects.items() if why_not_reader(project.policy, person) is None]


def open_lines(tools: Tools, mine: Sequence[str]) -> list[str]:
    """The open requests of these projects, a line each."""
    with tools.store.read() as connection:
        found = requests.open_requests(connection, mine)
    return [_line(tools, request) for request in found] or ["none"]


def _list(tools: Tools, mine: Sequence[str]) -> str:
    if not mine:
        return NOTHING_TO_SEE
    lines = ["*Open requests*", *open_lines(tools, mine)]
    for name, found in askable(tools, mine).items():
        lines.append(f"*Groups of {name} that can be asked for*")
        lines.extend(_groups(tools, name, found))
    return "\n".join(lines)


def _groups(tools: Tools, name: str, found: Askable | NotListed) -> list[str]:
    if isinstance(found, NotListed):
        return [f"They cannot be listed just now. {plain(found.why)} Next: {plain(found.next_step)}"]
    with tools.store.read() as connection:
        asked = {request.group.group_id for request in requests.open_requests(connection, [name])}
    lines = [
        f"`{group.group_id}` {plain(group_name(group), 80)}, {status_name(group.status)}"
        + (", asked for already" if group.group_id in asked else "")
        for group in found.groups[:MOST_SHOWN]
    ]
    if len(found.groups) > MOST_SHOWN:
        lines.append(f"and more; the first {MOST_SHOWN} are shown")
    if found.unreadable:
        lines.append(f"and {found.unreadable} that OMS describes in a way that the bot cannot read")
    return lines or ["none"]


def _status(tools: Tools, message: Message, mine: Sequence[str]) -> str:
    asked = command.parse(message.text, tools.command)
    if not isinstance(asked, ShowStatus):
        return NO_SUCH_REQUEST
    found: list[Request] = []
    with tools.store.read() as connection:
        if asked.request_id:
            one = requests.get(connection, asked.request_id)
            found = [one] if one else []
        elif asked.group_id:
            found = requests.of_group(connection, asked.group_id)
    lines = [_line(tools, request) for request in found if request.plan.project in mine]
    if not asked.group_id or not mine:
        return "\n".join(lines) or NO_SUCH_REQUEST
    return "\n".join(_of_group(tools, mine, asked.group_id, lines))


def _of_group(tools: Tools, mine: Sequence[str], group_id: str, lines: Sequence[str]) -> list[str]:
    """How a group stands now, whatever was asked for it, and then that; and which projects could not be asked."""
    found, failures = preflight.look_everywhere(tools, mine, group_id)
    said = [*map(_now, found), *(f"Group `{group_id}`: {failure.said}" for failure in failures)]
    if found and not lines:
        return [*said, "Nobody has asked for it."]
    return [*(said or [preflight.nowhere(tools, mine, group_id)]), *lines]


def _now(found: Found) -> str:
    group, share = found.group, percent(found.group.progress)
    done = f", {share} % done" if share is not None else ""
    what = f"`{group.group_id}` {plain(group_name(group), 80)} in project {found.project}"
    return f"{what} is {status_name(group.status)} now{done}."


def _line(tools: Tools, request: Request) -> str:
    with tools.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return with_link(stands(request), card.permalink if card else None)
