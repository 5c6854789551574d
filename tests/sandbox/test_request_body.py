"""The kind of a group decides which keys it needs: missing, unexpected, empty and wrong keys are rejected by name."""

from __future__ import annotations

import json

import pytest
from huaweicloudsdkoms.v2 import StartTaskGroupReq, StartTaskGroupRequest

from bot.sandbox.huawei import credentials
from bot.sandbox.huawei.credentials import AZURE_CONNECTION_STRING, DESTINATION_AK, GOOGLE_JSON, SOURCE_AK, SOURCE_SK
from bot.sandbox.huawei.example_groups import (
    CONTRACTS,
    NIGHTLY_IMAGES,
    OLD_BACKUPS,
    PARTNER_FILES,
    PUBLIC_RECORDS,
    RADIO_SHOWS,
    SHOP_PICTURES,
    SURVEY_SCANS,
    VIDEO_MASTERS,
)
from bot.sandbox.huawei.group import Cdn
from bot.sandbox.huawei.oms_server import OmsStandIn
from tests.sandbox.oms import DESTINATION, KEYS, SOURCE, error_of, put, sdk

CONNECTION = {"connection_string": AZURE_CONNECTION_STRING}
JSON_FILE = {"json_auth_file": GOOGLE_JSON}
CDN_KEY = {"source_cdn_authentication_key": credentials.CDN_KEY}


@pytest.mark.parametrize(
    ("group", "source"),
    [
        (NIGHTLY_IMAGES, SOURCE),
        (SURVEY_SCANS, JSON_FILE),
        (CONTRACTS, CONNECTION),
        (RADIO_SHOWS, SOURCE),
        (PARTNER_FILES, {}),
        (PUBLIC_RECORDS, {}),
        (SHOP_PICTURES, SOURCE | CDN_KEY),
    ],
)
def test_the_sdk_starts_a_group_of_each_kind_with_the_keys_it_needs(
    oms: OmsStandIn, group: str, source: dict[str, str]
) -> None:
    body = StartTaskGroupReq(**DESTINATION, **source)
    sdk(oms).start_task_group(StartTaskGroupRequest(group_id=group, body=body))
    assert oms.state.groups[group].starts == 1


@pytest.mark.parametrize(
    ("group", "source", "field"),
    [
        (NIGHTLY_IMAGES, {}, "src_ak"),
        (NIGHTLY_IMAGES, {"src_ak": SOURCE_AK}, "src_sk"),
        (NIGHTLY_IMAGES, {"src_sk": SOURCE_SK}, "src_ak"),
        (SURVEY_SCANS, {}, "json_auth_file"),
        (CONTRACTS, {}, "connection_string"),
        (RADIO_SHOWS, {"src_ak": SOURCE_AK}, "src_sk"),
    ],
)
def test_a_missing_source_key_is_named(oms: OmsStandIn, group: str, source: dict[str, str], field: str) -> None:
    answer = put(oms, group, "start", DESTINATION | source)
    assert (answer.status_code, *error_of(answer)) == (400, "OMS.1004", field)


@pytest.mark.parametrize("field", ["dst_ak", "dst_sk"])
def test_a_missing_destination_key_is_named(oms: OmsStandIn, field: str) -> None:
    body = {name: value for name, value in KEYS.items() if name != field}
    assert error_of(put(oms, NIGHTLY_IMAGES, "start", body)) == ("OMS.1004", field)
    assert error_of(
        put(oms, PARTNER_FILES, "start", {name: value for name, value in DESTINATION.items() if name != field})
    ) == (
        "OMS.1004",
        field,
    )


@pytest.mark.parametrize(
    ("group", "source", "field"),
    [
        (PARTNER_FILES, SOURCE, "src_ak"),
        (PUBLIC_RECORDS, SOURCE, "src_ak"),
        (SURVEY_SCANS, SOURCE, "src_ak"),
        (SURVEY_SCANS, SOURCE | JSON_FILE, "src_ak"),
        (NIGHTLY_IMAGES, JSON_FILE, "json_auth_file"),
        (NIGHTLY_IMAGES, SOURCE | CONNECTION, "connection_string"),
        (CONTRACTS, SOURCE | CONNECTION, "connection_string"),
        (CONTRACTS, JSON_FILE, "json_auth_file"),
        (NIGHTLY_IMAGES, SOURCE | CDN_KEY, "source_cdn_authentication_key"),
        (CONTRACTS, CONNECTION | CDN_KEY, "source_cdn_authentication_key"),
        (NIGHTLY_IMAGES, SOURCE | {"src_security_token": "x"}, "src_security_token"),
        (NIGHTLY_IMAGES, SOURCE | {"migrate_failed_object": True}, "migrate_failed_object"),
    ],
)
def test_an_unexpected_key_is_named(oms: OmsStandIn, group: str, source: dict[str, object], field: str) -> None:
    assert error_of(put(oms, group, "start", DESTINATION | source)) == ("OMS.0064", field)
    assert oms.state.groups[group].starts == 0


@pytest.mark.parametrize("authentication", ["ALIYUN_OSS_B", "AZURE_SAS_TOKEN", "TENCENT_COS_D"])
def test_a_cdn_with_authentication_needs_its_key(oms: OmsStandIn, authentication: str) -> None:
    oms.state.groups[SHOP_PICTURES].cdn = Cdn("img.shop.example", authentication)
    assert error_of(put(oms, SHOP_PICTURES, "start", KEYS))[0] == "OMS.1032"
    assert put(oms, SHOP_PICTURES, "start", KEYS | CDN_KEY).status_code == 200


