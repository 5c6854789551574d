"""Replaces "One moment" in an open form by the form, or by the reason why the person cannot have it.

Filling a form changes no request: a submitted form is checked again. What each form shows is left to the stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from slack_sdk.models.views import View

from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.policy import Person
from bot.jobs.context import Context, lookup_text
from bot.slack.errors import LookupFailed, SlackError, Unavailable
from bot.store import inbox, outbox
from bot.store.audit import Event, Fact, append, append_refusal
from bot.store.inbox import Message
from bot.store.outbox import Notice
from bot.ui import modals, refusals


@dataclass(frozen=True)
class FormContent:
    """What an open form shows."""

    view: View
    refusal: str | None = None  # for the audit event: why the view is a note; None if it is the form
    notice: Notice | None = None  # sent together with a refusal


def fill_form(
    context: Context, message: Message, title: str, names: Iterable[str], content_for: Callable[[Person], FormContent]
) -> bool:
    """Fills the view of a message, and records once that the form was opened or refused.

    Arguments:
        names: the ids of the users and user groups that may have the form.
        title: of the note that is shown if the person cannot be looked up.
        content_for: returns what the form shows to a person.

    Returns:
        Whether to try again: Slack did not take the view, and a later call may succeed.
    """
    try:
        content = content_for(context.people.look_up(message.person, names))
    except LookupFailed as error:
        content = FormContent(
            modals.note(title, lookup_text(context, error, refusals.LOOKUP_FAILED)), LOOKUP_FAILED_REASON
        )
    _record(context, message, content)
    try:
        context.messenger.update_view(message.view_id, content.view)
    except SlackError as error:
        # With any other error, such as a form that was closed meanwhile, there is nothing left to fill.
        return isinstance(error, Unavailable)
    return False


def _record(context: Context, message: Message, content: FormContent) -> None:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id}
    if content.refusal is not None:
        detail["why"] = content.refusal
    name = AuditEvent.FORM_OPENED if content.refusal is None else AuditEvent.ACTION_REFUSED
    event = Event(name, message.person, message.request_id or None, detail)
    now = context.now()
    with context.store.write() as connection:
        # The mark keeps a second try for the same message from recording it again.
        if inbox.mark_once(connection, message.key, name.value):
            if content.refusal is None:
                append(connection, event, now)
            else:
                append_refusal(connection, event, message.received_at, now)
            if content.notice is not None:
                outbox.add_notice(connection, content.notice, now)
