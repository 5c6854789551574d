"""Parsing task group ids that people type into the command or a form."""

from __future__ import annotations

import pytest

from bot.domain.ids import parse_typed_group_id, parse_typed_group_ids

GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
OTHER = "11878453-3402-4a86-9e2a-5d5217cd35b2"


@pytest.mark.parametrize(
    "word",
    [
        GROUP,
        f"`{GROUP.upper()}`,",
        f"<{GROUP}>",
        f"&lt;{GROUP}&gt;:",
        f"{GROUP};",
        f"https://console-intl.huaweicloud.com/oms/?id={GROUP}",
        f"https://HuaweiCloud.com/{GROUP}",
        f"<https://console.eu.huaweicloud.com/oms/#/{GROUP}?again={GROUP}|the-group>",
    ],
)
def test_a_uuid_or_a_console_link_with_one_is_an_id(word: str) -> None:
    assert parse_typed_group_id(word) == GROUP


@pytest.mark.parametrize(
    "word",
    [
        f"../../{GROUP}/start",
        f"{GROUP}/start",
        f"<!channel> {GROUP}",
        f"https://jira.example.com/browse/{GROUP}",
        f"https://nothuaweicloud.com/{GROUP}",
        f"https://huaweicloud.com.example.com/{GROUP}",
        f"https://console.huaweicloud.com@example.com/{GROUP}",
        f"https://[console.huaweicloud.com/{GROUP}",
        f"https://console.huaweicloud.com/{GROUP}/{OTHER}",
        "https://console.huaweicloud.com/oms",
    ],
)
def test_other_text_with_a_uuid_in_it_is_no_id(word: str) -> None:
    assert parse_typed_group_id(word) is None


def test_ids_joined_by_commas_are_accepted_if_every_part_is_an_id() -> None:
    link = f"<https://console.huaweicloud.com/{OTHER}>"
    for word in (f"{GROUP},{OTHER}", f"&lt;{GROUP}&gt;,`{OTHER}`,", f"{GROUP},{link}"):
        assert parse_typed_group_ids(word) == (GROUP, OTHER)
    assert parse_typed_group_ids(GROUP) == (GROUP,)
    for word in (f"{GROUP},nonsense", ",", "", f"https://console.huaweicloud.com/{GROUP},{OTHER}"):
        assert parse_typed_group_ids(word) == ()
