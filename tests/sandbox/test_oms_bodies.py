"""Which keys a group takes follows from the group: whatever is missing, foreign, empty or wrong is refused by name."""

from __future__ import annotations

import json

import pytest
from huaweicloudsdkoms.v2 import StartTaskGroupReq, StartTaskGroupRequest

from bot.sandbox import oms_state as ow
from bot.sandbox.oms_server import OmsStandIn
from bot.sandbox.oms_state import NIGHTLY_IMAGES
from tests.sandbox.oms import (
    AZURE,
    AZURE_KEYS,
    CDN,
    DESTINATION,
    FAILED,
    GOOGLE,
    KEYS,
    SOURCE,
    URL_LIST,
    URL_SOURCE,
    put,
    said,
    sdk,
)

CONNECTION = {"connection_string": ow.AZURE_CONNECTION_STRING}
JSON_FILE = {"json_auth_file": ow.GOOGLE_JSON}
CDN_KEY = {"source_cdn_authentication_key": ow.CDN_KEY}


@pytest.mark.parametrize(
    ("group", "source"),
    [
        (NIGHTLY_IMAGES, SOURCE),
        (GOOGLE, JSON_FILE),
        (AZURE, CONNECTION),
        (AZURE_KEYS, SOURCE),
        (URL_LIST, {}),
        (URL_SOURCE, {}),
        (CDN, SOURCE | CDN_KEY),
    ],
)
def test_the_sdk_starts_a_group_of_each_kind_with_what_it_needs(
    oms: OmsStandIn, group: str, source: dict[str, str]
) -> None:
    body = StartTaskGroupReq(**DESTINATION, **source)
    sdk(oms).start_task_group(StartTaskGroupRequest(group_id=group, body=body))
    assert oms.world.groups[group].starts == 1


@pytest.mark.parametrize(
    ("group", "source", "field"),
    [
        (NIGHTLY_IMAGES, {}, "src_ak"),
        (NIGHTLY_IMAGES, {"src_ak": ow.SOURCE_AK}, "src_sk"),
        (NIGHTLY_IMAGES, {"src_sk": ow.SOURCE_SK}, "src_ak"),
        (GOOGLE, {}, "json_auth_file"),
        (AZURE, {}, "connection_string"),
        (AZURE_KEYS, {"src_ak": ow.SOURCE_AK}, "src_sk"),
    ],
)
def test_a_missing_source_key_is_named(oms: OmsStandIn, group: str, source: dict[str, str], field: str) -> None:
    answer = put(oms, group, "start", DESTINATION | source)
    assert (answer.status_code, *said(answer)) == (400, "OMS.1004", field)


@pytest.mark.parametrize("field", ["dst_ak", "dst_sk"])
def test_a_missing_destination_key_is_named(oms: OmsStandIn, field: str) -> None:
    body = {name: value for name, value in KEYS.items() if name != field}
    assert said(put(oms, NIGHTLY_IMAGES, "start", body)) == ("OMS.1004", field)
    assert said(put(oms, URL_LIST, "start", {name: value for name, value in DESTINATION.items() if name != field})) == (
        "OMS.1004",
        field,
    )


@pytest.mark.parametrize(
    ("group", "source", "field"),
    [
        (URL_LIST, SOURCE, "src_ak"),
        (URL_SOURCE, SOURCE, "src_ak"),
        (GOOGLE, SOURCE, "src_ak"),
        (GOOGLE, SOURCE | JSON_FILE, "src_ak"),
        (NIGHTLY_IMAGES, JSON_FILE, "json_auth_file"),
        (NIGHTLY_IMAGES, SOURCE | CONNECTION, "connection_string"),
        (AZURE, SOURCE | CONNECTION, "connection_string"),
        (AZURE, JSON_FILE, "json_auth_file"),
        (NIGHTLY_IMAGES, SOURCE | CDN_KEY, "source_cdn_authentication_key"),
        (AZURE, CONNECTION | CDN_KEY, "source_cdn_authentication_key"),
        (NIGHTLY_IMAGES, SOURCE | {"src_security_token": "x"}, "src_security_token"),
        (NIGHTLY_IMAGES, SOURCE | {"migrate_failed_object": True}, "migrate_failed_object"),
    ],
)
def test_a_key_that_the_group_does_not_take_is_named(
    oms: OmsStandIn, group: str, source: dict[str, object], field: str
) -> None:
    assert said(put(oms, group, "start", DESTINATION | source)) == ("OMS.0064", field)
    assert oms.world.groups[group].starts == 0


@pytest.mark.parametrize("authentication", ["ALIYUN_OSS_B", "AZURE_SAS_TOKEN", "TENCENT_COS_D"])
def test_a_cdn_that_authenticates_needs_its_key(oms: OmsStandIn, authentication: str) -> None:
    oms.world.groups[CDN].cdn = ow.Cdn("img.shop.example", authentication)
    assert said(put(oms, CDN, "start", KEYS))[0] == "OMS.1032"
    assert put(oms, CDN, "start", KEYS | CDN_KEY).status_code == 200


