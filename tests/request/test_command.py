"""What people type, and what they are told when it cannot be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.request.command import Ask, Help, ListOpen, NotUnderstood, OpenForm, ShowStatus, parse, typed

GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
OTHER = "11878453-3402-4a86-9e2a-5d5217cd35b2"
COMMAND = "/resume-taskgroup"


def test_an_id_and_a_reason_ask() -> None:
    assert parse(f"{GROUP} network is back", COMMAND) == Ask((GROUP,), "network is back")


def test_several_ids_ask_for_each_once_in_their_order() -> None:
    assert parse(f"{OTHER} {GROUP} {OTHER} go", COMMAND) == Ask((OTHER, GROUP), "go")


def test_upper_case_backticks_and_commas_around_an_id_do_not_matter() -> None:
    assert parse(f"`{GROUP.upper()}`, go", COMMAND) == Ask((GROUP,), "go")


@pytest.mark.parametrize(
    "link",
    [
        f"<https://console-intl.huaweicloud.com/oms/#/group/{GROUP}>",
        f"<https://console-intl.huaweicloud.com/oms/?id={GROUP}|the group>".replace("the group", "group"),
        f"https://console-intl.huaweicloud.com/oms/{GROUP}",
    ],
)
def test_a_console_link_is_an_id(link: str) -> None:
    assert parse(f"{link} go", COMMAND) == Ask((GROUP,), "go")


def test_known_keys_are_taken_out_of_the_reason_and_others_are_part_of_it() -> None:
    asked = parse(f"{GROUP} project=media retry=3 at=22:05 works now", COMMAND)
    assert asked == Ask((GROUP,), "retry=3 works now", "media", (22, 5))


def test_keys_may_stand_between_the_ids() -> None:
    assert parse(f"project=media {GROUP} {OTHER}", COMMAND) == Ask((GROUP, OTHER), "", "media")


def test_what_slack_escaped_in_a_reason_is_read_as_typed() -> None:
    asked = parse(f"{GROUP} a &lt;b&gt; &amp; c", COMMAND)
    assert isinstance(asked, Ask)
    assert asked.reason == "a <b> & c"


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "../../etc/passwd",
        f"{GROUP}/start",
        "0087845334024a869e2a5d5217cd35b2",
        f"https://x/{GROUP}/{OTHER}",
    ],
)
def test_what_is_no_id_is_refused_in_one_sentence(text: str) -> None:
    assert isinstance(parse(text, COMMAND), NotUnderstood)


def test_ten_thousand_characters_are_refused_with_their_number() -> None:
    refused = parse(f"{GROUP} " + "x" * 9_963, COMMAND)
    assert isinstance(refused, NotUnderstood)
    assert "10,000" in refused.sentence


def test_an_id_after_the_reason_is_pointed_out_and_not_dropped() -> None:
    refused = parse(f"{GROUP} please also {OTHER}", COMMAND)
    assert isinstance(refused, NotUnderstood)
    assert OTHER in refused.sentence


@pytest.mark.parametrize("time", ["25:00", "10", "noon", "10:60", ""])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    assert isinstance(parse(f"{GROUP} at={time}", COMMAND), NotUnderstood)


def test_more_than_ten_groups_are_refused() -> None:
    many = " ".join(f"{number:08d}{GROUP[8:]}" for number in range(11))
    assert isinstance(parse(many, COMMAND), NotUnderstood)


def test_nothing_opens_the_form() -> None:
    assert parse("   ", COMMAND) == OpenForm()


def test_the_small_words() -> None:
    assert parse("help", COMMAND) == Help()
    assert parse(" List ", COMMAND) == ListOpen()
    assert parse(f"status {GROUP}", COMMAND) == ShowStatus(group_id=GROUP)
    assert parse("status r-7k3f2qab", COMMAND) == ShowStatus(request_id="R-7K3F2QAB")
    assert isinstance(parse("status", COMMAND), NotUnderstood)
    assert isinstance(parse("status ../x", COMMAND), NotUnderstood)


@given(st.text(max_size=300))
def test_whatever_is_typed_is_answered_and_never_notifies_a_channel(text: str) -> None:
    answer = parse(text, COMMAND)
    if isinstance(answer, NotUnderstood):
        assert "<!" not in answer.sentence
        assert "<@" not in answer.sentence


@pytest.mark.parametrize(
    "text", [GROUP, f"{GROUP} {OTHER} a &lt;b&gt; &amp; c", f"{GROUP} why project=media at=9:05", f"{GROUP} project=x"]
)
def test_what_was_asked_can_be_typed_again(text: str) -> None:
    asked = parse(text, COMMAND)
    assert isinstance(asked, Ask)
    assert parse(typed(asked), COMMAND) == asked
