"""Which keys a task group needs, and which of the keys in Vault are sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.task_group import TaskGroup
from bot.huawei.required_keys import (
    CDN_KEY,
    CONNECTION_STRING,
    DESTINATION_KEYS,
    DST_AK,
    DST_SK,
    JSON_AUTH_FILE,
    SRC_AK,
    SRC_SK,
    KeyField,
    fields_to_send,
    missing_keys,
    source_keys,
)
from tests.support.values import GROUP

ACCESS_KEY = (SRC_AK, SRC_SK)
CLOUDS_WITH_ACCESS_KEYS = (
    *("AWS", "ALIYUN", "TENCENT", "HUAWEICLOUD", "QINGCLOUD", "KINGSOFTCLOUD", "BAIDU", "QINIU", "UCLOUD"),
    "AN_UNKNOWN_CLOUD",
)


def group(cloud_type: str = "AWS", task_type: str = "PREFIX", cdn: str | None = None) -> TaskGroup:
    return replace(
        GROUP, source=replace(GROUP.source, cloud_type=cloud_type), task_type=task_type, cdn_authentication=cdn
    )


@pytest.mark.parametrize(
    ("task_group", "present", "sent"),
    [
        *[(group(cloud), ("ak", "sk"), ACCESS_KEY) for cloud in CLOUDS_WITH_ACCESS_KEYS],
        (group(task_type="LIST"), ("ak", "sk"), ACCESS_KEY),
        (group("GOOGLE"), ("json_auth_file",), (JSON_AUTH_FILE,)),
        (group("GOOGLE"), ("json_auth_file", "ak", "sk"), (JSON_AUTH_FILE,)),
        (group("AZURE"), ("connection_string",), (CONNECTION_STRING,)),
        (group("AZURE"), ("ak", "sk"), ACCESS_KEY),
        (group("AZURE"), ("ak", "sk", "connection_string"), (CONNECTION_STRING,)),
        (group("ALIYUN", task_type="URL_LIST"), (), ()),
        (group("URLSOURCE"), ("ak", "sk"), ()),
        *[
            (group(cdn=kind), ("ak", "sk"), ACCESS_KEY)
            for kind in ("NONE", "QINIU_PRIVATE_AUTHENTICATION", "KSYUN_PRIVATE_AUTHENTICATION")
        ],
        *[
            (group(cdn=kind), ("ak", "sk", "source_cdn_authentication_key"), (*ACCESS_KEY, CDN_KEY))
            for kind in ("ALIYUN_OSS_A", "ALIYUN_OSS_C", "TENCENT_COS_D", "AZURE_SAS_TOKEN")
        ],
        (group(task_type="URL_LIST", cdn="ALIYUN_OSS_B"), ("source_cdn_authentication_key",), (CDN_KEY,)),
    ],
)
def test_each_kind_of_group_is_sent_exactly_the_keys_it_needs(
    task_group: TaskGroup, present: tuple[str, ...], sent: tuple[KeyField, ...]
) -> None:
    required = source_keys(task_group)
    assert fields_to_send(required, present) == sent
    assert missing_keys(required, present) == ""
    assert required.is_empty == (sent == ())


@pytest.mark.parametrize(
    ("task_group", "present", "missing"),
    [
        (group(), (), "ak and sk"),
        (group(), ("ak",), "sk"),
        (group("GOOGLE"), ("ak", "sk"), "json_auth_file"),
        (group("AZURE"), ("sk",), "connection_string, or ak"),
        (group(cdn="ALIYUN_OSS_A"), ("ak", "sk"), "source_cdn_authentication_key"),
        (group(cdn="ALIYUN_OSS_A"), ("sk",), "ak and source_cdn_authentication_key"),
    ],
)
def test_missing_keys_are_named(task_group: TaskGroup, present: tuple[str, ...], missing: str) -> None:
    assert fields_to_send(source_keys(task_group), present) is None
    assert missing_keys(source_keys(task_group), present) == missing


def test_the_destination_always_needs_an_access_key() -> None:
    assert fields_to_send(DESTINATION_KEYS, ("ak", "sk")) == (DST_AK, DST_SK)
    assert missing_keys(DESTINATION_KEYS, ("ak",)) == "sk"
