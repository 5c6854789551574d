"""Answers `list` and `status`: only to the person who typed, and only of projects that are theirs to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from bot.oms.client import Oms
from bot.oms.errors import OmsError, Unreadable
from bot.request import command
from bot.request.command import ShowStatus
from bot.request.group import FAILED_STATUSES, GroupStatus, TaskGroup
from bot.request.model import Request
from bot.request.policy import Person, why_not_reader
from bot.request.progress import percent
from bot.slack.answers import NO_SUCH_REQUEST, NOTHING_TO_SEE, stands, with_link
from bot.slack.headlines import group_name
from bot.slack.words import plain, status_name
from bot.store import outbox, requests
from bot.store.inbox import Kind, Message
from bot.vault_faults import VaultFault
from bot.work import preflight
from bot.work.caller import KeyRests
from bot.work.preflight import CannotAsk
from bot.work.tools import Tools, reply
from bot.work.trouble import Then, trouble_of

MOST_SHOWN = 20


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
    for name in mine:
        lines.append(f"*Groups of {name} that can be asked for*")
        lines.extend(_askable(tools, name))
    return "\n".join(lines)


@dataclass(frozen=True)
class Askable:
    """The groups of a project that are paused or failed, and how many more there are that OMS describes oddly."""

    groups: tuple[TaskGroup, ...]
    unreadable: int


def askable(tools: Tools, name: str) -> Askable:
    """What can be asked for in a project: the first of each status.

    Raises:
        OmsError, VaultFault, KeyRests: they cannot be listed.
    """
    found: list[TaskGroup | Unreadable] = []
    for status in (GroupStatus.PAUSED, *sorted(FAILED_STATUSES)):
        found += tools.callers.call(name, partial(_first_groups, status))
    groups = tuple(group for group in found if isinstance(group, TaskGroup))
    return Askable(groups, len(found) - len(groups))


def _first_groups(status: GroupStatus, oms: Oms) -> list[TaskGroup | Unreadable]:
    return list(islice(oms.groups(status), MOST_SHOWN + 1))


def _askable(tools: Tools, name: str) -> list[str]:
    try:
        found = askable(tools, name)
    except (OmsError, VaultFault, KeyRests) as fault:
        trouble = trouble_of(fault, tools.projects[name].plan(name, "", None), Then.NOTHING, "")
        return [f"They cannot be listed just now. {plain(trouble.meaning)} Next: {plain(trouble.next_step)}"]
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
    seen = [request for request in found if request.plan.project in mine]
    if seen:
        return "\n".join(_line(tools, request) for request in seen)
    return _group(tools, mine, asked.group_id) if mine and asked.group_id else NO_SUCH_REQUEST


def _group(tools: Tools, mine: Sequence[str], group_id: str) -> str:
    """How a group stands that nobody has asked for."""
    try:
        found = preflight.find_group(tools, mine, group_id)
    except CannotAsk as refusal:
        return str(refusal)
    share = percent(found.group.progress)
    done = f", {share} % done" if share is not None else ""
    what = f"`{group_id}` {plain(group_name(found.group), 80)} in project {found.project}"
    return f"{what} is {status_name(found.group.status)}{done}. Nobody has asked for it."


def _line(tools: Tools, request: Request) -> str:
    with tools.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return with_link(stands(request), card.permalink if card else None)
