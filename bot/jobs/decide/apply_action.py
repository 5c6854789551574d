"""Works on a click: looks everybody up, lets the pure functions decide, writes the decision down once.

A decision that opens an attempt goes straight on to the release of the keys, in the same worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from bot.domain import decisions
from bot.domain.audit_events import ACTION_EVENTS, AuditEvent
from bot.domain.decisions import Action, ActionEffect, ActionKind
from bot.domain.policy import Person, Refusal, account_refusal
from bot.domain.request import Policy, Request, State, Vote
from bot.domain.task_group import Scope
from bot.jobs.context import Context, reply_address, save_and_notify
from bot.jobs.current_settings import current_settings
from bot.jobs.decide import self_approval
from bot.jobs.lanes import REQUESTS
from bot.jobs.notify.duplicate_card import duplicate_notice, is_duplicate
from bot.jobs.send import send
from bot.store import inbox, outbox, queue, requests, tables
from bot.store.audit import Event, Fact, append
from bot.store.circuit_breakers import CircuitBreakers
from bot.store.inbox import Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui import refusals, replies, thread


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
    with context.active_claims.holding_within_limit(claim, REQUESTS) as has_room:
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
    outsider = account_refusal(seen.person)
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return None
        if outsider is not None:
            _refuse(connection, context, message, refusals.outsider_text(outsider), outsider.value)
            return None
        request = requests.lock(connection, message.request_id)
        card = outbox.get_card(connection, message.request_id)
        if request is None or card is None:
            _refuse(connection, context, message, refusals.NO_SUCH_REQUEST, "no such request")
            return None
        settings = current_settings(context, request)
        may_see = decisions.view_refusal(request, seen.person, settings.policy) is None
        if may_see and is_duplicate(message, card):
            _refuse(connection, context, message, refusals.DUPLICATE_CARD, "copy", request)
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
        effect = decisions.decide(request, already, seen.voters, click, settings)
        if isinstance(effect, Refusal):
            visible = request if may_see else None
            _refuse(connection, context, message, refusals.refusal_text(effect, request), effect.value, visible)
            return None
        return _apply(connection, context, message, request, click, effect)


def _wanted(request: Request, click: Action, already: list[Vote], seen: _Seen, policy: Policy | None) -> _LookUp | None:
    """Who must be known for this decision and is not yet; None where nobody, or where it is refused anyway."""
    if (
        click.kind not in (ActionKind.APPROVE, ActionKind.WITHDRAW)
        or decisions.action_refusal(request, already, click, policy) is not None
    ):
        return None
    voters = tuple(vote.person for vote in already if vote.person not in seen.voters)
    return _LookUp(voters) if voters else None


def _apply(
    connection: Connection,
    context: Context,
    message: Message,
    request: Request,
    click: Action,
    effect: ActionEffect,
) -> Request | None:
    """Stores what the action changes, with its audit events and notices.

    Returns:
        The request if this worker sends it next.
    """
    now, changed = click.at, effect.request
    if effect.added_vote is not None:
        requests.add_vote(connection, request.id, effect.added_vote)
    for user_id in effect.removed_voters:
        requests.remove_vote(connection, request.id, user_id)
    events = [_action_event(message, click, effect)]
    if effect.added_vote is not None and click.person.id == request.requester:
        events.append(self_approval.queue_notification(connection, message, request, now))
    if changed.state is State.APPROVED and changed.attempt is not None:
        people = list(changed.decision.people) if changed.decision else []
        opened: dict[str, Fact] = {"number": changed.attempt.number, "approved by": people}
        events.append(Event(AuditEvent.ATTEMPT_OPENED, message.person, request.id, opened))
    if changed.state is State.VOID:
        _tell(connection, context, message, refusals.request_void(request), request)
    if changed.state is State.DENIED:
        notice = Notice(Delivery.DIRECT, request.requester, replies.denied(changed), request.id)
        outbox.add_notice(connection, notice, now)
    if click.kind is ActionKind.CHOOSE_SCOPE and effect.removed_voters:
        text = thread.scope_changed(changed, click.person.id, list(effect.removed_voters))
        outbox.add_notice(connection, Notice(Delivery.THREAD, "", text, request.id), now)
    saved = save_and_notify(connection, request, changed, now, *events)
    if changed.state is not State.APPROVED:
        return None
    if click.kind is ActionKind.RETRY:
        context.identity.allow_retry(changed.plan.project, CircuitBreakers.within(connection))
    if changed.start_at is not None and changed.start_at > now:
        return None
    return saved if queue.claim_one(connection, tables.requests, request.id, context.owner) else None


def _action_event(message: Message, click: Action, effect: ActionEffect) -> Event:
    is_void = effect.request.state is State.VOID
    event = _event(message, AuditEvent.REQUEST_VOID if is_void else ACTION_EVENTS[click.kind])
    if click.kind is not ActionKind.CHOOSE_SCOPE:
        return event
    scope = effect.request.scope.value if effect.request.scope else ""
    return replace(event, detail={**event.detail, "scope": scope, "void approvals": list(effect.removed_voters)})


def _refuse(
    connection: Connection, context: Context, message: Message, text: str, why: str, request: Request | None = None
) -> None:
    """Says no. `request` is given where whoever pressed may see it: the answer then leads to its card."""
    _tell(connection, context, message, text, request)
    append(connection, _event(message, AuditEvent.ACTION_REFUSED, why), context.now())


def _tell(connection: Connection, context: Context, message: Message, text: str, request: Request | None) -> None:
    outbox.add_notice(connection, Notice(*reply_address(message), text, request.id if request else None), context.now())


def _event(message: Message, event: AuditEvent, why: str | None = None) -> Event:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id}
    if why is not None:
        detail["why"] = why
    if message.reason:
        detail["reason"] = message.reason[: decisions.MAX_DENY_REASON_CHARACTERS]
    return Event(event, message.person, message.request_id or None, detail)
