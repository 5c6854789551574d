"""A simulated task group: its status, its settings, its counters, and its JSON as ShowTaskGroup returns it.

Pure. What changes it over time is left to `group_clock`, its sub-tasks one by one to `sub_tasks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

# The values of `status` (API reference, ShowTaskGroup).
WAITING, EXECUTING, MONITORING, PAUSED = 0, 1, 2, 3
CREATION_FAILED, MIGRATION_FAILED, COMPLETED, PAUSING = 4, 5, 6, 7
WAITING_FOR_DELETION, DELETED = 8, 9

# What a retry covers.
ALL_OBJECTS, FAILED_OBJECTS = "all", "failed"
STARTED_AT = 1_760_000_000_000

# How many sub-tasks OMS runs at the same time. The others wait in its queue.
MAX_EXECUTING = 5
SLOWER_BY = 20


class Condition(Enum):
    """How a running group moves."""

    #: At its usual speed.
    USUAL = auto()
    #: SLOWER_BY times slower.
    SLOW = auto()
    #: Sub-tasks are executing, and nothing moves.
    STALLED = auto()
    #: All sub-tasks wait in the queue of OMS.
    QUEUED = auto()
    #: Nothing moves, because OMS restores archived objects at the source.
    RESTORING = auto()


@dataclass(frozen=True)
class Failure:
    """Sub-tasks of a group that failed for the same reason."""

    code: str
    message: str
    sub_tasks: int


class SubTaskCounts(NamedTuple):
    """How many sub-tasks a group has, how many OMS has created, and in which states the created ones are."""

    total: int
    created: int
    waiting: int
    executing: int
    paused: int
    failed: int
    complete: int


@dataclass(frozen=True)
class Cdn:
    """A CDN that OMS downloads the objects through, and how it authenticates.

    An empty `domain` means that there is none.
    """

    domain: str
    authentication_type: str


@dataclass
class Group:
    """A simulated task group. Bytes move while its status is MONITORING, or EXECUTING with a listing in progress.

    Arguments:
        sub_tasks: how many sub-tasks OMS divides the objects among.
        failures: the sub-tasks that failed while the group went on.
        listed_objects: how many objects OMS has listed so far, while it lists the source. None if all are listed.
        error: code and message of the failure that `error_reason` shows.
        fails_later: code and message of a failure that happens once bytes move. OMS may fail a group this late
            when its keys are wrong.
        status_lag: how long an accepted START or RETRY takes to show in `status`.
        pending_changes: statuses that the group gets later, each with its time, earliest first.
        change_once_shown: a delay and a status; the delay starts when ShowTaskGroup is first called.
        moved_at: when the bytes were last counted.
        listed_at: when the listed objects were last counted.
        gone_at: when OMS forgets the group, which someone deleted.
        starts, retries: how many calls OMS accepted.
        last_scope: ALL_OBJECTS or FAILED_OBJECTS, of the last retry.
    """

    id: str
    description: str
    status: int
    cloud_type: str = "AWS"
    bucket: str = "photos-prod"
    source_region: str = "us-east-1"
    destination: str = "photos-archive"
    task_type: str = "PREFIX"
    cdn: Cdn | None = None
    total_bytes: int = 10_000_000_000
    complete_bytes: int = 4_000_000_000
    total_objects: int = 1_000
    failed_objects: int = 0
    sub_tasks: int = 20
    failures: tuple[Failure, ...] = ()
    condition: Condition = Condition.USUAL
    listed_objects: int | None = None
    objects_listed_per_second: int = 50
    bytes_per_second: int = 150_000_000
    bandwidth_limit: int | None = None
    enable_restore: bool = False
    records_failed_objects: bool = False
    overwrite_mode: str = "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE"
    error: tuple[str, str] | None = None
    fails_later: tuple[str, str] | None = None
    status_lag: timedelta = timedelta(seconds=1)
    pending_changes: list[tuple[datetime, int]] = field(default_factory=list)
    change_once_shown: tuple[timedelta, int] | None = None
    moved_at: datetime | None = None
    listed_at: datetime | None = None
    gone_at: datetime | None = None
    starts: int = 0
    retries: int = 0
    last_scope: str | None = None

    @property
    def is_from_urls(self) -> bool:
        """Whether the source is a list of URLs, which needs no source key."""
        return self.task_type == "URL_LIST" or self.cloud_type == "URLSOURCE"

    @property
    def runs(self) -> bool:
        """Whether objects can move. A group that OMS only creates runs once the listing has begun."""
        return self.status == MONITORING or (self.status == EXECUTING and self.listed_objects is not None)

    @property
    def speed(self) -> int:
        """Bytes per second."""
        if not self.runs or self.condition not in (Condition.USUAL, Condition.SLOW):
            return 0
        return self.bytes_per_second // (SLOWER_BY if self.condition is Condition.SLOW else 1)

    @property
    def objects(self) -> int:
        """How many objects the group has, as far as OMS has listed them."""
        return self.total_objects if self.listed_objects is None else self.listed_objects

    @property
    def listed_bytes(self) -> int:
        """The size of the listed objects."""
        return self._share(self.total_bytes, self.objects)

    @property
    def migrated_objects(self) -> int:
        """How many objects are complete, as follows from the bytes."""
        done = self.objects * self.complete_bytes // self.listed_bytes if self.listed_bytes else 0
        return min(done, self.objects - self.failed_objects)

    @property
    def reachable_bytes(self) -> int:
        """The size of the listed objects that have not failed."""
        return self._share(self.total_bytes, self.objects - self.failed_objects)

    def sub_task_counts(self) -> SubTaskCounts:
        """The counts of sub-tasks, as follows from the status and the bytes of the group."""
        total = -(-self.sub_tasks * self.objects // self.total_objects) if self.total_objects else self.sub_tasks
        has_sub_tasks = self.status not in (WAITING, CREATION_FAILED)
        created = self._share(self.sub_tasks, self.objects) if has_sub_tasks else 0
        failed = min(created, sum(failure.sub_tasks for failure in self.failures))
        complete = created - failed
        if self.status != COMPLETED and self.complete_bytes < self.reachable_bytes:
            complete = complete * self.complete_bytes // self.reachable_bytes
        open_ = created - failed - complete
        waiting = executing = paused = 0
        if self.status == MIGRATION_FAILED:
            failed += open_
        elif self.status in (EXECUTING, MONITORING):
            executing = min(open_, MAX_EXECUTING) if self.runs and self.condition is not Condition.QUEUED else 0
            waiting = open_ - executing
        else:
            paused = open_
        return SubTaskCounts(total, created, waiting, executing, paused, failed, complete)

    def as_json(self, region: str) -> dict[str, object]:
        """The group as ShowTaskGroup returns it.

        Has every documented field, null where the reference allows null, and `enable_kms`, which only older
        responses have.

        Arguments:
            region: of the destination, which is the region of this OMS.
        """
        return {
            "group_id": self.id,
            "status": self.status,
            "error_reason": {"error_code": self.error[0], "error_msg": self.error[1]} if self.error else None,
            "src_node": self._source(),
            "description": self.description,
            "dst_node": {"bucket": self.destination, "region": region, "save_prefix": ""},
            "task_type": self.task_type,
            "enable_metadata_migration": False,
            "enable_failed_object_recording": self.records_failed_objects,
            "enable_restore": self.enable_restore or self.condition is Condition.RESTORING,
            "enable_requester_pays": False,
            "enable_kms": False,
            "bandwidth_policy": self._bandwidth(),
            "smn_config": None,
            "source_cdn": self._cdn(),
            "migrate_since": 0,
            "migrate_speed": self.speed,
            "total_time": 3_600_000,
            "start_time": STARTED_AT,
            **self._tasks(),
            **self._objects(),
            "failed_object_record": self._failed_object_record(),
            "object_overwrite_mode": self.overwrite_mode,
            "dst_storage_policy": "STANDARD",
            "consistency_check": "size_last_modified",
            "obs_system": "BUCKET",
        }

    def _source(self) -> dict[str, object]:
        is_list = self.task_type in ("LIST", "URL_LIST")
        list_file = {"list_file_key": "lists/objects.txt", "obs_bucket": self.destination, "list_file_num": "1"}
        return {
            "bucket": self.bucket,
            "cloud_type": self.cloud_type,
            "region": self.source_region,
            "app_id": "1250000000" if self.cloud_type == "TENCENT" else None,
            "object_key": None if is_list else [""],
            "list_file": list_file if is_list else None,
        }

    def _bandwidth(self) -> list[dict[str, object]]:
        if self.bandwidth_limit is None:
            return []
        return [{"start": "08:00", "end": "18:00", "max_bandwidth": self.bandwidth_limit}]

    def _cdn(self) -> dict[str, object] | None:
        if self.cdn is None:
            return None
        protocol = "https" if self.cdn.domain else None
        return {
            "domain": self.cdn.domain,
            "protocol": protocol,
            "authentication_type": self.cdn.authentication_type,
        }

    def _tasks(self) -> dict[str, object]:
        counts = self.sub_task_counts()
        return {
            "total_task_num": counts.total,
            "create_task_num": counts.created,
            "waiting_task_num": counts.waiting,
            "executing_task_num": counts.executing,
            "paused_task_num": counts.paused,
            "failed_task_num": counts.failed,
            "complete_task_num": counts.complete,
        }

    def _objects(self) -> dict[str, object]:
        created = self.sub_task_counts().created
        return {
            "total_num": self.objects,
            "create_complete_num": self.total_objects * created // self.sub_tasks,
            "success_num": self.migrated_objects,
            "fail_num": self.failed_objects,
            "skip_num": 0,
            "total_size": self.listed_bytes,
            "create_complete_size": self.total_bytes * created // self.sub_tasks,
            "complete_size": self.complete_bytes,
        }

    def _share(self, whole: int, objects: int) -> int:
        """The part of a whole that this many objects are."""
        return whole * objects // self.total_objects if self.total_objects else whole

    def _failed_object_record(self) -> dict[str, object] | None:
        if not self.records_failed_objects:
            return None
        if not self.failed_objects:
            return {"result": False, "list_file_key": None, "error_code": None}
        return {"result": True, "list_file_key": f"oms/failed/{self.id}.txt", "error_code": None}
