"""Checks that a message comes from a full member of the workspace, and from the card of an existing request.

The deny form and all actions begin with these checks. Whether the person may act is left to `bot.domain.decisions`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.approvals import view_refusal
from bot.domain.decisions import CurrentSettings
from bot.domain.policy import Person, Refusal, account_refusal
from bot.domain.request import Request
from bot.jobs.context import Context, lookup_text
from bot.jobs.current_settings import current_settings
from bot.jobs.notify.duplicate_card import duplicate_notice, is_duplicate
from bot.slack.errors import GroupsUnknown
from bot.store.inbox import Message
from bot.store.outbox import Card, Notice
from bot.ui import refusals


@dataclass(frozen=True)
class Rejection:
    """Why a message has no effect."""

    text: str  # for the person
    why: str  # for the audit event
    visible_card: Card | None = None  # the card that the answer links to; None if the person may not see it
    notice: Notice | None = None  # sent together with the answer


@dataclass(frozen=True)
class ActionTarget:
    """The request that an action is about."""

    request: Request
    settings: CurrentSettings
    visible_card: Card | None  # the card of the request; None if the person may not see it

    def rejection(self, context: Context, refusal: Refusal) -> Rejection:
        """The rejection for a refusal by `bot.domain.decisions`."""
        text = refusals.refusal_text(refusal, self.request)
        if refusal is Refusal.GROUPS_UNKNOWN:
            text = lookup_text(context, GroupsUnknown(), text)
        return Rejection(text, refusal.value, self.visible_card)


def check_target(
    context: Context, message: Message, person: Person, request: Request | None, card: Card | None
) -> ActionTarget | Rejection:
    """Returns what a message is about, or why it is rejected.

    Arguments:
        person: the person who sent the message, as looked up for it.
        request, card: as stored under the request id of the message; None if there is none.
    """
    outsider = account_refusal(person)
    if outsider is not None:
        return Rejection(refusals.outsider_text(outsider), outsider.value)
    if request is None or card is None:
        return Rejection(refusals.NO_SUCH_REQUEST, "no such request")
    settings = current_settings(context, request)
    if view_refusal(request, person, settings.policy) is not None:
        return ActionTarget(request, settings, None)
    if is_duplicate(message, card):
        return Rejection(refusals.DUPLICATE_CARD, "copy", card, duplicate_notice(message, request, card))
    return ActionTarget(request, settings, card)
