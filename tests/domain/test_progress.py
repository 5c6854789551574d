"""The percentage, the time left and whether a group has moved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.progress import has_moved, percent, seconds_left
from bot.domain.task_group import Progress


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress(total_bytes=1000, complete_bytes=999), 99),
        (Progress(total_bytes=1000, complete_bytes=1000), 100),
        (Progress(total_bytes=1000, complete_bytes=1100), 100),  # the total still grows
        (Progress(total_objects=8, success_objects=1, skipped_objects=2, failed_objects=4), 87),
        (Progress(total_objects=8, success_objects=9), 100),
        (Progress(), None),
    ],
)
def test_the_percentage_is_rounded_down_and_prefers_bytes_to_objects(progress: Progress, expected: int | None) -> None:
    assert percent(progress) == expected


def test_the_time_left_is_rounded_up_and_needs_a_rate_and_a_total() -> None:
    half = Progress(total_bytes=1000, complete_bytes=500)
    assert seconds_left(half, 300) == 2
    assert seconds_left(replace(half, complete_bytes=1000), 300) == 0
    assert seconds_left(half, 0) is None
    for unknown in (Progress(), replace(half, complete_bytes=1001)):
        assert seconds_left(unknown, 300) is None


def test_a_group_has_moved_if_more_bytes_or_objects_were_migrated_or_skipped() -> None:
    before = Progress(1000, 500, 10, success_objects=5, skipped_objects=1)
    assert not has_moved(before, before)
    assert not has_moved(before, Progress(2000, 500, 20, 5, 1, failed_objects=3, speed_bytes_per_second=9))
    for more in (Progress(1000, 501, 10, 5, 1), Progress(1000, 500, 10, 6, 1), Progress(1000, 500, 10, 5, 2)):
        assert has_moved(before, more)
