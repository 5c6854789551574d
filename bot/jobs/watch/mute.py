"""Mutes a task group after a person pressed Mute on an alert.

Everyone who may create or approve requests in the project may mute its groups.
"""

from __future__ import annotations

from datetime import timedelta

from bot.domain.alert import has_moved_again
from bot.domain.audit_events import AuditEvent
from bot.domain.policy import Refusal, account_refusal, reader_names, reader_refusal
from bot.jobs.context import Context, reply, reply_address
from bot.slack.errors import GroupsUnknown
from bot.store import alerts, groups, inbox, outbox
from bot.store.audit import Event, Fact, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice
from bot.ui import alert as texts
from bot.ui.refusals import NO_SUCH_GROUP, outsider_text

MUTED_FOR = timedelta(days=1)


def mute_group(context: Context, message: Message) -> None:
    """Mutes the group of a message, and shows in the alert who muted it.

    Raises:
        LookupFailed: Slack does not tell who the person is, or which user groups they are in, although the decision
            depends on it.
    """
    with context.store.read() as connection:
        watched = groups.get(connection, message.group_key)
    project = context.projects.get(watched.project) if watched is not None else None
    person = context.people.look_up_now(message.person, reader_names(project.policy) if project is not None else ())
    if watched is None or project is None:
        _refuse(context, message, account_refusal(person) or Refusal.CANNOT_SEE_PROJECT)
        return
    refusal = reader_refusal(project.policy, person)
    if refusal is Refusal.GROUPS_UNKNOWN:
        raise GroupsUnknown
    if refusal is not None:
        _refuse(context, message, refusal)
        return
    now = context.now()
    until = now + MUTED_FOR if message.kind is Kind.MUTE_FOR_A_DAY else None
    if until is None and has_moved_again(watched):
        reply(
            context,
            message,
            texts.moves_already(watched.group),
            _event(message, AuditEvent.ACTION_REFUSED, why="moves"),
        )
        return
    facts = {"project": watched.project, "group": watched.group.group_id, "until": until.isoformat() if until else ""}
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        groups.mute(connection, watched.key, until)
        alerts.mute(connection, message.channel, message.message_ts, watched.key, person.id, until, now)
        outbox.add_notice(connection, Notice(*reply_address(message), texts.muted(watched.group, until)), now)
        append(connection, _event(message, AuditEvent.GROUP_MUTED, **facts), now)


def _refuse(context: Context, message: Message, refusal: Refusal) -> None:
    text = NO_SUCH_GROUP if refusal is Refusal.CANNOT_SEE_PROJECT else outsider_text(refusal)
    reply(context, message, text, _event(message, AuditEvent.ACTION_REFUSED, why=refusal.value))


def _event(message: Message, event: AuditEvent, **facts: Fact) -> Event:
    detail = {"kind": message.kind.value, "team": message.team_id, "message": message.record_key}
    return Event(event, message.person, None, {**detail, **facts})
