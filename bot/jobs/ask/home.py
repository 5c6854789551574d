"""Shows App Home to whoever opened it: open requests of the projects that are theirs to see, and a way to ask."""

from __future__ import annotations

from bot.domain.audit_events import AuditEvent
from bot.domain.policy import account_refusal
from bot.jobs.ask import queries
from bot.jobs.context import Context
from bot.slack.errors import LookupFailed, SlackError
from bot.store.audit import Event, append
from bot.store.inbox import Message
from bot.ui import refusals, replies
from bot.ui.home import empty_home_view, home_view


def show(context: Context, message: Message) -> None:
    """One opening of App Home. Where Slack does not take it, it stays as it was until it is opened again."""
    why = None
    try:
        person = context.people.look_up(message.person)
        outsider = account_refusal(person)
        mine = queries.visible_projects(context, person)
        lines = queries.open_request_lines(context, mine) if mine else [refusals.NOTHING_TO_SEE]
        if outsider is not None or not mine:
            why = outsider.value if outsider is not None else "no project to see"
            lines = [refusals.outsider_text(outsider)] if outsider is not None else lines
    except LookupFailed:
        why, lines = "Slack cannot be asked", [refusals.LOOKUP_FAILED]
    view = home_view(lines, replies.help_text(context.command)) if why is None else empty_home_view(lines[0])
    if why is not None:
        with context.store.write() as connection:
            append(
                connection,
                Event(AuditEvent.ACTION_REFUSED, message.person, None, {"kind": "home", "why": why}),
                context.now(),
            )
    try:
        context.messenger.publish_home(message.person, view)
    except SlackError:
        return
