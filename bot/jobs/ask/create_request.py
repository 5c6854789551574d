"""Creates requests: reads each task group, stores a request for it, posts its card, and answers the person who asked.

Whether a request may be created at all is decided in `preflight`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.domain.audit_events import AuditEvent
from bot.domain.command import ResumeGroups
from bot.domain.ids import new_request_id
from bot.domain.policy import Person
from bot.domain.request import Request, State, Verb
from bot.domain.slack_budget import post_to
from bot.domain.start_time import voting_ends
from bot.domain.task_group import GroupStatus, Scope
from bot.jobs.ask import preflight
from bot.jobs.ask.preflight import CannotCreate, CannotCreateNow
from bot.jobs.ask.read_oms import Found
from bot.jobs.context import Context, reply
from bot.jobs.current_settings import look_up_requester
from bot.jobs.notify import cards
from bot.slack.errors import LookupFailed, SlackError
from bot.store import alerts, audit, inbox, outbox, queue, requests, slack_budget, tables
from bot.store.audit import Event, Fact, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Card
from bot.ui import refusals, replies
from bot.ui.status import status_text

log = logging.getLogger(__name__)

CHECK_PAUSING_EVERY = timedelta(seconds=10)
WAIT_FOR_PAUSE = timedelta(minutes=30)


@dataclass(frozen=True)
class _Result:
    """The result of the command for one task group."""

    answer: str  # to the person
    events: tuple[Event, ...] = ()  # of a refusal; the event of a new request is stored together with the request
    may_pass: bool = False  # whether the cause of a refusal may pass by itself
    pausing: Found | None = None  # the group, if it is still pausing, so that the request is created later


def create_requests(
    context: Context,
    message: Message,
    command: ResumeGroups,
    received_at: datetime,
    try_again_at: Callable[[], datetime | None] = lambda: None,
) -> datetime | None:
    """Creates a request for each task group of a command, and answers the person.

    For a group that is still pausing it stores a message, which a worker handles with `create_once_paused`.

    Arguments:
        try_again_at: when the command may be tried again after an error that may pass; None if it is answered now.

    Returns:
        When to try again; None if the person was answered. A request that was created before is not created again.

    Raises:
        LookupFailed: Slack does not tell who the person is.
    """
    person = look_up_requester(context, message.person, command.project)
    try:
        projects = preflight.projects_of(context, person, command.project)
    except CannotCreate as refusal:
        again = try_again_at() if isinstance(refusal, CannotCreateNow) else None
        if again is not None:
            return again
        event = _refusal_event(context, message, command.group_ids, refusal, command.project)
        reply(context, message, str(refusal), event)
        return None
    for project in projects:
        # Allows one call for all groups and tries: each refusal of the identity brings its lock closer.
        context.identity.allow_retry(project, asked_at=received_at)
    lines = []
    events: list[Event] = []
    may_pass = False
    for group_id in command.group_ids:
        result = _create(context, message, command, received_at, group_id, person, projects)
        events.extend(result.events)
        may_pass |= result.may_pass
        if result.pausing is not None:
            _store_for_later(context, message, command, received_at, group_id)
        is_one_of_several = len(command.group_ids) > 1
        lines.append(replies.with_group_id(group_id, result.answer) if is_one_of_several else result.answer)
    again = try_again_at() if may_pass else None
    if again is None:
        reply(context, message, "\n".join(lines), *events)
    return again


def create_once_paused(
    context: Context, message: Message, command: ResumeGroups, received_at: datetime
) -> datetime | None:
    """Creates a request for one task group that was pausing, and answers the person.

    Waits up to half an hour for the group to be paused, and for errors that may pass by themselves.

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
        person = look_up_requester(context, message.person, command.project)
        projects = preflight.projects_of(context, person, command.project)
    except LookupFailed:
        if try_again_at is not None:
            return try_again_at
        raise
    except CannotCreate as refusal:
        if try_again_at is not None and isinstance(refusal, CannotCreateNow):
            return try_again_at
        event = _refusal_event(context, message, [group_id], refusal, command.project)
        reply(context, message, str(refusal), event)
        return None
    result = _create(context, message, command, received_at, group_id, person, projects)
    if try_again_at is not None and (result.pausing is not None or result.may_pass):
        return try_again_at
    if result.pausing is not None:
        console_url = context.projects[result.pausing.project].console_url or ""
        result = _Result(refusals.still_pausing(result.pausing.group, console_url))
    reply(context, message, result.answer, *result.events)
    return None


def _refusal_event(
    context: Context, message: Message, group_ids: Sequence[str], refusal: CannotCreate, project: str | None
) -> Event:
    """The audit event of a refusal. It names the project, if that is known, so that it counts as activity there."""
    detail: dict[str, Fact] = {"groups": list(group_ids), "why": str(refusal)[:500]}
    if project in context.projects:
        detail["project"] = project
    return Event(AuditEvent.REQUEST_NOT_CREATED, message.person, None, detail)


