"""From an approved request to the PUT: looks once more, has the keys read, sends once, drops them.

The attempt turns `ready → sending` by compare-and-set before the PUT. Whoever finds it `sending` never sends.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

from bot.oms.client import Accepted, Oms
from bot.oms.errors import NotSent, OmsError, Throttled, TooLate, Unanswered
from bot.redaction import scrub
from bot.request.group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.request.model import Attempt, AttemptState, Request, State, Trouble, Verb
from bot.request.next_step import Step, next_step
from bot.slack.words import status_name
from bot.store import requests
from bot.store.audit import BOT, Event, Fact, append
from bot.store.requests import AttemptTurn
from bot.vault_faults import VaultFault
from bot.work.answered import Reply, detail_of, late_by, not_now, turned_by
from bot.work.caller import KeyRests, Turn
from bot.work.keys import CallBody, KeysUnfit, read_body, tell_closed
from bot.work.settings import plan_now
from bot.work.tools import Tools, save_turn
from bot.work.trouble import NOTHING_STARTED, Then, trouble_of

log = logging.getLogger(__name__)

LOOK_AGAIN_AFTER = timedelta(seconds=10)
# Less than any lease has left when it is written that the call is sent: nobody has taken it over until then.
SEND_WITHIN = timedelta(seconds=10)
FITTING_STATUSES = {Verb.RESUME: frozenset({GroupStatus.PAUSED}), Verb.RETRY: FAILED_STATUSES}


def advance(tools: Tools, request: Request) -> None:
    """Releases the keys of an approved request whose time has come, and sends the PUT.

    The caller has claimed the row; what it was when it was read is compared before anything is sent.

    Raises:
        requests.Stale: somebody else was quicker.
    """
    if next_step(request, tools.now()) is not Step.RELEASE or request.attempt is None:
        return
    plan = request.plan
    if plan_now(tools, request) != plan:
        _turn(tools, request, request.turned(State.VOID, at=tools.now()), Event("void", BOT, request.id))
        return
    try:
        group = tools.callers.call(plan.project, lambda oms: oms.show(request.group.group_id), plan.project_id)
        if group.status not in FITTING_STATUSES[request.verb] or not group.is_the_same_work(request.group):
            _no_longer_fits(tools, request, group)
            return
        sending, reply = _send(tools, request, request.attempt, group, read_body(tools, request))
    except (Throttled, NotSent, Unanswered) as fault:
        _not_now(tools, request, request.attempt, fault)
    except (VaultFault, KeyRests, OmsError) as fault:
        _not_started(tools, request, trouble_of(fault, plan, Then.RETRY))
    except KeysUnfit as unfit:
        _not_started(tools, request, unfit.trouble)
    else:
        _answered(tools, sending, reply)


def _send(tools: Tools, request: Request, attempt: Attempt, group: TaskGroup, body: CallBody) -> tuple[Request, Reply]:
    """The request as it was sent, and what OMS said.

    Raises:
        requests.Stale: nothing was sent, somebody else was quicker.
        VaultFault, KeyRests, OmsError: nothing was sent, there is no identity to send it with.
    """
    plan = request.plan
    with ExitStack() as not_sent:
        # Otherwise the row "sending" tells how the login ended.
        not_sent.callback(tell_closed, tools, request, body)
        # What may take long comes before the row says "sending": others take that for sent.
        with tools.callers.turn(plan.project, plan.project_id) as turn:
            now = tools.now()
            if next_step(request, now) is not Step.RELEASE:
                raise requests.Stale(request.id)
            sent = replace(attempt, sent_at=now, before=group.progress)
            sending = replace(request, group=group, attempt=sent, sight=None).turned(State.SENDING, at=now)
            detail: dict[str, Fact] = {"verb": request.verb.value, "number": attempt.number, **body.closed}
            if request.scope is not None:
                detail["scope"] = request.scope.value
            event = Event("sending", BOT, request.id, detail)
            with tools.store.write() as connection:
                sending = requests.save(
                    connection,
                    request,
                    sending,
                    now,
                    event,
                    attempt=AttemptTurn(AttemptState.READY, AttemptState.SENDING),
                )
            not_sent.pop_all()
            return sending, _put(tools, turn, sending, body, now)


def _put(tools: Tools, turn: Turn, request: Request, body: CallBody, sent_at: datetime) -> Reply:
    """The one PUT of an attempt. What it gives back holds nothing of a key, whatever went wrong."""
    group_id, content = request.group.group_id, body.content.reveal().encode()

    def put(oms: Oms) -> Accepted:
        if tools.now() - sent_at > SEND_WITHIN:
            raise TooLate("the bot was held up")
        return oms.retry(group_id, content) if request.verb is Verb.RETRY else oms.start(group_id, content)

    try:
        return turn.send(put)
    except OmsError as error:
        # What led to it holds the request, and with it the keys.
        error.__context__ = None
        return error.with_traceback(None)
    except Exception as error:  # noqa: BLE001
        # Whatever it was, it may have come after the bytes left. The traceback could lead to the keys: not logged.
        reference = f"F-{secrets.token_hex(4).upper()}"
        log.error("fault %s in the PUT: %s: %s", reference, type(error).__name__, scrub(str(error), body.keys))
        return Unanswered(f"the bot failed, reference {reference}")


def _answered(tools: Tools, sending: Request, reply: Reply) -> None:
    """Writes down what OMS said.

    It may come so late that others have taken the attempt for one of the dead, and asked the group instead.
    """
    now = tools.now()
    with tools.store.write() as connection:
        current, attempt = requests.lock(connection, sending.id), sending.attempt
        if current is None or attempt is None:
            return
        if current.version == sending.version:
            turned = turned_by(sending, attempt, reply, now)
            event = Event(turned.event, BOT, sending.id, detail_of(attempt, reply))
            over = AttemptTurn(AttemptState.SENDING, turned.attempt_state)
            save_turn(connection, sending, turned.request, now, event, attempt=over)
            return
        late = late_by(current, attempt, reply, now)
        detail = {**detail_of(attempt, reply), "late": True}
        before = requests.attempt_state(connection, sending.id, attempt.number)
        if late is None or before is None:
            append(connection, Event("answered too late", BOT, sending.id, detail), now)
            return
        event = Event(late.event, BOT, sending.id, detail)
        save_turn(connection, current, late.request, now, event, attempt=AttemptTurn(before, late.attempt_state))


def _no_longer_fits(tools: Tools, request: Request, group: TaskGroup) -> None:
    """The group stands otherwise than when it was asked: what was approved is not sent."""
    now, attempt = tools.now(), request.attempt
    if attempt is None:
        return
    event = Event("stands otherwise", BOT, request.id, {"status": int(group.status)})
    seen = replace(request, group=group)
    match group.status:
        case GroupStatus.PAUSING if request.verb is Verb.RESUME:
            later = replace(seen, attempt=replace(attempt, not_before=now + LOOK_AGAIN_AFTER))
            _turn(tools, request, later, event)
        case status if status in RUNNING_STATUSES:
            # Somebody else was quicker: nothing is left to send, and it is still worth following.
            began = replace(seen, attempt=replace(attempt, answered_at=now, before=group.progress), is_elsewhere=True)
            _turn(tools, request, began.turned(State.ACCEPTED, at=now), event)
        case GroupStatus.COMPLETED:
            _turn(tools, request, replace(seen, is_elsewhere=True).turned(State.DONE, at=now), event)
        case status if status in FITTING_STATUSES[request.verb]:
            meaning = "The group no longer moves what was approved, from and to where, in the same way."
            trouble = Trouble("OMS", "", "", f"{meaning} {NOTHING_STARTED}", "Press Ask again.")
            _turn(tools, request, seen.turned(State.VOID, at=now, trouble=trouble), event)
        case _:
            meaning = f"The group is {status_name(group.status)} by now, which is not what was approved."
            trouble = Trouble("OMS", "", "", f"{meaning} {NOTHING_STARTED}", "Press Ask again.")
            _turn(tools, request, seen.turned(State.VOID, at=now, trouble=trouble), event)


def _not_now(tools: Tools, request: Request, attempt: Attempt, fault: Throttled | NotSent | Unanswered) -> None:
    now = tools.now()
    turned = not_now(request, attempt, fault, now)
    event = Event(turned.event, BOT, request.id, detail_of(attempt, fault))
    turn = AttemptTurn(AttemptState.READY, turned.attempt_state)
    with tools.store.write() as connection:
        save_turn(connection, request, turned.request, now, event, attempt=turn)


def _not_started(tools: Tools, request: Request, trouble: Trouble) -> None:
    now = tools.now()
    codes = {"code": trouble.code, "why": trouble.meaning, "huawei_request_id": trouble.huawei_request_id or ""}
    turned = request.turned(State.NOT_STARTED, at=now, trouble=trouble)
    _turn(tools, request, turned, Event("not started", BOT, request.id, codes))


def _turn(tools: Tools, old: Request, new: Request, event: Event) -> None:
    """Nothing is sent; the attempt is over, unless it only waits."""
    over = None if new.state is State.APPROVED else AttemptTurn(AttemptState.READY, AttemptState.SETTLED)
    with tools.store.write() as connection:
        save_turn(connection, old, new, tools.now(), event, attempt=over)
