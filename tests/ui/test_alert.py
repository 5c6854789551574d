"""The message about groups without an open request: within Slack's limits, the worst first, no mention from OMS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.alert import Alert, AlertItem
from bot.domain.request import Problem
from bot.domain.task_group import ErrorReason, GroupStatus, TaskGroup
from bot.domain.watched_group import Trouble
from bot.sandbox.slack.checks import problems_of_blocks
from bot.ui.alert import MAX_WITH_BUTTONS, alert_message, moves_already, muted
from bot.ui.blocks import SlackMessage
from bot.ui.formatting import local_time
from tests.support.alerts import LATER, item, over
from tests.support.blocks import block_texts, elements, mrkdwn_texts
from tests.support.values import GROUP, HALF, NOON

NASTY = "<!channel> <@U0ADMIN00> <https://evil.example|x> & *b* _i_ `c` :x:"
LEADS = "SLEADS00"
SLOW_BELOW = 20_000_000


def message(*items: AlertItem, notify: tuple[str, ...] = (LEADS,), **problems: Problem) -> SlackMessage:
    made = alert_message(Alert("media", items, NOON), notify, problems, SLOW_BELOW, "", "/resume-taskgroup")
    assert problems_of_blocks(list(made.blocks)) == []
    return made


def buttons(shown: SlackMessage) -> list[tuple[str, str]]:
    return [(element["text"]["text"], element["action_id"]) for element in elements(shown)]


PAUSE = ("Pause", "pause")
MUTES = [("Mute for a day", "mute"), ("Mute until it moves", "mute_until_it_moves")]


@pytest.mark.parametrize(
    ("trouble", "shown"),
    [
        (Trouble.PAUSED, [("Resume…", "request"), *MUTES]),
        (Trouble.FAILED, [("Retry…", "request"), *MUTES]),
        (Trouble.STALLED, [PAUSE, *MUTES]),
        (Trouble.SLOW, [PAUSE, *MUTES[:1]]),
        (None, []),
    ],
)
def test_each_trouble_has_its_buttons(trouble: Trouble | None, shown: list[tuple[str, str]]) -> None:
    assert buttons(message(item(1, trouble))) == shown


def test_the_value_of_every_button_is_the_key_of_its_group() -> None:
    shown = message(item(1), item(2, Trouble.FAILED))
    values = {element["accessibility_label"].split()[2]: element["value"] for element in elements(shown)}
    assert values == {one.group.group_id: one.key for one in (item(1), item(2))}


def test_trouble_that_is_over_has_no_button_and_mentions_nobody() -> None:
    shown = message(over())
    assert buttons(shown) == []
    assert LEADS not in block_texts(shown)
    assert f"was paused outside this bot and was running again {local_time(LATER)}" in block_texts(shown)


def group_in(status: GroupStatus) -> TaskGroup:
    return replace(GROUP, status=status, settings=())


@pytest.mark.parametrize(
    ("trouble", "status", "title"),
    [
        (Trouble.PAUSED, GroupStatus.MONITORING, "Was paused outside this bot"),
        (Trouble.STALLED, GroupStatus.MONITORING, "Had stalled"),
        (Trouble.FAILED, GroupStatus.EXECUTING, "Had failed"),
        (Trouble.SLOW, GroupStatus.MONITORING, "Was slow"),
        (Trouble.SLOW, GroupStatus.MIGRATION_FAILED, "Failed"),
        (Trouble.STALLED, GroupStatus.PAUSED, "Paused"),
        (Trouble.PAUSED, GroupStatus.WAITING_FOR_DELETION, "Deleted"),
        (Trouble.PAUSED, GroupStatus.COMPLETED, "Done"),
    ],
)
def test_the_title_of_trouble_that_is_over_stays_true(trouble: Trouble, status: GroupStatus, title: str) -> None:
    shown = message(item(1, trouble, group=group_in(status), is_over=True))
    assert shown.blocks[0]["text"]["text"] == f'{title}: "nightly images"'


def test_the_title_about_several_groups_counts_what_they_do_now_and_names_the_project_once() -> None:
    failed = item(2, Trouble.SLOW, group=group_in(GroupStatus.MIGRATION_FAILED), is_over=True)
    shown = message(item(1, Trouble.SLOW), failed, notify=())
    assert shown.blocks[0]["text"]["text"] == "Task groups in media: 1 slow, 1 failed"
    assert "Project media" not in block_texts(shown)
    assert f"was slow and later failed, noticed {local_time(LATER)}" in block_texts(shown)


def test_trouble_says_what_to_do_and_where_the_group_copies_from_and_to() -> None:
    texts = {trouble: block_texts(message(item(1, trouble))) for trouble in Trouble}
    assert all("*photos-prod* (us-east-1)  →  OBS *photos-archive* (ap-southeast-3)" in text for text in texts.values())
    assert "*Next:* To continue, press Resume. The request then needs approval." in texts[Trouble.PAUSED]
    assert "*Next:* Check the group in the Huawei Cloud console." in texts[Trouble.STALLED]
    assert "*Next:* Check the source and its bandwidth limit." in texts[Trouble.SLOW]
    deleted = block_texts(message(item(1, None, group=group_in(GroupStatus.DELETED))))
    assert "If you didn't expect that, look for it in the Huawei Cloud console." in deleted


def test_a_slow_group_says_its_rate_and_the_limit() -> None:
    slow = block_texts(message(item(1, Trouble.SLOW, rate=7_500_000)))
    assert (
        f"is slow. Its rate has been below the limit of 20 MB/s (slow_below in bot.toml) since {local_time(NOON)}. "
        f"It was 7.5 MB/s {local_time(LATER)}." in slow
    )


def test_a_pause_with_the_bot_names_the_person_mentions_nobody_else_and_can_be_resumed() -> None:
    shown = message(item(1, paused_by="UBOB0000"))
    assert shown.blocks[0]["text"]["text"] == 'Paused: "nightly images"'
    assert f"was paused by <@UBOB0000> {local_time(NOON)}." in block_texts(shown)
    assert "*Next:* To continue, press Resume." in block_texts(shown)
    assert buttons(shown) == [("Resume…", "request")]
    assert LEADS not in block_texts(shown)
    runs = message(replace(over(1), paused_by="UBOB0000"))
    assert f"was paused by <@UBOB0000> {local_time(NOON)} and was running again {local_time(LATER)}." in block_texts(
        runs
    )


@pytest.mark.parametrize("trouble", [Trouble.PAUSED, Trouble.FAILED])
def test_a_requested_group_says_by_whom_and_has_no_buttons(trouble: Trouble) -> None:
    shown = message(item(1, trouble, request_id="R-Y9K1XDQC", requested_by="UBOB0000"))
    assert buttons(shown) == []
    assert "Requested by <@UBOB0000> (`R-Y9K1XDQC`)." in block_texts(shown)
    assert "*Next:*" not in block_texts(shown)
    runs = message(item(1, trouble, group=group_in(GroupStatus.EXECUTING), is_over=True, request_id="R-Y9K1XDQC"))
    assert f"running again {local_time(LATER)}. Requested by" in block_texts(runs)


@pytest.mark.parametrize(("speed", "now"), [(1_000_000, "was moving again"), (0, "had moved again")])
def test_a_stalled_group_that_has_moved_is_moving_only_if_it_has_a_speed(speed: int, now: str) -> None:
    group = replace(GROUP, status=GroupStatus.MONITORING, progress=replace(HALF, speed_bytes_per_second=speed))
    shown = message(item(1, Trouble.STALLED, group=group, at=LATER, is_over=True))
    assert f"had stalled and {now} {local_time(LATER)}" in block_texts(shown)


def test_a_muted_group_says_by_whom_and_until_when_and_can_still_be_resumed() -> None:
    shown = message(item(1, muted_by="UBOB0000", muted_until=LATER), item(2, Trouble.STALLED, muted_by="UBOB0000"))
    assert buttons(shown) == [PAUSE, ("Resume…", "request")]
    assert f"Muted by <@UBOB0000> until {local_time(LATER)}" in block_texts(shown)
    assert "Muted by <@UBOB0000> until it moves" in block_texts(shown)
    ended = message(replace(over(1), muted_by="UBOB0000", muted_until=LATER), replace(over(2), muted_by="UBOB0000"))
    assert block_texts(ended).count("Muted by") == 1, "only the mute for a day lasts longer than the trouble"


@pytest.mark.parametrize("trouble", list(Trouble))
def test_trouble_mentions_the_people_of_notify_once_in_the_message(trouble: Trouble) -> None:
    shown = message(item(1, trouble), item(2, trouble))
    assert block_texts(shown).count(f"<!subteam^{LEADS}>") == 1
    assert "<@" not in block_texts(message(item(1, trouble), notify=()))


def test_starts_and_ends_mention_nobody() -> None:
    assert LEADS not in block_texts(message(item(1, None)))


def test_many_groups_fit_the_worst_come_first_and_the_rest_is_counted() -> None:
    troubles = [Trouble.SLOW, Trouble.PAUSED, Trouble.STALLED, Trouble.FAILED, None]
    items = [item(number, troubles[number % 5]) for number in range(1000)]
    shown = message(*items)
    assert len([one for one in elements(shown) if one["action_id"] == "mute"]) == MAX_WITH_BUTTONS
    assert {one["text"]["text"] for one in elements(shown) if one["action_id"] == "request"} == {"Retry…"}
    texts = block_texts(shown)
    assert "200 failed, 200 stalled, 200 paused outside this bot, 200 slow, 200 started" in texts
    lines = texts.count("(group `") - MAX_WITH_BUTTONS
    assert lines > MAX_WITH_BUTTONS
    assert f"and {1000 - MAX_WITH_BUTTONS - lines:,} more; type `/resume-taskgroup list`" in texts
    assert shown.text.endswith("And 990 more.")


def test_a_failure_says_its_code_what_it_means_and_what_to_do() -> None:
    problem = Problem("OMS", "TRF.0151", "", "The source key isn't valid.", "Replace the key.")
    failed = item(1, Trouble.FAILED)
    shown = alert_message(
        Alert("media", (failed,), NOON), (), {failed.key: problem}, SLOW_BELOW, "", "/resume-taskgroup"
    )
    texts = block_texts(shown)
    assert f"failed with TRF.0151, noticed {local_time(LATER)}. The source key isn't valid." in texts
    assert "*Next:* Replace the key." in texts
    assert "40 %" in texts


def test_no_text_of_oms_mentions_anybody() -> None:
    error = ErrorReason(NASTY, NASTY)
    nasty = [replace(GROUP, description=NASTY, error=error, status=status) for status in GroupStatus]
    items = [
        item(number, trouble, group=replace(group, group_id=item(number).group.group_id), is_over=is_over)
        for number, (group, trouble, is_over) in enumerate(
            (group, trouble, is_over) for group in nasty for trouble in (*Trouble, None) for is_over in (False, True)
        )
    ]
    problem = Problem(NASTY, NASTY, NASTY, NASTY, NASTY)
    for one in items:
        made = alert_message(Alert("media", (one,), NOON), (), {one.key: problem}, SLOW_BELOW, "", "/resume-taskgroup")
        for text in (made.text, *mrkdwn_texts(made.blocks)):
            assert not any(mark in text for mark in ("<!channel", "<@", "<https", ":x:", "`c`", "_i_", "*b*"))
    for text in (muted(nasty[0], LATER), moves_already(nasty[0])):
        assert "<!channel" not in text
        assert "<@" not in text
