"""The wire form of task groups: reads what SHOW answers, writes what START is sent.

Pure. Source of the fields: OMS API reference, ShowTaskGroup, ListTaskGroup and StartTaskGroup.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from bot.oms.errors import Unreadable
from bot.redaction import Secret
from bot.request.group import Destination, ErrorReason, GroupStatus, Progress, Source, TaskGroup

KEY_CHARACTERS = 100

_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
_Count = Annotated[int, BeforeValidator(lambda value: 0 if value is None else value)]
_Flag = Annotated[bool, BeforeValidator(lambda value: False if value is None else value)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _SourceNode(_Wire):
    bucket: _Text = ""
    cloud_type: _Text = ""
    region: _Text = ""


class _DestinationNode(_Wire):
    bucket: _Text = ""
    region: _Text = ""
    save_prefix: _Text = ""


class _ErrorReason(_Wire):
    error_code: _Text = ""
    error_msg: _Text = ""


class _SourceCdn(_Wire):
    domain: _Text = ""
    authentication_type: _Text = ""


class _Group(_Wire):
    group_id: str
    status: int
    task_type: _Text = ""
    description: _Text = ""
    src_node: _SourceNode = _SourceNode()
    dst_node: _DestinationNode = _DestinationNode()
    error_reason: _ErrorReason | None = None
    source_cdn: _SourceCdn | None = None
    enable_restore: _Flag = False
    object_overwrite_mode: _Text = ""
    migrate_speed: _Count = 0
    total_num: _Count = 0
    success_num: _Count = 0
    fail_num: _Count = 0
    skip_num: _Count = 0
    total_size: _Count = 0
    complete_size: _Count = 0


def read_group(parsed: object) -> TaskGroup:
    """One task group as SHOW and LIST answer it; unknown fields are left alone, null stands for nothing.

    Raises:
        Unreadable: it is no task group, or its status is none of 0 to 9.
    """
    try:
        wire = _Group.model_validate(parsed)
        status = GroupStatus(wire.status)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "the answer"
        raise Unreadable(f"OMS answered with a task group whose {place} is not as documented") from None
    except ValueError:
        raise Unreadable(f"OMS answered with a task group of status {wire.status}, which is not documented") from None
    cdn, reason = wire.source_cdn, wire.error_reason
    return TaskGroup(
        group_id=wire.group_id,
        status=status,
        task_type=wire.task_type.upper(),
        description=wire.description,
        source=Source(wire.src_node.bucket, wire.src_node.cloud_type.upper(), wire.src_node.region),
        destination=Destination(wire.dst_node.bucket, wire.dst_node.region, wire.dst_node.save_prefix),
        progress=Progress(
            total_bytes=wire.total_size,
            complete_bytes=wire.complete_size,
            total_objects=wire.total_num,
            success_objects=wire.success_num,
            skipped_objects=wire.skip_num,
            failed_objects=wire.fail_num,
            speed_bytes_per_second=wire.migrate_speed,
        ),
        restores_archives=wire.enable_restore,
        overwrite_mode=wire.object_overwrite_mode,
        cdn_authentication=(cdn.authentication_type or None) if cdn and cdn.domain else None,
        error=ErrorReason(reason.error_code, reason.error_msg) if reason and reason.error_code else None,
    )


@dataclass(frozen=True)
class StartKeys:
    """The keys of source and destination that START is sent."""

    src_ak: Secret
    src_sk: Secret
    dst_ak: Secret
    dst_sk: Secret


def start_body(keys: StartKeys) -> bytes:
    """The body of START, as the bytes that are signed and sent.

    Raises:
        ValueError: a key is empty or longer than the 100 characters that StartTaskGroup allows; it names the key.
    """
    fields: dict[str, Any] = {}
    for name, key in (
        ("src_ak", keys.src_ak),
        ("src_sk", keys.src_sk),
        ("dst_ak", keys.dst_ak),
        ("dst_sk", keys.dst_sk),
    ):
        if not 1 <= len(key) <= KEY_CHARACTERS:
            raise ValueError(f"{name} has {len(key)} characters; OMS takes 1 to {KEY_CHARACTERS}")
        fields[name] = key.reveal()
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
