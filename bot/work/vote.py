"""Works on a click: looks everybody up, lets the pure functions decide, writes the decision down once.

A decision that opens an attempt goes straight on to the release of the keys, in the same worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from bot.request import votes
from bot.request.group import Scope
from bot.request.model import AttemptState, Policy, Request, State, Vote
from bot.request.policy import Person, why_not_member
from bot.request.votes import Act, Chosen, Click, Counted, Refused, Turned, Withdrawn
from bot.slack import answers
from bot.store import claims, inbox, outbox, requests, tables
from bot.store.audit import Event, Fact, append
from bot.store.claims import Claim
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice, Way
from bot.work import break_glass, release
from bot.work.copies import copy_notice, is_copy
from bot.work.loop import REQUESTS
from bot.work.settings import in_force
from bot.work.tools import Tools, save_turn, to_whom


def work(tools: Tools, message: Message) -> None:
    """One press of a button on a card, or one choice made there.

    Raises:
        SlackCannotBeAsked: who pressed is not known, so nothing was changed.
    """
    seen = _Seen(tools.people.look_up(message.person))
    decided = _decide(tools, message, seen)
    while isinstance(decided, _LookUp):
        found = {user_id: tools.people.look_up(user_id) for user_id in decided.voters}
        seen = replace(seen, voters={**seen.voters, **found})
        decided = _decide(tools, message, seen)
    if decided is None:
        return
    claim = Claim(tables.requests.name, decided.id, 0, whose=decided.plan.project)
    with tools.held.holding_within(claim, REQUESTS) as has_room:
        try:
            # Else it is due, and the loop takes it in its turn: where OMS hangs, not every thread is to hang.
            if has_room:
                release.advance(tools, decided)
        except requests.Stale:
            pass  # Somebody else was quicker; the row itself says how it goes on.
        finally:
            with tools.store.write() as connection:
                claims.release(connection, claim, tools.owner)


@dataclass(frozen=True)
class _Seen:
    """Who was looked up for this click: whoever pressed, and those who voted before."""

    person: Person
    voters: Mapping[str, Person] = field(default_factory=dict)


@dataclass(frozen=True)
class _LookUp:
    """These are to be looked up before anything is decided."""

    voters: tuple[str, ...]


def _decide(tools: Tools, message: Message, seen: _Seen) -> Request | _LookUp | None:
    """Decides on the row as it is under its lock.

    Returns:
        The request when this worker is to go on with its release.
    """
    outsider = why_not_member(seen.person)
    with tools.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return None
        if outsider is not None:
            _refuse(connection, tools, message, answers.why_not_at_all(outsider), outsider.value)
            return None
        request = requests.lock(connection, message.request_id)
        card = outbox.get_card(connection, message.request_id)
        if request is None or card is None:
            _refuse(connection, tools, message, answers.NO_SUCH_REQUEST, "no such request")
            return None
        settings = in_force(tools, request)
        may_see = votes.why_not_seen(request, seen.person, settings.policy) is None
        if may_see and is_copy(message, card):
            _refuse(connection, tools, message, answers.THAT_WAS_A_COPY, "copy", request)
            mark = copy_notice(message, request, card)
            if mark is not None:
                outbox.add_notice(connection, mark, tools.now())
            return None
        scope = Scope(message.scope) if message.scope in set(Scope) else None
        click = Click(Act(message.kind.value), seen.person, tools.now(), message.text, scope)
        already = requests.votes_of(connection, request.id)
        wanted = _wanted(request, click, already, seen, settings.policy)
        if wanted is not None:
            inbox.unmark_decided(connection, message.key)
            return wanted
        match votes.decide(request, already, seen.voters, click, settings):
            case Refused(why):
                visible = request if may_see else None
                _refuse(connection, tools, message, answers.why_not(why, request), why.value, visible)
            case Counted(vote, counted):
                requests.add_vote(connection, request.id, vote)
                events = [_event(message, "approve"), *_break_glass(connection, message, request, click)]
                requests.save(connection, request, counted, click.at, *events)
            case Withdrawn(without):
                requests.remove_vote(connection, request.id, click.person.id)
                requests.save(connection, request, without, click.at, _event(message, "withdraw"))
            case Chosen(chosen):
                _choose(connection, request, chosen, _event(message, "choose"), already, click)
            case Turned(turned, _) if turned.state is State.VOID:
                _tell(connection, tools, message, answers.is_void(request), request)
                save_turn(connection, request, turned, click.at, _event(message, "void"))
            case Turned(turned, vote):
                events = _break_glass(connection, message, request, click) if vote is not None else []
                return _write_down(connection, tools, message, request, turned, vote, events)
        return None


def _choose(
    connection: Connection, request: Request, chosen: Request, event: Event, already: list[Vote], click: Click
) -> None:
    requests.remove_votes(connection, request.id)
    voters = [vote.person for vote in already]
    if voters:
        text = answers.chosen_anew(chosen, click.person.id, voters)
        outbox.add_notice(connection, Notice(Way.THREAD, "", text, request.id), click.at)
    scope = chosen.scope.value if chosen.scope else ""
    detail = {**event.detail, "scope": scope, "void approvals": voters}
    requests.save(connection, request, chosen, click.at, replace(event, detail=detail))


def _wanted(request: Request, click: Click, already: list[Vote], seen: _Seen, policy: Policy | None) -> _LookUp | None:
    """Who must be known for this decision and is not yet; None where nobody, or where it is refused anyway."""
    if click.act not in (Act.APPROVE, Act.WITHDRAW) or votes.why_not(request, already, click, policy) is not None:
        return None
    voters = tuple(vote.person for vote in already if vote.person not in seen.voters)
    return _LookUp(voters) if voters else None


def _break_glass(connection: Connection, message: Message, request: Request, click: Click) -> list[Event]:
    """A requester approves alone: everybody else who could is told, and the audit says so."""
    if click.person.id != request.requester:
        return []
    return [break_glass.leave(connection, message, request, click.at)]


def _write_down(
    connection: Connection,
    tools: Tools,
    message: Message,
    request: Request,
    turned: Request,
    vote: Vote | None,
    more: list[Event],
) -> Request | None:
    now = tools.now()
    if vote is not None:
        requests.add_vote(connection, request.id, vote)
    events = [_event(message, message.kind.value), *more]
    if turned.state is State.APPROVED and turned.attempt is not None:
        requests.open_attempt(connection, request.id, turned.attempt.number, now)
        people = list(turned.decision.people) if turned.decision else []
        events.append(
            Event(
                "attempt opened", message.person, request.id, {"number": turned.attempt.number, "approved by": people}
            )
        )
    if turned.state is State.CANCELLED and turned.attempt is not None:
        requests.turn_attempt(
            connection, request.id, turned.attempt.number, AttemptState.READY, AttemptState.SETTLED, now
        )
    if turned.state is State.DENIED:
        outbox.add_notice(connection, Notice(Way.DIRECT, request.requester, answers.denied(turned), request.id), now)
    saved = save_turn(connection, request, turned, now, *events)
    if message.kind is Kind.RETRY:
        tools.callers.wake(connection, turned.plan.project)
    if turned.state is not State.APPROVED or (turned.start_at is not None and turned.start_at > now):
        return None
    return saved if claims.claim_one(connection, tables.requests, request.id, tools.owner) else None


def _refuse(
    connection: Connection, tools: Tools, message: Message, text: str, why: str, request: Request | None = None
) -> None:
    """Says no. `request` is given where whoever pressed may see it: the answer then leads to its card."""
    _tell(connection, tools, message, text, request)
    append(connection, _event(message, "refused", why), tools.now())


def _tell(connection: Connection, tools: Tools, message: Message, text: str, request: Request | None) -> None:
    outbox.add_notice(connection, Notice(*to_whom(message), text, request.id if request else None), tools.now())


def _event(message: Message, what: str, why: str | None = None) -> Event:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id}
    if why is not None:
        detail["why"] = why
    if message.text:
        detail["reason"] = message.text[: votes.DENY_REASON_CHARACTERS]
    return Event(what, message.person, message.request_id or None, detail)
