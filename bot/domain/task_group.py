"""A task group as the rest of the bot speaks of it: plain values, no wire format.

Reading them from the API is left to `bot.huawei.wire`; what may be done with them to the rooms above.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class GroupStatus(IntEnum):
    """The `status` of a task group, numbered as the OMS API numbers it (ShowTaskGroup, field `status`)."""

    WAITING = 0
    EXECUTING = 1
    MONITORING = 2
    PAUSED = 3
    CREATION_FAILED = 4
    MIGRATION_FAILED = 5
    COMPLETED = 6
    PAUSING = 7
    WAITING_FOR_DELETION = 8
    DELETED = 9


def status_name(status: GroupStatus) -> str:
    """The status in plain words: `paused`, `running`, `waiting for deletion`."""
    return "running" if status is GroupStatus.MONITORING else status.name.lower().replace("_", " ")


class Scope(StrEnum):
    """What retrying a failed group migrates again (`migrate_failed_object` of RetryTaskGroup)."""

    ALL_OBJECTS = "all objects"
    FAILED_OBJECTS = "only the failed objects"


FAILED_STATUSES = frozenset({GroupStatus.CREATION_FAILED, GroupStatus.MIGRATION_FAILED})
RUNNING_STATUSES = frozenset({GroupStatus.WAITING, GroupStatus.EXECUTING, GroupStatus.MONITORING})


@dataclass(frozen=True)
class Source:
    """Where the objects come from. `cloud_type` is upper case, as SHOW returns it."""

    bucket: str
    cloud_type: str
    region: str


@dataclass(frozen=True)
class Destination:
    """Where the objects go: always an OBS bucket."""

    bucket: str
    region: str
    save_prefix: str


@dataclass(frozen=True)
class Progress:
    """How far a group is. `total_*` may still grow while OMS lists the source."""

    total_bytes: int = 0
    complete_bytes: int = 0
    total_objects: int = 0
    success_objects: int = 0
    skipped_objects: int = 0
    failed_objects: int = 0
    speed_bytes_per_second: int = 0

    @property
    def handled_objects(self) -> int:
        return self.success_objects + self.skipped_objects + self.failed_objects


@dataclass(frozen=True)
class ErrorReason:
    """Why OMS says that a group failed: a `TRF.` or `OMS.` code, where it gives one, and OMS's own words."""

    code: str
    message: str


@dataclass(frozen=True)
class TaskGroup:
    """One SHOW of a task group, at one moment."""

    group_id: str
    status: GroupStatus
    task_type: str
    description: str
    source: Source
    destination: Destination
    progress: Progress
    restores_archives: bool
    overwrite_mode: str
    cdn_authentication: str | None
    error: ErrorReason | None
    records_failed_objects: bool = False

    def is_same_migration(self, other: TaskGroup) -> bool:
        """Whether both move the same objects between the same places in the same way, however far they are."""
        return _migration_of(self) == _migration_of(other)


def _migration_of(group: TaskGroup) -> tuple[object, ...]:
    return (
        group.task_type,
        group.source,
        group.destination,
        group.restores_archives,
        group.overwrite_mode,
        group.cdn_authentication,
    )
