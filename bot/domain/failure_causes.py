"""Why the sub-tasks of a task group failed: the causes by error code, and when the bot asks OMS for them.

Pure. `bot.huawei.oms` lists the sub-tasks, `bot.jobs.follow.read_causes` explains the codes and stores the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from bot.domain.problem import Problem
from bot.domain.task_group import ErrorReason

#: While a group runs, the causes are read at most this often.
READ_EVERY = timedelta(minutes=10)
#: This many causes are kept. OMS documents about 40 codes.
MAX_CAUSES = 20


class SubTaskStatus(IntEnum):
    """The `status` of a sub-task, with the numbers of the OMS API (ListTasks). They differ from those of a group."""

    #: In the queue of OMS.
    WAITING = 1
    #: Running.
    RUNNING = 2
    #: Paused.
    STOPPED = 3
    #: Failed, for the reason in `error`.
    FAILED = 4
    #: Complete.
    SUCCESS = 5
    #: OMS tries it again.
    RETRYING = 6
    #: OMS is pausing it.
    PAUSING = 7


@dataclass(frozen=True)
class SubTask:
    """A sub-task of a task group, as ListTasks returned it."""

    id: int
    status: SubTaskStatus
    error: ErrorReason | None  # None if OMS gives no reason


@dataclass(frozen=True)
class FailureCause:
    """Sub-tasks that failed for the same reason. OMS gives a reason for a sub-task, and none for its objects."""

    sub_tasks: int  # how many
    problem: Problem  # the code, what it means, and the next step


@dataclass(frozen=True)
class FailureCauses:
    """Why sub-tasks of a group failed, as OMS listed them at one time."""

    read_at: datetime
    failed_sub_tasks: int  # as the group counted them then
    causes: tuple[FailureCause, ...] = ()  # the most frequent one first
    listed_sub_tasks: int = 0  # how many failed sub-tasks OMS listed, including those whose cause is not kept
    not_read: Problem | None = None  # why OMS listed no sub-tasks; None if it did

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(cause.problem.code for cause in self.causes)


def group_causes(
    failed: Iterable[SubTask],
    explain: Callable[[ErrorReason | None], Problem],
    failed_sub_tasks: int,
    now: datetime,
) -> FailureCauses:
    """Groups failed sub-tasks by their code. Of each code, the message of the first sub-task is kept.

    Arguments:
        explain: returns the meaning and the next step of a reason.
        failed_sub_tasks: how many sub-tasks the group counts as failed.
    """
    reasons: dict[str, ErrorReason | None] = {}
    counts: Counter[str] = Counter()
    for sub_task in failed:
        code = sub_task.error.code if sub_task.error is not None else ""
        reasons.setdefault(code, sub_task.error)
        counts[code] += 1
    most_frequent = sorted(counts, key=lambda code: (-counts[code], code))[:MAX_CAUSES]
    causes = tuple(FailureCause(counts[code], explain(reasons[code])) for code in most_frequent)
    return FailureCauses(now, failed_sub_tasks, causes, counts.total())
