"""Works on a click: looks everybody up, lets the pure functions decide, writes the decision down once.

A decision that opens an attempt goes straight on to the release of the keys, in the same worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.request import votes
from bot.request.model import Request, State, Vote
from bot.request.policy import Person, why_not_reader
from bot.request.votes import Counted, Refused, Turned, Verdict
from bot.slack import answers
from bot.slack.words import plain
from bot.store import claims, outbox, requests, tables
from bot.store.audit import Event, append
from bot.store.claims import Claim
from bot.store.inbox import Kind, Message
from bot.store.outbox import Card, Notice, Way
from bot.work import announce, release
from bot.work.tools import Tools, save_turn, to_whom


def work(tools: Tools, message: Message) -> None:
    """One press of approve, deny, cancel or retry.

    Raises:
        SlackCannotBeAsked: who pressed is not known, so nothing was changed.
    """
    person = tools.people.look_up(message.person)
    people: dict[str, Person] = {}
    decided = _decide(tools, message, people, person)
    while isinstance(decided, _LookUp):
        people |= {user_id: tools.people.look_up(user_id) for user_id in decided.people}
        decided = _decide(tools, message, people, person)
    if decided is not None:
        release.advance(tools, decided)
        with tools.store.write() as connection:
            claims.release(connection, Claim(tables.requests.name, decided.id, 0), tools.owner)


@dataclass(frozen=True)
class _LookUp:
    """These have voted before, and are to be looked up before anything is decided."""

    people: tuple[str, ...]


def _decide(tools: Tools, message: Message, people: Mapping[str, Person], person: Person) -> Request | _LookUp | None:
    """Decides on the row as it is under its lock.

    Returns:
        The request when this worker is to go on with its release.
    """
    now = tools.now()
    with tools.store.write() as connection:
        request = requests.lock(connection, message.request_id)
        card = outbox.get_card(connection, message.request_id)
        if request is None or card is None:
            _refuse(connection, tools, message, answers.NO_SUCH_REQUEST, "no such request")
            return None
        if why_not_reader(request.policy, person) is None and _is_copy(message, card):
            _mark_copy(connection, tools, message, request, card)
            return None
        already = requests.votes_of(connection, request.id)
        unknown = tuple(vote.person for vote in already if vote.person not in people)
        if message.kind is Kind.APPROVE and unknown:
            return _LookUp(unknown)
        verdict = _verdict(message, request, already, people, person, now)
        match verdict:
            case Refused(why):
                _refuse(connection, tools, message, answers.why_not(why, request), why.value)
                return None
            case Counted(vote, _):
                requests.add_vote(connection, request.id, vote)
                requests.save(connection, request, request, now, _event(message, "approve"))
                return None
            case Turned(turned, vote):
                return _write_down(connection, tools, message, request, turned, vote)


def _write_down(
    connection: Connection, tools: Tools, message: Message, request: Request, turned: Request, vote: Vote | None
) -> Request | None:
    now = tools.now()
    if vote is not None:
        requests.add_vote(connection, request.id, vote)
    events = [_event(message, message.kind.value)]
    if turned.state is State.APPROVED and turned.attempt is not None:
        requests.open_attempt(connection, request.id, turned.attempt.number, now)
        people = list(turned.decision.people) if turned.decision else []
        events.append(
            Event(
                "attempt opened", message.person, request.id, {"number": turned.attempt.number, "approved by": people}
            )
        )
    if turned.state is State.DENIED and turned.decision and turned.decision.reason:
        text = f"{answers.stands(turned)} Reason: {plain(turned.decision.reason)}"
        outbox.add_notice(connection, Notice(Way.DIRECT, request.requester, text, request.id), now)
    saved = save_turn(connection, request, turned, now, *events)
    if turned.state is not State.APPROVED or turned.start_at is not None:
        return None
    return saved if claims.claim_one(connection, tables.requests, request.id, tools.owner) else None


def _verdict(
    message: Message,
    request: Request,
    already: Sequence[Vote],
    people: Mapping[str, Person],
    person: Person,
    now: datetime,
) -> Verdict:
    match message.kind:
        case Kind.APPROVE:
            return votes.approve(request, already, people, person, now)
        case Kind.DENY:
            return votes.deny(request, person, message.text, now)
        case Kind.CANCEL:
            return votes.cancel(request, person, now)
        case _:
            return votes.retry(request, person, now)


def _is_copy(message: Message, card: Card) -> bool:
    return (message.channel, message.message_ts) != (card.channel, card.ts)


def _mark_copy(connection: Connection, tools: Tools, message: Message, request: Request, card: Card) -> None:
    text = answers.with_link("That was a copy of the card. Nothing was changed.", card.permalink)
    _refuse(connection, tools, message, text, "copy")
    if message.channel and message.message_ts:
        address, says = f"{message.channel} {message.message_ts}", announce.copy_text(request, card.permalink)
        outbox.add_notice(connection, Notice(Way.COPY, address, says, request.id), tools.now())


def _refuse(connection: Connection, tools: Tools, message: Message, text: str, why: str) -> None:
    _tell(connection, tools, message, text)
    append(connection, _event(message, "refused", why), tools.now())


def _tell(connection: Connection, tools: Tools, message: Message, text: str) -> None:
    outbox.add_notice(connection, Notice(*to_whom(message), text), tools.now())


def _event(message: Message, what: str, why: str | None = None) -> Event:
    detail: dict[str, str | int | bool | list[str] | None] = {"kind": message.kind.value, "team": message.team_id}
    if why is not None:
        detail["why"] = why
    if message.kind is Kind.DENY and message.text:
        detail["reason"] = message.text[: votes.DENY_REASON_CHARACTERS]
    return Event(what, message.person, message.request_id or None, detail)
