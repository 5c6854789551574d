"""Works on a request whose time has come: ends it, sends it, settles it, or looks how its group gets on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.request import Attempt, AttemptState, Problem, Request, State
from bot.domain.schedule import SETTLE_EVERY, Step, due_at, next_step
from bot.domain.task_group import TaskGroup
from bot.huawei.error_catalogue import NOT_FOUND
from bot.huawei.errors import HuaweiError, Rejected
from bot.jobs.context import Context, save_and_notify
from bot.jobs.current_settings import can_be_followed
from bot.jobs.decide import remind
from bot.jobs.follow import outcome, pause
from bot.jobs.identity.guard import IdentitySuspended
from bot.jobs.problems import RetryHint, explain
from bot.jobs.send import send
from bot.jobs.worker import Failed, Finished, Rescheduled, Result, backoff
from bot.store import requests
from bot.store.audit import BOT, Event
from bot.store.queue import Claim
from bot.store.requests import AttemptChange
from bot.vault.errors import VaultError

LOOKING_STEPS = frozenset({Step.SETTLE, Step.FOLLOW, Step.PAUSE})
# A card that shows the same for longer is edited all the same, for its own time to be fresh.
SHOW_AGAIN_AFTER = timedelta(seconds=60)
# So many looks may fail before the card says so.
SILENT_FAILURES = 2


def advance_request(context: Context, claim: Claim) -> Result:
    """One request that is due."""
    with context.store.read() as connection:
        request = requests.get(connection, str(claim.key))
    if request is None:
        return Finished()
    step = next_step(request, context.now())
    try:
        if step in LOOKING_STEPS and not can_be_followed(context, request):
            _end(context, request, State.NOT_FOLLOWED)
            return Rescheduled()
        match step:
            case Step.EXPIRE:
                _end(context, request, State.EXPIRED)
            case Step.EXPIRE_APPROVAL:
                _end(context, request, State.APPROVAL_EXPIRED)
            case Step.REMIND:
                return remind.remind(context, request, claim)
            case Step.SEND:
                send.send_request(context, request)
            case Step.SETTLE:
                return _settle(context, request, claim)
            case Step.FOLLOW:
                return _follow(context, request, claim)
            case Step.PAUSE:
                return pause.send_pause(context, request, claim)
            case None:
                pass
    except requests.Stale:
        # Somebody else was quicker; what is now true is looked at again at once.
        return Finished(context.now())
    return Rescheduled()


def report_bug(context: Context, claim: Claim, reference: str) -> None:
    """The bot itself failed at a request: its card shows the reference."""
    if claim.tries > 0:
        return
    now = context.now()
    with context.store.write() as connection:
        request = requests.lock(connection, str(claim.key))
        if request is None or not request.is_open:
            return
        problem = Problem("", "", "", "The bot failed at this request, and tries again.", "", None, reference)
        event = Event("fault", BOT, request.id, {"reference": reference})
        requests.save(connection, request, replace(request, problem=problem), now, event)


def _end(context: Context, request: Request, state: State) -> None:
    now = context.now()
    with context.store.write() as connection:
        save_and_notify(
            connection, request, request.with_state(state, at=now), now, Event(state.value, BOT, request.id)
        )


def _settle(context: Context, request: Request, claim: Claim) -> Result:
    if request.state is State.SENDING and request.attempt is not None:
        request = _is_unknown(context, request, request.attempt)
    try:
        group = _look(context, request)
    except (HuaweiError, VaultError, IdentitySuspended) as fault:
        return _not_seen(context, request, claim, fault)
    now = context.now()
    new = outcome.settle(request, group, now)
    if new is None:
        return Finished(now + SETTLE_EVERY)
    detail = {"status": int(group.status), "state": new.state.value}
    event = Event("settled", BOT, request.id, detail)
    with context.store.write() as connection:
        save_and_notify(
            connection, request, new, now, event, attempt=AttemptChange(AttemptState.UNKNOWN, AttemptState.SETTLED)
        )
    return Rescheduled()


def _is_unknown(context: Context, request: Request, attempt: Attempt) -> Request:
    """An attempt found `sending` was somebody's who died: whether the PUT left is not known, and none is sent."""
    now = context.now()
    problem = Problem("", "", "", "The bot was stopped while it called OMS, so the answer is not known.", "")
    found = replace(request, attempt=replace(attempt, unanswered_at=now))
    unknown = found.with_state(State.UNKNOWN, at=now, problem=problem)
    event = Event("found sending", BOT, request.id)
    with context.store.write() as connection:
        return save_and_notify(
            connection, request, unknown, now, event, attempt=AttemptChange(AttemptState.SENDING, AttemptState.UNKNOWN)
        )


def _follow(context: Context, request: Request, claim: Claim) -> Result:
    try:
        group = _look(context, request)
    except (HuaweiError, VaultError, IdentitySuspended) as fault:
        return _not_seen(context, request, claim, fault)
    now = context.now()
    new = outcome.follow(request, group, now)
    if not _is_worth_showing(request, new):
        return Finished(due_at(new))
    with context.store.write() as connection:
        events = []
        if new.state is not request.state:
            events.append(Event(new.state.value, BOT, request.id, {"status": int(group.status)}))
        save_and_notify(connection, request, new, now, *events)
    return Rescheduled()


def _look(context: Context, request: Request) -> TaskGroup:
    plan, group_id = request.plan, request.group.group_id
    return context.callers.call(plan.project, lambda oms: oms.show(group_id), plan.project_id)


def _is_worth_showing(old: Request, new: Request) -> bool:
    if old.last_seen is None or new.last_seen is None or old.problem != new.problem:
        return True
    same = (old.state, old.last_seen.progress, old.group.status) == (
        new.state,
        new.last_seen.progress,
        new.group.status,
    )
    return not same or new.last_seen.at - old.last_seen.at >= SHOW_AGAIN_AFTER


def _not_seen(
    context: Context, request: Request, claim: Claim, fault: HuaweiError | VaultError | IdentitySuspended
) -> Result:
    """The group could not be looked at: tried again, and said on the card when it lasts."""
    now = context.now()
    if claim.tries >= SILENT_FAILURES and _is_not_there(fault):
        with context.store.write() as connection:
            event = Event(State.FAILED.value, BOT, request.id, {"why": "the group is not there any more"})
            save_and_notify(connection, request, outcome.gone(request, now), now, event)
        return Rescheduled()
    if claim.tries == SILENT_FAILURES:
        seen = explain(fault, request.plan, RetryHint.NOTHING, "")
        problem = replace(seen, meaning=f"The bot cannot see how the group gets on. {seen.meaning}")
        if request.state is State.UNKNOWN and request.problem is not None:
            # What was said of the call itself stays: it is what people will look for.
            called = request.problem
            problem = replace(called, meaning=f"{called.meaning} {problem.meaning}", next_step=seen.next_step)
        with context.store.write() as connection:
            event = Event("not seen", BOT, request.id, {"code": problem.code, "why": problem.meaning})
            requests.save(connection, request, replace(request, problem=problem), now, event)
    return Failed(now + max(backoff(claim.tries), SETTLE_EVERY))


def _is_not_there(fault: Exception) -> bool:
    """Not for a gateway that does not know the address: that says nothing of the group."""
    answer = fault.answer if isinstance(fault, Rejected) else None
    return answer is not None and answer.code in NOT_FOUND
