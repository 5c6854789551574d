"""What cards and threads say about why sub-tasks of a group failed."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.request import Request
from bot.ui.card import card
from bot.ui.failure_causes import causes_line, causes_summary, failed_list_line
from tests.gallery.requests import REQUESTS
from tests.support.blocks import mrkdwn_texts

FAILED, MOVING = REQUESTS["Failed, for three reasons"], REQUESTS["Moving, sub-tasks failed"]


def texts(request: Request) -> list[str]:
    return list(mrkdwn_texts(card(request).blocks))


def test_each_cause_has_its_count_its_side_its_meaning_and_its_next_step() -> None:
    assert (
        "*120 of 250 failed sub-tasks* · TRF.0159 · the source storage\n"
        "The source's storage service is throttling OMS.\n"
        "*Next:* Ask the owner of the source account to raise its request limits, or limit the group's bandwidth."
    ) in texts(FAILED)


def test_a_cause_that_the_card_explains_already_is_not_explained_twice() -> None:
    assert FAILED.problem is not None
    assert FAILED.problem.code == "TRF.0152"
    assert "*50 of 250 failed sub-tasks* · TRF.0152, explained above" in texts(FAILED)
    assert "".join(texts(FAILED)).count("The source key lacks a permission.") == 1


def test_a_card_and_a_line_show_the_five_most_frequent_causes_and_count_the_others() -> None:
    assert sum("failed sub-tasks*" in text for text in texts(MOVING)) == 5
    assert "for other reasons" not in "".join(texts(FAILED))
    assert "3 more for other reasons" in "\n".join(texts(MOVING))
    assert causes_line(MOVING).endswith("• 3 more for other reasons")


def test_sub_tasks_without_a_code_are_named() -> None:
    assert "1 with no error code" in causes_line(MOVING)


def test_the_notification_names_the_codes() -> None:
    assert causes_summary(FAILED) == "250 failed sub-tasks, 120 with TRF.0159, 80 with TRF.0156 and 50 with TRF.0152."
    assert causes_summary(FAILED) in card(FAILED).text
    assert causes_summary(replace(FAILED, failure_causes=None)) == ""


def test_the_thread_says_whether_the_group_continues() -> None:
    assert causes_line(MOVING).splitlines()[0] == ('10 sub-tasks of "nightly images" failed. The others continue.')
    first, second, *_ = causes_line(FAILED).splitlines()
    assert first == '250 sub-tasks of "nightly images" failed.'
    assert second.startswith("• 120 with TRF.0159. The source's storage service is throttling OMS. Next: Ask the owner")


def test_the_card_says_where_oms_put_the_list_of_failed_objects() -> None:
    line = "OMS put the list of 500 failed objects in the destination bucket photos-archive as `oms/failed/images.txt`."
    assert failed_list_line(FAILED) == line
    assert line in texts(FAILED)
    assert failed_list_line(replace(FAILED, group=replace(FAILED.group, failed_list=""))) == ""
    assert failed_list_line(replace(FAILED, last_seen=None)) == "", "no object is known to have failed"


def test_a_card_with_every_cause_stays_within_the_limits_of_slack() -> None:
    assert len(card(MOVING).blocks) <= 50