@pytest.mark.parametrize("authentication", ["NONE", "QINIU_PRIVATE_AUTHENTICATION", "KSYUN_PRIVATE_AUTHENTICATION"])
def test_a_cdn_without_a_key_rejects_one(oms: OmsStandIn, authentication: str) -> None:
    oms.state.groups[SHOP_PICTURES].cdn = Cdn("img.shop.example", authentication)
    assert error_of(put(oms, SHOP_PICTURES, "start", KEYS | CDN_KEY)) == ("OMS.0064", "source_cdn_authentication_key")
    assert put(oms, SHOP_PICTURES, "start", KEYS).status_code == 200


@pytest.mark.parametrize(
    ("group", "source", "field", "most"),
    [
        (NIGHTLY_IMAGES, SOURCE, "src_ak", 100),
        (NIGHTLY_IMAGES, SOURCE, "src_sk", 100),
        (NIGHTLY_IMAGES, SOURCE, "dst_ak", 100),
        (NIGHTLY_IMAGES, SOURCE, "dst_sk", 100),
        (CONTRACTS, CONNECTION, "connection_string", 2048),
        (SURVEY_SCANS, JSON_FILE, "json_auth_file", 65_535),
        (SHOP_PICTURES, SOURCE | CDN_KEY, "source_cdn_authentication_key", 255),
    ],
)
def test_an_empty_or_too_long_key_is_named(
    oms: OmsStandIn, group: str, source: dict[str, str], field: str, most: int
) -> None:
    body: dict[str, object] = {**DESTINATION, **source}
    for value in ("", "x" * (most + 1), 7, None):
        assert error_of(put(oms, group, "start", body | {field: value})) == ("OMS.0064", field)
    longest = json.dumps({"k": "x" * (most - 9)}) if field == "json_auth_file" else "x" * most
    assert error_of(put(oms, group, "start", body | {field: longest}))[0] in ("OMS.1014", "OMS.1020"), (
        "its length is accepted"
    )


@pytest.mark.parametrize("text", ["not JSON", "[]", '"text"', "7"])
def test_the_key_of_google_must_be_a_json_object(oms: OmsStandIn, text: str) -> None:
    assert error_of(put(oms, SURVEY_SCANS, "start", DESTINATION | {"json_auth_file": text})) == (
        "OMS.0064",
        "json_auth_file",
    )


@pytest.mark.parametrize(
    ("group", "body", "code"),
    [
        (NIGHTLY_IMAGES, KEYS | {"src_ak": "another"}, "OMS.1014"),
        (NIGHTLY_IMAGES, KEYS | {"src_sk": "another"}, "OMS.1014"),
        (CONTRACTS, DESTINATION | {"connection_string": "another"}, "OMS.1014"),
        (SURVEY_SCANS, DESTINATION | {"json_auth_file": '{"type": "service_account"}'}, "OMS.1014"),
        (SHOP_PICTURES, KEYS | {"source_cdn_authentication_key": "another"}, "OMS.1014"),
        (NIGHTLY_IMAGES, KEYS | {"dst_ak": "another"}, "OMS.1020"),
        (PARTNER_FILES, DESTINATION | {"dst_sk": "another"}, "OMS.1020"),
    ],
)
def test_wrong_keys_are_rejected_with_the_code_of_their_side(
    oms: OmsStandIn, group: str, body: dict[str, str], code: str
) -> None:
    assert error_of(put(oms, group, "start", body))[0] == code
    assert oms.state.groups[group].starts == 0


def test_wrong_keys_are_accepted_while_oms_does_not_check_them(oms: OmsStandIn) -> None:
    oms.state.checks_keys = False
    assert put(oms, NIGHTLY_IMAGES, "start", KEYS | {"src_ak": "another"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"), [(b"", "OMS.0061"), (b"{", "OMS.0061"), (b"[]", "OMS.0067"), (b"null", "OMS.0067")]
)
def test_a_body_must_be_a_json_object(oms: OmsStandIn, body: bytes, code: str) -> None:
    assert error_of(put(oms, NIGHTLY_IMAGES, "start", body))[0] == code
    assert error_of(put(oms, OLD_BACKUPS, "retry", body))[0] == code


def test_a_pause_takes_no_body(oms: OmsStandIn) -> None:
    assert error_of(put(oms, VIDEO_MASTERS, "stop", {}))[0] == "OMS.0074"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"migrate_failed_object": "true"}, "OMS.0064", "migrate_failed_object"),
        ({"dst_ak": DESTINATION_AK}, "OMS.1004", "dst_sk"),
        ({"src_sk": SOURCE_SK}, "OMS.1004", "src_ak"),
        (JSON_FILE, "OMS.0064", "json_auth_file"),
        (CDN_KEY, "OMS.0064", "source_cdn_authentication_key"),
        ({"nonsense": "x"}, "OMS.0064", "nonsense"),
        (KEYS | {"dst_sk": ""}, "OMS.0064", "dst_sk"),
        (KEYS | {"src_ak": "another"}, "OMS.1014", ""),
        (KEYS | {"dst_ak": "another"}, "OMS.1020", ""),
    ],
)
def test_a_retry_needs_no_keys_but_rejects_half_of_a_key(
    oms: OmsStandIn, body: dict[str, object], code: str, field: str
) -> None:
    assert error_of(put(oms, OLD_BACKUPS, "retry", body)) == (code, field)
    assert oms.state.groups[OLD_BACKUPS].retries == 0
    assert put(oms, OLD_BACKUPS, "retry", {}).status_code == 200
