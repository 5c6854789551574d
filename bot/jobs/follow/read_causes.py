"""Reads from OMS why sub-tasks of a group failed, and stores the causes in the request. The card shows them.

`bot.domain.schedule` computes when this is due. `follow` reads the group itself.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.audit_events import AuditEvent
from bot.domain.failure_causes import FailureCauses, SubTask, SubTaskStatus, causes_by_code
from bot.domain.request import Plan, Request
from bot.domain.schedule import REPORT_WAITS, SETTLE_EVERY
from bot.domain.task_group import TaskGroup
from bot.huawei.error_catalogue import Side
from bot.huawei.errors import HuaweiError
from bot.jobs.context import Context
from bot.jobs.problems import RetryHint, explain, explain_reason, may_pass
from bot.jobs.worker import Failed, Rescheduled, Result, backoff
from bot.store import outbox, requests
from bot.store.audit import BOT, Detail, Event
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui import problem_texts
from bot.ui.failure_causes import causes_line
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)

#: After a group has ended, the bot retries for this long to read the causes while OMS has a temporary failure.
TRY_FOR = timedelta(hours=1)


def read_causes(context: Context, request: Request, claim: Claim) -> Result:
    """Lists the failed sub-tasks of the group, counts them by cause, and stores the result.

    Raises:
        requests.Stale: another worker changed the request first.
    """
    now = context.now()
    try:
        causes = list_causes(context, request.plan, request.group)
    except (HuaweiError, VaultError) as error:
        if may_pass(error) and request.ended_at is None:
            # Stores the time of the failed try, so that the next one comes after `READ_EVERY`.
            return _save(context, request, replace(request.failure_causes or FailureCauses(now, 0), read_at=now))
        if may_pass(error) and request.ended_at is not None and now < request.ended_at + TRY_FOR:
            return Failed(now + max(backoff(claim.tries), SETTLE_EVERY))
        causes = causes_not_listed(context, request.plan, request.group, error)
    return _save(context, request, causes)


def list_causes(context: Context, plan: Plan, group: TaskGroup) -> FailureCauses:
    """Lists the failed sub-tasks of a group, and counts them by cause.

    Raises:
        HuaweiError, VaultError: OMS did not list them.
    """
    listed = context.identity.call(
        plan.project, lambda oms: list(oms.tasks(group.group_id, SubTaskStatus.FAILED)), plan.project_id
    )
    failed = [one for one in listed if isinstance(one, SubTask) and one.status is SubTaskStatus.FAILED]
    return causes_by_code(
        failed,
        lambda reason: explain_reason(reason, plan, RetryHint.NOTHING),
        group.sub_tasks.failed,
        context.now(),
    )


def causes_not_listed(context: Context, plan: Plan, group: TaskGroup, error: HuaweiError | VaultError) -> FailureCauses:
    """What is known of the failed sub-tasks of a group if OMS did not list them: why it did not."""
    problem = explain(error, plan, RetryHint.NOTHING, "")
    if problem.side != Side.PERMISSIONS:
        problem = replace(problem, meaning=f"{problem_texts.CAUSES_NOT_READ} {problem.meaning}")
    else:
        next_step = problem_texts.grant_listing_tasks(f"{plan.vault_mount}/{plan.caller_path}")
        problem = replace(problem, meaning=problem_texts.MAY_NOT_LIST_TASKS, next_step=next_step)
    log.warning("the failed sub-tasks of group %s aren't known: %s", group.group_id, problem.meaning)
    return FailureCauses(context.now(), group.sub_tasks.failed, not_read=problem)


def _save(context: Context, request: Request, causes: FailureCauses) -> Result:
    now = context.now()
    explained = replace(request, failure_causes=causes)
    with context.store.write() as connection:
        saved = requests.save(connection, request, explained, now, *_events(request, causes))
        if _has_new_codes(request, causes) and not _is_report_due_later(request, now):
            outbox.add_notice(connection, Notice(Delivery.THREAD, "", causes_line(saved), saved.id), now)
    return Rescheduled()


def _is_report_due_later(request: Request, now: datetime) -> bool:
    """Whether the report on the request will have the causes, because it is sent after they are stored."""
    return request.ended_at is not None and now < request.ended_at + REPORT_WAITS / 2


def _events(request: Request, causes: FailureCauses) -> list[Event]:
    before = request.failure_causes
    if causes.not_read is None and before is not None and before.causes == causes.causes:
        return []
    detail: Detail = {
        "codes": [f"{cause.problem.code or 'none'}: {cause.sub_tasks}" for cause in causes.causes],
        "why": causes.not_read.meaning if causes.not_read is not None else None,
    }
    return [Event(AuditEvent.CAUSES_READ, BOT, request.id, detail)]


def _has_new_codes(request: Request, causes: FailureCauses) -> bool:
    """Whether the causes have a code that the thread has not shown yet, so that it gets a line."""
    shown = request.failure_causes.codes if request.failure_causes is not None else frozenset()
    if request.problem is not None and request.ended_at is not None:
        shown |= {request.problem.code}
    return not causes.codes <= shown
