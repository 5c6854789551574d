"""Reading task groups from SHOW answers, and writing the bodies of START and RETRY."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.domain.task_group import ErrorReason, Scope
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
from bot.huawei.wire import MAX_COUNT, MAX_TEXT_CHARACTERS, read_group, retry_body, start_body
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


def test_the_cdn_domain_is_read_and_belongs_to_the_approved_migration() -> None:
    without = read_group({"group_id": GROUP_ID, "status": 3})
    domain = {"domain": "cdn.example", "protocol": "https", "authentication_type": "NONE"}
    with_cdn = read_group({"group_id": GROUP_ID, "status": 3, "source_cdn": domain})
    assert (without.cdn_domain, with_cdn.cdn_domain) == ("", "cdn.example")
    assert not with_cdn.is_same_migration(replace(with_cdn, cdn_domain="other.example"))
