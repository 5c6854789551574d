"""Texts about progress show only the numbers that OMS sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.request import Attempt, LastSeen, State
from bot.domain.task_group import GroupStatus, Progress
from bot.domain.watched_group import Activity, Movement
from bot.ui.progress import (
    Reading,
    moved_since_start,
    objects_of_total,
    pace,
    progress_line,
    progress_sentence,
    trouble,
)
from tests.support.values import GROUP, HALF, NOON, request


def test_failed_objects_count_for_the_percentage_only() -> None:
    progress = Progress(total_objects=10, success_objects=1, skipped_objects=2, failed_objects=3)
    assert progress_line(progress) == "████████████░░░░░░░░  *60 %*     3 of 10 objects, 2 skipped, 3 failed"
    assert objects_of_total(progress) == "3 of 10 objects, 3 failed"
    assert progress_sentence(progress) == "60 % done: 3 of 10 objects, 2 skipped, 3 failed"


def test_unknown_totals_are_left_out() -> None:
    assert progress_line(Progress(complete_bytes=5_000), "paused") == "Size not known yet     5.0 kB · paused"
    assert progress_sentence(Progress(complete_bytes=5_000)) == ""
    assert pace(read(Progress())) == "moving"
    assert pace(read(Progress(speed_bytes_per_second=20_000_000))) == "moving at 20 MB/s"


def read(progress: Progress, movement: Movement | None = None, status: GroupStatus = GroupStatus.MONITORING) -> Reading:
    """A reading an hour after noon."""
    return Reading(replace(GROUP, progress=progress, status=status), NOON + timedelta(hours=1), movement)


STEADY = Movement(Activity.MOVING, rate=1_000_000, rate_since=NOON)


@pytest.mark.parametrize(
    ("movement", "words", "in_trouble"),
    [
        (STEADY, "moving at 1.0 MB/s, about 1 h 40 min left", ""),
        (replace(STEADY, grew_at=NOON + timedelta(hours=1)), "moving at 1.0 MB/s", ""),
        (Movement(Activity.MOVING), "moving", ""),
        (replace(STEADY, still_since=NOON), "nothing has moved for 1 h", ""),
        (replace(STEADY, activity=Activity.LISTING), "moving while OMS lists the source", ""),
        (Movement(Activity.LISTING, still_since=NOON), "OMS is listing the source", ""),
        (Movement(Activity.QUEUED), "waiting in OMS's queue", ""),
        (Movement(Activity.RESTORING, still_since=NOON), "may be waiting for archive restores", ""),
        (Movement(Activity.STOPPED), "being paused", ""),
        (Movement(Activity.STALLED, still_since=NOON), "nothing has moved for 1 h", "Stalled for 1 h"),
        (
            replace(STEADY, is_slow=True, slow_since=NOON + timedelta(minutes=40, seconds=1)),
            "moving at 1.0 MB/s, about 1 h 40 min left",
            "Slow for 19 min, 1.0 MB/s",
        ),
    ],
)
def test_a_headline_says_what_the_group_does(movement: Movement, words: str, in_trouble: str) -> None:
    assert pace(read(HALF, movement)) == words
    assert trouble(read(HALF, movement)) == in_trouble


def test_there_is_no_time_left_from_one_reading_while_oms_lists_the_source() -> None:
    progress = replace(HALF, speed_bytes_per_second=1_000_000)
    assert pace(read(progress)) == "moving at 1.0 MB/s, about 1 h 40 min left"
    assert pace(read(progress, status=GroupStatus.EXECUTING)) == "moving at 1.0 MB/s"


def test_what_was_there_before_the_start_is_not_counted_as_moved() -> None:
    later = NOON + timedelta(seconds=43)
    attempt = Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=HALF)
    all_moved = LastSeen(later, Progress(10_000_000_000, 10_000_000_000))
    done = request(State.DONE, attempt=attempt, ended_at=later, last_seen=all_moved)
    assert moved_since_start(done) == "6.0 GB in 43 s (10.0 GB in all)"
    from_nothing = replace(done, attempt=replace(attempt, before=Progress()))
    assert moved_since_start(from_nothing) == "10.0 GB in 43 s"
    assert moved_since_start(replace(done, ended_at=None)) == ""
