"""Pauses a running group, as somebody involved wants it: the way back from a wrong start. No keys are needed.

Unlike a start it may be sent twice: who finds the pause not sent looks at the group, and sends it if that still runs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.request import Pause, Request, State
from bot.domain.task_group import RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.huawei.error_catalogue import WRONG_STATE
from bot.huawei.errors import HuaweiError, NotSent, Rejected, Throttled, Unanswered
from bot.huawei.oms import Accepted, Oms
from bot.jobs.context import Context, save_and_notify
from bot.jobs.follow import outcome
from bot.jobs.identity.guard import IdentitySuspended
from bot.jobs.problems import RetryHint, explain
from bot.jobs.worker import Failed, Finished, Rescheduled, Result, backoff
from bot.store.audit import BOT, Detail, Event
from bot.store.queue import Claim
from bot.vault.errors import VaultError

MAX_TRIES = 3
LOOK_AGAIN_AFTER = timedelta(seconds=3)
NOTHING_PAUSED = "Nothing was paused."


def send_pause(context: Context, request: Request, claim: Claim) -> Result:
    """Sends one pause, unless the group stands still already.

    Raises:
        requests.Stale: somebody else was quicker.
    """
    if request.pause is None:
        return Finished()
    plan, group_id = request.plan, request.group.group_id
    try:
        group, answer = context.callers.send(plan.project, lambda oms: _pause(oms, group_id), plan.project_id)
    except (Throttled, NotSent, Unanswered) as error:
        if claim.tries + 1 < MAX_TRIES:
            return Failed(context.now() + max(backoff(claim.tries), LOOK_AGAIN_AFTER))
        return _came_to_nothing(context, request, error)
    except Rejected as refused:
        if refused.answer.code in WRONG_STATE and claim.tries + 1 < MAX_TRIES:
            # It turned between the look and the call: the next look tells.
            return Failed(context.now() + LOOK_AGAIN_AFTER)
        return _came_to_nothing(context, request, refused)
    except (VaultError, IdentitySuspended, HuaweiError) as fault:
        return _came_to_nothing(context, request, fault)
    return _sent(context, request, request.pause, group, answer)


def _pause(oms: Oms, group_id: str) -> tuple[TaskGroup, Accepted | None]:
    """The group as it was just before, and OMS's answer; None where there was nothing to send."""
    group = oms.show(group_id)
    return group, oms.stop(group_id) if group.status in RUNNING_STATUSES else None


def _sent(context: Context, request: Request, pause: Pause, group: TaskGroup, answer: Accepted | None) -> Result:
    now = context.now()
    if answer is not None:
        paused = replace(request, group=group, pause=replace(pause, sent_at=now))
    else:
        paused = outcome.follow(request, group, now)
        if paused.state is State.PAUSING and group.status is not GroupStatus.PAUSING:
            # It was only just started, and does not show it yet: there will be something to pause.
            return Finished(now + LOOK_AGAIN_AFTER)
        paused = replace(paused, pause=replace(pause, sent_at=now))
    detail: Detail = {
        "person": pause.person,
        "status": int(group.status),
        "huawei_request_id": answer.huawei_request_id if answer else None,
    }
    with context.store.write() as connection:
        what = "pause accepted" if answer else "nothing to pause"
        save_and_notify(connection, request, paused, now, Event(what, BOT, request.id, detail))
    return Rescheduled()


def _came_to_nothing(context: Context, request: Request, fault: VaultError | HuaweiError | IdentitySuspended) -> Result:
    now = context.now()
    started = "" if isinstance(fault, Unanswered) else NOTHING_PAUSED
    problem = explain(fault, request.plan, RetryHint.PAUSE, started)
    detail: Detail = {"code": problem.code, "why": problem.meaning, "huawei_request_id": problem.huawei_request_id}
    with context.store.write() as connection:
        event = Event("not paused", BOT, request.id, detail)
        save_and_notify(connection, request, outcome.not_paused(request, problem, now), now, event)
    return Rescheduled()
