"""The world behind the OMS stand-in: task groups whose status and progress move with the clock, and the valid keys.

Pure but for the clock that comes in. HTTP is left to `oms_server`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

ACCESS_KEY = "SANDBOXCALLERAK00001"
SECRET_KEY = "sandbox-caller-secret-key-0000000000000001"
SOURCE_AK, SOURCE_SK = "SANDBOXSOURCEAK00001", "sandbox-source-secret-key-0000000000000001"
DESTINATION_AK, DESTINATION_SK = "SANDBOXDESTAK0000001", "sandbox-destination-secret-key-000000000001"
PROJECT_ID = "0123456789abcdef0123456789abcdef"
REGION = "ap-southeast-3"
NIGHTLY_IMAGES = "00878453-3402-4a86-9e2a-5d5217cd35b2"

WAITING, EXECUTING, MONITORING, PAUSED = 0, 1, 2, 3
CREATION_FAILED, MIGRATION_FAILED, COMPLETED, PAUSING = 4, 5, 6, 7


class Refusal(Exception):
    """An error answer of OMS: HTTP status, code, message."""

    def __init__(self, http_status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.http_status = http_status
        self.code = code
        self.message = message


@dataclass
class Group:
    """One simulated task group. Bytes move only while its status is monitoring."""

    id: str
    description: str
    status: int
    cloud_type: str = "AWS"
    bucket: str = "photos-prod"
    source_region: str = "us-east-1"
    destination: str = "photos-archive"
    task_type: str = "PREFIX"
    total_bytes: int = 10_000_000_000
    complete_bytes: int = 4_000_000_000
    total_objects: int = 1_000
    bytes_per_second: int = 150_000_000
    enable_restore: bool = False
    overwrite_mode: str = "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE"
    error: tuple[str, str] | None = None
    # A group that starts although its keys are wrong fails later, as OMS may do it.
    fails_later: tuple[str, str] | None = None
    status_lag: timedelta = timedelta(seconds=1)
    turning: tuple[datetime, int] | None = None
    moved_at: datetime | None = None
    starts: int = 0

    def as_json(self) -> dict[str, object]:
        """The group as ShowTaskGroup answers it."""
        objects = self.total_objects * self.complete_bytes // self.total_bytes if self.total_bytes else 0
        return {
            "group_id": self.id,
            "status": self.status,
            "error_reason": {"error_code": self.error[0], "error_msg": self.error[1]} if self.error else None,
            "src_node": {
                "bucket": self.bucket,
                "cloud_type": self.cloud_type,
                "region": self.source_region,
                "object_key": [""],
                "list_file": None,
            },
            "dst_node": {"bucket": self.destination, "region": REGION, "save_prefix": ""},
            "description": self.description,
            "task_type": self.task_type,
            "enable_restore": self.enable_restore,
            "object_overwrite_mode": self.overwrite_mode,
            "source_cdn": None,
            "migrate_speed": self.bytes_per_second if self.status == MONITORING else 0,
            "total_num": self.total_objects,
            "success_num": objects,
            "fail_num": 0,
            "skip_num": 0,
            "total_size": self.total_bytes,
            "complete_size": self.complete_bytes,
            "total_task_num": 1,
            "start_time": 1_760_000_000_000,
        }


@dataclass
class World:
    """Every group of one project, and who may do what."""

    now: Callable[[], datetime]
    groups: dict[str, Group] = field(default_factory=dict)
    may_start: bool = True
    valid_keys: bool = True
    lock: threading.RLock = field(default_factory=threading.RLock)

    def show(self, group_id: str) -> dict[str, object]:
        with self.lock:
            return self._moved(group_id).as_json()

    def listed(self, status: int | None) -> list[dict[str, object]]:
        with self.lock:
            groups = [self._moved(group_id) for group_id in self.groups]
            return [group.as_json() for group in groups if status is None or group.status == status]

    def start(self, group_id: str, body: dict[str, str]) -> None:
        """StartTaskGroup.

        Raises:
            Refusal: as OMS refuses.
        """
        with self.lock:
            group = self._moved(group_id)
            if not self.may_start:
                raise Refusal(403, "OMS.0072", "Insufficient permission.")
            _check_start_body(body)
            if group.status != PAUSED or group.turning is not None:
                raise Refusal(400, "OMS.1039", "Only paused task groups can be resumed.")
            if self.valid_keys and (body.get("src_ak"), body.get("src_sk")) != (SOURCE_AK, SOURCE_SK):
                raise Refusal(400, "OMS.1014", "Failed to read the source bucket.")
            if self.valid_keys and (body["dst_ak"], body["dst_sk"]) != (DESTINATION_AK, DESTINATION_SK):
                raise Refusal(400, "OMS.1020", "Failed to access the destination bucket.")
            group.starts += 1
            group.turning = (self.now() + group.status_lag, MONITORING)

    def stop(self, group_id: str) -> None:
        """StopTaskGroup.

        Raises:
            Refusal: as OMS refuses.
        """
        with self.lock:
            group = self._moved(group_id)
            if group.status not in (EXECUTING, MONITORING):
                raise Refusal(400, "OMS.1038", "Only task groups being monitored can be paused.")
            group.status = PAUSING
            group.turning = (self.now() + timedelta(seconds=2), PAUSED)

    def _moved(self, group_id: str) -> Group:
        group = self.groups.get(group_id)
        if group is None:
            raise Refusal(400, "OMS.1009", "Resource not found.")
        now = self.now()
        if group.turning is not None and now >= group.turning[0]:
            group.moved_at = group.turning[0]
            group.status = group.turning[1]
            group.turning = None
        if group.status == MONITORING:
            since = now - (group.moved_at or now)
            moved = int(since.total_seconds() * group.bytes_per_second)
            if moved > 0 or group.moved_at is None:
                group.complete_bytes = min(group.total_bytes, group.complete_bytes + moved)
                group.moved_at = now
            if group.fails_later is not None and moved > 0:
                group.status, group.error = MIGRATION_FAILED, group.fails_later
            elif group.complete_bytes >= group.total_bytes:
                group.status = COMPLETED
        return group


def _check_start_body(body: dict[str, str]) -> None:
    for name in ("dst_ak", "dst_sk"):
        if name not in body:
            raise Refusal(400, "OMS.1004", f"Required parameter {name} is missing.")
    allowed = {
        "src_ak": 100,
        "src_sk": 100,
        "dst_ak": 100,
        "dst_sk": 100,
        "connection_string": 2048,
        "json_auth_file": 65535,
        "source_cdn_authentication_key": 255,
    }
    for name, value in body.items():
        if name not in allowed:
            raise Refusal(400, "OMS.0064", f"request parameter [{name}] unknown.")
        if not isinstance(value, str) or not 1 <= len(value) <= allowed[name]:
            raise Refusal(400, "OMS.0064", f"request parameter [{name}] invalid.")


def demo_world(now: Callable[[], datetime]) -> World:
    """The groups of the sandbox: one to resume, and one for each other way that it may go."""

    def an(number: int) -> str:
        return f"1a2b3c4d-0000-4000-8000-{number:012d}"

    groups = [
        Group(NIGHTLY_IMAGES, "nightly images", PAUSED),
        Group(an(1), "invoices 2019 to 2024", PAUSED, bucket="invoices", enable_restore=True),
        Group(
            an(2), "video masters", MONITORING, bucket="masters", total_bytes=900_000_000_000, complete_bytes=90 * 10**9
        ),
        Group(an(3), "web assets", COMPLETED, bucket="assets", complete_bytes=10_000_000_000),
        Group(
            an(4),
            "old backups",
            MIGRATION_FAILED,
            bucket="backups",
            error=("TRF.0151", "Invalid AK/SK of the source end."),
        ),
        Group(an(5), "map tiles", PAUSED, bucket="tiles", fails_later=("TRF.0152", "The source AK/SK has no rights.")),
        Group(an(6), "click logs", PAUSED, bucket="logs", overwrite_mode="FULL_OVERWRITE"),
        Group(an(7), "survey scans", PAUSED, cloud_type="GOOGLE", bucket="scans"),
    ]
    return World(now, {group.id: group for group in groups})
