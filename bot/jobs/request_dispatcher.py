"""Dispatches a request that is due to the stage that takes its next step, and ends a request that has expired."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.audit_events import STATE_EVENTS, AuditEvent
from bot.domain.request import FOLLOWED_STATES, Request, State
from bot.domain.schedule import Step, due_at, next_step
from bot.jobs.context import Context, save_and_notify
from bot.jobs.current_settings import can_be_followed
from bot.jobs.decide import remind
from bot.jobs.follow import follow, pause, read_causes
from bot.jobs.send import send
from bot.jobs.worker import Finished, Rescheduled, Result
from bot.store import requests
from bot.store.audit import BOT, Event
from bot.store.queue import Claim
from bot.ui.problem_texts import bug_problem


def advance_request(context: Context, claim: Claim) -> Result:
    """Takes the next step of the claimed request."""
    with context.store.read() as connection:
        request = requests.get(connection, str(claim.key))
    if request is None:
        return Finished()
    try:
        return _dispatch(context, request, claim)
    except requests.Stale:
        # Another worker changed the request first. Its next step is looked up again at once.
        return Finished(context.now())


def _dispatch(context: Context, request: Request, claim: Claim) -> Result:
    step = next_step(request, context.now())
    match step:
        case Step.EXPIRE:
            return _end(context, request, State.EXPIRED)
        case Step.EXPIRE_APPROVAL:
            return _end(context, request, State.APPROVAL_EXPIRED)
        case Step.REMIND:
            return remind.remind(context, request, claim)
        case Step.SEND:
            again = send.send_request(context, request)
            return Rescheduled() if again is None else Finished(again)
        case Step.SETTLE | Step.FOLLOW | Step.PAUSE if not can_be_followed(context, request):
            return _end(context, request, State.NOT_FOLLOWED)
        case Step.SETTLE:
            return follow.settle_request(context, request, claim)
        case Step.FOLLOW:
            return follow.follow_request(context, request, claim)
        case Step.READ_CAUSES if not can_be_followed(context, request):
            return Finished()
        case Step.READ_CAUSES:
            return read_causes.read_causes(context, request, claim)
        case Step.PAUSE:
            return pause.send_pause(context, request, claim)
        case None if request.state in FOLLOWED_STATES:
            # A sweep has read the group, and made the request due.
            return follow.follow_request(context, request, claim)
        case None:
            return Finished(due_at(request))


def _end(context: Context, request: Request, state: State) -> Result:
    now = context.now()
    event = Event(STATE_EVENTS[state], BOT, request.id)
    with context.store.write() as connection:
        save_and_notify(connection, request, request.with_state(state, at=now), now, event)
    return Rescheduled()


def report_bug(context: Context, claim: Claim, reference: str) -> None:
    """Shows on the card of an open request that the bot failed.

    Arguments:
        reference: the exception is in the log under this reference.
    """
    now = context.now()
    with context.store.write() as connection:
        request = requests.lock(connection, str(claim.key))
        if request is None or not request.is_open:
            return
        problem = bug_problem(reference)
        event = Event(AuditEvent.BUG, BOT, request.id, {"reference": reference})
        requests.save(connection, request, replace(request, problem=problem), now, event)