def _store_for_later(
    context: Context, message: Message, command: ResumeGroups, received_at: datetime, group_id: str
) -> None:
    later = replace(
        message,
        kind=Kind.CREATE_ONCE_PAUSED,
        key=f"{message.key}/{group_id}",
        command=replace(command, group_ids=(group_id,)),
    )
    now = context.now()
    with context.store.write() as connection:
        if inbox.put_for_later(connection, later, received_at, now + CHECK_PAUSING_EVERY):
            append(connection, Event(AuditEvent.REQUEST_POSTPONED, message.person, None, {"group": group_id}), now)


def _create(
    context: Context,
    message: Message,
    command: ResumeGroups,
    received_at: datetime,
    group_id: str,
    person: Person,
    projects: Sequence[str],
) -> _Result:
    answer = _answer_if_created_before(context, message, group_id)
    if answer is not None:
        return _Result(answer)
    project = projects[0] if len(projects) == 1 else None
    try:
        found = preflight.find_group(context, projects, group_id)
        project = found.project
        answer = _create_for_found(context, message, command, received_at, found, person)
        if answer is None:
            return _Result(replies.waits_until_paused(found.group), pausing=found)
        return _Result(answer)
    except CannotCreate as refusal:
        event = _refusal_event(context, message, [group_id], refusal, project)
        return _Result(str(refusal), (event,), isinstance(refusal, CannotCreateNow))


def _create_for_found(
    context: Context, message: Message, command: ResumeGroups, received_at: datetime, found: Found, person: Person
) -> str | None:
    """Creates the request, and returns the answer to the person; None if the group is still pausing.

    Raises:
        CannotCreate: no request was created.
    """
    group_id, project = found.group.group_id, context.projects[found.project]
    open_request = _open_request(context, f"{found.project_id}/{group_id}")
    if open_request is not None:
        return _answer_already_open(context, open_request, message)
    start_at = preflight.start_at(context, person.id, command.at, found.project, received_at)
    if found.group.status is GroupStatus.PAUSING:
        return None
    verb = preflight.verb_for(found.group)
    plan = preflight.plan_for(context, found)
    preflight.refuse_without_quorum(context, found, person.id, command.reason)
    keys = preflight.check_keys(context, plan, found.group)
    now = context.now()
    request = Request(
        id=_request_id(message, group_id),
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
        expires_at=voting_ends(now, project.expiry, start_at),
        state=State.PENDING,
        start_at=start_at,
        origin_key=message.origin_key,
    )
    facts = {"project": found.project, "verb": verb.value, "reason": command.reason, "channel": message.channel}
    created = Event(AuditEvent.REQUEST_CREATED, person.id, request.id, {"group": group_id, **facts})
    try:
        with context.store.write() as connection:
            if audit.record_of(connection, request.id).state is not None:
                raise CannotCreate(refusals.CREATED_BEFORE)
            alerts.show_request(connection, found.project, request.group_key, request.id, person.id, now)
            requests.add(connection, request, created, now)
            may_post = slack_budget.spend(connection, post_to(request.channel), now)
            if may_post:
                # Claimed, so that no other worker posts a second card.
                queue.claim_one(connection, tables.cards, request.id, context.owner)
    except (CannotCreate, requests.AlreadyOpen) as error:
        answer = _answer_if_created_before(context, message, group_id)
        if answer is not None:
            return answer
        open_request = _open_request(context, request.group_key)
        if open_request is None or isinstance(error, CannotCreate):
            raise
        return _answer_already_open(context, open_request, message)
    return _post_card(context, request) if may_post else replies.card_not_posted_yet(request)


def _request_id(message: Message, group_id: str) -> str:
    """The id of the request that a message creates for a group: always the same, so that the audit rows show it."""
    return new_request_id(hashlib.sha256(f"{message.origin_key}/{group_id}".encode()).digest())


def _answer_if_created_before(context: Context, message: Message, group_id: str) -> str | None:
    """The answer if this message has created its request before, and the process ended before it could answer."""
    with context.store.read() as connection:
        request = requests.find_by_origin(connection, message.origin_key, group_id)
        if request is None:
            request = requests.get(connection, _request_id(message, group_id))
    if request is None:
        return None
    permalink = _permalink(context, request)
    if request.state is State.PENDING:
        return replies.request_created(request, permalink)
    return replies.with_link(status_text(request), permalink)


def _open_request(context: Context, group_key: str) -> Request | None:
    with context.store.read() as connection:
        return requests.find_open(connection, group_key)


def _answer_already_open(context: Context, open_request: Request, message: Message) -> str:
    permalink = _permalink(context, open_request)
    if open_request.requester == message.person:
        return replies.already_open_by_you(open_request, permalink)
    return replies.already_open(open_request, permalink)


def _post_card(context: Context, request: Request) -> str:
    """Posts the card of a new request, and returns the answer to the person.

    A card that cannot be posted at once stays due, and a worker posts it later.
    """
    try:
        cards.post_now(context, request)
    except (SlackError, SQLAlchemyError) as error:
        log.warning("the card of %s was not posted at once: %s", request.id, error)
        card = _card(context, request)
        if card is None or card.ts is None:
            return replies.card_not_posted_yet(request)
    return replies.request_created(request, _permalink(context, request))


def _permalink(context: Context, request: Request) -> str | None:
    card = _card(context, request)
    return card.permalink if card else None


def _card(context: Context, request: Request) -> Card | None:
    with context.store.read() as connection:
        return outbox.get_card(connection, request.id)
