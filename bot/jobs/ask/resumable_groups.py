"""Lists the task groups that can be resumed or retried, in all projects at once and within a time limit.

How they are shown is left to `queries` and `request_form`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice

from bot.domain.request import Problem
from bot.domain.task_group import FAILED_STATUSES, GroupStatus, TaskGroup
from bot.huawei.errors import HuaweiError, Unreadable
from bot.huawei.oms import PAGE_SIZE, Oms
from bot.jobs.ask.read_oms import with_one_retry
from bot.jobs.context import Context
from bot.jobs.problems import RetryHint, explain
from bot.ui.lists import no_answer
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)

# One less than a page of OMS, so that one call of each status also tells whether there are more.
MAX_READ = PAGE_SIZE - 1
ANSWER_SECONDS = 8.0
# OMS lists the groups of one status or of all (ListTaskGroup). Most groups of a project are complete, possibly
# thousands, so that three short lists take fewer calls than all pages.
STATUSES = (GroupStatus.PAUSED, *sorted(FAILED_STATUSES))
LISTS_AT_ONCE = 8 * len(STATUSES)

_Listing = list[TaskGroup | Unreadable]


@dataclass(frozen=True)
class Listed:
    """The groups of a project that are paused or failed.

    Attributes:
        more_failed, more_paused: whether OMS has more of these groups than were read.
        unreadable: how many more groups OMS listed that the bot could not read.
    """

    failed: tuple[TaskGroup, ...]
    paused: tuple[TaskGroup, ...]
    more_failed: bool
    more_paused: bool
    unreadable: int

    @property
    def groups(self) -> tuple[TaskGroup, ...]:
        """The failed groups, then the paused ones."""
        return self.failed + self.paused


@dataclass(frozen=True)
class NotListed:
    """The groups of a project could not be listed."""

    problem: Problem


def resumable_groups(
    context: Context, projects: Sequence[str], answer_seconds: float = ANSWER_SECONDS
) -> Mapping[str, Listed | NotListed]:
    """The paused and failed groups of each project, at most `MAX_READ` of each status.

    Arguments:
        answer_seconds: a project that has not answered by then is `NotListed`.
    """
    if not projects:
        return {}
    pool = ThreadPoolExecutor(min(len(projects) * len(STATUSES), LISTS_AT_ONCE), "list")
    listings = {name: [pool.submit(_first_groups, context, name, status) for status in STATUSES] for name in projects}
    wait([listing for of_project in listings.values() for listing in of_project], answer_seconds)
    # A call that has not answered yet ends by its own timeout. Nothing waits for it.
    pool.shutdown(wait=False, cancel_futures=True)
    return {name: _collect(context, name, of_project, answer_seconds) for name, of_project in listings.items()}


def _first_groups(context: Context, project: str, status: GroupStatus) -> _Listing:
    def first(oms: Oms) -> _Listing:
        # One more than MAX_READ, which tells that there are more.
        return list(islice(oms.groups(status), MAX_READ + 1))

    return with_one_retry(partial(context.identity.call, project, first))


def _collect(
    context: Context, project: str, listings: Sequence[Future[_Listing]], answer_seconds: float
) -> Listed | NotListed:
    answered = [listing for listing in listings if listing.done() and not listing.cancelled()]
    try:
        by_status = dict(zip(STATUSES, [listing.result() for listing in answered], strict=False))
    except (HuaweiError, VaultError) as error:
        log.warning("the groups of project %s could not be listed: %s", project, error)
        return NotListed(explain(error, context.projects[project].plan(project, "", None), RetryHint.NOTHING, ""))
    if len(answered) < len(listings):
        return NotListed(no_answer(project, answer_seconds))
    failed = [group for status in STATUSES if status in FAILED_STATUSES for group in by_status[status][:MAX_READ]]
    paused = by_status[GroupStatus.PAUSED][:MAX_READ]
    return Listed(
        _readable(failed),
        _readable(paused),
        any(len(by_status[status]) > MAX_READ for status in FAILED_STATUSES),
        len(by_status[GroupStatus.PAUSED]) > MAX_READ,
        sum(isinstance(group, Unreadable) for group in (*failed, *paused)),
    )


def _readable(listing: _Listing) -> tuple[TaskGroup, ...]:
    return tuple(group for group in listing if isinstance(group, TaskGroup))
