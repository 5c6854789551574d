"""Parsing ids that people type or paste into the command or a form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.ids import parse_request_id, parse_typed_group_id, parse_typed_group_ids

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


AROUND = st.text("\"'`´‘’‚“”„«»‹›()[]{}<>*_~,;:.", max_size=4)
INVISIBLE = st.text("\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff\u00ad", max_size=2)
DASH = st.sampled_from("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d")


@st.composite
def pasted(draw: st.DrawFn, typed_id: str) -> str:
    """An id in any case, as pasted from a document: with other dashes, and with characters in and around it."""
    characters = (draw(DASH) if character == "-" else character for character in typed_id)
    cased = "".join(draw(st.sampled_from((one.lower(), one.upper()))) + draw(INVISIBLE) for one in characters)
    return draw(INVISIBLE) + draw(AROUND) + draw(INVISIBLE) + cased + draw(AROUND) + draw(INVISIBLE)


@given(pasted(GROUP), pasted("R-7K3F2QAB"))
def test_a_pasted_id_is_found_whatever_a_document_put_into_and_around_it(group_id: str, request_id: str) -> None:
    assert parse_typed_group_id(group_id) == GROUP
    assert parse_request_id(request_id) == "R-7K3F2QAB"


@given(pasted(GROUP), pasted(OTHER))
def test_pasted_ids_may_be_joined_by_commas(first: str, second: str) -> None:
    assert parse_typed_group_ids(f"{first},{second}") == (GROUP, OTHER)


def test_a_pasted_link_may_be_in_quotes_or_bold() -> None:
    link = f"<https://console.huaweicloud.com/oms/#/{GROUP}>"
    for word in (f"“{link}”", f"*{link}*,", f"({link})", f"\ufeff{link}"):
        assert parse_typed_group_id(word) == GROUP
