"""Pauses a running group after someone pressed Pause. No source and destination keys are needed.

Unlike the PUT that starts a group, a pause may be sent twice. A worker always reads the group first, and sends the
pause only if the group runs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain import outcome
from bot.domain.audit_events import AuditEvent
from bot.domain.request import Pause, Problem, Request, State
from bot.domain.request_record import Authenticity
from bot.domain.task_group import RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.huawei.error_catalogue import WRONG_STATE
from bot.huawei.errors import HuaweiError, Rejected, Unanswered
from bot.huawei.oms import Accepted, Oms
from bot.jobs.context import Context, report_foreign_row, save_and_notify
from bot.jobs.follow.follow import SILENT_FAILURES, explain_group
from bot.jobs.problems import RetryHint, explain, may_pass
from bot.jobs.record_check import check_record
from bot.jobs.worker import Failed, Finished, Rescheduled, Result, backoff
from bot.store import groups, requests, tables
from bot.store.audit import BOT, Detail, Event
from bot.store.queue import Claim
from bot.ui.problem_texts import NOT_PAUSED_KEY_CHANGED, NOT_PAUSED_TAMPERED, NOTHING_PAUSED
from bot.vault.errors import VaultError

# How often the status of the group may change between the reading and the call.
MAX_CONFLICTS = 3
# How long a pause is retried while Vault or OMS has a temporary failure. Later, nobody expects it to happen anymore.
TRY_FOR = timedelta(minutes=10)
READ_AGAIN_AFTER = timedelta(seconds=3)


def send_pause(context: Context, request: Request, claim: Claim) -> Result:
    """Reads the group, and pauses it if it runs and the audit rows prove that a person pressed Pause for this request.

    Raises:
        requests.Stale: another worker changed the request first.
    """
    if request.pause is None:
        return Finished()
    authenticity = check_record(context, request)
    if authenticity is not Authenticity.AUTHENTIC:
        report_foreign_row(request.id, tables.requests.name, authenticity)
        is_forged = authenticity is Authenticity.FORGED
        return _save_failed(context, request, NOT_PAUSED_TAMPERED if is_forged else NOT_PAUSED_KEY_CHANGED)
    plan, group_id = request.plan, request.group.group_id
    try:
        group, reply = context.identity.send(plan.project, lambda oms: stop_if_running(oms, group_id), plan.project_id)
    except Rejected as rejected:
        if rejected.answer.code in WRONG_STATE and claim.tries + 1 < MAX_CONFLICTS:
            # The status of the group changed between the reading and the call. The next reading shows the new status.
            return Failed(context.now() + READ_AGAIN_AFTER)
        return _save_failed(context, request, _explained(rejected, request))
    except (HuaweiError, VaultError) as error:
        if may_pass(error) and context.now() < request.pause.at + TRY_FOR:
            return _try_again(context, request, claim, error)
        return _save_failed(context, request, _explained(error, request))
    return _save_paused(context, request, request.pause, group, reply)


def _try_again(context: Context, request: Request, claim: Claim, error: HuaweiError | VaultError) -> Result:
    """Tries the pause again later. The card says so once several tries in a row have failed."""
    now = context.now()
    if claim.tries == SILENT_FAILURES:
        problem = explain(error, request.plan, RetryHint.NOTHING, nothing_paused(error))
        with context.store.write() as connection:
            requests.save(connection, request, replace(request, problem=problem), now)
    return Failed(now + max(backoff(claim.tries), READ_AGAIN_AFTER))


def nothing_paused(error: HuaweiError | VaultError) -> str:
    """The sentence that a failed call paused nothing; empty if that is not known."""
    return "" if isinstance(error, Unanswered) else NOTHING_PAUSED


def stop_if_running(oms: Oms, group_id: str) -> tuple[TaskGroup, Accepted | None]:
    """Pauses a group if it runs.

    Returns:
        The group as it was right before the call, and OMS's reply; None if no call was sent.
    """
    group = oms.show(group_id)
    return group, oms.stop(group_id) if group.status in RUNNING_STATUSES else None


def _save_paused(context: Context, request: Request, pause: Pause, group: TaskGroup, reply: Accepted | None) -> Result:
    now = context.now()
    if reply is not None:
        paused = replace(request.with_reading(group), problem=None, pause=replace(pause, sent_at=now))
    else:
        paused = outcome.follow(request, group, explain_group(request), now)
        if paused.state is State.PAUSING and group.status is not GroupStatus.PAUSING:
            # OMS does not show yet that the group was started. The pause is sent once it does.
            return Finished(now + READ_AGAIN_AFTER)
        paused = replace(paused, pause=replace(pause, sent_at=now))
    detail: Detail = {
        "person": pause.person,
        "status": int(group.status),
        "huawei_request_id": reply.huawei_request_id if reply else None,
    }
    event = Event(AuditEvent.PAUSE_ACCEPTED if reply else AuditEvent.PAUSE_NOT_NEEDED, BOT, request.id, detail)
    with context.store.write() as connection:
        if reply is not None:
            groups.set_paused(connection, request.group_key, now)
        save_and_notify(connection, request, paused, now, event)
    return Rescheduled()


def _explained(error: HuaweiError | VaultError, request: Request) -> Problem:
    return explain(error, request.plan, RetryHint.PAUSE, nothing_paused(error))


def _save_failed(context: Context, request: Request, problem: Problem) -> Result:
    now = context.now()
    detail: Detail = {"code": problem.code, "why": problem.meaning, "huawei_request_id": problem.huawei_request_id}
    event = Event(AuditEvent.PAUSE_FAILED, BOT, request.id, detail)
    with context.store.write() as connection:
        save_and_notify(connection, request, outcome.not_paused(request, problem, now), now, event)
    return Rescheduled()
