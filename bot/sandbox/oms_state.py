"""The world behind the OMS stand-in: task groups whose status and progress move with the clock, and who may do what.

Pure but for the clock that comes in. HTTP is left to `oms_server`. What tests name of the sandbox's Huawei Cloud
can be had from here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.sandbox.credentials import (
    ACCESS_KEY,
    ARCHIVE,
    CALLERS,
    DOMAIN,
    MEDIA,
    PASSWORD,
    PROJECT_ID,
    READY_TOKEN,
    REGION,
    SECRET_KEY,
    SECURITY_TOKEN,
    TEMPORARY_AK,
    TEMPORARY_SK,
    USER_NAME,
    CloudProject,
)
from bot.sandbox.oms_examples import LEDGERS, NIGHTLY_IMAGES, an, archive_groups, media_groups
from bot.sandbox.oms_group import (
    ALL_OBJECTS,
    COMPLETED,
    CREATION_FAILED,
    DELETED,
    EXECUTING,
    FAILED_OBJECTS,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    PAUSING,
    WAITING,
    WAITING_FOR_DELETION,
    Cdn,
    Group,
)
from bot.sandbox.oms_keys import (
    AZURE_CONNECTION_STRING,
    CDN_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    GOOGLE_JSON,
    SOURCE_AK,
    SOURCE_SK,
    Body,
    check_retry,
    check_start,
    check_validity,
)
from bot.sandbox.rejection import Rejection

__all__ = [
    "ACCESS_KEY",
    "ALL_OBJECTS",
    "ARCHIVE",
    "AZURE_CONNECTION_STRING",
    "CALLERS",
    "CDN_KEY",
    "COMPLETED",
    "CREATION_FAILED",
    "DELETED",
    "DESTINATION_AK",
    "DESTINATION_SK",
    "DOMAIN",
    "EXECUTING",
    "FAILED_OBJECTS",
    "GOOGLE_JSON",
    "LEDGERS",
    "MEDIA",
    "MIGRATION_FAILED",
    "MONITORING",
    "NIGHTLY_IMAGES",
    "PASSWORD",
    "PAUSED",
    "PAUSING",
    "PROJECT_ID",
    "READY_TOKEN",
    "REGION",
    "SECRET_KEY",
    "SECURITY_TOKEN",
    "SOURCE_AK",
    "SOURCE_SK",
    "TEMPORARY_AK",
    "TEMPORARY_SK",
    "USER_NAME",
    "WAITING",
    "WAITING_FOR_DELETION",
    "Cdn",
    "CloudProject",
    "Group",
    "OmsState",
    "Rejection",
    "an",
    "archive_state",
    "media_state",
]

PAUSES_IN = LISTED_IN = timedelta(seconds=2)


@dataclass
class OmsState:
    """Every group of one project, and who may do what."""

    now: Callable[[], datetime]
    groups: dict[str, Group] = field(default_factory=dict)
    may_start: bool = True
    valid_keys: bool = True
    place: CloudProject = MEDIA
    lock: threading.RLock = field(default_factory=threading.RLock)

    def start_over(self, groups: Mapping[str, Group]) -> None:
        """These groups, and nothing wrong with anybody's rights or keys."""
        with self.lock:
            self.groups = dict(groups)
            self.may_start = self.valid_keys = True

    def show(self, group_id: str) -> dict[str, object]:
        with self.lock:
            group = self._moved(group_id)
            if group.turns_once_shown is not None:
                after, status = group.turns_once_shown
                group.turns_once_shown = None
                group.turns.append((self.now() + after, status))
            return group.as_json(self.place.region)

    def listed(self, status: int | None) -> list[dict[str, object]]:
        with self.lock:
            groups = [self._moved(group_id) for group_id in self.groups]
            return [group.as_json(self.place.region) for group in groups if status is None or group.status == status]

    def start(self, group_id: str, body: Body) -> None:
        """StartTaskGroup.

        Raises:
            Refusal: as OMS refuses.
        """
        with self.lock:
            group = self._allowed(group_id)
            check_start(group, body)
            if group.status != PAUSED or group.turns:
                raise Rejection(400, "OMS.1039", "Only paused task groups can be resumed.")
            self._check_validity(body)
            group.starts += 1
            self._run(group)

    def retry(self, group_id: str, body: Body) -> None:
        """RetryTaskGroup.

        Raises:
            Refusal: as OMS refuses.
        """
        with self.lock:
            group = self._allowed(group_id)
            check_retry(group, body)
            if group.status not in (CREATION_FAILED, MIGRATION_FAILED) or group.turns:
                raise Rejection(400, "OMS.1040", "Only failed task groups can be restarted.")
            only_failed = bool(body.get("migrate_failed_object", False))
            if only_failed and not (group.records_failed_objects and group.failed_objects):
                raise Rejection(400, "OMS.0167", "The list of failed objects does not exist.")
            self._check_validity(body)
            group.retries += 1
            group.last_scope = FAILED_OBJECTS if only_failed else ALL_OBJECTS
            self._run(group)

    def stop(self, group_id: str) -> None:
        """StopTaskGroup.

        Raises:
            Refusal: as OMS refuses.
        """
        with self.lock:
            group = self._allowed(group_id)
            if group.status not in (EXECUTING, MONITORING):
                raise Rejection(400, "OMS.1038", "Only task groups being monitored can be paused.")
            group.status = PAUSING
            group.turns = [(self.now() + PAUSES_IN, PAUSED)]

    def _allowed(self, group_id: str) -> Group:
        group = self._moved(group_id)
        if not self.may_start:
            raise Rejection(403, "OMS.0072", "Insufficient permission.")
        return group

    def _check_validity(self, body: Body) -> None:
        if self.valid_keys:
            check_validity(body)

    def _run(self, group: Group) -> None:
        """It will run, a little later; a group whose sub-tasks are not there yet makes them first."""
        runs_at = self.now() + group.status_lag
        if group.status == CREATION_FAILED:
            group.turns.append((runs_at, EXECUTING))
            runs_at += LISTED_IN
        group.turns.append((runs_at, MONITORING))

    def _moved(self, group_id: str) -> Group:
        group = self.groups.get(group_id)
        if group is None:
            raise Rejection(400, "OMS.1009", "Resource not found.")
        now = self.now()
        while group.turns and now >= group.turns[0][0]:
            group.moved_at, group.status = group.turns.pop(0)
            if group.status == MONITORING:
                group.error, group.failed_objects = None, 0
        if group.status == MONITORING:
            since = now - (group.moved_at or now)
            moved = int(since.total_seconds() * group.bytes_per_second)
            if moved > 0 or group.moved_at is None:
                group.complete_bytes = min(group.total_bytes, group.complete_bytes + moved)
                group.moved_at = now
            if group.fails_later is not None and moved > 0:
                group.status, group.error, group.fails_later = MIGRATION_FAILED, group.fails_later, None
            elif group.complete_bytes >= group.total_bytes:
                group.status = COMPLETED
        return group


def media_state(now: Callable[[], datetime]) -> OmsState:
    """The project media."""
    return OmsState(now, {group.id: group for group in media_groups()})


def archive_state(now: Callable[[], datetime]) -> OmsState:
    """The project archive, in another region."""
    return OmsState(now, {group.id: group for group in archive_groups()}, place=ARCHIVE)
