"""Which groups could be asked for: of every project at once, and no project keeps the others waiting for long.

How they are shown is left to `tell` and `forms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice

from bot.domain.task_group import FAILED_STATUSES, GroupStatus, TaskGroup
from bot.huawei.errors import HuaweiError, Unreadable
from bot.huawei.oms import Oms
from bot.jobs.context import Context
from bot.jobs.problems import RetryHint, explain
from bot.vault.errors import VaultError

MAX_SHOWN = 20
ANSWER_SECONDS = 8.0
# OMS lists one status or all (ListTaskGroup). A project has thousands of groups that are done and a few that are not:
# three short lists cost less than all the pages.
STATUSES = (GroupStatus.PAUSED, *sorted(FAILED_STATUSES))
LISTS_AT_ONCE = 8 * len(STATUSES)

_Groups = list[TaskGroup | Unreadable]


@dataclass(frozen=True)
class Listed:
    """The groups of a project that are paused or failed, and how many more there are that OMS describes oddly."""

    groups: tuple[TaskGroup, ...]
    unreadable: int


@dataclass(frozen=True)
class NotListed:
    """Why the groups of a project cannot be listed just now, and what to do."""

    why: str
    next_step: str


def resumable_groups(
    context: Context, names: Sequence[str], answer_seconds: float = ANSWER_SECONDS
) -> Mapping[str, Listed | NotListed]:
    """What can be asked for in each of these projects: the first of each status.

    Arguments:
        answer_seconds: whoever has not answered by then is left out, and said to be late.
    """
    if not names:
        return {}
    pool = ThreadPoolExecutor(min(len(names) * len(STATUSES), LISTS_AT_ONCE), "list")
    lists = {
        name: [pool.submit(context.identity.call, name, partial(_first_groups, status)) for status in STATUSES]
        for name in names
    }
    wait([one for of_project in lists.values() for one in of_project], answer_seconds)
    # What is under way ends by its own time-out, and nobody waits for that.
    pool.shutdown(wait=False, cancel_futures=True)
    return {name: _read(context, name, of_project, answer_seconds) for name, of_project in lists.items()}


def _first_groups(status: GroupStatus, oms: Oms) -> _Groups:
    return list(islice(oms.groups(status), MAX_SHOWN + 1))


def _read(context: Context, name: str, lists: Sequence[Future[_Groups]], answer_seconds: float) -> Listed | NotListed:
    answered = [one for one in lists if one.done() and not one.cancelled()]
    try:
        found = [group for one in answered for group in one.result()]
    except (HuaweiError, VaultError) as fault:
        problem = explain(fault, context.projects[name].plan(name, "", None), RetryHint.NOTHING, "")
        return NotListed(problem.meaning, problem.next_step)
    if len(answered) < len(lists):
        return NotListed(f"Project {name} did not answer within {answer_seconds:g} s.", "Try again in a minute.")
    groups = tuple(group for group in found if isinstance(group, TaskGroup))
    return Listed(groups, len(found) - len(groups))
