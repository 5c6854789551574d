"""The sub-tasks of a simulated task group, one by one, as ListTasks returns them.

Pure. They follow from the group: its counts, its failures, and its bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from bot.sandbox.huawei.group import PAUSING, STARTED_AT, Group

# The values of a task's `status` (API reference, ListTasks), which differ from those of a group.
TASK_WAITING, TASK_RUNNING, TASK_STOPPED, TASK_FAILED, TASK_SUCCESS, TASK_PAUSING = 1, 2, 3, 4, 5, 7

# In lower and mixed case here, in upper case in the answers about groups (API reference).
_TASK_TYPES = {"PREFIX": "prefix", "LIST": "list", "URL_LIST": "url_list"}
_CLOUD_TYPES = {
    "ALIYUN": "Aliyun",
    "AZURE": "Azure",
    "GOOGLE": "Google",
    "TENCENT": "Tencent",
    "HUAWEICLOUD": "HuaweiCloud",
    "URLSOURCE": "URLSource",
}


# The settings that a sub-task has from its group.
_SETTINGS = (
    "dst_node",
    "bandwidth_policy",
    "source_cdn",
    "migrate_since",
    "enable_failed_object_recording",
    "enable_metadata_migration",
    "enable_restore",
    "enable_requester_pays",
    "object_overwrite_mode",
    "dst_storage_policy",
    "consistency_check",
    "obs_system",
)


def sub_tasks_of(group: Group, region: str) -> Iterator[dict[str, object]]:
    """Every sub-task of the group that OMS has created, those that are complete or failed first.

    Arguments:
        region: of the destination, which is the region of this OMS.
    """
    counts = group.sub_task_counts()
    reasons = [(one.code, one.message) for one in group.failures for _ in range(one.sub_tasks)]
    statuses = (
        [TASK_SUCCESS] * counts.complete
        + [TASK_FAILED] * counts.failed
        + [TASK_RUNNING] * counts.executing
        + [TASK_WAITING] * counts.waiting
        + [TASK_PAUSING if group.status == PAUSING else TASK_STOPPED] * counts.paused
    )
    begun = counts.executing or counts.paused
    begun_bytes = group.complete_bytes - group.total_bytes // group.sub_tasks * counts.complete
    settings = _settings(group, region)
    for index, status in enumerate(statuses):
        objects = _part(group.total_objects, index, group.sub_tasks)
        size = _part(group.total_bytes, index, group.sub_tasks)
        error, failed, done = None, 0, 0
        if status == TASK_SUCCESS:
            done = size
        elif status == TASK_FAILED:
            number = index - counts.complete
            error = reasons[number] if number < len(reasons) else group.error
            failed = min(objects, _part(group.failed_objects, number, counts.failed))
        elif status != TASK_WAITING:
            done = max(0, min(size - 1, begun_bytes // begun))
        speed = group.speed // counts.executing if status == TASK_RUNNING else 0
        yield (
            settings
            | _identity(group, index)
            | _progress(status, speed, (objects, failed), (size, done))
            | {
                "error_reason": {"error_code": error[0], "error_msg": error[1]} if error else None,
                "failed_object_record": _failed_object_record(group, index, failed),
            }
        )


def _part(whole: int, index: int, parts: int) -> int:
    """One part of a whole that is divided as evenly as integers allow."""
    return whole // parts + (index < whole % parts)


def _settings(group: Group, region: str) -> dict[str, object]:
    """What all sub-tasks of a group have in common."""
    shown = group.as_json(region)
    return {name: shown[name] for name in _SETTINGS} | {
        "description": "",
        "group_id": group.id,
        "group_type": "GROUP_TASK",
        "task_type": _TASK_TYPES[group.task_type],
        "task_priority": "MEDIUM",
        "start_time": STARTED_AT,
        "total_time": 3_600_000,
        "is_query_over": True,
        "success_record_error_reason": None,
        "skip_record_error_reason": None,
        "smn_info": None,
    }


def _identity(group: Group, index: int) -> dict[str, object]:
    return {
        "id": zlib.crc32(group.id.encode()) * 100_000 + index,
        "name": f"{group.description}_{index + 1:05d}",
        "src_node": {
            "bucket": group.bucket,
            "cloud_type": _CLOUD_TYPES.get(group.cloud_type, group.cloud_type),
            "region": group.source_region,
            "app_id": None,
            "object_key": [f"part-{index + 1:05d}/"] if group.task_type == "PREFIX" else None,
            "list_file": None,
        },
    }


def _progress(status: int, speed: int, objects: tuple[int, int], sizes: tuple[int, int]) -> dict[str, object]:
    """The counters.

    Arguments:
        objects: how many in all, and how many of them failed.
        sizes: in bytes, of all objects and of the ones that are complete.
    """
    (total_objects, failed_objects), (total_size, complete_size) = objects, sizes
    progress = complete_size / total_size if total_size else float(status == TASK_SUCCESS)
    return {
        "status": status,
        "progress": round(progress, 3),
        "migrate_speed": speed,
        "left_time": (total_size - complete_size) * 1000 // speed if speed else 0,
        "total_num": total_objects,
        "successful_num": int((total_objects - failed_objects) * progress),
        "failed_num": failed_objects,
        "skipped_num": 0,
        "total_size": total_size,
        "real_size": total_size,
        "complete_size": complete_size,
    }


def _failed_object_record(group: Group, index: int, failed_objects: int) -> dict[str, object] | None:
    if not group.records_failed_objects:
        return None
    key = f"oms/failed/{group.id}/{index + 1}.txt" if failed_objects else None
    return {"result": key is not None, "list_file_key": key, "error_code": None}
