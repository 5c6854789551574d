"""Texts about progress show only the numbers that OMS sent."""

from __future__ import annotations

from bot.domain.task_group import Progress
from bot.ui.progress import pace, progress_line, total


def test_skipped_and_failed_objects_count_as_handled() -> None:
    progress = Progress(total_objects=10, success_objects=1, skipped_objects=2, failed_objects=3)
    assert progress_line(progress) == "████████████░░░░░░░░  *60 %*     6 of 10 objects, 3 of them failed"
    assert total(progress) == "3 objects, 0 B, 3 objects failed"


def test_unknown_totals_are_left_out() -> None:
    assert progress_line(Progress(complete_bytes=5_000), "paused") == "Size not known yet     5.0 kB · paused"
    assert pace(Progress()) == "moving"
    assert pace(Progress(speed_bytes_per_second=20_000_000)) == "moving at 20 MB/s"
