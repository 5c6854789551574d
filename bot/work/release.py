"""From an approved request to the PUT: looks once more, has the keys read, sends once, drops them.

The attempt turns `ready → sending` by compare-and-set before the PUT. Whoever finds it `sending` never sends.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.oms.catalogue import ALREADY_RUNNING, WRONG_STATE, is_token_over
from bot.oms.client import Accepted, Oms
from bot.oms.errors import Answer, NotSent, OmsError, Refused, Throttled, Unanswered
from bot.redaction import Secret, scrub
from bot.request.group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.request.model import Attempt, Request, State, Trouble, Verb
from bot.request.next_step import Step, next_step
from bot.slack.words import status_name
from bot.store import requests
from bot.store.audit import BOT, Event
from bot.vault_faults import VaultFault
from bot.work import outcome
from bot.work.caller import KeyRests
from bot.work.keys import CallBody, KeysUnfit, read_body
from bot.work.settings import plan_now
from bot.work.tools import Tools, save_turn
from bot.work.trouble import NOTHING_STARTED, Then, trouble_of

log = logging.getLogger(__name__)

MAX_TRIES = 3
TRY_AGAIN_AFTER = timedelta(seconds=5)
LOOK_AGAIN_AFTER = timedelta(seconds=10)
LOOKING = "Nothing for now: the bot looks at the group until it knows, for a minute or so."
FITTING_STATUSES = {Verb.RESUME: frozenset({GroupStatus.PAUSED}), Verb.RETRY: FAILED_STATUSES}


def advance(tools: Tools, request: Request) -> None:
    """Releases the keys of an approved request whose time has come, and sends the PUT.

    The caller has claimed the row; what it was when it was read is compared before anything is sent.

    Raises:
        requests.Stale: somebody else was quicker.
    """
    if next_step(request, tools.now()) is not Step.RELEASE or request.attempt is None:
        return
    if plan_now(tools, request) != request.plan:
        _turn(tools, request, request.turned(State.VOID, at=tools.now()), Event("void", BOT, request.id))
        return
    try:
        group = tools.callers.call(request.plan.project, lambda oms: oms.show(request.group.group_id))
        if group.status not in FITTING_STATUSES[request.verb]:
            _no_longer_fits(tools, request, group)
            return
        body = read_body(tools, request)
    except (VaultFault, KeyRests, OmsError) as fault:
        _not_started(tools, request, trouble_of(fault, request.plan, Then.RETRY))
        return
    except KeysUnfit as unfit:
        _not_started(tools, request, unfit.trouble)
        return
    _send(tools, request, request.attempt, group, body)


def _send(tools: Tools, request: Request, attempt: Attempt, group: TaskGroup, body: CallBody) -> None:
    now = tools.now()
    sending = replace(
        request, group=group, attempt=replace(attempt, sent_at=now, before=group.progress), sight=None
    ).turned(State.SENDING, at=now)
    with tools.store.write() as connection:
        if not requests.turn_attempt(connection, request.id, attempt.number, "ready", "sending", now):
            return
        detail = {"verb": request.verb.value, "number": attempt.number, **body.versions}
        if request.scope is not None:
            detail["scope"] = request.scope.value
        sending = requests.save(connection, request, sending, now, Event("sending", BOT, request.id, detail))
    answer = _put(tools, sending, body)
    now = tools.now()
    match answer:
        case Accepted(huawei_request_id):
            _answered(tools, sending, outcome.accepted(sending, huawei_request_id, now), now, "accepted", None)
        case Throttled() | NotSent() if attempt.tries + 1 < MAX_TRIES:
            _back_to_ready(tools, sending, answer, now)
        case Refused() if is_token_over(answer.answer.code) and attempt.tries + 1 < MAX_TRIES:
            _back_to_ready(tools, sending, answer, now)
        case Refused() if answer.answer.code in ALREADY_RUNNING | WRONG_STATE:
            # Somebody else was quicker, or it is something else: the group itself tells.
            trouble = replace(trouble_of(answer, request.plan, Then.NOTHING, ""), next_step=LOOKING)
            looking = replace(sending, is_elsewhere=True).turned(State.UNKNOWN, at=now, trouble=trouble)
            _answered(tools, sending, looking, now, "refused by OMS", answer)
        case Unanswered():
            trouble = replace(trouble_of(answer, request.plan, Then.NOTHING, ""), next_step=LOOKING)
            _answered(tools, sending, sending.turned(State.UNKNOWN, at=now, trouble=trouble), now, "unanswered", answer)
        case KeyRests() | VaultFault() | OmsError():
            trouble = trouble_of(answer, request.plan, Then.RETRY)
            turned = sending.turned(State.NOT_STARTED, at=now, trouble=trouble)
            _answered(tools, sending, turned, now, "not started", answer)


def _put(tools: Tools, request: Request, body: CallBody) -> Accepted | OmsError | KeyRests | VaultFault:
    """The one PUT of an attempt. What it gives back holds nothing of a key, whatever went wrong."""
    group_id, content = request.group.group_id, body.content.reveal().encode()

    def put(oms: Oms) -> Accepted:
        return oms.retry(group_id, content) if request.verb is Verb.RETRY else oms.start(group_id, content)

    try:
        return tools.callers.send(request.plan.project, put)
    except Refused as refused:
        return Refused(_stripped(refused.answer, body.keys), refused.service)
    except Unanswered as unanswered:
        answer = _stripped(unanswered.answer, body.keys) if unanswered.answer else None
        return Unanswered(str(unanswered), answer, unanswered.service)
    except (OmsError, KeyRests, VaultFault) as error:
        return error
    except Exception as error:  # noqa: BLE001
        # Whatever it was, it may have come after the bytes left. The traceback could lead to the keys: not logged.
        reference = f"F-{secrets.token_hex(4).upper()}"
        log.error("fault %s in the PUT: %s: %s", reference, type(error).__name__, scrub(str(error), body.keys))
        return Unanswered(f"the bot failed, reference {reference}")


def _stripped(answer: Answer, keys: Sequence[Secret]) -> Answer:
    """OMS may echo what it was sent."""
    return replace(answer, message=scrub(answer.message, keys), detail=scrub(answer.detail, keys))


def _answered(
    tools: Tools, old: Request, new: Request, now: datetime, what: str, error: OmsError | KeyRests | VaultFault | None
) -> None:
    answer = error.answer if isinstance(error, Refused | Unanswered) else None
    attempt = new.attempt
    detail: dict[str, str | int | bool | list[str] | None] = {
        "code": answer.code if answer else type(error).__name__ if error else None,
        "huawei_request_id": answer.huawei_request_id
        if answer
        else (attempt.huawei_request_id if attempt is not None else None),
    }
    with tools.store.write() as connection:
        if attempt is not None:
            state = "unknown" if new.state is State.UNKNOWN else "answered"
            if not requests.turn_attempt(connection, old.id, attempt.number, "sending", state, now):
                raise requests.Stale(old.id)
        save_turn(connection, old, new, now, Event(what, BOT, old.id, detail))


def _back_to_ready(tools: Tools, sending: Request, error: Throttled | NotSent | Refused, now: datetime) -> None:
    attempt = sending.attempt
    if attempt is None:
        return
    wait = timedelta(seconds=error.retry_after_seconds or 0) if isinstance(error, Throttled) else timedelta()
    # A token that was over is renewed on the way to the next try: there is nothing to wait for.
    not_before = now if isinstance(error, Refused) else now + max(wait, TRY_AGAIN_AFTER)
    again = replace(
        sending, attempt=replace(attempt, tries=attempt.tries + 1, not_before=not_before, sent_at=None, before=None)
    ).turned(State.APPROVED, at=now, trouble=trouble_of(error, sending.plan, Then.NOTHING))
    with tools.store.write() as connection:
        if not requests.turn_attempt(connection, sending.id, attempt.number, "sending", "ready", now):
            raise requests.Stale(sending.id)
        event = Event("not sent, tried again", BOT, sending.id, {"number": attempt.number, "why": type(error).__name__})
        save_turn(connection, sending, again, now, event)


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
        case _:
            meaning = f"The group is {status_name(group.status)} by now, which is not what was approved."
            trouble = Trouble("OMS", "", "", f"{meaning} {NOTHING_STARTED}", "Press Ask again.")
            _turn(tools, request, seen.turned(State.VOID, at=now, trouble=trouble), event)


def _not_started(tools: Tools, request: Request, trouble: Trouble) -> None:
    now = tools.now()
    codes = {"code": trouble.code, "why": trouble.meaning, "huawei_request_id": trouble.huawei_request_id or ""}
    event = Event("not started", BOT, request.id, codes)
    with tools.store.write() as connection:
        if request.attempt is not None:
            requests.turn_attempt(connection, request.id, request.attempt.number, "ready", "settled", now)
        save_turn(connection, request, request.turned(State.NOT_STARTED, at=now, trouble=trouble), now, event)


def _turn(tools: Tools, old: Request, new: Request, event: Event) -> None:
    """Nothing is sent; the attempt is over, unless it only waits."""
    now = tools.now()
    with tools.store.write() as connection:
        if old.attempt is not None and new.state is not State.APPROVED:
            requests.turn_attempt(connection, old.id, old.attempt.number, "ready", "settled", now)
        save_turn(connection, old, new, now, event)
