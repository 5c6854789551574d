"""What a person types becomes a command, or the reason why it is invalid."""

from __future__ import annotations

import pytest

from bot.domain.command import (
    MAX_NAME_CHARACTERS,
    Help,
    InvalidCommand,
    OpenForm,
    ResumeGroups,
    ShowList,
    ShowStatus,
    UsageError,
    parse,
    resume_groups,
)
from bot.domain.task_group import GroupKind
from tests.support.values import GROUP as SAMPLE_GROUP

GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
OTHER = "11878453-3402-4a86-9e2a-5d5217cd35b2"


def test_an_id_and_a_reason_resume_a_group() -> None:
    assert parse(f"{GROUP} network is back") == ResumeGroups((GROUP,), "network is back")


def test_several_ids_resume_each_group_once_in_their_order() -> None:
    assert parse(f"{OTHER} {GROUP} {OTHER} go") == ResumeGroups((OTHER, GROUP), "go")


def test_ids_may_be_joined_by_commas() -> None:
    assert parse(f"{OTHER},{GROUP} go") == ResumeGroups((OTHER, GROUP), "go")
    assert parse(f"{OTHER}, {GROUP} go") == ResumeGroups((OTHER, GROUP), "go")
    late_ids = f"{OTHER},{GROUP}"
    assert parse(f"{GROUP} and also {late_ids}") == InvalidCommand(UsageError.GROUP_ID_IN_REASON, late_ids)


def test_a_word_that_resembles_an_id_is_refused() -> None:
    assert parse(f"{GROUP},nonsense go") == InvalidCommand(UsageError.NOT_A_GROUP_ID, f"{GROUP},nonsense")


@pytest.mark.parametrize(("key", "first", "second"), [("project", "media", "archive"), ("at", "22:00", "23:00")])
def test_a_key_that_is_given_twice_is_refused(key: str, first: str, second: str) -> None:
    refused = parse(f"{GROUP} {key}={first} go {key}={second}")
    assert refused == InvalidCommand(UsageError.REPEATED_KEY, key)


def test_upper_case_and_punctuation_around_an_id_are_accepted() -> None:
    assert parse(f"`{GROUP.upper()}`, go") == ResumeGroups((GROUP,), "go")


@pytest.mark.parametrize(
    "link",
    [
        f"<https://console-intl.huaweicloud.com/oms/#/group/{GROUP}>",
        f"<https://console-intl.huaweicloud.com/oms/?id={GROUP}|the group>".replace("the group", "group"),
        f"https://console-intl.huaweicloud.com/oms/{GROUP}",
    ],
)
def test_a_link_to_the_console_is_an_id(link: str) -> None:
    assert parse(f"{link} go") == ResumeGroups((GROUP,), "go")


def test_a_link_to_another_site_is_part_of_the_reason_even_with_an_id_in_it() -> None:
    link = f"<https://jira.example.com/browse/{OTHER}>"
    assert parse(f"{GROUP} {link} says go") == ResumeGroups((GROUP,), f"{link} says go")
    assert isinstance(parse(f"{link} says go"), InvalidCommand)


def test_options_are_taken_out_of_the_reason_and_unknown_keys_stay_in_it() -> None:
    parsed = parse(f"{GROUP} project=media retry=3 at=22:05 works now")
    assert parsed == ResumeGroups((GROUP,), "retry=3 works now", "media", (22, 5))


def test_options_may_come_before_or_after_the_ids_in_any_case() -> None:
    assert parse(f"project=media {GROUP} {OTHER}") == ResumeGroups((GROUP, OTHER), "", "media")
    assert parse(f"{GROUP} Project=media AT=9:05") == ResumeGroups((GROUP,), "", "media", (9, 5))


def test_project_without_a_name_is_refused() -> None:
    assert isinstance(parse(f"{GROUP} project= go"), InvalidCommand)


def test_a_reason_is_unescaped() -> None:
    parsed = parse(f"{GROUP} a &lt;b&gt; &amp; c")
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
    assert isinstance(parse(text), InvalidCommand)


def test_a_text_of_ten_thousand_characters_is_refused_with_its_length() -> None:
    assert parse(f"{GROUP} " + "x" * 9_963) == InvalidCommand(UsageError.TEXT_TOO_LONG, "10,000")


