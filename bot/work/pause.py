"""Pauses a running group, as somebody involved wants it: the way back from a wrong start. No keys are needed.

Unlike a start it may be sent twice: who finds the pause not sent looks at the group, and sends it if that still runs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.oms.catalogue import WRONG_STATE
from bot.oms.client import Accepted, Oms
from bot.oms.errors import NotSent, OmsError, Refused, Throttled, Unanswered
from bot.request.group import RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.request.model import Pause, Request, State
from bot.store.audit import BOT, Detail, Event
from bot.store.claims import Claim
from bot.vault_faults import VaultFault
from bot.work import outcome
from bot.work.caller import KeyRests
from bot.work.loop import Failed, Finished, Kept, Result, backoff
from bot.work.tools import Tools, save_turn
from bot.work.trouble import Then, trouble_of

MAX_TRIES = 3
LOOK_AGAIN_AFTER = timedelta(seconds=3)
NOTHING_PAUSED = "Nothing was paused."


def work(tools: Tools, request: Request, claim: Claim) -> Result:
    """Sends one pause, unless the group stands still already.

    Raises:
        requests.Stale: somebody else was quicker.
    """
    if request.pause is None:
        return Finished()
    plan, group_id = request.plan, request.group.group_id
    try:
        group, answer = tools.callers.send(plan.project, lambda oms: _pause(oms, group_id), plan.project_id)
    except (Throttled, NotSent, Unanswered) as error:
        if claim.tries + 1 < MAX_TRIES:
            return Failed(tools.now() + max(backoff(claim.tries), LOOK_AGAIN_AFTER))
        return _came_to_nothing(tools, request, error)
    except Refused as refused:
        if refused.answer.code in WRONG_STATE and claim.tries + 1 < MAX_TRIES:
            # It turned between the look and the call: the next look tells.
            return Failed(tools.now() + LOOK_AGAIN_AFTER)
        return _came_to_nothing(tools, request, refused)
    except (VaultFault, KeyRests, OmsError) as fault:
        return _came_to_nothing(tools, request, fault)
    return _sent(tools, request, request.pause, group, answer)


def _pause(oms: Oms, group_id: str) -> tuple[TaskGroup, Accepted | None]:
    """The group as it was just before, and OMS's answer; None where there was nothing to send."""
    group = oms.show(group_id)
    return group, oms.stop(group_id) if group.status in RUNNING_STATUSES else None


def _sent(tools: Tools, request: Request, pause: Pause, group: TaskGroup, answer: Accepted | None) -> Result:
    now = tools.now()
    if answer is not None:
        paused = replace(request, group=group, pause=replace(pause, sent_at=now))
    else:
        paused = outcome.followed(request, group, now)
        if paused.state is State.PAUSING and group.status is not GroupStatus.PAUSING:
            # It was only just started, and does not show it yet: there will be something to pause.
            return Finished(now + LOOK_AGAIN_AFTER)
        paused = replace(paused, pause=replace(pause, sent_at=now))
    detail: Detail = {
        "person": pause.person,
        "status": int(group.status),
        "huawei_request_id": answer.huawei_request_id if answer else None,
    }
    with tools.store.write() as connection:
        what = "pause accepted" if answer else "nothing to pause"
        save_turn(connection, request, paused, now, Event(what, BOT, request.id, detail))
    return Kept()


def _came_to_nothing(tools: Tools, request: Request, fault: VaultFault | OmsError | KeyRests) -> Result:
    now = tools.now()
    started = "" if isinstance(fault, Unanswered) else NOTHING_PAUSED
    trouble = trouble_of(fault, request.plan, Then.PAUSE, started)
    detail: Detail = {"code": trouble.code, "why": trouble.meaning, "huawei_request_id": trouble.huawei_request_id}
    with tools.store.write() as connection:
        event = Event("not paused", BOT, request.id, detail)
        save_turn(connection, request, outcome.not_paused(request, trouble, now), now, event)
    return Kept()