@pytest.mark.parametrize("authentication", ["NONE", "QINIU_PRIVATE_AUTHENTICATION", "KSYUN_PRIVATE_AUTHENTICATION"])
def test_a_cdn_that_does_not_takes_none(oms: OmsStandIn, authentication: str) -> None:
    oms.world.groups[CDN].cdn = ow.Cdn("img.shop.example", authentication)
    assert said(put(oms, CDN, "start", KEYS | CDN_KEY)) == ("OMS.0064", "source_cdn_authentication_key")
    assert put(oms, CDN, "start", KEYS).status_code == 200


@pytest.mark.parametrize(
    ("group", "source", "field", "most"),
    [
        (NIGHTLY_IMAGES, SOURCE, "src_ak", 100),
        (NIGHTLY_IMAGES, SOURCE, "src_sk", 100),
        (NIGHTLY_IMAGES, SOURCE, "dst_ak", 100),
        (NIGHTLY_IMAGES, SOURCE, "dst_sk", 100),
        (AZURE, CONNECTION, "connection_string", 2048),
        (GOOGLE, JSON_FILE, "json_auth_file", 65_535),
        (CDN, SOURCE | CDN_KEY, "source_cdn_authentication_key", 255),
    ],
)
def test_an_empty_or_overlong_key_is_named(
    oms: OmsStandIn, group: str, source: dict[str, str], field: str, most: int
) -> None:
    body: dict[str, object] = {**DESTINATION, **source}
    for value in ("", "x" * (most + 1), 7, None):
        assert said(put(oms, group, "start", body | {field: value})) == ("OMS.0064", field)
    longest = json.dumps({"k": "x" * (most - 9)}) if field == "json_auth_file" else "x" * most
    assert said(put(oms, group, "start", body | {field: longest}))[0] in ("OMS.1014", "OMS.1020"), "long enough"


@pytest.mark.parametrize("text", ["not JSON", "[]", '"text"', "7"])
def test_googles_key_must_be_a_json_object(oms: OmsStandIn, text: str) -> None:
    assert said(put(oms, GOOGLE, "start", DESTINATION | {"json_auth_file": text})) == ("OMS.0064", "json_auth_file")


@pytest.mark.parametrize(
    ("group", "body", "code"),
    [
        (NIGHTLY_IMAGES, KEYS | {"src_ak": "another"}, "OMS.1014"),
        (NIGHTLY_IMAGES, KEYS | {"src_sk": "another"}, "OMS.1014"),
        (AZURE, DESTINATION | {"connection_string": "another"}, "OMS.1014"),
        (GOOGLE, DESTINATION | {"json_auth_file": '{"type": "service_account"}'}, "OMS.1014"),
        (CDN, KEYS | {"source_cdn_authentication_key": "another"}, "OMS.1014"),
        (NIGHTLY_IMAGES, KEYS | {"dst_ak": "another"}, "OMS.1020"),
        (URL_LIST, DESTINATION | {"dst_sk": "another"}, "OMS.1020"),
    ],
)
def test_wrong_keys_are_refused_for_their_side(oms: OmsStandIn, group: str, body: dict[str, str], code: str) -> None:
    assert said(put(oms, group, "start", body))[0] == code
    assert oms.world.groups[group].starts == 0


def test_keys_that_oms_does_not_look_at_are_taken(oms: OmsStandIn) -> None:
    oms.world.valid_keys = False
    assert put(oms, NIGHTLY_IMAGES, "start", KEYS | {"src_ak": "another"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"), [(b"", "OMS.0061"), (b"{", "OMS.0061"), (b"[]", "OMS.0067"), (b"null", "OMS.0067")]
)
def test_a_body_that_is_no_json_object_is_refused(oms: OmsStandIn, body: bytes, code: str) -> None:
    assert said(put(oms, NIGHTLY_IMAGES, "start", body))[0] == code
    assert said(put(oms, FAILED, "retry", body))[0] == code


def test_a_pause_takes_no_body(oms: OmsStandIn) -> None:
    assert said(put(oms, ow.an(2), "stop", {}))[0] == "OMS.0074"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"migrate_failed_object": "true"}, "OMS.0064", "migrate_failed_object"),
        ({"dst_ak": ow.DESTINATION_AK}, "OMS.1004", "dst_sk"),
        ({"src_sk": ow.SOURCE_SK}, "OMS.1004", "src_ak"),
        (JSON_FILE, "OMS.0064", "json_auth_file"),
        (CDN_KEY, "OMS.0064", "source_cdn_authentication_key"),
        ({"nonsense": "x"}, "OMS.0064", "nonsense"),
        (KEYS | {"dst_sk": ""}, "OMS.0064", "dst_sk"),
        (KEYS | {"src_ak": "another"}, "OMS.1014", ""),
        (KEYS | {"dst_ak": "another"}, "OMS.1020", ""),
    ],
)
def test_a_retry_may_leave_keys_out_but_not_half_of_them(
    oms: OmsStandIn, body: dict[str, object], code: str, field: str
) -> None:
    assert said(put(oms, FAILED, "retry", body)) == (code, field)
    assert oms.world.groups[FAILED].retries == 0
    assert put(oms, FAILED, "retry", {}).status_code == 200
