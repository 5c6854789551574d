"""A task group of OMS, independent of the JSON format of the API, which `bot.huawei.wire` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class GroupStatus(IntEnum):
    """The `status` of a task group, with the numbers of the OMS API (ShowTaskGroup, field `status`)."""

    #: OMS has not begun.
    WAITING = 0
    #: OMS creates the tasks of the group. The totals may still grow.
    EXECUTING = 1
    #: The tasks of the group are running.
    MONITORING = 2
    #: Paused. The only status from which StartTaskGroup starts a group.
    PAUSED = 3
    #: Creating the tasks failed. RetryTaskGroup starts the group again.
    CREATION_FAILED = 4
    #: Migrating failed. RetryTaskGroup starts the group again.
    MIGRATION_FAILED = 5
    #: The migration is complete.
    COMPLETED = 6
    #: OMS is pausing the group; PAUSED follows.
    PAUSING = 7
    #: The group will be deleted.
    WAITING_FOR_DELETION = 8
    #: The group is deleted.
    DELETED = 9


def status_name(status: GroupStatus) -> str:
    """The status in plain words: `paused`, `running`, `failed`, `done`, `waiting for deletion`."""
    return _STATUS_NAMES.get(status) or status.name.lower().replace("_", " ")


_STATUS_NAMES = {
    GroupStatus.WAITING: "waiting to run",
    GroupStatus.EXECUTING: "running",
    GroupStatus.MONITORING: "running",
    GroupStatus.CREATION_FAILED: "failed",
    GroupStatus.MIGRATION_FAILED: "failed",
    GroupStatus.COMPLETED: "done",
}


class Scope(StrEnum):
    """Which objects RetryTaskGroup migrates again (`migrate_failed_object`). The value is the text on the card."""

    #: All objects. OMS skips objects that are at the destination already.
    ALL_OBJECTS = "all objects"
    #: The objects on OMS's list of failed objects.
    FAILED_OBJECTS = "only the failed objects"


DELETED_STATUSES = frozenset({GroupStatus.WAITING_FOR_DELETION, GroupStatus.DELETED})
FAILED_STATUSES = frozenset({GroupStatus.CREATION_FAILED, GroupStatus.MIGRATION_FAILED})
RUNNING_STATUSES = frozenset({GroupStatus.WAITING, GroupStatus.EXECUTING, GroupStatus.MONITORING})


class GroupKind(StrEnum):
    """The kinds of task groups that people can list, in the order of a list. The value is the word that they type."""

    #: Failed groups. They can be retried.
    FAILED = "failed"
    #: Running groups, and those that OMS is pausing.
    RUNNING = "running"
    #: Paused groups. They can be resumed.
    PAUSED = "paused"


STATUSES_OF_KIND: Mapping[GroupKind, frozenset[GroupStatus]] = {
    GroupKind.FAILED: FAILED_STATUSES,
    GroupKind.RUNNING: RUNNING_STATUSES | {GroupStatus.PAUSING},
    GroupKind.PAUSED: frozenset({GroupStatus.PAUSED}),
}


@dataclass(frozen=True)
class Source:
    """Where the objects come from."""

    bucket: str
    cloud_type: str  # in upper case, such as `AWS`
    region: str


@dataclass(frozen=True)
class Destination:
    """The OBS bucket that the objects go to."""

    bucket: str
    region: str
    save_prefix: str  # put before the name of every object; may be empty


@dataclass(frozen=True)
class Progress:
    """How much of a group is migrated. The totals may grow while OMS lists the source."""

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
class SubTasks:
    """How many sub-tasks of a group are in each state. OMS divides the objects of a group among its sub-tasks."""

    total: int = 0
    waiting: int = 0  # in the queue of OMS
    executing: int = 0
    paused: int = 0
    failed: int = 0
    complete: int = 0


@dataclass(frozen=True)
class ErrorReason:
    """The reason that OMS gives for a failed group."""

    code: str  # such as `TRF.0151` or `OMS.1014`; empty if OMS gives none
    message: str  # the message of OMS


@dataclass(frozen=True)
class TaskGroup:
    """A task group, as ShowTaskGroup or ListTaskGroup returned it."""

    group_id: str  # a UUID in lower case
    status: GroupStatus
    task_type: str  # in upper case, such as `PREFIX` or `URL_LIST`
    description: str  # may be empty
    source: Source
    destination: Destination
    progress: Progress
    restores_archives: bool  # whether OMS restores archived objects at the source first
    overwrite_mode: str  # which objects at the destination are overwritten (`object_overwrite_mode`)
    cdn_authentication: str | None  # how OMS authenticates to the source's CDN; None if there is no CDN
    error: ErrorReason | None  # None if OMS gives no reason
    records_failed_objects: bool = False  # whether OMS keeps a list of the objects that failed
    cdn_domain: str = ""  # the domain that OMS downloads from instead of the source bucket; empty without a CDN
    sub_tasks: SubTasks = SubTasks()
    failed_list: str = ""  # the object key of the list of failed objects in the destination bucket; empty without one
    # What OMS migrates, and how: the name and the value of each field that is set. Only for comparing and showing.
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ChangedSetting:
    """A setting of a task group that was changed. An empty value means that it is not set."""

    name: str  # the field of ShowTaskGroup, such as `dst_node.bucket`
    before: str
    after: str


def changed_settings(approved: TaskGroup, now: TaskGroup) -> tuple[ChangedSetting, ...]:
    """The settings that differ between two readings of a group, by name. Ignores status and progress."""
    before, after = dict(approved.settings), dict(now.settings)
    return tuple(
        ChangedSetting(name, before.get(name, ""), after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
