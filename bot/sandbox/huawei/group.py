"""A simulated task group: its status, its settings, its counters, and its JSON as ShowTaskGroup returns it.

Pure. What changes it over time is left to `oms_state`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

# The values of `status` (API reference, ShowTaskGroup).
WAITING, EXECUTING, MONITORING, PAUSED = 0, 1, 2, 3
CREATION_FAILED, MIGRATION_FAILED, COMPLETED, PAUSING = 4, 5, 6, 7
WAITING_FOR_DELETION, DELETED = 8, 9

# What a retry covers.
ALL_OBJECTS, FAILED_OBJECTS = "all", "failed"
STARTED_AT = 1_760_000_000_000


@dataclass(frozen=True)
class Cdn:
    """A CDN that OMS downloads the objects through, and how it authenticates.

    An empty `domain` means that there is none.
    """

    domain: str
    authentication_type: str


@dataclass
class Group:
    """A simulated task group. Bytes move only while its status is MONITORING.

    Arguments:
        error: code and message of the failure that `error_reason` shows.
        fails_later: code and message of a failure that happens once bytes move. OMS may fail a group this late
            when its keys are wrong.
        status_lag: how long an accepted START or RETRY takes to show in `status`.
        pending_changes: statuses that the group gets later, each with its time, earliest first.
        change_once_shown: a delay and a status; the delay starts when ShowTaskGroup is first called.
        moved_at: when the bytes were last counted.
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
    starts: int = 0
    retries: int = 0
    last_scope: str | None = None

    @property
    def is_from_urls(self) -> bool:
        """Whether the source is a list of URLs, which needs no source key."""
        return self.task_type == "URL_LIST" or self.cloud_type == "URLSOURCE"

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
            "enable_restore": self.enable_restore,
            "enable_requester_pays": False,
            "enable_kms": False,
            "bandwidth_policy": self._bandwidth(),
            "smn_config": None,
            "source_cdn": self._cdn(),
            "migrate_since": 0,
            "migrate_speed": self.bytes_per_second if self.status == MONITORING else 0,
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
        """The counts of migration tasks. Each simulated group has one, whose state follows the group's status."""

        def one_if(*statuses: int) -> int:
            return int(self.status in statuses)

        return {
            "total_task_num": 1,
            "create_task_num": 1 - one_if(WAITING, EXECUTING, CREATION_FAILED),
            "waiting_task_num": one_if(WAITING, EXECUTING),
            "executing_task_num": one_if(MONITORING),
            "paused_task_num": one_if(PAUSED, PAUSING),
            "failed_task_num": one_if(CREATION_FAILED, MIGRATION_FAILED),
            "complete_task_num": one_if(COMPLETED),
        }

    def _objects(self) -> dict[str, object]:
        wanted = self.total_objects - self.failed_objects
        return {
            "total_num": self.total_objects,
            "create_complete_num": self.total_objects,
            "success_num": wanted * self.complete_bytes // self.total_bytes if self.total_bytes else 0,
            "fail_num": self.failed_objects,
            "skip_num": 0,
            "total_size": self.total_bytes,
            "create_complete_size": self.total_bytes,
            "complete_size": self.complete_bytes,
        }

    def _failed_object_record(self) -> dict[str, object] | None:
        if not self.records_failed_objects:
            return None
        if not self.failed_objects:
            return {"result": False, "list_file_key": None, "error_code": None}
        return {"result": True, "list_file_key": f"oms/failed/{self.id}.txt", "error_code": None}
