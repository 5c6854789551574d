"""From an approved request to the PUT: looks once more, has the keys read, sends once, drops them.

The attempt turns `ready → sending` by compare-and-set before the PUT. Whoever finds it `sending` never sends.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.request import Attempt, AttemptState, Problem, Request, State, Verb
from bot.domain.schedule import Step, next_step
from bot.domain.task_group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.huawei.errors import HuaweiError, NotSent, Throttled, TooLate, Unanswered
from bot.huawei.oms import Accepted, Oms
from bot.jobs.context import Context, save_and_notify
from bot.jobs.current_settings import current_plan
from bot.jobs.identity.callers import ReadyCall
from bot.jobs.identity.guard import IdentitySuspended
from bot.jobs.problems import NOTHING_STARTED, RetryHint, explain
from bot.jobs.send.keys import CallBody, KeysUnfit, read_body, record_closed
from bot.jobs.send.put_outcome import Reply, audit_detail, outcome_before_put, outcome_of_late_reply, outcome_of_reply
from bot.redaction import scrub
from bot.store import requests
from bot.store.audit import BOT, Event, Fact, append
from bot.store.requests import AttemptChange
from bot.ui.formatting import status_name
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)

LOOK_AGAIN_AFTER = timedelta(seconds=10)
# Less than any lease has left when it is written that the call is sent: nobody has taken it over until then.
SEND_WITHIN = timedelta(seconds=10)
FITTING_STATUSES = {Verb.RESUME: frozenset({GroupStatus.PAUSED}), Verb.RETRY: FAILED_STATUSES}


def send_request(context: Context, request: Request) -> None:
    """Releases the keys of an approved request whose time has come, and sends the PUT.

    The caller has claimed the row; what it was when it was read is compared before anything is sent.

    Raises:
        requests.Stale: somebody else was quicker.
    """
    if next_step(request, context.now()) is not Step.SEND or request.attempt is None:
        return
    plan = request.plan
    if current_plan(context, request) != plan:
        _turn(context, request, request.with_state(State.VOID, at=context.now()), Event("void", BOT, request.id))
        return
    try:
        group = context.callers.call(plan.project, lambda oms: oms.show(request.group.group_id), plan.project_id)
        if group.status not in FITTING_STATUSES[request.verb] or not group.is_same_migration(request.group):
            _no_longer_fits(context, request, group)
            return
        sending, reply = _send(context, request, request.attempt, group, read_body(context, request))
    except (Throttled, NotSent, Unanswered) as fault:
        _not_now(context, request, request.attempt, fault)
    except (VaultError, IdentitySuspended, HuaweiError) as fault:
        _not_started(context, request, explain(fault, plan, RetryHint.RETRY))
    except KeysUnfit as unfit:
        _not_started(context, request, unfit.problem)
    else:
        _answered(context, sending, reply)


def _send(
    context: Context, request: Request, attempt: Attempt, group: TaskGroup, body: CallBody
) -> tuple[Request, Reply]:
    """The request as it was sent, and what OMS said.

    Raises:
        requests.Stale: nothing was sent, somebody else was quicker.
        VaultFault, IdentitySuspended, OmsError: nothing was sent, there is no identity to send it with.
    """
    plan = request.plan
    with ExitStack() as not_sent:
        # Otherwise the row "sending" tells how the login ended.
        not_sent.callback(record_closed, context, request, body)
        # What may take long comes before the row says "sending": others take that for sent.
        with context.callers.turn(plan.project, plan.project_id) as turn:
            now = context.now()
            if next_step(request, now) is not Step.SEND:
                raise requests.Stale(request.id)
            sent = replace(attempt, sent_at=now, before=group.progress)
            sending = replace(request, group=group, attempt=sent, last_seen=None).with_state(State.SENDING, at=now)
            detail: dict[str, Fact] = {"verb": request.verb.value, "number": attempt.number, **body.closed}
            if request.scope is not None:
                detail["scope"] = request.scope.value
            event = Event("sending", BOT, request.id, detail)
            with context.store.write() as connection:
                sending = requests.save(
                    connection,
                    request,
                    sending,
                    now,
                    event,
                    attempt=AttemptChange(AttemptState.READY, AttemptState.SENDING),
                )
            not_sent.pop_all()
            return sending, _put(context, turn, sending, body, now)


def _put(context: Context, turn: ReadyCall, request: Request, body: CallBody, sent_at: datetime) -> Reply:
    """The one PUT of an attempt. What it gives back holds nothing of a key, whatever went wrong."""
    group_id, content = request.group.group_id, body.content.reveal().encode()

    def put(oms: Oms) -> Accepted:
        if context.now() - sent_at > SEND_WITHIN:
            raise TooLate("the bot was held up")
        return oms.retry(group_id, content) if request.verb is Verb.RETRY else oms.start(group_id, content)

    try:
        return turn.send(put)
    except HuaweiError as error:
        # What led to it holds the request, and with it the keys.
        error.__context__ = None
        return error.with_traceback(None)
    except Exception as error:  # noqa: BLE001
        # Whatever it was, it may have come after the bytes left. The traceback could lead to the keys: not logged.
        reference = f"F-{secrets.token_hex(4).upper()}"
        log.error("fault %s in the PUT: %s: %s", reference, type(error).__name__, scrub(str(error), body.keys))
        return Unanswered(f"the bot failed, reference {reference}")


def _answered(context: Context, sending: Request, reply: Reply) -> None:
    """Writes down what OMS said.

    It may come so late that others have taken the attempt for one of the dead, and asked the group instead.
    """
    now = context.now()
    with context.store.write() as connection:
        current, attempt = requests.lock(connection, sending.id), sending.attempt
        if current is None or attempt is None:
            return
        if current.version == sending.version:
            outcome = outcome_of_reply(sending, attempt, reply, now)
            event = Event(outcome.event, BOT, sending.id, audit_detail(attempt, reply))
            over = AttemptChange(AttemptState.SENDING, outcome.attempt_state)
            save_and_notify(connection, sending, outcome.request, now, event, attempt=over)
            return
        late = outcome_of_late_reply(current, attempt, reply, now)
        detail = {**audit_detail(attempt, reply), "late": True}
        before = requests.attempt_state(connection, sending.id, attempt.number)
        if late is None or before is None:
            append(connection, Event("answered too late", BOT, sending.id, detail), now)
            return
        event = Event(late.event, BOT, sending.id, detail)
        save_and_notify(
            connection, current, late.request, now, event, attempt=AttemptChange(before, late.attempt_state)
        )


def _no_longer_fits(context: Context, request: Request, group: TaskGroup) -> None:
    """The group stands otherwise than when it was asked: what was approved is not sent."""
    now, attempt = context.now(), request.attempt
    if attempt is None:
        return
    event = Event("stands otherwise", BOT, request.id, {"status": int(group.status)})
    seen = replace(request, group=group)
    match group.status:
        case GroupStatus.PAUSING if request.verb is Verb.RESUME:
            later = replace(seen, attempt=replace(attempt, not_before=now + LOOK_AGAIN_AFTER))
            _turn(context, request, later, event)
        case status if status in RUNNING_STATUSES:
            # Somebody else was quicker: nothing is left to send, and it is still worth following.
            began = replace(
                seen, attempt=replace(attempt, answered_at=now, before=group.progress), started_elsewhere=True
            )
            _turn(context, request, began.with_state(State.ACCEPTED, at=now), event)
        case GroupStatus.COMPLETED:
            _turn(context, request, replace(seen, started_elsewhere=True).with_state(State.DONE, at=now), event)
        case status if status in FITTING_STATUSES[request.verb]:
            meaning = "The group no longer moves what was approved, from and to where, in the same way."
            problem = Problem("OMS", "", "", f"{meaning} {NOTHING_STARTED}", "Press Ask again.")
            _turn(context, request, seen.with_state(State.VOID, at=now, problem=problem), event)
        case _:
            meaning = f"The group is {status_name(group.status)} by now, which is not what was approved."
            problem = Problem("OMS", "", "", f"{meaning} {NOTHING_STARTED}", "Press Ask again.")
            _turn(context, request, seen.with_state(State.VOID, at=now, problem=problem), event)


def _not_now(context: Context, request: Request, attempt: Attempt, fault: Throttled | NotSent | Unanswered) -> None:
    now = context.now()
    outcome = outcome_before_put(request, attempt, fault, now)
    event = Event(outcome.event, BOT, request.id, audit_detail(attempt, fault))
    turn = AttemptChange(AttemptState.READY, outcome.attempt_state)
    with context.store.write() as connection:
        save_and_notify(connection, request, outcome.request, now, event, attempt=turn)


def _not_started(context: Context, request: Request, problem: Problem) -> None:
    now = context.now()
    codes = {"code": problem.code, "why": problem.meaning, "huawei_request_id": problem.huawei_request_id or ""}
    outcome = request.with_state(State.NOT_STARTED, at=now, problem=problem)
    _turn(context, request, outcome, Event("not started", BOT, request.id, codes))


def _turn(context: Context, old: Request, new: Request, event: Event) -> None:
    """Nothing is sent; the attempt is over, unless it only waits."""
    over = None if new.state is State.APPROVED else AttemptChange(AttemptState.READY, AttemptState.SETTLED)
    with context.store.write() as connection:
        save_and_notify(connection, old, new, context.now(), event, attempt=over)
