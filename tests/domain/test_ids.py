"""What counts as the id of a task group when somebody types it, into the command or into a form."""

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
def test_a_uuid_or_a_link_to_one_in_the_console_is_an_id(word: str) -> None:
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
def test_whatever_else_holds_a_uuid_is_no_id(word: str) -> None:
    assert parse_typed_group_id(word) is None


def test_ids_that_are_joined_by_commas_are_all_taken_or_none() -> None:
    link = f"<https://console.huaweicloud.com/{OTHER}>"
    for word in (f"{GROUP},{OTHER}", f"&lt;{GROUP}&gt;,`{OTHER}`,", f"{GROUP},{link}"):
        assert parse_typed_group_ids(word) == (GROUP, OTHER)
    assert parse_typed_group_ids(GROUP) == (GROUP,)
    for word in (f"{GROUP},nonsense", ",", "", f"https://console.huaweicloud.com/{GROUP},{OTHER}"):
        assert parse_typed_group_ids(word) == ()
