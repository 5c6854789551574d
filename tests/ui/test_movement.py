"""Texts about how a group moves say only what is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.task_group import GroupStatus, Progress
from bot.domain.watched_group import Activity, Movement, Reading
from bot.ui.movement import movement_details, pace, rate_sentence, trouble
from tests.support.values import GROUP, HALF, NOON


def read(progress: Progress, movement: Movement | None = None, status: GroupStatus = GroupStatus.MONITORING) -> Reading:
    """A reading an hour after noon."""
    return Reading(replace(GROUP, progress=progress, status=status), NOON + timedelta(hours=1), movement)


STEADY = Movement(Activity.MOVING, rate=1_000_000, rate_since=NOON)


@pytest.mark.parametrize(
    ("movement", "words", "in_trouble"),
    [
        (STEADY, "moving at 1.0 MB/s, about 1.5 h left", ""),
        (replace(STEADY, grew_at=NOON + timedelta(hours=1)), "moving at 1.0 MB/s", ""),
        (Movement(Activity.MOVING), "moving", ""),
        (Movement(Activity.MOVING, still_since=NOON + timedelta(minutes=59, seconds=1)), "nothing is moving now", ""),
        (replace(STEADY, still_since=NOON + timedelta(minutes=59, seconds=1)), "moving at 1.0 MB/s", ""),
        (replace(STEADY, still_since=NOON + timedelta(minutes=59)), "nothing has moved for 1 min", ""),
        (replace(STEADY, still_since=NOON), "nothing has moved for 1 h", ""),
        (replace(STEADY, activity=Activity.LISTING), "moving while OMS lists the source", ""),
        (Movement(Activity.LISTING, still_since=NOON), "OMS is listing the source", ""),
        (Movement(Activity.QUEUED), "waiting in OMS's queue", ""),
        (
            Movement(Activity.RESTORING, still_since=NOON + timedelta(minutes=41)),
            "nothing has moved for 19 min, may be waiting for archive restores",
            "",
        ),
        (Movement(Activity.STOPPED), "being paused", ""),
        (Movement(Activity.STALLED, still_since=NOON), "nothing has moved for 1 h", "stalled for 1 h"),
        (
            replace(STEADY, is_slow=True, slow_since=NOON + timedelta(minutes=40, seconds=1)),
            "moving at 1.0 MB/s, about 1.5 h left",
            "slow for 19 min, 1.0 MB/s",
        ),
        (
            replace(STEADY, is_slow=True, slow_since=NOON, still_since=NOON + timedelta(minutes=57)),
            "nothing has moved for 3 min",
            "slow for 1 h, nothing has moved for 3 min",
        ),
    ],
)
def test_a_headline_says_what_the_group_does(movement: Movement, words: str, in_trouble: str) -> None:
    assert pace(read(HALF, movement)) == words
    assert trouble(read(HALF, movement)) == in_trouble


def test_a_group_that_waits_to_run_is_not_said_to_be_listing() -> None:
    waiting = read(HALF, Movement(Activity.LISTING, still_since=NOON), GroupStatus.WAITING)
    assert pace(waiting) == "waiting for OMS to begin"
    assert movement_details(waiting).startswith("OMS hasn't begun yet · ")


def test_without_a_speed_a_single_reading_does_not_say_that_the_group_moves() -> None:
    assert pace(read(Progress())) == "rate not known yet"
    with_speed = Progress(speed_bytes_per_second=20_000_000)
    assert pace(read(with_speed)) == "moving at 20 MB/s"
    assert pace(read(with_speed, Movement(Activity.MOVING))) == "moving at 20 MB/s"
    assert pace(read(with_speed, STEADY)) == "moving at 1.0 MB/s"


def test_a_sentence_about_the_rate_is_empty_while_nothing_moves() -> None:
    assert rate_sentence(read(HALF, STEADY)) == " 1.0 MB/s over the last few minutes, about 1.5 h left."
    assert rate_sentence(read(HALF, replace(STEADY, still_since=NOON))) == ""


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (timedelta(seconds=4), "1.0 MB/s over the last 4 s."),
        (timedelta(minutes=3, seconds=20), "1.0 MB/s over the last 3 min 20 s, about 1.5 h left."),
        (timedelta(minutes=5), "1.0 MB/s over the last 5 min, about 1.5 h left."),
        (timedelta(minutes=5, seconds=1), "1.0 MB/s over the last few minutes, about 1.5 h left."),
    ],
)
def test_a_rate_says_over_which_time_it_is_measured(measured: timedelta, words: str) -> None:
    movement = replace(STEADY, rate_since=NOON + timedelta(hours=1) - measured)
    assert rate_sentence(read(HALF, movement)) == f" {words}"


def test_there_is_no_time_left_from_one_reading_while_oms_lists_the_source() -> None:
    progress = replace(HALF, speed_bytes_per_second=1_000_000)
    assert pace(read(progress)) == "moving at 1.0 MB/s, about 1.5 h left"
    assert pace(read(progress, status=GroupStatus.EXECUTING)) == "moving at 1.0 MB/s"
