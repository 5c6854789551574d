"""Fills a view that stands open: with the form for whoever may send it in, with a plain refusal for anybody else.

Nothing is changed by it. What is sent in is looked at again, as any click is.
"""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk.models.views import View

from bot.request.group import TaskGroup
from bot.request.policy import Person, why_not_member
from bot.request.progress import percent
from bot.request.votes import Act, Click, why_not, why_not_seen
from bot.slack import answers, views
from bot.slack.headlines import group_name
from bot.slack.people import SlackCannotBeAsked
from bot.slack.posting import Hindrance, PostingFault
from bot.slack.views import Choice
from bot.slack.words import plain, status_name
from bot.store import inbox, outbox, requests
from bot.store.audit import Event, Fact, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice
from bot.work import preflight
from bot.work.askable import NotListed, askable
from bot.work.copies import copy_notice, is_copy
from bot.work.preflight import CannotAsk
from bot.work.settings import policy_now
from bot.work.tools import Tools


@dataclass(frozen=True)
class _Filling:
    """What the view shows from now on, and `why` it is no form where it is none."""

    view: View
    why: str | None = None
    notice: Notice | None = None


def fill(tools: Tools, message: Message) -> bool:
    """One view to be filled; True when Slack did not take it and it is worth another try."""
    is_denial = message.kind is Kind.OPEN_DENY
    try:
        person = tools.people.look_up(message.person)
    except SlackCannotBeAsked:
        title = views.DENY_TITLE if is_denial else views.REQUEST_TITLE
        filling = _Filling(views.note(title, answers.SLACK_CANNOT_BE_ASKED), "Slack cannot be asked")
    else:
        filling = _for_denial(tools, message, person) if is_denial else _for_asking(tools, message, person)
    _write_down(tools, message, filling)
    try:
        tools.posting.update_view(message.view_id, filling.view)
    except PostingFault as fault:
        # Whoever closed it meanwhile misses nothing.
        return fault.hindrance in (Hindrance.SLOW_DOWN, Hindrance.UNREACHABLE)
    return False


def _write_down(tools: Tools, message: Message, filling: _Filling) -> None:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id}
    if filling.why is not None:
        detail["why"] = filling.why
    what = "form opened" if filling.why is None else "refused"
    with tools.store.write() as connection:
        # Once for each press, however often Slack must be asked to show it.
        if inbox.mark_once(connection, message.key, what):
            append(connection, Event(what, message.person, message.request_id or None, detail), tools.now())
            if filling.notice is not None:
                outbox.add_notice(connection, filling.notice, tools.now())


def _for_denial(tools: Tools, message: Message, person: Person) -> _Filling:
    outsider = why_not_member(person)
    if outsider is not None:
        return _no(answers.why_not_at_all(outsider), outsider.value)
    with tools.store.read() as connection:
        request, card = requests.get(connection, message.request_id), outbox.get_card(connection, message.request_id)
        already = requests.votes_of(connection, message.request_id)
    if request is None or card is None:
        return _no(answers.NO_SUCH_REQUEST, "no such request")
    policy = policy_now(tools, request)
    may_read = why_not_seen(request, person, policy) is None
    permalink = card.permalink if may_read else None
    if may_read and is_copy(message, card):
        return _no(answers.with_link(answers.THAT_WAS_A_COPY, permalink), "copy", copy_notice(message, request, card))
    refusal = why_not(request, already, Click(Act.DENY, person, tools.now()), policy)
    if refusal is not None:
        return _no(answers.with_link(answers.why_not(refusal, request), permalink), refusal.value)
    return _Filling(views.deny_form(request.id, message.channel, message.message_ts))


def _no(text: str, why: str, notice: Notice | None = None) -> _Filling:
    return _Filling(views.note(views.DENY_TITLE, text), why, notice)


def _for_asking(tools: Tools, message: Message, person: Person) -> _Filling:
    """The form, with what could be asked for; filled in already where it was opened from a card that has ended."""
    try:
        projects = preflight.projects_of(tools, person, None)
    except CannotAsk as refusal:
        return _Filling(views.note(views.REQUEST_TITLE, str(refusal)), "may not ask")
    with tools.store.read() as connection:
        ended = requests.get(connection, message.request_id) if message.request_id else None
    if ended is not None and why_not_seen(ended, person, policy_now(tools, ended)) is None:
        form = views.request_form(projects, (), "", ended.group.group_id, ended.plan.project, ended.reason)
        return _Filling(form)
    choices: list[Choice] = []
    remarks: list[str] = []
    for name, found in askable(tools, projects).items():
        if isinstance(found, NotListed):
            remarks.append(f"The groups of {name} cannot be listed just now; type an id. {plain(found.why)}")
        else:
            choices += [_choice(name, group) for group in found.groups]
    return _Filling(views.request_form(projects, choices, " ".join(remarks)))


def _choice(project: str, group: TaskGroup) -> Choice:
    share = percent(group.progress)
    done = f", {share} %" if share is not None else ""
    return Choice(project, group.group_id, f"{group_name(group)} · {project} · {status_name(group.status)}{done}")
