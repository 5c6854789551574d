"""Answers `list` and `status`: only to the person who typed, and only of projects that are theirs to see."""

from __future__ import annotations

from itertools import islice

from bot.oms.errors import OmsError
from bot.request import command
from bot.request.command import ShowStatus
from bot.request.group import GroupStatus
from bot.request.model import Request
from bot.request.policy import why_not_reader
from bot.slack.answers import NO_SUCH_REQUEST, stands, with_link
from bot.slack.headlines import group_name
from bot.slack.words import plain
from bot.store import outbox, requests
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice
from bot.vault_faults import VaultFault
from bot.work.caller import KeyRests
from bot.work.tools import Tools, to_whom
from bot.work.trouble import Then, trouble_of

MOST_SHOWN = 20


def answer_question(tools: Tools, message: Message) -> None:
    """Works on one `list` or `status`.

    Raises:
        SlackCannotBeAsked: who asks is not known.
    """
    person = tools.people.look_up(message.person)
    mine = [name for name, project in tools.projects.items() if why_not_reader(project.policy, person) is None]
    text = _list(tools, mine) if message.kind is Kind.LIST else _status(tools, message, mine)
    with tools.store.write() as connection:
        outbox.add_notice(connection, Notice(*to_whom(message), text), tools.now())


def _list(tools: Tools, mine: list[str]) -> str:
    if not mine:
        return "There is no project here that you may see."
    with tools.store.read() as connection:
        open_requests = requests.open_requests(connection, mine)
    lines = ["*Open requests*", *([_line(tools, request) for request in open_requests] or ["none"])]
    for name in mine:
        lines.append(f"*Paused groups of {name}*")
        lines.extend(_paused(tools, name))
    return "\n".join(lines)


def _paused(tools: Tools, name: str) -> list[str]:
    try:
        groups = tools.callers.call(name, lambda oms: list(islice(oms.groups(GroupStatus.PAUSED), MOST_SHOWN + 1)))
    except (OmsError, VaultFault, KeyRests) as fault:
        trouble = trouble_of(fault, tools.projects[name].plan(name, "", None), Then.NOTHING, "")
        return [f"They cannot be listed just now. {trouble.meaning} Next: {trouble.next_step}"]
    lines = [f"`{group.group_id}` {plain(group_name(group), 80)}" for group in groups[:MOST_SHOWN]]
    if len(groups) > MOST_SHOWN:
        lines.append(f"and more; the first {MOST_SHOWN} are shown")
    return lines or ["none"]


def _status(tools: Tools, message: Message, mine: list[str]) -> str:
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
    if not seen:
        return "There is no such request that you may see."
    return "\n".join(_line(tools, request) for request in seen)


def _line(tools: Tools, request: Request) -> str:
    with tools.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return with_link(stands(request), card.permalink if card else None)
