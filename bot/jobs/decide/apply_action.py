"""Applies an action of a person to a request: looks people up, decides, and stores the result once.

If the action approves the request or opens its next attempt, the same worker sends it at once. The rules are in
`bot.domain.decisions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from bot.domain import decisions
from bot.domain.audit_events import ACTION_EVENTS, AuditEvent
from bot.domain.decisions import Action, ActionEffect, ActionKind
from bot.domain.policy import Person, Refusal
from bot.domain.request import Policy, Request, State, Vote
from bot.domain.request_record import UNSENT_STATES, Authenticity
from bot.domain.task_group import Scope
from bot.jobs.context import Context, reply_address, save_and_notify
from bot.jobs.current_settings import names_in_request
from bot.jobs.decide import self_approval
from bot.jobs.decide.action_target import Rejection, check_target
from bot.jobs.lanes import APPROVED_REQUESTS, MAX_REQUESTS_OF_ACTIONS
from bot.jobs.record_check import authenticity_of, save_not_authentic
from bot.jobs.send import send
from bot.slack.errors import GroupsUnknown
from bot.store import audit, inbox, outbox, queue, requests, tables
from bot.store.audit import Event, Fact, append
from bot.store.circuit_breakers import CircuitBreakers
from bot.store.inbox import Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui import refusals, replies, thread
from bot.ui.receipts import receipt


def handle_action(
    context: Context, message: Message, try_again_at: Callable[[], datetime | None] = lambda: None
) -> datetime | None:
    """Applies the action of a message, and sends the request if that is the next step.

    Arguments:
        try_again_at: when the message may be handled again if this process does not know the key of the request's
            audit rows, but another replica may know it; None if the message is answered now.

    Returns:
        When to try again; None if the message was handled.

    Raises:
        LookupFailed: Slack does not tell who the person or a voter is, or in which user groups they are, and the
            decision depends on it. Nothing was changed.
    """
    with context.store.read() as connection:
        names = names_in_request(context, requests.get(connection, message.request_id))
    person = context.people.look_up_now(message.person, names)
    voters: dict[str, Person] = {}
    result = _decide(context, message, person, voters, try_again_at)
    while isinstance(result, _UnknownVoters):
        # Looked up outside of the transaction. More people may have voted by the next one.
        people = context.people
        voters |= {user_id: people.confirm(user_id, names, max_age_seconds=0) for user_id in result.user_ids}
        result = _decide(context, message, person, voters, try_again_at)
    if isinstance(result, datetime):
        return result
    if result is not None:
        _send_now(context, result)
    return None


def _send_now(context: Context, request: Request) -> None:
    """Sends a request whose row `_apply` has claimed, and releases the claim."""
    claim = Claim(tables.requests.name, request.id, 0, request.state, request.plan.project)
    with context.active_claims.holding_within_limit(claim, APPROVED_REQUESTS, MAX_REQUESTS_OF_ACTIONS) as has_room:
        try:
            # If this process works on too many approved requests, or too many of the project, the row stays due, and
            # their lane sends it. So a Vault or an OMS that hangs cannot occupy all threads.
            if has_room:
                send.send_request(context, request)
        except requests.Stale:
            pass  # Another worker has changed the request, whose row says what comes next.
        finally:
            with context.store.write() as connection:
                queue.release(connection, claim, context.owner)


@dataclass(frozen=True)
class _UnknownVoters:
    """Voters who have to be looked up before the action can be decided."""

    user_ids: tuple[str, ...]


def _decide(
    context: Context,
    message: Message,
    person: Person,
    voters: Mapping[str, Person],
    try_again_at: Callable[[], datetime | None],
) -> Request | _UnknownVoters | datetime | None:
    """Decides on the locked request, and stores the result or the refusal.

    Arguments:
        voters: the people who voted before, as far as they were looked up, by user id.

    Returns:
        The request if this worker sends it next, the voters to look up first, when to try again, or None if there is
        nothing more to do.

    Raises:
        GroupsUnknown: the decision depends on user groups whose members are unknown. Nothing is stored.
    """
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return None
        request = requests.lock(connection, message.request_id)
        card = outbox.get_card(connection, message.request_id)
        target = check_target(context, message, person, request, card)
        if isinstance(target, Rejection):
            if target.why == Refusal.GROUPS_UNKNOWN.value:
                raise GroupsUnknown
            _reject(connection, context, message, target)
            return None
        request, settings = target.request, target.settings
        scope = Scope(message.scope) if message.scope in set(Scope) else None
        action = Action(ActionKind(message.kind.value), person, context.now(), message.reason, scope)
        record = audit.record_of(connection, request.id)
        if message.record_key in record.messages:
            return None  # Its mark was removed: a message counts once.
        authenticity = authenticity_of(record, request)
        if request.state in UNSENT_STATES and authenticity is not Authenticity.AUTHENTIC:
            again = try_again_at() if authenticity is Authenticity.UNKNOWN_KEY else None
            if again is not None:
                inbox.unmark_decided(connection, message.key)
                return again
            saved = save_not_authentic(connection, context, request, authenticity)
            if authenticity is Authenticity.FORGED:
                text = refusals.TAMPERED
            else:
                text = refusals.KEY_CHANGED if saved.state is State.PENDING else refusals.UNVERIFIED
            _reject(connection, context, message, Rejection(text, authenticity.value, target.visible_card))
            return None
        votes = record.votes
        unknown = _unknown_voters(request, action, votes, voters, settings.policy)
        if unknown:
            inbox.unmark_decided(connection, message.key)
            return _UnknownVoters(unknown)
        effect = decisions.decide(request, votes, voters, action, settings)
        if effect is Refusal.GROUPS_UNKNOWN:
            raise GroupsUnknown
        if isinstance(effect, Refusal):
            _reject(connection, context, message, target.rejection(context, effect))
            return None
        return _apply(connection, context, message, request, action, effect)


def _unknown_voters(
    request: Request, action: Action, votes: Sequence[Vote], voters: Mapping[str, Person], policy: Policy | None
) -> tuple[str, ...]:
    """The user ids of the voters that the decision depends on and that were not looked up yet."""
    if action.kind not in (ActionKind.APPROVE, ActionKind.WITHDRAW):
        return ()
    if decisions.action_refusal(request, votes, action, policy) is not None:
        return ()
    return tuple(vote.person for vote in votes if vote.person not in voters)


def _apply(
    connection: Connection,
    context: Context,
    message: Message,
    request: Request,
    action: Action,
    effect: ActionEffect,
) -> Request | None:
    """Stores what the action changes, with its audit events, the receipt for the person, and notices.

    Returns:
        The request if this worker sends it next.
    """
    now, changed = action.at, effect.request
    events = [_effect_event(message, action, effect)]
    if effect.added_vote is not None and action.person.id == request.requester:
        events.append(self_approval.queue_notification(connection, message, request, now))
    if changed.state is State.APPROVED and changed.attempt is not None:
        people = list(changed.decision.people) if changed.decision else []
        attempt: dict[str, Fact] = {"number": changed.attempt.number, "approved by": people}
        events.append(Event(AuditEvent.ATTEMPT_OPENED, message.person, request.id, attempt))
    is_void = changed.state is State.VOID
    text = refusals.request_void(request) if is_void else receipt(action.kind, changed, len(effect.removed_voters))
    outbox.add_notice(connection, Notice(*reply_address(message), text, request.id), now)
    if changed.state is State.DENIED:
        notice = Notice(Delivery.DIRECT, request.requester, replies.denied(changed), request.id)
        outbox.add_notice(connection, notice, now)
    if action.kind is ActionKind.CHOOSE_SCOPE and effect.removed_voters:
        text = thread.scope_changed(changed, action.person.id, list(effect.removed_voters))
        outbox.add_notice(connection, Notice(Delivery.THREAD, "", text, request.id), now)
    saved = save_and_notify(connection, request, changed, now, *events)
    if changed.state is not State.APPROVED:
        return None
    if action.kind is ActionKind.RETRY:
        context.identity.allow_retry(changed.plan.project, CircuitBreakers.within(connection))
    if changed.start_at is not None and changed.start_at > now:
        return None
    return saved if queue.claim_one(connection, tables.requests, request.id, context.owner) else None


def _effect_event(message: Message, action: Action, effect: ActionEffect) -> Event:
    is_void = effect.request.state is State.VOID
    event = _event(message, AuditEvent.REQUEST_VOID if is_void else ACTION_EVENTS[action.kind])
    if action.kind is not ActionKind.CHOOSE_SCOPE:
        return event
    scope = effect.request.scope.value if effect.request.scope else ""
    return replace(event, detail={**event.detail, "scope": scope, "void approvals": list(effect.removed_voters)})


def _reject(connection: Connection, context: Context, message: Message, rejection: Rejection) -> None:
    """Answers the person that the action has no effect, and records it."""
    now = context.now()
    request_id = rejection.visible_card.request_id if rejection.visible_card else None
    outbox.add_notice(connection, Notice(*reply_address(message), rejection.text, request_id), now)
    append(connection, _event(message, AuditEvent.ACTION_REFUSED, rejection.why), now)
    if rejection.notice is not None:
        outbox.add_notice(connection, rejection.notice, now)


def _event(message: Message, event: AuditEvent, why: str | None = None) -> Event:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id, "message": message.record_key}
    if why is not None:
        detail["why"] = why
    if message.reason:
        detail["reason"] = message.reason[: decisions.MAX_DENY_REASON_CHARACTERS]
    return Event(event, message.person, message.request_id or None, detail)
