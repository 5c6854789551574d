"""The causes for which sub-tasks of a task group failed, counted by error code.

Pure. `bot.huawei.oms` lists the sub-tasks. `bot.jobs.follow.read_causes` explains the codes and stores the result.
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
#: How many causes are stored. OMS documents about 40 codes.
MAX_CAUSES = 20


class SubTaskStatus(IntEnum):
    """The `status` of a sub-task, with the numbers of the OMS API (ListTasks). Task groups have other numbers."""

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
    #: OMS is retrying it.
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
    """Sub-tasks that failed for the same reason. OMS gives a reason for each sub-task, but none for its objects."""

    sub_tasks: int  # how many sub-tasks failed for it
    problem: Problem  # the code, what it means, and the next step


@dataclass(frozen=True)
class FailureCauses:
    """Why sub-tasks of a group failed, as OMS listed them at one time."""

    read_at: datetime
    failed_sub_tasks: int  # the number that OMS gave for the group at that time
    causes: tuple[FailureCause, ...] = ()  # the most frequent one first
    listed_sub_tasks: int = 0  # how many failed sub-tasks OMS listed, including those whose cause is not stored
    not_read: Problem | None = None  # why the sub-tasks could not be listed; None if they were

    @property
    def all_failed(self) -> int:
        """How many sub-tasks failed."""
        # The group and the list of its sub-tasks are read at different times, so their numbers can differ.
        return max(self.failed_sub_tasks, self.listed_sub_tasks)

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(cause.problem.code for cause in self.causes)


def causes_by_code(
    failed: Iterable[SubTask],
    explain: Callable[[ErrorReason | None], Problem],
    failed_sub_tasks: int,
    now: datetime,
) -> FailureCauses:
    """Counts failed sub-tasks by their error code. Each cause has the message of its first sub-task.

    Arguments:
        explain: returns the meaning and the next step of a reason.
        failed_sub_tasks: see `FailureCauses.failed_sub_tasks`.
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
