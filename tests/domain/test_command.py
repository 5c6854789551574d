"""What a person types becomes a command, or a sentence that says why it is invalid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.command import (
    Help,
    InvalidCommand,
    OpenForm,
    ResumeGroups,
    ShowList,
    ShowStatus,
    inline_text,
    parse,
    resume_groups,
)

GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
OTHER = "11878453-3402-4a86-9e2a-5d5217cd35b2"
COMMAND = "/resume-taskgroup"


def test_an_id_and_a_reason_resume_a_group() -> None:
    assert parse(f"{GROUP} network is back", COMMAND) == ResumeGroups((GROUP,), "network is back")


def test_several_ids_resume_each_group_once_in_their_order() -> None:
    assert parse(f"{OTHER} {GROUP} {OTHER} go", COMMAND) == ResumeGroups((OTHER, GROUP), "go")


def test_ids_may_be_joined_by_commas() -> None:
    assert parse(f"{OTHER},{GROUP} go", COMMAND) == ResumeGroups((OTHER, GROUP), "go")
    assert parse(f"{OTHER}, {GROUP} go", COMMAND) == ResumeGroups((OTHER, GROUP), "go")
    late_ids = parse(f"{GROUP} and also {OTHER},{GROUP}", COMMAND)
    assert isinstance(late_ids, InvalidCommand)
    assert "Put all task group ids first" in late_ids.sentence


def test_a_word_that_resembles_an_id_is_refused() -> None:
    refused = parse(f"{GROUP},nonsense go", COMMAND)
    assert isinstance(refused, InvalidCommand)
    assert refused.sentence.startswith(f"`{GROUP},nonsense` is not a task group id")


@pytest.mark.parametrize(("key", "first", "second"), [("project", "media", "archive"), ("at", "22:00", "23:00")])
def test_a_key_that_is_given_twice_is_refused(key: str, first: str, second: str) -> None:
    refused = parse(f"{GROUP} {key}={first} go {key}={second}", COMMAND)
    assert refused == InvalidCommand(f"`{key}=` stands there twice, and only one can count. Nothing was asked.")


def test_upper_case_and_punctuation_around_an_id_are_accepted() -> None:
    assert parse(f"`{GROUP.upper()}`, go", COMMAND) == ResumeGroups((GROUP,), "go")


@pytest.mark.parametrize(
    "link",
    [
        f"<https://console-intl.huaweicloud.com/oms/#/group/{GROUP}>",
        f"<https://console-intl.huaweicloud.com/oms/?id={GROUP}|the group>".replace("the group", "group"),
        f"https://console-intl.huaweicloud.com/oms/{GROUP}",
    ],
)
def test_a_link_to_the_console_is_an_id(link: str) -> None:
    assert parse(f"{link} go", COMMAND) == ResumeGroups((GROUP,), "go")


def test_a_link_to_another_site_is_part_of_the_reason_even_with_an_id_in_it() -> None:
    link = f"<https://jira.example.com/browse/{OTHER}>"
    assert parse(f"{GROUP} {link} says go", COMMAND) == ResumeGroups((GROUP,), f"{link} says go")
    assert isinstance(parse(f"{link} says go", COMMAND), InvalidCommand)


def test_options_are_taken_out_of_the_reason_and_unknown_keys_stay_in_it() -> None:
    parsed = parse(f"{GROUP} project=media retry=3 at=22:05 works now", COMMAND)
    assert parsed == ResumeGroups((GROUP,), "retry=3 works now", "media", (22, 5))


def test_options_may_come_before_or_after_the_ids_in_any_case() -> None:
    assert parse(f"project=media {GROUP} {OTHER}", COMMAND) == ResumeGroups((GROUP, OTHER), "", "media")
    assert parse(f"{GROUP} Project=media AT=9:05", COMMAND) == ResumeGroups((GROUP,), "", "media", (9, 5))


def test_project_without_a_name_is_refused() -> None:
    assert isinstance(parse(f"{GROUP} project= go", COMMAND), InvalidCommand)


def test_a_reason_is_unescaped() -> None:
    parsed = parse(f"{GROUP} a &lt;b&gt; &amp; c", COMMAND)
    assert isinstance(parsed, ResumeGroups)
    assert parsed.reason == "a <b> & c"


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
def test_a_word_that_is_no_id_is_refused(text: str) -> None:
    assert isinstance(parse(text, COMMAND), InvalidCommand)


def test_a_text_of_ten_thousand_characters_is_refused_with_its_length() -> None:
    refused = parse(f"{GROUP} " + "x" * 9_963, COMMAND)
    assert isinstance(refused, InvalidCommand)
    assert "10,000" in refused.sentence


def test_limits_are_inclusive() -> None:
    ids = [f"{number:08d}{GROUP[8:]}" for number in range(11)]
    for at_limit, beyond_limit in (
        (" ".join(ids[:10]), " ".join(ids)),
        (f"{GROUP} {'x' * 500}", f"{GROUP} {'x' * 501}"),
        (f"{GROUP} " + "&amp;" * 392 + "xxx", f"{GROUP} " + "&amp;" * 392 + "xxxx"),
    ):
        assert isinstance(parse(at_limit, COMMAND), ResumeGroups)
        assert isinstance(parse(beyond_limit, COMMAND), InvalidCommand)


@pytest.mark.parametrize("stray", [OTHER, f"{OTHER}.", f"`{OTHER}`;"])
def test_an_id_after_the_reason_is_refused_and_shown(stray: str) -> None:
    refused = parse(f"{GROUP} please also {stray}", COMMAND)
    assert isinstance(refused, InvalidCommand)
    assert OTHER in refused.sentence


@pytest.mark.parametrize("time", ["25:00", "10", "noon", "10:60", ""])
def test_an_invalid_time_is_refused(time: str) -> None:
    assert isinstance(parse(f"{GROUP} at={time}", COMMAND), InvalidCommand)


def test_a_command_with_nothing_after_it_opens_the_form() -> None:
    assert parse("   ", COMMAND) == OpenForm()


def test_list_status_and_help_take_no_other_words() -> None:
    assert parse("help", COMMAND) == Help()
    assert isinstance(parse("help me", COMMAND), InvalidCommand)
    assert isinstance(parse("list all", COMMAND), InvalidCommand)
    assert isinstance(parse("status R-7K3F2QABX", COMMAND), InvalidCommand)
    assert parse(" List ", COMMAND) == ShowList()
    assert parse(f"status {GROUP}", COMMAND) == ShowStatus(group_id=GROUP)
    assert parse("status r-7k3f2qab", COMMAND) == ShowStatus(request_id="R-7K3F2QAB")
    assert isinstance(parse("status", COMMAND), InvalidCommand)
    assert isinstance(parse("status ../x", COMMAND), InvalidCommand)


def test_inline_text_is_cut_and_escaped() -> None:
    assert inline_text("`x` &lt;!channel&gt; <@U1>") == "'x' &lt;!channel&gt; &lt;@U1&gt;"
    assert inline_text("x" * 60) == "x" * 60
    assert inline_text("x" * 61) == "x" * 59 + "…"


@given(st.text(max_size=300))
def test_no_text_makes_the_answer_mention_a_channel_or_a_person(text: str) -> None:
    answer = parse(text, COMMAND)
    if isinstance(answer, InvalidCommand):
        assert "<!" not in answer.sentence
        assert "<@" not in answer.sentence


def test_a_form_is_validated_like_a_typed_command() -> None:
    assert resume_groups((GROUP,), "a <b> & c", "media", "9:05") == ResumeGroups((GROUP,), "a <b> & c", "media", (9, 5))
    for text, entered in (
        (f"{GROUP} {'x' * 501}", resume_groups((GROUP,), "x" * 501)),
        (f"{GROUP} also {OTHER}", resume_groups((GROUP,), f"also {OTHER}")),
        (f"{GROUP} at=noon", resume_groups((GROUP,), "", at="noon")),
        (f"{GROUP} project=", resume_groups((GROUP,), "", project="")),
    ):
        assert isinstance(entered, InvalidCommand)
        assert parse(text, COMMAND) == entered


def test_text_like_a_key_in_the_reason_of_a_form_is_part_of_the_reason() -> None:
    assert resume_groups((GROUP,), "at=22:00 project=x") == ResumeGroups((GROUP,), "at=22:00 project=x")
