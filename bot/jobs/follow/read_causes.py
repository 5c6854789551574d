"""Reads from OMS why sub-tasks of a group failed, and stores the causes in the request. The card shows them.

`bot.domain.schedule` computes when this is due. `follow` reads the group itself.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from bot.domain.audit_events import AuditEvent
from bot.domain.failure_causes import FailureCauses, SubTask, SubTaskStatus, causes_by_code
from bot.domain.request import Problem, Request
from bot.domain.schedule import SETTLE_EVERY
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
    plan, group_id, now = request.plan, request.group.group_id, context.now()
    try:
        listed = context.identity.call(
            plan.project, lambda oms: list(oms.tasks(group_id, SubTaskStatus.FAILED)), plan.project_id
        )
    except (HuaweiError, VaultError) as error:
        if may_pass(error) and request.ended_at is None:
            # Stores the time of the failed try, so that the next one comes after `READ_EVERY`.
            return _save(context, request, replace(request.failure_causes or FailureCauses(now, 0), read_at=now))
        if may_pass(error) and request.ended_at is not None and now < request.ended_at + TRY_FOR:
            return Failed(now + max(backoff(claim.tries), SETTLE_EVERY))
        problem = _not_read(request, error)
        log.warning("%s: the failed sub-tasks of group %s aren't known: %s", request.id, group_id, problem.meaning)
        return _save(context, request, FailureCauses(now, request.group.sub_tasks.failed, not_read=problem))
    failed = [one for one in listed if isinstance(one, SubTask) and one.status is SubTaskStatus.FAILED]
    causes = causes_by_code(
        failed,
        lambda reason: explain_reason(reason, plan, RetryHint.NOTHING),
        request.group.sub_tasks.failed,
        now,
    )
    return _save(context, request, causes)


def _not_read(request: Request, error: HuaweiError | VaultError) -> Problem:
    problem = explain(error, request.plan, RetryHint.NOTHING, "")
    if problem.side != Side.PERMISSIONS:
        return replace(problem, meaning=f"{problem_texts.CAUSES_NOT_READ} {problem.meaning}")
    caller = f"{request.plan.vault_mount}/{request.plan.caller_path}"
    return replace(
        problem, meaning=problem_texts.MAY_NOT_LIST_TASKS, next_step=problem_texts.grant_listing_tasks(caller)
    )


def _save(context: Context, request: Request, causes: FailureCauses) -> Result:
    now = context.now()
    explained = replace(request, failure_causes=causes)
    with context.store.write() as connection:
        saved = requests.save(connection, request, explained, now, *_events(request, causes))
        if _has_new_codes(request, causes):
            outbox.add_notice(connection, Notice(Delivery.THREAD, "", causes_line(saved), saved.id), now)
    return Rescheduled()


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