def test_limits_are_inclusive() -> None:
    ids = [f"{number:08d}{GROUP[8:]}" for number in range(11)]
    for at_limit, beyond_limit in (
        (" ".join(ids[:10]), " ".join(ids)),
        (f"{GROUP} {'x' * 500}", f"{GROUP} {'x' * 501}"),
        (f"{GROUP} " + "&amp;" * 392 + "xxx", f"{GROUP} " + "&amp;" * 392 + "xxxx"),
    ):
        assert isinstance(parse(at_limit), ResumeGroups)
        assert isinstance(parse(beyond_limit), InvalidCommand)


@pytest.mark.parametrize("stray", [OTHER, f"{OTHER}.", f"`{OTHER}`;"])
def test_an_id_after_the_reason_is_refused_and_shown(stray: str) -> None:
    assert parse(f"{GROUP} please also {stray}") == InvalidCommand(UsageError.GROUP_ID_IN_REASON, stray)


@pytest.mark.parametrize("time", ["25:00", "10", "noon", "10:60", ""])
def test_an_invalid_time_is_refused(time: str) -> None:
    assert isinstance(parse(f"{GROUP} at={time}"), InvalidCommand)


LIKE_A_START = [
    "at 22:30",
    "at: 22:30",
    "at:22:30",
    "at = 22:30",
    "at= 22:30",
    "at=22.30",
    "at 22.30",
    "at 10:30 pm",
    "at=10:30pm",
    "start=22:30",
    "start 22:30",
    "start_at=22:30",
    "Starting at: 22:30",
    "after 22:30",
    "--at 22:30",
    "@22:30",
    "@ 22:30",
    "22:30",
    "“22:30”",
    "*22:30*,",
    "22:30-23:00",
]


@pytest.mark.parametrize("words", LIKE_A_START)
def test_words_like_a_start_time_in_the_place_of_a_key_are_never_a_reason(words: str) -> None:
    refused = InvalidCommand(UsageError.LIKELY_KEY, "at=22:30")
    assert parse(f"{GROUP} {words}") == refused
    assert parse(f"{GROUP}, {OTHER} {words} network is back") == refused
    assert parse(f"{GROUP} project=media {words} network is back") == refused
    assert parse(f"{GROUP} network is back project=media {words}") == refused
    assert parse(f"{words} {GROUP}") == refused


@pytest.mark.parametrize("words", ["at 22:30", "@22:30", "start=22:30", "22:30", "project media"])
def test_the_same_words_later_in_a_sentence_belong_to_the_reason(words: str) -> None:
    assert parse(f"{GROUP} network is back {words}") == ResumeGroups((GROUP,), f"network is back {words}")


@pytest.mark.parametrize(
    "reason",
    [
        "3.11 is out",
        "from 3 sources",
        "since 22:30 it works",
        "10 objects",
        "45:30 left",
        "project is late",
        "2h30 left",
    ],
)
def test_a_reason_may_begin_with_a_number_or_with_the_word_project(reason: str) -> None:
    assert parse(f"{GROUP} {reason}") == ResumeGroups((GROUP,), reason)


def test_a_second_time_after_a_start_time_belongs_to_the_reason() -> None:
    assert parse(f"{GROUP} at=22:30 22:45 is too late") == ResumeGroups((GROUP,), "22:45 is too late", at=(22, 30))


def test_an_impossible_start_time_in_the_place_of_a_key_is_refused() -> None:
    assert parse(f"{GROUP} at 25:00") == InvalidCommand(UsageError.NOT_A_TIME)


@pytest.mark.parametrize(
    "words", ["project media", "proj=media", "project: media", "project = Media", "--project=media"]
)
def test_words_like_a_project_in_the_place_of_a_key_are_never_a_reason(words: str) -> None:
    assert parse(f"{GROUP} {words} network is back") == InvalidCommand(UsageError.LIKELY_KEY, "project=media")


def test_keys_are_accepted_in_quotes_and_a_project_in_any_case() -> None:
    parsed = parse(f"{GROUP} *project=MEDIA* at=“22:30”, go")
    assert parsed == ResumeGroups((GROUP,), "go", "media", (22, 30))
    assert resume_groups((GROUP,), "", "Media") == ResumeGroups((GROUP,), "", "media")


