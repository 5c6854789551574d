"""Reads task groups from the JSON of the OMS API, and writes the bodies of START and RETRY.

Pure. Sub-tasks are read by `task_wire`. Source of the fields: OMS API reference, ShowTaskGroup, ListTaskGroup,
StartTaskGroup and RetryTaskGroup.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from pydantic import StrictInt, ValidationError

from bot.domain.ids import parse_group_id
from bot.domain.task_group import Destination, GroupStatus, Progress, Scope, Source, SubTasks, TaskGroup
from bot.huawei.errors import Unreadable
from bot.huawei.required_keys import DST_AK, DST_SK, JSON_AUTH_FILE, SRC_AK, SRC_SK, KeyField
from bot.huawei.wire_types import Count, Flag, Text, Wire, WireReason, first_wrong_field, read_reason
from bot.redaction import Secret, visible

_ACCESS_KEYS = frozenset({SRC_AK, SRC_SK, DST_AK, DST_SK})


# The fields of ShowTaskGroup that say what is migrated and how. The others count progress, report errors, or can be
# changed while the group runs: bandwidth_policy and smn_config. Older versions of the API have enable_kms. A field that
# is not documented is left out: it could count progress, or contain a key.
_SETTINGS = (
    "consistency_check",
    "description",
    "dst_node.bucket",
    "dst_node.region",
    "dst_node.save_prefix",
    "dst_storage_policy",
    "enable_failed_object_recording",
    "enable_kms",
    "enable_metadata_migration",
    "enable_requester_pays",
    "enable_restore",
    "migrate_since",
    "object_overwrite_mode",
    "obs_system",
    "source_cdn.authentication_type",
    "source_cdn.domain",
    "source_cdn.protocol",
    "src_node.app_id",
    "src_node.bucket",
    "src_node.cloud_type",
    "src_node.list_file",
    "src_node.object_key",
    "src_node.region",
    "task_type",
)
# Of a longer value, such as a list of prefixes, the beginning and a hash are compared and stored.
_MAX_SETTING_CHARACTERS = 200


class _SourceNode(Wire):
    bucket: Text = ""
    cloud_type: Text = ""
    region: Text = ""


class _DestinationNode(Wire):
    bucket: Text = ""
    region: Text = ""
    save_prefix: Text = ""


class _SourceCdn(Wire):
    domain: Text = ""
    authentication_type: Text = ""


class _FailedObjectRecord(Wire):
    result: Flag = False
    list_file_key: Text = ""


class _Group(Wire):
    group_id: str
    status: StrictInt
    task_type: Text = ""
    description: Text = ""
    src_node: _SourceNode = _SourceNode()
    dst_node: _DestinationNode = _DestinationNode()
    error_reason: WireReason | None = None
    source_cdn: _SourceCdn | None = None
    enable_restore: Flag = False
    enable_failed_object_recording: Flag = False
    object_overwrite_mode: Text = ""
    migrate_speed: Count = 0
    total_num: Count = 0
    success_num: Count = 0
    fail_num: Count = 0
    skip_num: Count = 0
    total_size: Count = 0
    complete_size: Count = 0
    total_task_num: Count = 0
    waiting_task_num: Count = 0
    executing_task_num: Count = 0
    paused_task_num: Count = 0
    failed_task_num: Count = 0
    complete_task_num: Count = 0
    failed_object_record: _FailedObjectRecord | None = None


def read_group(parsed: object) -> TaskGroup:
    """Reads one task group of a SHOW or LIST answer. Ignores unknown fields, and reads null like a missing field.

    Raises:
        Unreadable: the value is not a task group as documented, or its status is not between 0 and 9.
    """
    try:
        wire = _Group.model_validate(parsed)
        group_id, status = parse_group_id(wire.group_id), GroupStatus(wire.status)
    except ValidationError as error:
        raise Unreadable(f"OMS returned a task group that the bot can't read ({first_wrong_field(error)})") from None
    except ValueError:
        raise Unreadable(f"OMS returned a task group with the undocumented status {wire.status}") from None
    if group_id is None:
        raise Unreadable("OMS returned a task group that the bot can't read (group_id)")
    cdn, record = wire.source_cdn, wire.failed_object_record
    return TaskGroup(
        group_id=group_id,
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
        records_failed_objects=wire.enable_failed_object_recording,
        cdn_authentication=(cdn.authentication_type or None) if cdn and cdn.domain else None,
        cdn_domain=cdn.domain if cdn else "",
        error=read_reason(wire.error_reason),
        sub_tasks=SubTasks(
            total=wire.total_task_num,
            waiting=wire.waiting_task_num,
            executing=wire.executing_task_num,
            paused=wire.paused_task_num,
            failed=wire.failed_task_num,
            complete=wire.complete_task_num,
        ),
        failed_list=record.list_file_key if record and record.result else "",
        settings=tuple(_settings(parsed)),
    )


def _settings(parsed: object) -> Iterator[tuple[str, str]]:
    """The name and the value of each setting that is set."""
    for name in _SETTINGS:
        value = parsed
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if text := _setting(value):
            yield name, text


def _setting(value: object) -> str:
    """A value as text: empty for null, false, 0, "" and empty lists and objects, which mean the same as no value.

    The order of a list does not count.
    """
    if isinstance(value, dict):
        value = {key: text for key, item in sorted(value.items()) if (text := _setting(item))}
    elif isinstance(value, list):
        value = sorted(text for item in value if (text := _setting(item)))
    if not value:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= _MAX_SETTING_CHARACTERS:
        return visible(text)
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return f"{visible(text[:_MAX_SETTING_CHARACTERS])}… (SHA-256 {digest})"


def start_body(keys: Mapping[KeyField, Secret]) -> bytes:
    """The body of START, as the bytes that are signed and sent. Keys that are not needed are left out.

    Raises:
        ValueError: a key cannot be valid. The text names the field and holds nothing of the key.
    """
    return _to_json(dict(_checked_fields(keys)))


def retry_body(keys: Mapping[KeyField, Secret], scope: Scope) -> bytes:
    """The body of RETRY: the fields of START, and which objects are migrated again.

    Raises:
        ValueError: as for `start_body`.
    """
    return _to_json({"migrate_failed_object": scope is Scope.FAILED_OBJECTS} | dict(_checked_fields(keys)))


def keys_in(body: bytes) -> tuple[Secret, ...]:
    """The keys in a body from `start_body` or `retry_body`: all its strings."""
    return tuple(Secret(value) for value in json.loads(body).values() if isinstance(value, str))


def _checked_fields(keys: Mapping[KeyField, Secret]) -> Iterator[tuple[str, str]]:
    for field, key in keys.items():
        if not 1 <= len(key) <= field.max_characters:
            raise ValueError(f"{field.name} has {len(key):,} characters; OMS accepts 1 to {field.max_characters:,}")
        if field in _ACCESS_KEYS and not key.is_one_word:
            raise ValueError(f"{field.name} contains spaces or characters that no access key has")
        if field is JSON_AUTH_FILE and not _is_json_object(key.reveal()):
            raise ValueError(f"{field.name} isn't the JSON of a service account")
        yield field.name, key.reveal()


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _to_json(fields: Mapping[str, str | bool]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
