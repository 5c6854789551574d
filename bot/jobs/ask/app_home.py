"""Shows App Home to one person, and keeps it up to date for an hour after the person opened it.

`bot.ui.home` decides what the sections contain. When a person opens App Home, the message in the inbox becomes due
again each minute. So one of several replicas updates the page, also after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from slack_sdk.models.views import View

from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.policy import Person, Refusal, account_refusal
from bot.domain.request import Request
from bot.domain.task_group import STATUSES_OF_KIND, GroupKind
from bot.jobs.context import Context, lookup_text
from bot.jobs.current_settings import are_groups_unknown, names_in_projects, visible_projects
from bot.slack.errors import GroupsUnknown, LookupFailed, SlackError
from bot.store import groups, inbox, outbox, requests
from bot.store.audit import Event, append
from bot.store.inbox import Kind, Message
from bot.ui import home, refusals, replies
from bot.ui.blocks import fingerprint
from bot.ui.home import HomeContent, empty_home_view, failed_home_view, home_sections, home_view

#: How long App Home is updated after it was opened, how often, and for how many of the people who opened it last. Slack
#: allows about 100 calls of views.publish a minute.
FRESH_FOR = timedelta(hours=1)
UPDATE_EVERY = timedelta(minutes=1)
MAX_PEOPLE = 50
#: Requests and groups that ended within this time are shown.
RECENTLY = timedelta(days=1)
_RUNNING = STATUSES_OF_KIND[GroupKind.RUNNING]


def show_home(context: Context, message: Message, opened_at: datetime) -> datetime | None:
    """Shows App Home to the person who opened or refreshed it, or updates it later.

    If Slack does not accept the view, App Home stays unchanged until the next update.

    Arguments:
        opened_at: when the message was received.

    Returns:
        When to update it next; None if the person has opened it again since, or opened it too long ago, or if too many
        people have opened theirs more recently.
    """
    now = context.now()
    is_update = now - opened_at >= UPDATE_EVERY
    with context.store.read() as connection:
        shown = inbox.mark_of(connection, message.key)
        to_update = inbox.newest_due(connection, Kind.HOME, MAX_PEOPLE)
    if is_update and (now - opened_at >= FRESH_FOR or message.key not in to_update):
        return None
    try:
        person = context.people.look_up(message.person, names_in_projects(context, context.projects))
    except LookupFailed as error:
        if not is_update:
            view = failed_home_view(lookup_text(context, error, home.PERSON_UNKNOWN), now)
            _refuse(context, message, view, LOOKUP_FAILED_REASON)
        return now + UPDATE_EVERY
    projects = visible_projects(context, person)
    outsider = account_refusal(person)
    if outsider is not None:
        _refuse(context, message, empty_home_view(refusals.account_text(outsider)), outsider.value)
        return None
    if not projects and are_groups_unknown(context, person):
        if not is_update:
            view = failed_home_view(lookup_text(context, GroupsUnknown(), home.GROUPS_UNKNOWN), now)
            _refuse(context, message, view, Refusal.GROUPS_UNKNOWN.value)
        return now + UPDATE_EVERY
    if not projects:
        _refuse(context, message, empty_home_view(refusals.NOTHING_TO_SEE), "no project to see")
        return None
    view = _view(context, person, projects, now)
    if fingerprint(view) != shown and _publish(context, message, view):
        with context.store.write() as connection:
            inbox.set_mark(connection, message.key, fingerprint(view))
    return now + UPDATE_EVERY


def _view(context: Context, person: Person, projects: Sequence[str], now: datetime) -> View:
    """App Home for a person who may see these projects."""
    since = now - RECENTLY
    policies = {name: project.policy for name, project in context.projects.items()}
    with context.store.read() as connection:
        running = [one for name in projects for one in groups.of_project(connection, name, _RUNNING).values()]
        found = HomeContent(
            requests.open_requests(connection, projects),
            requests.ended_since(connection, projects, since, home.MAX_LINES),
            requests.count_ended_since(connection, projects, since),
            [*running, *groups.stopped_since(connection, projects, since)],
            groups.paused_with_bot(connection, projects),
        )
        sections = home_sections(found, person, policies)
        shown = (item for section in sections for item in section.items if isinstance(item, Request))
        cards = [outbox.get_card(connection, request.id) for request in shown]
    permalinks = {card.request_id: card.permalink for card in cards if card and card.permalink}
    remark = "" if person.groups_known else home.MAY_BE_INCOMPLETE
    return home_view(sections, permalinks, context.command, replies.help_text(context.command), now, remark)


def _refuse(context: Context, message: Message, view: View, why: str) -> None:
    event = Event(AuditEvent.ACTION_REFUSED, message.person, None, {"kind": "home", "why": why})
    with context.store.write() as connection:
        append(connection, event, context.now())
    _publish(context, message, view)


def _publish(context: Context, message: Message, view: View) -> bool:
    """Publishes a view. Returns whether Slack accepted it."""
    # The next update, or the next time the person opens App Home, publishes it again.
    with suppress(SlackError):
        context.messenger.publish_home(message.person, view)
        return True
    return False
