"""Works on a click: looks everybody up, lets the pure functions decide, writes the decision down once.

A decision that opens an attempt goes straight on to the release of the keys, in the same worker.
"""

from __future__ import annotations

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
from bot.work.tools import Tools, save_turn


def work(tools: Tools, message: Message) -> None:
    """One press of approve, deny, cancel or retry.

    Raises:
        SlackCannotBeAsked: who pressed is not known, so nothing was changed.
    """
    with tools.store.read() as connection:
        request = requests.get(connection, message.request_id)
        card = outbox.get_card(connection, message.request_id)
        earlier = requests.votes_of(connection, message.request_id) if request else []
    if request is None or card is None:
        _refuse(tools, message, None, answers.NO_SUCH_REQUEST, "no such request")
        return
    person = tools.people.look_up(message.person)
    if why_not_reader(request.policy, person) is not None and person.id != request.requester:
        # Whoever is not listed learns nothing of the request, not even how it stands.
        _decide(tools, message, request, None, person)
        return
    if (message.channel, message.message_ts) != (card.channel, card.ts):
        _mark_copy(tools, message, request, card)
        return
    goes_on: bool | None = None
    while goes_on is None:
        people = {vote.person: tools.people.look_up(vote.person) for vote in earlier}
        goes_on = _decide(tools, message, request, people, person)
        with tools.store.read() as connection:
            earlier = requests.votes_of(connection, request.id)
    if goes_on:
        release.advance(tools, request.id)
        with tools.store.write() as connection:
            claims.release(connection, Claim(tables.requests.name, request.id, 0), tools.owner)


def _decide(
    tools: Tools, message: Message, seen: Request, people: dict[str, Person] | None, person: Person
) -> bool | None:
    """Decides on the row as it is under its lock.

    Returns:
        True when this worker is to go on with the release; None when somebody voted meanwhile who was not looked up.
    """
    now = tools.now()
    with tools.store.write() as connection:
        request = requests.lock(connection, seen.id)
        if request is None:
            return False
        already = requests.votes_of(connection, request.id)
        if message.kind is Kind.APPROVE and people is not None and any(vote.person not in people for vote in already):
            return None
        verdict = _verdict(message, request, already, people or {}, person, tools)
        match verdict:
            case Refused(why):
                text = answers.why_not(why, request)
                _tell(connection, tools, message, text)
                append(connection, _event(message, "refused", why.value), now)
                return False
            case Counted(vote, _):
                requests.add_vote(connection, request.id, vote)
                requests.save(connection, request, request, now, _event(message, "approved"))
                return False
            case Turned(turned, vote):
                return _write_down(connection, tools, message, request, turned, vote)


def _write_down(
    connection: Connection, tools: Tools, message: Message, request: Request, turned: Request, vote: Vote | None
) -> bool:
    now = tools.now()
    if vote is not None:
        requests.add_vote(connection, request.id, vote)
    events = [_event(message, message.kind.value)]
    if turned.state is State.APPROVED and turned.attempt is not None:
        requests.open_attempt(connection, request.id, turned.attempt.number, now)
        people = list(turned.decision.people) if turned.decision else []
        events.append(Event("attempt opened", message.person, request.id, {"number": turned.attempt.number}))
        if vote is not None:
            events.append(Event("quorum", "bot", request.id, {"people": people}))
    if turned.state is State.DENIED and turned.decision and turned.decision.reason:
        text = f"{answers.stands(turned)} Reason: {plain(turned.decision.reason)}"
        outbox.add_notice(connection, Notice(Way.DIRECT, request.requester, text, request.id), now)
    save_turn(connection, request, turned, now, *events)
    if turned.state is not State.APPROVED or turned.start_at is not None:
        return False
    return claims.claim_one(connection, tables.requests, request.id, tools.owner)


def _verdict(
    message: Message, request: Request, already: list[Vote], people: dict[str, Person], person: Person, tools: Tools
) -> Verdict:
    now = tools.now()
    match message.kind:
        case Kind.APPROVE:
            return votes.approve(request, already, people, person, now)
        case Kind.DENY:
            return votes.deny(request, person, message.text, now)
        case Kind.CANCEL:
            return votes.cancel(request, person, now)
        case _:
            return votes.retry(request, person, now)


def _mark_copy(tools: Tools, message: Message, request: Request, card: Card) -> None:
    text = answers.with_link("That was a copy of the card. Nothing was changed.", card.permalink)
    _refuse(tools, message, request, text, "copy")
    if message.channel and message.message_ts:
        notice = Notice(
            Way.COPY, f"{message.channel} {message.message_ts}", announce.copy_text(request, card.permalink), request.id
        )
        with tools.store.write() as connection:
            outbox.add_notice(connection, notice, tools.now())


def _refuse(tools: Tools, message: Message, request: Request | None, text: str, why: str) -> None:
    with tools.store.write() as connection:
        _tell(connection, tools, message, text)
        detail = {"kind": message.kind.value, "why": why}
        append(connection, Event("refused", message.person, request.id if request else None, detail), tools.now())


def _tell(connection: Connection, tools: Tools, message: Message, text: str) -> None:
    way, address = (Way.ANSWER, message.response_url) if message.response_url else (Way.DIRECT, message.person)
    outbox.add_notice(connection, Notice(way, address, text), tools.now())


def _event(message: Message, what: str, why: str | None = None) -> Event:
    detail: dict[str, str | int | bool | list[str] | None] = {"kind": message.kind.value, "team": message.team_id}
    if why is not None:
        detail["why"] = why
    if message.kind is Kind.DENY and message.text:
        detail["reason"] = message.text[: votes.DENY_REASON_CHARACTERS]
    return Event(what, message.person, message.request_id, detail)
