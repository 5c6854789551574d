"""Fills the deny form for a person who may deny the request, and shows anybody else why they may not."""

from __future__ import annotations

from functools import partial

from bot.domain.decisions import Action, ActionKind, action_refusal
from bot.domain.policy import Person
from bot.jobs.context import Context
from bot.jobs.current_settings import names_in_request
from bot.jobs.decide.action_target import Rejection, check_target
from bot.jobs.notify.forms import FormContent, fill_form
from bot.store import audit, outbox, requests
from bot.store.inbox import Message
from bot.ui import modals, replies


def fill_deny_form(context: Context, message: Message) -> bool:
    """Fills the deny form that was opened for a message.

    Returns:
        Whether to try again.
    """
    with context.store.read() as connection:
        names = names_in_request(context, requests.get(connection, message.request_id))
    return fill_form(context, message, modals.DENY_TITLE, names, partial(_content, context, message))


def _content(context: Context, message: Message, person: Person) -> FormContent:
    with context.store.read() as connection:
        request = requests.get(connection, message.request_id)
        card = outbox.get_card(connection, message.request_id)
        votes = audit.record_of(connection, message.request_id).votes
    target = check_target(context, message, person, request, card)
    if isinstance(target, Rejection):
        return _note(target)
    denial = Action(ActionKind.DENY, person, context.now())
    refusal = action_refusal(target.request, votes, denial, target.settings.policy)
    if refusal is not None:
        return _note(target.rejection(context, refusal))
    return FormContent(modals.deny_form(target.request, message.channel, message.message_ts))


def _note(rejection: Rejection) -> FormContent:
    permalink = rejection.visible_card.permalink if rejection.visible_card else None
    text = replies.with_link(rejection.text, permalink)
    return FormContent(modals.note(modals.DENY_TITLE, text), rejection.why, rejection.notice)
