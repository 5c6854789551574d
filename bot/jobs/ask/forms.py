"""Fills a view that stands open: with the form for whoever may send it in, with a plain refusal for anybody else.

Nothing is changed by it. What is sent in is looked at again, as any click is.
"""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk.models.views import View

from bot.domain.audit_events import AuditEvent
from bot.domain.decisions import Action, ActionKind, action_refusal, view_refusal
from bot.domain.policy import Person, account_refusal
from bot.jobs.ask import preflight
from bot.jobs.ask.preflight import CannotCreate
from bot.jobs.ask.resumable_groups import NotListed, resumable_groups
from bot.jobs.context import Context
from bot.jobs.current_settings import current_policy
from bot.jobs.notify.duplicate_card import duplicate_notice, is_duplicate
from bot.slack.errors import LookupFailed, SlackError, Unavailable
from bot.store import inbox, outbox, requests
from bot.store.audit import Event, Fact, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice
from bot.ui import modals, refusals, replies
from bot.ui.modals import GroupChoice


@dataclass(frozen=True)
class _Filling:
    """What the view shows from now on, and `why` it is no form where it is none."""

    view: View
    why: str | None = None
    notice: Notice | None = None


def fill(context: Context, message: Message) -> bool:
    """One view to be filled; True when Slack did not take it and it is worth another try."""
    is_denial = message.kind is Kind.OPEN_DENY
    try:
        person = context.people.look_up(message.person)
    except LookupFailed:
        title = modals.DENY_TITLE if is_denial else modals.REQUEST_TITLE
        filling = _Filling(modals.note(title, refusals.LOOKUP_FAILED), "Slack cannot be asked")
    else:
        filling = _for_denial(context, message, person) if is_denial else _for_asking(context, message, person)
    _write_down(context, message, filling)
    try:
        context.messenger.update_view(message.view_id, filling.view)
    except SlackError as error:
        # Whoever closed it meanwhile misses nothing.
        return isinstance(error, Unavailable)
    return False


def _write_down(context: Context, message: Message, filling: _Filling) -> None:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id}
    if filling.why is not None:
        detail["why"] = filling.why
    event = AuditEvent.FORM_OPENED if filling.why is None else AuditEvent.ACTION_REFUSED
    with context.store.write() as connection:
        # Once for each press, however often Slack must be asked to show it.
        if inbox.mark_once(connection, message.key, event.value):
            append(connection, Event(event, message.person, message.request_id or None, detail), context.now())
            if filling.notice is not None:
                outbox.add_notice(connection, filling.notice, context.now())


def _for_denial(context: Context, message: Message, person: Person) -> _Filling:
    outsider = account_refusal(person)
    if outsider is not None:
        return _no(refusals.outsider_text(outsider), outsider.value)
    with context.store.read() as connection:
        request, card = requests.get(connection, message.request_id), outbox.get_card(connection, message.request_id)
        already = requests.votes_of(connection, message.request_id)
    if request is None or card is None:
        return _no(refusals.NO_SUCH_REQUEST, "no such request")
    policy = current_policy(context, request)
    may_read = view_refusal(request, person, policy) is None
    permalink = card.permalink if may_read else None
    if may_read and is_duplicate(message, card):
        return _no(
            replies.with_link(refusals.DUPLICATE_CARD, permalink), "copy", duplicate_notice(message, request, card)
        )
    refusal = action_refusal(request, already, Action(ActionKind.DENY, person, context.now()), policy)
    if refusal is not None:
        return _no(replies.with_link(refusals.refusal_text(refusal, request), permalink), refusal.value)
    return _Filling(modals.deny_form(request.id, message.channel, message.message_ts))


def _no(text: str, why: str, notice: Notice | None = None) -> _Filling:
    return _Filling(modals.note(modals.DENY_TITLE, text), why, notice)


def _for_asking(context: Context, message: Message, person: Person) -> _Filling:
    """The form, with what could be asked for; filled in already where it was opened from a card that has ended."""
    try:
        projects = preflight.projects_of(context, person, None)
    except CannotCreate as refusal:
        return _Filling(modals.note(modals.REQUEST_TITLE, str(refusal)), "may not ask")
    with context.store.read() as connection:
        ended = requests.get(connection, message.request_id) if message.request_id else None
    if ended is not None and view_refusal(ended, person, current_policy(context, ended)) is None:
        form = modals.request_form(projects, (), "", ended.group.group_id, ended.plan.project, ended.reason)
        return _Filling(form)
    choices: list[GroupChoice] = []
    remarks: list[str] = []
    for name, found in resumable_groups(context, projects).items():
        if isinstance(found, NotListed):
            remarks.append(modals.groups_not_listed(name, found.why))
        else:
            choices += [modals.group_choice(name, group) for group in found.groups]
    return _Filling(modals.request_form(projects, choices, " ".join(remarks)))
