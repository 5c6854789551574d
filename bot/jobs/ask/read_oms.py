"""Reads from OMS for the answer to a command: searches projects for a group, and repeats a read that failed once.

Calls that change something are left to `bot.jobs.send`, which never repeats them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from bot.domain.task_group import TaskGroup
from bot.huawei.error_catalogue import NOT_FOUND
from bot.huawei.errors import (
    HuaweiError,
    NotSent,
    Rejected,
    Service,
    Suspended,
    Throttled,
    Unanswered,
    UnusableIdentity,
)
from bot.jobs.context import Context
from bot.jobs.problems import RetryHint, explain, may_pass
from bot.net.retry import retry_once
from bot.ui import refusals
from bot.vault.errors import VaultError

T = TypeVar("T")

log = logging.getLogger(__name__)

PROJECTS_AT_ONCE = 8


@dataclass(frozen=True)
class Found:
    """A task group, and the project that has it."""

    project: str  # the name in bot.toml
    project_id: str  # the id at Huawei Cloud
    group: TaskGroup  # as OMS has just shown it

    @property
    def key(self) -> str:
        """As `Request.group_key`."""
        return f"{self.project_id}/{self.group.group_id}"


@dataclass(frozen=True)
class Failure:
    """A project could not be searched for a group."""

    text: str  # names the project and the error
    may_pass: bool  # whether the error may pass by itself


def search(context: Context, projects: Sequence[str], group_id: str) -> tuple[list[Found], list[Failure]]:
    """Searches all these projects for a group at once: where it is, and which projects could not be searched."""
    if len(projects) == 1:
        results = [_search_one(context, projects[0], group_id)]
    else:
        with ThreadPoolExecutor(min(len(projects), PROJECTS_AT_ONCE), "search") as pool:
            results = list(pool.map(lambda project: _search_one(context, project, group_id), projects))
    found = [result for result in results if isinstance(result, Found)]
    return found, [result for result in results if isinstance(result, Failure)]


def not_found_text(context: Context, projects: Sequence[str], group_id: str) -> str:
    """Says that none of the projects has the group."""
    return refusals.group_not_found(group_id, {name: context.projects[name].region for name in projects})


def with_one_retry(read: Callable[[], T]) -> T:
    """Calls `read`, and calls it once more after a 429, a 5xx or a lost connection.

    A refusal is not repeated, and neither is a login without an answer, because it may have been refused: refusals lock
    the identity for everybody. The circuit breaker of the identity applies to the second call as to any other. If OMS
    answers nothing to a new identity, two reads therefore use up its three probes.

    Raises:
        HuaweiError, VaultError: as the last call raised it. If nothing was sent the second time, as the first call did.
    """
    first_errors: list[Exception] = []

    def wait_after(error: Exception) -> float | None:
        first_errors.append(error)
        return _wait_after(error)

    try:
        return retry_once(read, wait_after)
    except (Suspended, UnusableIdentity, VaultError):
        raise first_errors[0] from None


def _wait_after(error: Exception) -> float | None:
    match error:
        case Throttled():
            return error.retry_after_seconds or 0
        case Unanswered(service=Service.IAM, answer=None):
            return None
        case NotSent() | Unanswered():
            return 0
        case _:
            return None


def _search_one(context: Context, project: str, group_id: str) -> Found | Failure | None:
    """Searches one project. None if it does not have the group."""
    try:
        project_id = with_one_retry(partial(context.identity.project_id, project))
        group = with_one_retry(partial(context.identity.call, project, lambda oms: oms.show(group_id)))
        return Found(project, project_id, group)
    except Rejected as error:
        answer = error.answer
        is_missing = answer.code in NOT_FOUND or (answer.http_status == 404 and not answer.code.startswith("APIG."))
        return None if is_missing and error.service is Service.OMS else _failure(context, project, error)
    except (HuaweiError, VaultError) as error:
        return _failure(context, project, error)


def _failure(context: Context, project: str, error: HuaweiError | VaultError) -> Failure:
    log.warning("project %s could not be searched for a group: %s", project, error)
    plan = context.projects[project].plan(project, "", None)
    problem = explain(error, plan, RetryHint.CREATE_REQUEST, "")
    return Failure(refusals.project_not_asked(project, problem, plan.console_url), may_pass(error))
