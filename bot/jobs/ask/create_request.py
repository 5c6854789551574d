"""Creates requests: reads each task group, stores a request for it, posts its card, and answers the person who asked.

Whether a request may be created at all is decided in `preflight`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.domain.audit_events import AuditEvent
from bot.domain.command import ResumeGroups
from bot.domain.ids import new_request_id
from bot.domain.policy import Person
from bot.domain.request import Request, State, Verb
from bot.domain.task_group import GroupStatus, Scope
from bot.jobs.ask import preflight
from bot.jobs.ask.preflight import CannotCreate, CannotCreateNow, Found
from bot.jobs.context import Context, reply
from bot.jobs.notify import cards
from bot.slack.errors import LookupFailed, SlackError
from bot.store import inbox, outbox, queue, requests, tables
from bot.store.audit import Detail, Event, append
from bot.store.inbox import Kind, Message
from bot.ui import refusals, replies
from bot.ui.status import status_text

log = logging.getLogger(__name__)

CHECK_PAUSING_EVERY = timedelta(seconds=10)
WAIT_FOR_PAUSE = timedelta(minutes=30)


@dataclass(frozen=True)
class _Result:
    """The result for one task group.

    Attributes:
        line: the answer to the person; None if the group is still pausing.
        events: the audit events of a refusal. A request that was created has its events in its own transaction.
        may_pass: whether the reason of a refusal may pass without anybody doing anything.
    """

    line: str | None
    events: tuple[Event, ...] = ()
    may_pass: bool = False


def create_requests(context: Context, message: Message, command: ResumeGroups) -> None:
    """Creates a request for each task group of a command. A group that is still pausing is left for later.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    person = context.people.look_up(message.person)
    try:
        projects = preflight.projects_of(context, person, command.project)
    except CannotCreate as refusal:
        event = _not_asked(context, message, command.group_ids, refusal, command.project)
        reply(context, message, str(refusal), event)
        return
    for project in projects:
        # Once for all groups: each refusal of the identity brings its lock closer.
        context.identity.allow_retry(project)
    lines = []
    events: list[Event] = []
    for group_id in command.group_ids:
        result = _create(context, message, command, group_id, person, projects)
        events.extend(result.events)
        if result.line is None:
            _wait_until_paused(context, message, command, group_id)
        line = result.line or replies.waits_until_paused(group_id)
        lines.append(replies.with_group_id(group_id, line) if len(command.group_ids) > 1 else line)
    reply(context, message, "\n".join(lines), *events)


def create_once_paused(
    context: Context, message: Message, command: ResumeGroups, received_at: datetime
) -> datetime | None:
    """Creates a request for one task group that was pausing, and answers the person.

    For half an hour it waits for the group to be paused, and for faults that may pass without anybody doing anything.

    Arguments:
        command: one that names a single group.

    Returns:
        When to try again; None if the wait has ended and the person was answered.

    Raises:
        LookupFailed: Slack still does not tell who the person is, after half an hour.
    """
    [group_id] = command.group_ids
    now = context.now()
    try_again_at = now + CHECK_PAUSING_EVERY if now - received_at < WAIT_FOR_PAUSE else None
    try:
        person = context.people.look_up(message.person)
        projects = preflight.projects_of(context, person, command.project)
    except LookupFailed:
        if try_again_at is not None:
            return try_again_at
        raise
    except CannotCreate as refusal:
        if try_again_at is not None and isinstance(refusal, CannotCreateNow):
            return try_again_at
        event = _not_asked(context, message, [group_id], refusal, command.project)
        reply(context, message, str(refusal), event)
        return None
    result = _create(context, message, command, group_id, person, projects)
    if try_again_at is not None and (result.line is None or result.may_pass):
        return try_again_at
    reply(context, message, result.line or refusals.still_pausing(group_id), *result.events)
    return None


def _not_asked(
    context: Context, message: Message, group_ids: Sequence[str], refusal: CannotCreate, project: str | None
) -> Event:
    """The audit event of a refusal. It names the project, if it is known, so that it counts as activity there."""
    about: Detail = {"project": project} if project in context.projects else {}
    return Event(
        AuditEvent.REQUEST_NOT_CREATED,
        message.person,
        None,
        {"groups": list(group_ids), "why": str(refusal)[:500], **about},
    )


