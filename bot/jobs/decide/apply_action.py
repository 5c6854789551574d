"""Works on a click: looks everybody up, lets the pure functions decide, writes the decision down once.

A decision that opens an attempt goes straight on to the release of the keys, in the same worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from bot.domain import decisions
from bot.domain.decisions import (
    Action,
    ActionKind,
    ActionRejected,
    ScopeChanged,
    StateChanged,
    VoteAdded,
    VoteWithdrawn,
)
from bot.domain.policy import Person, why_not_member
from bot.domain.request import AttemptState, Policy, Request, State, Vote
from bot.domain.task_group import Scope
from bot.jobs.context import Context, reply_address, save_and_notify
from bot.jobs.current_settings import current_settings
from bot.jobs.decide import self_approval
from bot.jobs.notify.duplicate_card import duplicate_notice, is_duplicate
from bot.jobs.send import send
from bot.jobs.worker import REQUESTS
from bot.store import inbox, outbox, queue, requests, tables
from bot.store.audit import Event, Fact, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui import replies


def handle_action(context: Context, message: Message) -> None:
    """One press of a button on a card, or one choice made there.

    Raises:
        SlackCannotBeAsked: who pressed is not known, so nothing was changed.
    """
    seen = _Seen(context.people.look_up(message.person))
    decided = _decide(context, message, seen)
    while isinstance(decided, _LookUp):
        found = {user_id: context.people.look_up(user_id) for user_id in decided.voters}
        seen = replace(seen, voters={**seen.voters, **found})
        decided = _decide(context, message, seen)
    if decided is None:
        return
    claim = Claim(tables.requests.name, decided.id, 0, fairness_key=decided.plan.project)
    with context.active_claims.holding_within(claim, REQUESTS) as has_room:
        try:
            # Else it is due, and the loop takes it in its turn: where OMS hangs, not every thread is to hang.
            if has_room:
                send.send_request(context, decided)
        except requests.Stale:
            pass  # Somebody else was quicker; the row itself says how it goes on.
        finally:
            with context.store.write() as connection:
                queue.release(connection, claim, context.owner)


@dataclass(frozen=True)
class _Seen:
    """Who was looked up for this click: whoever pressed, and those who voted before."""

    person: Person
    voters: Mapping[str, Person] = field(default_factory=dict)


@dataclass(frozen=True)
class _LookUp:
    """These are to be looked up before anything is decided."""

    voters: tuple[str, ...]


def _decide(context: Context, message: Message, seen: _Seen) -> Request | _LookUp | None:
    """Decides on the row as it is under its lock.

    Returns:
        The request when this worker is to go on with its release.
    """
    outsider = why_not_member(seen.person)
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return None
        if outsider is not None:
            _refuse(connection, context, message, replies.outsider_text(outsider), outsider.value)
            return None
        request = requests.lock(connection, message.request_id)
        card = outbox.get_card(connection, message.request_id)
        if request is None or card is None:
            _refuse(connection, context, message, replies.NO_SUCH_REQUEST, "no such request")
            return None
        settings = current_settings(context, request)
        may_see = decisions.why_not_visible(request, seen.person, settings.policy) is None
        if may_see and is_duplicate(message, card):
            _refuse(connection, context, message, replies.DUPLICATE_CARD, "copy", request)
            mark = duplicate_notice(message, request, card)
            if mark is not None:
                outbox.add_notice(connection, mark, context.now())
            return None
        scope = Scope(message.scope) if message.scope in set(Scope) else None
        click = Action(ActionKind(message.kind.value), seen.person, context.now(), message.reason, scope)
        already = requests.votes_of(connection, request.id)
        wanted = _wanted(request, click, already, seen, settings.policy)
        if wanted is not None:
            inbox.unmark_decided(connection, message.key)
            return wanted
        match decisions.decide(request, already, seen.voters, click, settings):
            case ActionRejected(why):
                visible = request if may_see else None
                _refuse(connection, context, message, replies.refusal_text(why, request), why.value, visible)
            case VoteAdded(vote, counted):
                requests.add_vote(connection, request.id, vote)
                events = [_event(message, "approve"), *_break_glass(connection, message, request, click)]
                requests.save(connection, request, counted, click.at, *events)
            case VoteWithdrawn(without):
                requests.remove_vote(connection, request.id, click.person.id)
                requests.save(connection, request, without, click.at, _event(message, "withdraw"))
            case ScopeChanged(chosen):
                _choose(connection, request, chosen, _event(message, "choose"), already, click)
            case StateChanged(changed, _) if changed.state is State.VOID:
                _tell(connection, context, message, replies.request_void(request), request)
                save_and_notify(connection, request, changed, click.at, _event(message, "void"))
            case StateChanged(changed, vote):
                events = _break_glass(connection, message, request, click) if vote is not None else []
                return _write_down(connection, context, message, request, changed, vote, events)
        return None


def _choose(
    connection: Connection, request: Request, chosen: Request, event: Event, already: list[Vote], click: Action
) -> None:
    requests.remove_votes(connection, request.id)
    voters = [vote.person for vote in already]
    if voters:
        text = replies.scope_changed(chosen, click.person.id, voters)
        outbox.add_notice(connection, Notice(Delivery.THREAD, "", text, request.id), click.at)
    scope = chosen.scope.value if chosen.scope else ""
    detail = {**event.detail, "scope": scope, "void approvals": voters}
    requests.save(connection, request, chosen, click.at, replace(event, detail=detail))


def _wanted(request: Request, click: Action, already: list[Vote], seen: _Seen, policy: Policy | None) -> _LookUp | None:
    """Who must be known for this decision and is not yet; None where nobody, or where it is refused anyway."""
    if (
        click.act not in (ActionKind.APPROVE, ActionKind.WITHDRAW)
        or decisions.why_not_allowed(request, already, click, policy) is not None
    ):
        return None
    voters = tuple(vote.person for vote in already if vote.person not in seen.voters)
    return _LookUp(voters) if voters else None


def _break_glass(connection: Connection, message: Message, request: Request, click: Action) -> list[Event]:
    """A requester approves alone: everybody else who could is told, and the audit says so."""
    if click.person.id != request.requester:
        return []
    return [self_approval.queue_notification(connection, message, request, click.at)]


def _write_down(
    connection: Connection,
    context: Context,
    message: Message,
    request: Request,
    changed: Request,
    vote: Vote | None,
    more: list[Event],
) -> Request | None:
    now = context.now()
    if vote is not None:
        requests.add_vote(connection, request.id, vote)
    events = [_event(message, message.kind.value), *more]
    if changed.state is State.APPROVED and changed.attempt is not None:
        requests.open_attempt(connection, request.id, changed.attempt.number, now)
        people = list(changed.decision.people) if changed.decision else []
        events.append(
            Event(
                "attempt opened",
                message.person,
                request.id,
                {"number": changed.attempt.number, "approved by": people},
            )
        )
    if changed.state is State.CANCELLED and changed.attempt is not None:
        requests.change_attempt(
            connection, request.id, changed.attempt.number, AttemptState.READY, AttemptState.SETTLED, now
        )
    if changed.state is State.DENIED:
        outbox.add_notice(
            connection, Notice(Delivery.DIRECT, request.requester, replies.denied(changed), request.id), now
        )
    saved = save_and_notify(connection, request, changed, now, *events)
    if message.kind is Kind.RETRY:
        context.callers.wake(connection, changed.plan.project)
    if changed.state is not State.APPROVED or (changed.start_at is not None and changed.start_at > now):
        return None
    return saved if queue.claim_one(connection, tables.requests, request.id, context.owner) else None


def _refuse(
    connection: Connection, context: Context, message: Message, text: str, why: str, request: Request | None = None
) -> None:
    """Says no. `request` is given where whoever pressed may see it: the answer then leads to its card."""
    _tell(connection, context, message, text, request)
    append(connection, _event(message, "refused", why), context.now())


def _tell(connection: Connection, context: Context, message: Message, text: str, request: Request | None) -> None:
    outbox.add_notice(connection, Notice(*reply_address(message), text, request.id if request else None), context.now())


def _event(message: Message, what: str, why: str | None = None) -> Event:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id}
    if why is not None:
        detail["why"] = why
    if message.reason:
        detail["reason"] = message.reason[: decisions.MAX_DENY_REASON_CHARACTERS]
    return Event(what, message.person, message.request_id or None, detail)
