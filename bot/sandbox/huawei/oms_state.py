"""The state behind the OMS stand-in: the task groups of one project, which change with the clock and with calls.

Pure but for the clock that it is given. HTTP is left to `oms_server`, the fields of a body to `request_body`, what
people do without the bot to `console`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.sandbox.huawei.credentials import ARCHIVE, MEDIA, CloudProject
from bot.sandbox.huawei.example_groups import archive_groups, media_groups
from bot.sandbox.huawei.group import (
    ALL_OBJECTS,
    CREATION_FAILED,
    EXECUTING,
    FAILED_OBJECTS,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    PAUSING,
    Group,
)
from bot.sandbox.huawei.group_clock import advance
from bot.sandbox.huawei.paging import Paging
from bot.sandbox.huawei.rejection import Rejection
from bot.sandbox.huawei.request_body import Body, check_keys_are_valid, check_retry, check_start
from bot.sandbox.huawei.sub_tasks import sub_tasks_of

PAUSING_FOR = CREATING_FOR = timedelta(seconds=2)


@dataclass
class OmsState:
    """Every task group of one project.

    Arguments:
        groups: by id.
        may_change_groups: whether the caller may start, retry and pause groups. If not, OMS answers OMS.0072.
        may_list_tasks: whether the caller may list sub-tasks. If not, OMS answers OMS.0072.
        checks_keys: whether OMS checks the source and destination keys before it accepts a call.
        paging: how the pages of the lists fit together.
    """

    now: Callable[[], datetime]
    groups: dict[str, Group] = field(default_factory=dict)
    may_change_groups: bool = True
    may_list_tasks: bool = True
    checks_keys: bool = True
    paging: Paging = Paging.STABLE
    project: CloudProject = MEDIA
    lock: threading.RLock = field(default_factory=threading.RLock)

    def reset(self, groups: Mapping[str, Group]) -> None:
        """Replaces all groups, and returns to the usual behavior."""
        with self.lock:
            self.groups = dict(groups)
            self.may_change_groups = self.may_list_tasks = self.checks_keys = True
            self.paging = Paging.STABLE

    def show(self, group_id: str) -> dict[str, object]:
        """ShowTaskGroup.

        Raises:
            Rejection: there is no such group.
        """
        with self.up_to_date(group_id) as group:
            if group.change_once_shown is not None:
                delay, status = group.change_once_shown
                group.change_once_shown = None
                group.pending_changes.append((self.now() + delay, status))
            return group.as_json(self.project.region)

    def list_groups(self, status: int | None) -> list[dict[str, object]]:
        """ListTaskGroup without its pages: all groups, or those with this status."""
        with self.lock:
            groups = [self._group(group_id) for group_id in self._ids()]
            return [group.as_json(self.project.region) for group in groups if status is None or group.status == status]

    def list_tasks(self, group_id: str | None, status: int | None, name: str) -> list[dict[str, object]]:
        """ListTasks without its pages: the sub-tasks with this status, and with this text in their names.

        Raises:
            Rejection: the caller may not list sub-tasks.
        """
        if not self.may_list_tasks:
            raise _insufficient_permission()
        with self.lock:
            return [
                task
                for id_ in self._ids()
                if group_id in (None, id_)
                for task in sub_tasks_of(self._group(id_), self.project.region)
                if status in (None, task["status"]) and name in str(task["name"])
            ]

    def start(self, group_id: str, body: Body) -> None:
        """StartTaskGroup.

        Raises:
            Rejection: the call is not allowed, its body is wrong, or the group is not paused.
        """
        with self.lock:
            group = self._group_to_change(group_id)
            check_start(group, body)
            if group.status != PAUSED or group.pending_changes:
                raise Rejection(400, "OMS.1039", "Only paused task groups can be resumed.")
            self._check_keys(body)
            group.starts += 1
            self.schedule_run(group)

    def retry(self, group_id: str, body: Body) -> None:
        """RetryTaskGroup.

        Raises:
            Rejection: the call is not allowed, its body is wrong, or the group has not failed.
        """
        with self.lock:
            group = self._group_to_change(group_id)
            check_retry(group, body)
            if group.status not in (CREATION_FAILED, MIGRATION_FAILED) or group.pending_changes:
                raise Rejection(400, "OMS.1040", "Only failed task groups can be restarted.")
            only_failed = bool(body.get("migrate_failed_object", False))
            if only_failed and not (group.records_failed_objects and group.failed_objects):
                raise Rejection(400, "OMS.0167", "The list of failed objects does not exist.")
            self._check_keys(body)
            group.retries += 1
            group.last_scope = FAILED_OBJECTS if only_failed else ALL_OBJECTS
            self.schedule_run(group)

    def stop(self, group_id: str) -> None:
        """StopTaskGroup.

        Raises:
            Rejection: the call is not allowed, or the group is not running.
        """
        with self.lock:
            self.pause(self._group_to_change(group_id))

    def pause(self, group: Group) -> None:
        """Pauses a running group, for the bot or for somebody in the console.

        Raises:
            Rejection: the group is not running.
        """
        if group.status not in (EXECUTING, MONITORING):
            raise Rejection(400, "OMS.1038", "Only task groups being monitored can be paused.")
        group.status = PAUSING
        group.pending_changes = [(self.now() + PAUSING_FOR, PAUSED)]

    def schedule_run(self, group: Group) -> None:
        """Lets the group run after its status lag.

        A group whose creation failed creates its sub-tasks first. An interrupted listing continues.
        """
        runs_at = self.now() + group.status_lag
        if group.status == CREATION_FAILED:
            group.pending_changes.append((runs_at, EXECUTING))
            runs_at += CREATING_FOR
        group.pending_changes.append((runs_at, MONITORING if group.listed_objects is None else EXECUTING))

    @contextmanager
    def up_to_date(self, group_id: str) -> Iterator[Group]:
        """The group with the status and the counters that it has by now. The state is locked until the block ends.

        Raises:
            Rejection: there is no such group.
        """
        with self.lock:
            yield self._group(group_id)

    def _ids(self) -> list[str]:
        """The ids of all groups, without those whose deletion has ended."""
        now = self.now()
        return [group.id for group in self.groups.values() if group.gone_at is None or now < group.gone_at]

    def _group(self, group_id: str) -> Group:
        group = self.groups.get(group_id)
        if group is None or (group.gone_at is not None and self.now() >= group.gone_at):
            raise Rejection(400, "OMS.1009", "Resource not found.")
        advance(group, self.now())
        return group

    def _group_to_change(self, group_id: str) -> Group:
        group = self._group(group_id)
        if not self.may_change_groups:
            raise _insufficient_permission()
        return group

    def _check_keys(self, body: Body) -> None:
        if self.checks_keys:
            check_keys_are_valid(body)


def _insufficient_permission() -> Rejection:
    return Rejection(403, "OMS.0072", "Insufficient permission.")


def media_state(now: Callable[[], datetime]) -> OmsState:
    """The project media, with its example groups."""
    return OmsState(now, {group.id: group for group in media_groups()})


def archive_state(now: Callable[[], datetime]) -> OmsState:
    """The project archive, which is in another region, with its example groups."""
    return OmsState(now, {group.id: group for group in archive_groups()}, project=ARCHIVE)