def _wait_until_paused(context: Context, message: Message, command: ResumeGroups, group_id: str) -> None:
    later = replace(
        message,
        kind=Kind.CREATE_ONCE_PAUSED,
        key=f"{message.key}/{group_id}",
        command=replace(command, group_ids=(group_id,)),
    )
    now = context.now()
    with context.store.write() as connection:
        if inbox.put_for_later(connection, later, now, now + CHECK_PAUSING_EVERY):
            append(connection, Event(AuditEvent.REQUEST_POSTPONED, message.person, None, {"group": group_id}), now)


def _create(
    context: Context,
    message: Message,
    command: ResumeGroups,
    group_id: str,
    person: Person,
    projects: Sequence[str],
) -> _Result:
    line = _created_before(context, message, group_id)
    if line is not None:
        return _Result(line)
    project = projects[0] if len(projects) == 1 else None
    try:
        found = preflight.find_group(context, projects, group_id)
        project = found.project
        return _Result(_create_for_found(context, message, command, found, person))
    except CannotCreate as refusal:
        event = _not_asked(context, message, [group_id], refusal, project)
        return _Result(str(refusal), (event,), isinstance(refusal, CannotCreateNow))


def _create_for_found(
    context: Context, message: Message, command: ResumeGroups, found: Found, person: Person
) -> str | None:
    """The answer to the person, or None if the group is still pausing.

    Raises:
        CannotCreate: no request was created, and why.
    """
    group_id, project = found.group.group_id, context.projects[found.project]
    already = _open_request(context, f"{found.project_id}/{found.group.group_id}")
    if already is not None:
        return _answer_open(context, already, message)
    if found.group.status is GroupStatus.PAUSING:
        return None
    verb = preflight.verb_for(found.group)
    plan = preflight.plan_for(context, found)
    preflight.refuse_without_quorum(context, found, person.id, command.reason)
    keys = preflight.check_keys(context, plan, found.group)
    now = context.now()
    expires_at = now + project.expiry
    request = Request(
        id=new_request_id(secrets.token_bytes(5)),
        team_id=message.team_id,
        verb=verb,
        scope=Scope.ALL_OBJECTS if verb is Verb.RETRY else None,
        plan=plan,
        policy=project.policy,
        channel=project.channel,
        group=found.group,
        keys=keys,
        requester=person.id,
        reason=command.reason,
        created_at=now,
        expires_at=expires_at,
        state=State.PENDING,
        start_at=preflight.start_at(context, person.id, command.at, expires_at),
        origin_key=message.origin_key,
    )
    detail = {
        "group": group_id,
        "project": found.project,
        "verb": verb.value,
        "reason": command.reason,
        "channel": message.channel,
    }
    try:
        with context.store.write() as connection:
            requests.add(connection, request, Event(AuditEvent.REQUEST_CREATED, person.id, request.id, detail), now)
            # Claims the card, so that no other worker posts it as well: that would be two cards.
            queue.claim_one(connection, tables.cards, request.id, context.owner)
    except requests.AlreadyOpen:
        line = _created_before(context, message, group_id)
        if line is not None:
            return line
        already = _open_request(context, request.group_key)
        if already is None:
            raise
        return _answer_open(context, already, message)
    return _after_posting(context, request)


def _created_before(context: Context, message: Message, group_id: str) -> str | None:
    """The answer if this message has created its request already, and the process ended before it could answer."""
    with context.store.read() as connection:
        request = requests.find_by_origin(connection, message.origin_key, group_id)
        card = outbox.get_card(connection, request.id) if request else None
    if request is None:
        return None
    permalink = card.permalink if card else None
    if request.state is State.PENDING:
        return replies.request_created(request, permalink)
    return replies.with_link(status_text(request), permalink)


def _open_request(context: Context, group_key: str) -> Request | None:
    with context.store.read() as connection:
        return requests.find_open(connection, group_key)


def _answer_open(context: Context, request: Request, message: Message) -> str:
    """The answer if the group has an open request."""
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    permalink = card.permalink if card else None
    if request.requester == message.person:
        return replies.already_open_by_you(request, permalink)
    return replies.already_open(request, permalink)


def _after_posting(context: Context, request: Request) -> str:
    """Posts the card, and gives the answer that links to it. A card that cannot be posted now stays due."""
    try:
        cards.show_now(context, request.id)
    except (SlackError, SQLAlchemyError) as failure:
        log.warning("the card of %s was not posted at once: %s", request.id, failure)
        with context.store.read() as connection:
            card = outbox.get_card(connection, request.id)
        if card is None or card.ts is None:
            return replies.card_not_posted_yet(request)
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return replies.request_created(request, card.permalink if card else None)
