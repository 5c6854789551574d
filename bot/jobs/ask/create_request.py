"""Asks: looks at each group, stores a request for it, posts its card, and tells whoever typed what came of it.

Whether a request may be asked at all is left to `preflight`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.domain import command
from bot.domain.command import InvalidCommand, ResumeGroups
from bot.domain.ids import new_request_id
from bot.domain.policy import Person
from bot.domain.request import Request, State, Verb
from bot.domain.task_group import GroupStatus, Scope
from bot.jobs.ask import preflight
from bot.jobs.ask.preflight import CannotCreate, CannotCreateNow, Found
from bot.jobs.context import Context, reply
from bot.jobs.notify import cards
from bot.slack.errors import SlackError
from bot.store import inbox, outbox, queue, requests, tables
from bot.store.audit import Detail, Event, append
from bot.store.inbox import Kind, Message
from bot.ui import refusals, replies
from bot.ui.status import status_text

log = logging.getLogger(__name__)

LOOK_AGAIN_AFTER = timedelta(seconds=10)
WAIT_FOR_PAUSE = timedelta(minutes=30)


@dataclass(frozen=True)
class _Answer:
    """What came of asking for one group.

    `line` is for whoever asked, and None when the group is still pausing. `events` are what the audit is told where
    nobody was asked; `may_pass` says whether what was in the way may pass by itself.
    """

    line: str | None
    events: tuple[Event, ...] = ()
    may_pass: bool = False


def create_requests(context: Context, message: Message) -> None:
    """Asks for each group; one that is still pausing is asked for once it is paused.

    Raises:
        SlackCannotBeAsked: who asks is not known.
    """
    asked = command.parse(message.text, context.command)
    if not isinstance(asked, ResumeGroups):
        sentence = asked.sentence if isinstance(asked, InvalidCommand) else replies.help_text(context.command)
        reply(context, message, sentence)
        return
    person = context.people.look_up(message.person)
    try:
        projects = preflight.projects_of(context, person, asked.project)
    except CannotCreate as refusal:
        reply(context, message, str(refusal), _not_asked(context, message, asked.group_ids, refusal, asked.project))
        return
    for project in projects:
        # Once for all groups: each try with a refused identity counts towards its lock.
        context.callers.retry_allowed_by_person(project)
    lines = []
    events: list[Event] = []
    for group_id in asked.group_ids:
        answer = _ask_for(context, message, asked, group_id, person, projects)
        events.extend(answer.events)
        if answer.line is None:
            _wait_until_paused(context, message, asked, group_id)
        line = answer.line or replies.waits_until_paused(group_id)
        lines.append(replies.with_group_id(group_id, line) if len(asked.group_ids) > 1 else line)
    reply(context, message, "\n".join(lines), *events)


def create_once_paused(context: Context, message: Message, received_at: datetime) -> bool:
    """Whether the wait has come to an end, and the person was told which. What may pass is waited for as well.

    Raises:
        SlackCannotBeAsked: who asks is not known.
    """
    asked = command.parse(message.text, context.command)
    if not isinstance(asked, ResumeGroups):
        raise TypeError("a message that waits asks for a group")
    [group_id] = asked.group_ids
    may_wait = context.now() - received_at < WAIT_FOR_PAUSE
    person = context.people.look_up(message.person)
    try:
        projects = preflight.projects_of(context, person, asked.project)
    except CannotCreate as refusal:
        if may_wait and isinstance(refusal, CannotCreateNow):
            return False
        reply(context, message, str(refusal), _not_asked(context, message, [group_id], refusal, asked.project))
        return True
    answer = _ask_for(context, message, asked, group_id, person, projects)
    if may_wait and (answer.line is None or answer.may_pass):
        return False
    reply(context, message, answer.line or refusals.still_pausing(group_id), *answer.events)
    return True


def _not_asked(
    context: Context, message: Message, group_ids: Sequence[str], refusal: CannotCreate, project: str | None
) -> Event:
    """Nobody was asked. Where it is known which project it is about, it counts as activity there."""
    about: Detail = {"project": project} if project in context.projects else {}
    return Event("not asked", message.person, None, {"groups": list(group_ids), "why": str(refusal)[:500], **about})


def _wait_until_paused(context: Context, message: Message, asked: ResumeGroups, group_id: str) -> None:
    later = replace(
        message,
        kind=Kind.CREATE_ONCE_PAUSED,
        key=f"{message.key}/{group_id}",
        text=command.to_text(replace(asked, group_ids=(group_id,))),
    )
    now = context.now()
    with context.store.write() as connection:
        if inbox.put_for_later(connection, later, now, now + LOOK_AGAIN_AFTER):
            append(connection, Event("waits until paused", message.person, None, {"group": group_id}), now)


def _ask_for(
    context: Context, message: Message, asked: ResumeGroups, group_id: str, person: Person, projects: Sequence[str]
) -> _Answer:
    mine = _asked_before(context, message, group_id)
    if mine is not None:
        return _Answer(mine)
    project = projects[0] if len(projects) == 1 else None
    try:
        found = preflight.find_group(context, projects, group_id)
        project = found.project
        return _Answer(_ask_for_found(context, message, asked, found, person))
    except CannotCreate as refusal:
        event = _not_asked(context, message, [group_id], refusal, project)
        return _Answer(str(refusal), (event,), isinstance(refusal, CannotCreateNow))


def _ask_for_found(context: Context, message: Message, asked: ResumeGroups, found: Found, person: Person) -> str | None:
    """The answer to the person, or None when the group is still pausing.

    Raises:
        CannotAsk: nobody is asked, and why.
    """
    group_id, project = found.group.group_id, context.projects[found.project]
    already = _open_request(context, f"{found.project_id}/{found.group.group_id}")
    if already is not None:
        return _about_open(context, already, message)
    if found.group.status is GroupStatus.PAUSING:
        return None
    verb = preflight.verb_for(found.group)
    plan = preflight.plan_for(context, found)
    preflight.refuse_without_quorum(context, found, person.id, asked.reason)
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
        reason=asked.reason,
        created_at=now,
        expires_at=expires_at,
        state=State.PENDING,
        start_at=preflight.start_at(context, person.id, asked.at, expires_at),
        origin_key=message.origin_key,
    )
    detail = {
        "group": group_id,
        "project": found.project,
        "verb": verb.value,
        "reason": asked.reason,
        "channel": message.channel,
    }
    try:
        with context.store.write() as connection:
            requests.add(connection, request, Event("asked", person.id, request.id, detail), now)
            # Nobody but this worker posts the card: two who did would be two cards.
            queue.claim_one(connection, tables.cards, request.id, context.owner)
    except requests.AlreadyOpen:
        mine = _asked_before(context, message, group_id)
        if mine is not None:
            return mine
        already = _open_request(context, request.group_key)
        if already is None:
            raise
        return _about_open(context, already, message)
    return _after_posting(context, request)


def _asked_before(context: Context, message: Message, group_id: str) -> str | None:
    """The answer when this very message has asked already, and the bot was stopped before it could say so."""
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


def _about_open(context: Context, request: Request, message: Message) -> str:
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    permalink = card.permalink if card else None
    if request.requester == message.person:
        return replies.already_open_by_you(request, permalink)
    return replies.already_open(request, permalink)


def _after_posting(context: Context, request: Request) -> str:
    """Posts the card at once, so that the answer can link to it; where that fails, the card's own row goes on."""
    try:
        cards.show_now(context, request.id)
    except (SlackError, SQLAlchemyError) as fault:
        log.warning("the card of %s was not shown at once: %s", request.id, fault)
        with context.store.read() as connection:
            card = outbox.get_card(connection, request.id)
        if card is None or card.ts is None:
            return replies.card_not_posted_yet(request)
    with context.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return replies.request_created(request, card.permalink if card else None)
