"""Calculates with the progress of a group: the percentage, the time left, and whether anything has moved."""

from __future__ import annotations

from bot.domain.task_group import Progress


def percent(progress: Progress) -> int | None:
    """Percentage of the bytes, or of the objects if the total of bytes is 0; None if both totals are 0.

    Rounded down, so that only a complete group has 100.
    """
    if progress.total_bytes > 0:
        return min(100, 100 * progress.complete_bytes // progress.total_bytes)
    if progress.total_objects > 0:
        return min(100, 100 * progress.handled_objects // progress.total_objects)
    return None


def seconds_left(progress: Progress, bytes_per_second: int) -> int | None:
    """Remaining seconds at this rate, rounded up; None if the rate or the total is 0."""
    left = progress.total_bytes - progress.complete_bytes
    if bytes_per_second <= 0 or progress.total_bytes <= 0 or left < 0:
        return None
    return -(-left // bytes_per_second)


def has_moved(before: Progress, after: Progress) -> bool:
    """Whether more bytes or objects were migrated, or more objects skipped, than before."""
    return (
        after.complete_bytes > before.complete_bytes
        or after.success_objects > before.success_objects
        or after.skipped_objects > before.skipped_objects
    )
