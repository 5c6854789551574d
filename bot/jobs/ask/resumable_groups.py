"""Lists the task groups that can be resumed or retried, in all projects at once and within a time limit.

How they are shown is left to `queries` and `request_form`.
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
# OMS lists the groups of one status or of all (ListTaskGroup). Most groups of a project are complete, possibly
# thousands, so that three short lists take fewer calls than all pages.
STATUSES = (GroupStatus.PAUSED, *sorted(FAILED_STATUSES))
LISTS_AT_ONCE = 8 * len(STATUSES)

_Listing = list[TaskGroup | Unreadable]


@dataclass(frozen=True)
class Listed:
    """The groups of a project that are paused or failed."""

    groups: tuple[TaskGroup, ...]
    unreadable: int  # how many more groups OMS listed that the bot could not read


@dataclass(frozen=True)
class NotListed:
    """The groups of a project could not be listed. Both texts are sentences about the error."""

    why: str
    next_step: str


def resumable_groups(
    context: Context, projects: Sequence[str], answer_seconds: float = ANSWER_SECONDS
) -> Mapping[str, Listed | NotListed]:
    """The paused and failed groups of each project, at most 21 of each status.

    Arguments:
        answer_seconds: a project that has not answered by then is `NotListed`.
    """
    if not projects:
        return {}
    pool = ThreadPoolExecutor(min(len(projects) * len(STATUSES), LISTS_AT_ONCE), "list")
    listings = {
        name: [pool.submit(context.identity.call, name, partial(_first_groups, status)) for status in STATUSES]
        for name in projects
    }
    wait([listing for of_project in listings.values() for listing in of_project], answer_seconds)
    # A call that has not answered yet ends by its own timeout. Nothing waits for it.
    pool.shutdown(wait=False, cancel_futures=True)
    return {name: _collect(context, name, of_project, answer_seconds) for name, of_project in listings.items()}


def _first_groups(status: GroupStatus, oms: Oms) -> _Listing:
    # One more than is shown, which tells that there are more.
    return list(islice(oms.groups(status), MAX_SHOWN + 1))


def _collect(
    context: Context, project: str, listings: Sequence[Future[_Listing]], answer_seconds: float
) -> Listed | NotListed:
    answered = [listing for listing in listings if listing.done() and not listing.cancelled()]
    try:
        found = [group for listing in answered for group in listing.result()]
    except (HuaweiError, VaultError) as error:
        problem = explain(error, context.projects[project].plan(project, "", None), RetryHint.NOTHING, "")
        return NotListed(problem.meaning, problem.next_step)
    if len(answered) < len(listings):
        return NotListed(f"Project {project} did not answer within {answer_seconds:g} s.", "Try again in a minute.")
    groups = tuple(group for group in found if isinstance(group, TaskGroup))
    return Listed(groups, len(found) - len(groups))
