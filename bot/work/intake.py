"""Works on the inbox: what somebody typed or pressed, in the order of what it means.

Asking is here; votes are in `vote`, forms to be filled in `forms`, looking things up in `tell`.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bot.request import command
from bot.request.command import Ask, NotUnderstood
from bot.request.group import GroupStatus, Scope
from bot.request.ids import request_id
from bot.request.model import Request, State, Verb
from bot.slack import answers
from bot.slack.people import SlackCannotBeAsked
from bot.slack.posting import PostingFault
from bot.store import claims, inbox, outbox, requests, tables
from bot.store.audit import Event, append
from bot.store.claims import Claim
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice
from bot.work import announce, forms, preflight, tell, vote
from bot.work.loop import Finished, Result
from bot.work.preflight import CannotAsk
from bot.work.tools import Tools, to_whom

LOOK_AGAIN_AFTER = timedelta(seconds=10)
WAIT_FOR_PAUSE = timedelta(minutes=30)
TRY_FORM_AGAIN_AFTER = timedelta(seconds=1)
# Nobody looks longer at a view that says "one moment".
FORM_WAITS_FOR = timedelta(seconds=30)


def work(tools: Tools, claim: Claim) -> Result:
    """One row of the inbox."""
    number = int(claim.key)
    with tools.store.read() as connection:
        message, received_at = inbox.get(connection, number)
    try:
        match message.kind:
            case Kind.ASK:
                _ask(tools, message)
            case Kind.ASK_ONCE_PAUSED:
                if not _ask_once_paused(tools, message, received_at):
                    return Finished(tools.now() + LOOK_AGAIN_AFTER)
            case Kind.LIST | Kind.STATUS:
                tell.answer_question(tools, message)
            case Kind.OPEN_DENY | Kind.OPEN_REQUEST:
                again = forms.fill(tools, message)
                if again and tools.now() - received_at < FORM_WAITS_FOR:
                    return Finished(tools.now() + TRY_FORM_AGAIN_AFTER)
            case Kind.REPORT_FORGERY:
                answer(tools, message, answers.NOT_OURS, Event("refused", message.person, None, {"why": "not ours"}))
            case _:
                vote.work(tools, message)
    except SlackCannotBeAsked:
        event = Event("refused", message.person, message.request_id or None, {"why": "Slack cannot be asked"})
        answer(tools, message, answers.SLACK_CANNOT_BE_ASKED, event)
    with tools.store.write() as connection:
        inbox.forget_address(connection, number)
    return Finished()


def confess(tools: Tools, claim: Claim, reference: str) -> None:
    """Tells whoever typed or pressed that the bot failed, once."""
    if claim.tries > 0:
        return
    with tools.store.read() as connection:
        message, _ = inbox.get(connection, int(claim.key))
    text = f"The bot failed while working on this, and tries again. Reference {reference}."
    answer(tools, message, text, Event("fault", "bot", message.request_id or None, {"reference": reference}))


def answer(tools: Tools, message: Message, text: str, *events: Event) -> None:
    """Tells one person, durably."""
    now = tools.now()
    with tools.store.write() as connection:
        outbox.add_notice(connection, Notice(*to_whom(message), text), now)
        for event in events:
            append(connection, event, now)


def _ask(tools: Tools, message: Message) -> None:
    """Asks for each group; one that is still pausing is asked for once it is paused."""
    asked = command.parse(message.text, tools.command)
    if not isinstance(asked, Ask):
        sentence = asked.sentence if isinstance(asked, NotUnderstood) else answers.help_text(tools.command)
        answer(tools, message, sentence)
        return
    lines = []
    for group_id in asked.group_ids:
        line = _ask_or_say_why_not(tools, message, asked, group_id)
        if line is None:
            _wait_until_paused(tools, message, asked, group_id)
            line = answers.waits_until_paused(group_id)
        lines.append(line)
    answer(tools, message, "\n".join(lines))


def _ask_or_say_why_not(tools: Tools, message: Message, asked: Ask, group_id: str) -> str | None:
    """The answer to the person, or None when the group is still pausing."""
    try:
        return _ask_for(tools, message, asked, group_id)
    except CannotAsk as refusal:
        detail = {"group": group_id, "why": str(refusal)[:500]}
        with tools.store.write() as connection:
            append(connection, Event("not asked", message.person, None, detail), tools.now())
        return str(refusal)


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


def _ask_once_paused(tools: Tools, message: Message, received_at: datetime) -> bool:
    """Whether the wait has come to an end, and the person was told which."""
    asked = command.parse(message.text, tools.command)
    if not isinstance(asked, Ask):
        raise TypeError("a message that waits asks for a group")
    line = _ask_or_say_why_not(tools, message, asked, asked.group_ids[0])
    if line is None:
        if tools.now() - received_at < WAIT_FOR_PAUSE:
            return False
        line = answers.still_pausing(asked.group_ids[0])
    answer(tools, message, line)
    return True


def _ask_for(tools: Tools, message: Message, asked: Ask, group_id: str) -> str | None:
    """The answer to the person, or None when the group is still pausing.

    Raises:
        CannotAsk: nobody is asked, and why.
        SlackCannotBeAsked: see there.
    """
    person = tools.people.look_up(message.person)
    found = preflight.find_group(tools, preflight.projects_of(tools, person, asked.project), group_id)
    project = tools.projects[found.project]
    already = _open_request(tools, f"{found.project_id}/{found.group.group_id}")
    if already is not None:
        return _about_open(tools, already, message.person)
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
    except requests.AlreadyOpen:
        already = _open_request(tools, request.group_key)
        if already is None:
            raise
        return _about_open(tools, already, message.person)
    return _after_posting(tools, request)


def _open_request(tools: Tools, group_key: str) -> Request | None:
    with tools.store.read() as connection:
        return requests.find_open(connection, group_key)


def _about_open(tools: Tools, request: Request, person: str) -> str:
    with tools.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    permalink = card.permalink if card else None
    if request.requester == person and request.state is State.PENDING:
        return answers.asked(request, permalink)
    return answers.already_open(request, permalink)


def _after_posting(tools: Tools, request: Request) -> str:
    """Posts the card at once, so that the answer can link to it; where that fails, the card's own row goes on."""
    try:
        announce.show_now(tools, request.id)
    except (PostingFault, SQLAlchemyError):
        with tools.store.read() as connection:
            card = outbox.get_card(connection, request.id)
        if card is None or card.ts is None:
            return announce.not_posted_yet(request)
    with tools.store.read() as connection:
        card = outbox.get_card(connection, request.id)
    return answers.asked(request, card.permalink if card else None)
