"""Asks: looks at each group, stores a request for it, posts its card, and tells whoever typed what came of it.

Whether a request may be asked at all is left to `preflight`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.request import command
from bot.request.command import Ask, NotUnderstood
from bot.request.group import GroupStatus, Scope
from bot.request.ids import request_id
from bot.request.model import Request, State, Verb
from bot.request.policy import Person
from bot.slack import answers
from bot.slack.posting import PostingFault
from bot.store import claims, inbox, outbox, requests, tables
from bot.store.audit import Detail, Event, append
from bot.store.inbox import Kind, Message
from bot.work import cards, preflight
from bot.work.preflight import CannotAsk, Found
from bot.work.tools import Tools, reply

log = logging.getLogger(__name__)

LOOK_AGAIN_AFTER = timedelta(seconds=10)
WAIT_FOR_PAUSE = timedelta(minutes=30)


def ask(tools: Tools, message: Message) -> None:
    """Asks for each group; one that is still pausing is asked for once it is paused.

    Raises:
        SlackCannotBeAsked: who asks is not known.
    """
    asked = command.parse(message.text, tools.command)
    if not isinstance(asked, Ask):
        sentence = asked.sentence if isinstance(asked, NotUnderstood) else answers.help_text(tools.command)
        reply(tools, message, sentence)
        return
    person = tools.people.look_up(message.person)
    try:
        projects = preflight.projects_of(tools, person, asked.project)
    except CannotAsk as refusal:
        reply(tools, message, str(refusal), _not_asked(tools, message, asked.group_ids, refusal, asked.project))
        return
    for project in projects:
        # Once for all groups: each try with a refused identity counts towards its lock.
        tools.callers.a_person_asks(project)
    lines = []
    events = []
    for group_id in asked.group_ids:
        line, refused = _ask_for(tools, message, asked, group_id, person, projects)
        events.extend(refused)
        if line is None:
            _wait_until_paused(tools, message, asked, group_id)
            line = answers.waits_until_paused(group_id)
        lines.append(line)
    reply(tools, message, "\n".join(lines), *events)


def ask_once_paused(tools: Tools, message: Message, received_at: datetime) -> bool:
    """Whether the wait has come to an end, and the person was told which.

    Raises:
        SlackCannotBeAsked: who asks is not known.
    """
    asked = command.parse(message.text, tools.command)
    if not isinstance(asked, Ask):
        raise TypeError("a message that waits asks for a group")
    [group_id] = asked.group_ids
    person = tools.people.look_up(message.person)
    try:
        projects = preflight.projects_of(tools, person, asked.project)
    except CannotAsk as refusal:
        reply(tools, message, str(refusal), _not_asked(tools, message, [group_id], refusal, asked.project))
        return True
    line, refused = _ask_for(tools, message, asked, group_id, person, projects)
    if line is None:
        if tools.now() - received_at < WAIT_FOR_PAUSE:
            return False
        line = answers.still_pausing(group_id)
    reply(tools, message, line, *refused)
    return True


def _not_asked(
    tools: Tools, message: Message, group_ids: Sequence[str], refusal: CannotAsk, project: str | None
) -> Event:
    """Nobody was asked. Where it is known which project it is about, it counts as activity there."""
    about: Detail = {"project": project} if project in tools.projects else {}
    return Event("not asked", message.person, None, {"groups": list(group_ids), "why": str(refusal)[:500], **about})


def _wait_until_paused(tools: Tools, message: Message, asked: Ask, group_id: str) -> None:
    later = replace(
        message,
        kind=Kind.ASK_ONCE_PAUSED,
        key=f"{message.key}/{group_id}",
        text=command.typed(replace(asked, group_ids=(group_id,))),
    )
    now = tools.now()
    with tools.store.write() as connection:
        if inbox.put_for_later(connection, later, now, now + LOOK_AGAIN_AFTER):
            append(connection, Event("waits until paused", message.person, None, {"group": group_id}), now)


def _ask_for(
    tools: Tools, message: Message, asked: Ask, group_id: str, person: Person, projects: Sequence[str]
) -> tuple[str | None, list[Event]]:
    """The answer to the person, or None when the group is still pausing; and what the audit is told of a refusal."""
    mine = _asked_before(tools, message, group_id)
    if mine is not None:
        return mine, []
    project = projects[0] if len(projects) == 1 else None
    try:
        found = preflight.find_group(tools, projects, group_id)
        project = found.project
        return _ask_for_found(tools, message, asked, found, person), []
    except CannotAsk as refusal:
        return str(refusal), [_not_asked(tools, message, [group_id], refusal, project)]


def _ask_for_found(tools: Tools, message: Message, asked: Ask, found: Found, person: Person) -> str | None:
    """The answer to the person, or None when the group is still pausing.

    Raises:
        CannotAsk: nobody is asked, and why.
    """
    group_id, project = found.group.group_id, tools.projects[found.project]
    already = _open_request(tools, f"{found.project_id}/{found.group.group_id}")
    if already is not None:
        return _about_open(tools, already, message)
    if found.group.status is GroupStatus.PAUSING:
        return None
    verb = preflight.verb_for(found.group)
    plan = preflight.plan_for(tools, found)
    preflight.refuse_without_quorum(tools, found, person.id, asked.reason)
    keys = preflight.check_keys(tools, plan, found.group)
    now = tools.now()
    expires_at = now + project.expiry
    request = Request(
        id=request_id(secrets.token_bytes(5)),
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
        asked_at=now,
        expires_at=expires_at,
        state=State.PENDING,
        start_at=preflight.start_at(tools, person.id, asked.at, expires_at),
        asked_with=message.sent_as,
    )
    detail = {
        "group": group_id,
        "project": found.project,
        "verb": verb.value,
        "reason": asked.reason,
        "channel": message.channel,
    }
    try:
        with tools.store.write() as connection:
            requests.add(connection, request, Event("asked", person.id, request.id, detail), now)
            # Nobody but this worker posts the card: two who did would be two cards.
            claims.claim_one(connection, tables.cards, request.id, tools.owner)
    except requests.AlreadyAsked:
        mine = _asked_before(tools, message, group_id)
        if mine is not None:
            return mine
        already = _open_request(tools, request.group_key)
        if already is None:
            raise
        return _about_open(tools, already, message)
    return _after_posting(tools, request)


def _asked_before(tools: Tools, message: Message, group_id: str) -> str | None:
    """The answer when this very message has asked already, and the bot was stopped before it could say so."""
    with tools.store.read() as connection:
        request = requests.find_asked_with(connection, message.sent_as, group_id)
        card = outbox.get_card(connection, request.id) if request else None
    if request is None:
        return None
    permalink = card.permalink if card else None
    if request.state is State.PENDING:
        return answers.asked(request, permalink)
    return answers.with_link(answers.stands(request), permalink)


def _open_request(tools: Tools, group_key: str) -> Request | None:
    with tools.store.read() as connection:
        return requests.find_open(connection, group_key)


def _about_open(tools: Tools, request: Request, message: Message) -> str:
    with tools.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    permalink = card.permalink if card else None
    if request.requester == message.person:
        return answers.already_open_by_you(request, permalink)
    return answers.already_open(request, permalink)


def _after_posting(tools: Tools, request: Request) -> str:
    """Posts the card at once, so that the answer can link to it; where that fails, the card's own row goes on."""
    try:
        cards.show_now(tools, request.id)
    except (PostingFault, SQLAlchemyError) as fault:
        log.warning("the card of %s was not shown at once: %s", request.id, fault)
        with tools.store.read() as connection:
            card = outbox.get_card(connection, request.id)
        if card is None or card.ts is None:
            return cards.not_posted_yet(request)
    with tools.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return answers.asked(request, card.permalink if card else None)
