"""Lists the task groups of some kinds from OMS, in all projects in parallel and within a time limit.

`project_groups` and `request_form` use the result.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice

from bot.domain.request import Problem
from bot.domain.task_group import STATUSES_OF_KIND, GroupKind, GroupStatus, TaskGroup
from bot.huawei.errors import HuaweiError, Unreadable
from bot.huawei.oms import PAGE_SIZE, Oms
from bot.jobs.ask.read_oms import with_one_retry
from bot.jobs.context import Context
from bot.jobs.problems import RetryHint, explain
from bot.ui.lists import no_answer
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)

# One less than a page of OMS, so that one call for each status also shows whether there are more.
MAX_READ = PAGE_SIZE - 1
ANSWER_SECONDS = 8.0
# OMS lists the groups with one status, or all groups (ListTaskGroup). Most groups of a project are complete, possibly
# thousands of them, so a short list for each status takes fewer calls than all pages.
LISTS_AT_ONCE = 24
#: The groups that can be retried or resumed.
RESUMABLE = (GroupKind.FAILED, GroupKind.PAUSED)

_Listing = list[TaskGroup | Unreadable]


@dataclass(frozen=True)
class Listed:
    """The groups of a project, as OMS listed them.

    Attributes:
        more: the kinds of which OMS has more groups than the bot read.
        unreadable: how many other groups OMS listed in a form that the bot could not read.
    """

    of_kind: Mapping[GroupKind, tuple[TaskGroup, ...]]
    more: frozenset[GroupKind]
    unreadable: int

    @property
    def groups(self) -> tuple[TaskGroup, ...]:
        """All groups, failed ones first."""
        return tuple(group for kind in GroupKind for group in self.of_kind.get(kind, ()))


@dataclass(frozen=True)
class NotListed:
    """The groups of a project could not be listed."""

    problem: Problem


def listed_groups(
    context: Context,
    projects: Sequence[str],
    kinds: Sequence[GroupKind] = RESUMABLE,
    answer_seconds: float = ANSWER_SECONDS,
) -> Mapping[str, Listed | NotListed]:
    """The groups of these kinds in each project, at most `MAX_READ` of each status.

    Arguments:
        answer_seconds: a project that has not answered by then is `NotListed`.
    """
    if not projects:
        return {}
    statuses = sorted(status for kind in kinds for status in STATUSES_OF_KIND[kind])
    pool = ThreadPoolExecutor(min(len(projects) * len(statuses), LISTS_AT_ONCE), "list")
    listings = {
        name: {status: pool.submit(_first_groups, context, name, status) for status in statuses} for name in projects
    }
    wait([listing for of_project in listings.values() for listing in of_project.values()], answer_seconds)
    # A call that is still running ends at its own timeout. Nothing waits for it.
    pool.shutdown(wait=False, cancel_futures=True)
    return {name: _collect(context, name, of_project, answer_seconds) for name, of_project in listings.items()}


def _first_groups(context: Context, project: str, status: GroupStatus) -> _Listing:
    def first(oms: Oms) -> _Listing:
        # One more than MAX_READ, which shows that there are more.
        return list(islice(oms.groups(status), MAX_READ + 1))

    return with_one_retry(partial(context.identity.call, project, first))


def _collect(
    context: Context, project: str, listings: Mapping[GroupStatus, Future[_Listing]], answer_seconds: float
) -> Listed | NotListed:
    answered = {status: listing for status, listing in listings.items() if listing.done() and not listing.cancelled()}
    try:
        by_status = {status: listing.result() for status, listing in answered.items()}
    except (HuaweiError, VaultError) as error:
        log.warning("the groups of project %s could not be listed: %s", project, error)
        return NotListed(explain(error, context.projects[project].plan(project, "", None), RetryHint.NOTHING, ""))
    if len(answered) < len(listings):
        return NotListed(no_answer(project, answer_seconds))
    read = {status: listing[:MAX_READ] for status, listing in by_status.items()}
    of_kind = {
        kind: [group for status in sorted(statuses & read.keys()) for group in read[status]]
        for kind, statuses in STATUSES_OF_KIND.items()
    }
    return Listed(
        {kind: _readable(found) for kind, found in of_kind.items()},
        frozenset(
            kind
            for kind, statuses in STATUSES_OF_KIND.items()
            if any(len(by_status[status]) > MAX_READ for status in statuses & read.keys())
        ),
        sum(isinstance(group, Unreadable) for found in of_kind.values() for group in found),
    )


def _readable(listing: _Listing) -> tuple[TaskGroup, ...]:
    return tuple(group for group in listing if isinstance(group, TaskGroup))
