"""Texts about progress show only the numbers that OMS sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.request import Attempt, LastSeen, State
from bot.domain.task_group import Progress
from bot.ui.progress import moved_since_start, objects_of_total, progress_line, progress_sentence
from tests.support.values import HALF, NOON, request


def test_failed_objects_count_for_the_percentage_only() -> None:
    progress = Progress(total_objects=10, success_objects=1, skipped_objects=2, failed_objects=3)
    assert progress_line(progress) == "████████████░░░░░░░░  *60 %*     3 of 10 objects, 2 skipped, 3 failed"
    assert objects_of_total(progress) == "3 of 10 objects, 3 failed"
    assert progress_sentence(progress) == "60 % done: 3 of 10 objects, 2 skipped, 3 failed"


def test_unknown_totals_are_left_out() -> None:
    assert progress_line(Progress(complete_bytes=5_000), "paused") == "Size not known yet     5.0 kB · paused"
    assert progress_sentence(Progress(complete_bytes=5_000)) == ""


def test_what_was_there_before_the_start_is_not_counted_as_moved() -> None:
    later = NOON + timedelta(seconds=43)
    attempt = Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=HALF)
    all_moved = LastSeen(later, Progress(10_000_000_000, 10_000_000_000))
    done = request(State.DONE, attempt=attempt, ended_at=later, last_seen=all_moved)
    assert moved_since_start(done) == "moved 6.0 GB in 43 s (10.0 GB in all)"
    from_nothing = replace(done, attempt=replace(attempt, before=Progress()))
    assert moved_since_start(from_nothing) == "moved 10.0 GB in 43 s"
    assert moved_since_start(replace(done, ended_at=None)) == ""
