"""Reading task groups from SHOW answers, and writing the bodies of START and RETRY."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.domain.task_group import ErrorReason, Scope, changed_settings
from bot.huawei.errors import Unreadable
from bot.huawei.required_keys import (
    CDN_KEY,
    CONNECTION_STRING,
    DST_AK,
    DST_SK,
    JSON_AUTH_FILE,
    SRC_AK,
    SRC_SK,
    KeyField,
)
from bot.huawei.wire import read_group, retry_body, start_body
from bot.huawei.wire_types import MAX_COUNT, MAX_TEXT_CHARACTERS
from bot.redaction import Secret
from tests.support.values import GROUP_ID

KEYS = {field: Secret(field.name) for field in (SRC_AK, SRC_SK, DST_AK, DST_SK)}
SHOWN = {"group_id": GROUP_ID, "status": 5, "total_size": 10}


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, 10**400, MAX_COUNT + 1, float("nan"), float("inf"), [1]])
@pytest.mark.parametrize("name", ["total_size", "complete_size", "total_num", "migrate_speed"])
def test_an_invalid_count_is_refused_by_its_name(name: str, count: object) -> None:
    with pytest.raises(Unreadable, match=rf"can't read \({name}\)"):
        read_group(SHOWN | {name: count})


def test_counts_are_read_up_to_the_largest_and_null_is_zero() -> None:
    progress = read_group(SHOWN | {"total_size": MAX_COUNT, "complete_size": None}).progress
    assert (progress.total_bytes, progress.complete_bytes) == (MAX_COUNT, 0)


@pytest.mark.parametrize("group_id", ["", "<!channel>", "../../x", GROUP_ID + "0", "x" * 36, 7, None])
def test_an_invalid_group_id_is_refused(group_id: object) -> None:
    with pytest.raises(Unreadable, match="group_id"):
        read_group(SHOWN | {"group_id": group_id})


def test_an_error_reason_has_a_code_and_a_message_without_keys() -> None:
    reason = {"error_code": "OMS.1014", "error_msg": 'denied for "ak":"HST3EXAMPLE0000000"\nline\x00 \ud800'}
    error = read_group(SHOWN | {"error_reason": reason}).error
    assert error is not None
    assert (error.code, error.message) == ("OMS.1014", 'denied for "ak":"[hidden]" line   ')


@pytest.mark.parametrize("code", ["<!channel>", "OMS.1014 <@U1>", "", "x" * 41, "a\nb"])
def test_an_error_reason_with_an_invalid_code_keeps_its_message(code: str) -> None:
    error = read_group(SHOWN | {"error_reason": {"error_code": code, "error_msg": "message"}}).error
    assert error == ErrorReason("", "message")


def test_an_empty_error_reason_is_none() -> None:
    assert read_group(SHOWN | {"error_reason": {"error_code": "", "error_msg": " "}}).error is None


def test_characters_that_a_database_refuses_are_replaced_in_a_description() -> None:
    described = read_group(SHOWN | {"description": "a\x00b\ud800c\nd" + "x" * 5000}).description
    assert described.startswith("a b c d")
    assert len(described) == MAX_TEXT_CHARACTERS
    described.encode()


def test_kinds_are_read_in_any_case_and_a_cdn_without_a_domain_is_none() -> None:
    shown = SHOWN | {"task_type": "url_list", "src_node": {"cloud_type": "Aws"}}
    group = read_group(shown | {"source_cdn": {"domain": "cdn.example", "authentication_type": "QINIU"}})
    assert (group.task_type, group.source.cloud_type, group.cdn_authentication) == ("URL_LIST", "AWS", "QINIU")
    for no_cdn in (None, {}, {"domain": "", "authentication_type": "QINIU"}, {"domain": "cdn.example"}):
        assert read_group(shown | {"source_cdn": no_cdn}).cdn_authentication is None


@pytest.mark.parametrize("field", [*KEYS, JSON_AUTH_FILE, CONNECTION_STRING, CDN_KEY], ids=lambda field: field.name)
def test_a_key_of_invalid_length_is_refused_by_its_name(field: KeyField) -> None:
    for value in ("", "x" * (field.max_characters + 1)):
        with pytest.raises(ValueError, match=field.name) as wrong:
            start_body(KEYS | {field: Secret(value)})
        assert "xxx" not in str(wrong.value)


def test_a_key_of_the_maximum_length_is_sent() -> None:
    longest = {field: Secret("x" * field.max_characters) for field in (*KEYS, CONNECTION_STRING, CDN_KEY)}
    sent = json.loads(start_body(longest))
    assert {name: len(value) for name, value in sent.items()} == {field.name: field.max_characters for field in longest}


def test_an_access_key_with_invalid_characters_is_refused_by_its_name() -> None:
    for value in ("two words", "line\n", "Schlüssel"):
        with pytest.raises(ValueError, match="src_sk contains spaces") as wrong:
            start_body(KEYS | {SRC_SK: Secret(value)})
        assert value not in str(wrong.value)


def test_a_service_account_must_be_a_json_object() -> None:
    for value in ("not json", "[1]", '{"type": "service_account"'):
        with pytest.raises(ValueError, match="isn't the JSON") as wrong:
            start_body({JSON_AUTH_FILE: Secret(value)})
        assert value not in str(wrong.value)


def test_the_body_of_a_retry_says_which_objects_are_migrated_again() -> None:
    assert json.loads(retry_body(KEYS, Scope.FAILED_OBJECTS))["migrate_failed_object"] is True
    assert json.loads(retry_body(KEYS, Scope.ALL_OBJECTS))["migrate_failed_object"] is False


def test_the_cdn_domain_is_read() -> None:
    without = read_group({"group_id": GROUP_ID, "status": 3})
    domain = {"domain": "cdn.example", "protocol": "https", "authentication_type": "NONE"}
    with_cdn = read_group({"group_id": GROUP_ID, "status": 3, "source_cdn": domain})
    assert (without.cdn_domain, with_cdn.cdn_domain) == ("", "cdn.example")


# A group with every field of ShowTaskGroup that says what is migrated and how.
CONFIGURED: dict[str, Any] = {
    "group_id": GROUP_ID,
    "status": 3,
    "task_type": "PREFIX",
    "description": "nightly images",
    "src_node": {
        "bucket": "photos-prod",
        "cloud_type": "Tencent",
        "region": "ap-beijing",
        "app_id": "1250000000",
        "object_key": ["2023/", "2024/"],
        "list_file": {"list_file_key": "lists/a.txt", "obs_bucket": "lists", "list_file_num": "3"},
    },
    "dst_node": {"bucket": "photos-archive", "region": "ap-southeast-3", "save_prefix": "old/"},
    "enable_metadata_migration": True,
    "enable_failed_object_recording": True,
    "enable_restore": True,
    "enable_requester_pays": True,
    "enable_kms": True,
    "source_cdn": {"domain": "cdn.example", "protocol": "https", "authentication_type": "NONE"},
    "migrate_since": 1700000000000,
    "object_overwrite_mode": "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
    "dst_storage_policy": "STANDARD",
    "consistency_check": "size_last_modified",
    "obs_system": "BUCKET",
}
CHANGES = [
    *(name for name, value in CONFIGURED.items() if name not in ("group_id", "status") and not isinstance(value, dict)),
    *(f"{node}.{member}" for node in ("src_node", "dst_node", "source_cdn") for member in CONFIGURED[node]),
]


def changed(name: str, value: object) -> dict[str, Any]:
    node, _, member = name.partition(".")
    return CONFIGURED | {node: CONFIGURED[node] | {member: value} if member else value}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("value", ["another", 7, ["another"], None], ids=repr)
def test_a_change_of_any_setting_is_another_migration(name: str, value: object) -> None:
    approved = read_group(CONFIGURED)
    try:
        now = read_group(changed(name, value))
    except Unreadable:
        return  # The value has no type that the API allows.
    (change,) = changed_settings(approved, now)
    assert change.name == name
    assert change.before
    assert change.before != change.after


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", 2),
        ("total_num", 10**6),
        ("success_num", 9),
        ("complete_size", 9),
        ("migrate_speed", 9),
        ("bandwidth_policy", [{"start": "00:00", "end": "01:00", "max_bandwidth": 1048576}]),
        ("smn_config", {"notify_result": False}),
        ("error_reason", {"error_code": "TRF.0151", "error_msg": "x"}),
        ("failed_object_record", {"result": True, "list_file_key": "k"}),
        ("src_node.object_key", ["2024/", "2023/"]),
        ("an_undocumented_counter", 7),
    ],
)
def test_progress_errors_and_the_order_of_a_list_do_not_make_another_migration(name: str, value: object) -> None:
    assert changed_settings(read_group(CONFIGURED), read_group(changed(name, value))) == ()


@pytest.mark.parametrize("empty", [None, "", [], {}, 0, False])
def test_an_empty_value_is_the_same_as_none(empty: object) -> None:
    settings = [name for name in CONFIGURED if name not in ("group_id", "status")]
    without = {"group_id": GROUP_ID, "status": 3}
    for name in settings:
        try:
            assert changed_settings(read_group(without), read_group(without | {name: empty})) == ()
        except Unreadable:
            continue  # The value has no type that the API allows.


def test_a_change_deep_in_a_long_list_is_found() -> None:
    keys = [f"prefix-{number:05d}/" for number in range(5_000)]
    before, after = (read_group(changed("src_node.object_key", one)) for one in (keys, [*keys[:-1], "other/"]))
    (change,) = changed_settings(before, after)
    assert len(change.before) < 300
    assert change.before.startswith('["prefix-00000/", "prefix-00001/"')
