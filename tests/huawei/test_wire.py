"""What SHOW says of a group is taken for what it is: numbers that can be, an id, and words that nobody obeys."""

from __future__ import annotations

import pytest

from bot.domain.task_group import ErrorReason
from bot.huawei.errors import Unreadable
from bot.huawei.wire import MAX_COUNT, MAX_TEXT_CHARACTERS, read_group
from tests.support.values import GROUP_ID

SHOWN = {"group_id": GROUP_ID, "status": 5, "total_size": 10}


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, 10**400, MAX_COUNT + 1, float("nan"), float("inf"), [1]])
@pytest.mark.parametrize("name", ["total_size", "complete_size", "total_num", "migrate_speed"])
def test_a_count_that_cannot_be_is_refused_by_name(name: str, count: object) -> None:
    with pytest.raises(Unreadable, match=f"whose {name} is not"):
        read_group(SHOWN | {name: count})


def test_counts_up_to_the_largest_are_read_and_null_is_nothing() -> None:
    progress = read_group(SHOWN | {"total_size": MAX_COUNT, "complete_size": None}).progress
    assert (progress.total_bytes, progress.complete_bytes) == (MAX_COUNT, 0)


@pytest.mark.parametrize("group_id", ["", "<!channel>", "../../x", GROUP_ID + "0", "x" * 36, 7, None])
def test_what_is_no_id_is_refused(group_id: object) -> None:
    with pytest.raises(Unreadable, match="group_id"):
        read_group(SHOWN | {"group_id": group_id})


def test_a_reason_is_a_code_and_words_without_keys() -> None:
    reason = {"error_code": "OMS.1014", "error_msg": 'denied for "ak":"HST3EXAMPLE0000000"\nline\x00 \ud800'}
    error = read_group(SHOWN | {"error_reason": reason}).error
    assert error is not None
    assert (error.code, error.message) == ("OMS.1014", 'denied for "ak":"[hidden]" line   ')


@pytest.mark.parametrize("code", ["<!channel>", "OMS.1014 <@U1>", "", "x" * 41, "a\nb"])
def test_a_reason_without_a_code_keeps_its_words(code: str) -> None:
    error = read_group(SHOWN | {"error_reason": {"error_code": code, "error_msg": "words"}}).error
    assert error == ErrorReason("", "words")


def test_a_reason_that_says_nothing_is_none() -> None:
    assert read_group(SHOWN | {"error_reason": {"error_code": "", "error_msg": " "}}).error is None


def test_words_that_no_database_takes_are_no_fault() -> None:
    described = read_group(SHOWN | {"description": "a\x00b\ud800c\nd" + "x" * 5000}).description
    assert described.startswith("a b c d")
    assert len(described) == MAX_TEXT_CHARACTERS
    described.encode()


def test_kinds_are_read_in_either_case_and_a_cdn_without_a_domain_is_none() -> None:
    shown = SHOWN | {"task_type": "url_list", "src_node": {"cloud_type": "Aws"}}
    group = read_group(shown | {"source_cdn": {"domain": "cdn.example", "authentication_type": "QINIU"}})
    assert (group.task_type, group.source.cloud_type, group.cdn_authentication) == ("URL_LIST", "AWS", "QINIU")
    for none in (None, {}, {"domain": "", "authentication_type": "QINIU"}, {"domain": "cdn.example"}):
        assert read_group(shown | {"source_cdn": none}).cdn_authentication is None