def test_a_byte_order_mark_before_a_command_is_ignored() -> None:
    assert parse(f"\ufeff {GROUP} go") == ResumeGroups((GROUP,), "go")
    assert parse("\u200blist") == ShowList(1)
    assert parse("\ufeff") == OpenForm()


def test_a_command_with_nothing_after_it_opens_the_form() -> None:
    assert parse("   ") == OpenForm()


def test_status_and_help_take_no_other_words() -> None:
    assert parse("help") == Help()
    assert isinstance(parse("help me"), InvalidCommand)
    assert parse("list all") == ShowList(1, None, ("all",))
    assert isinstance(parse("status R-7K3F2QABX"), InvalidCommand)
    assert parse(" List ") == ShowList(1)
    assert parse(f"status {GROUP}") == ShowStatus(group_id=GROUP)
    assert parse("status r-7k3f2qab") == ShowStatus(request_id="R-7K3F2QAB")
    assert parse("Status “r–7k3f2qab”.") == ShowStatus(request_id="R-7K3F2QAB")
    assert isinstance(parse("status"), InvalidCommand)
    assert isinstance(parse("status ../x"), InvalidCommand)


def test_status_takes_the_name_of_a_group() -> None:
    assert parse("status Nightly &amp; “daily” images") == ShowStatus(name=("nightly", "&", "daily", "images"))
    for typed in ("status 00878453-3402-4a86", "status r-1", f"status nightly {'x' * 100}"):
        assert isinstance(parse(typed), InvalidCommand)


def test_a_form_is_validated_like_a_typed_command() -> None:
    assert resume_groups((GROUP,), "a <b> & c", "media", "9:05") == ResumeGroups((GROUP,), "a <b> & c", "media", (9, 5))
    for text, entered in (
        (f"{GROUP} {'x' * 501}", resume_groups((GROUP,), "x" * 501)),
        (f"{GROUP} also {OTHER}", resume_groups((GROUP,), f"also {OTHER}")),
        (f"{GROUP} at=noon", resume_groups((GROUP,), "", at="noon")),
        (f"{GROUP} project=", resume_groups((GROUP,), "", project="")),
    ):
        assert isinstance(entered, InvalidCommand)
        assert parse(text) == entered


def test_text_like_a_key_in_the_reason_of_a_form_is_part_of_the_reason() -> None:
    assert resume_groups((GROUP,), "at=22:00 project=x") == ResumeGroups((GROUP,), "at=22:00 project=x")


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("list", ShowList(1)),
        ("list 2", ShowList(2)),
        ("list page 2", ShowList(2)),
        ("LIST Failed", ShowList(1, GroupKind.FAILED)),
        ("list paused 12", ShowList(12, GroupKind.PAUSED)),
        ("list running", ShowList(1, GroupKind.RUNNING)),
        ("list nightly Images", ShowList(1, None, ("nightly", "images"))),
        ("list paused tax &amp; files page 3", ShowList(3, GroupKind.PAUSED, ("tax", "&", "files"))),
        ("list ledgers 2010", ShowList(1, None, ("ledgers", "2010"))),
        ("list batch 2", ShowList(1, None, ("batch", "2"))),
        ("list 0", ShowList(1, None, ("0",))),
        ("list page", ShowList(1, None, ("page",))),
    ],
)
def test_list_takes_a_kind_of_groups_words_of_a_name_and_a_page(typed: str, command: ShowList) -> None:
    assert parse(typed) == command


def test_a_name_after_list_has_a_limit() -> None:
    assert parse(f"list {'x' * MAX_NAME_CHARACTERS}") == ShowList(1, None, ("x" * MAX_NAME_CHARACTERS,))
    assert parse(f"list {'x' * MAX_NAME_CHARACTERS} y") == InvalidCommand(UsageError.NAME_TOO_LONG)


def test_a_group_matches_by_all_words_of_its_name_or_by_the_beginning_of_its_id() -> None:
    def matches(*words: str) -> bool:
        return ShowList(1, None, words).matches(SAMPLE_GROUP)

    assert matches()
    assert matches("images", "nightly")
    assert matches("00878453")
    assert not matches("nightly", "ledgers")
    assert not matches("878453")
