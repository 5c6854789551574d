"""How far, how fast, how long still: arithmetic on a group's progress that admits what it does not know."""

from __future__ import annotations

from bot.domain.task_group import Progress


def percent(progress: Progress) -> int | None:
    """Whole percent by bytes, by objects where there are no bytes; None while the totals are unknown.

    Rounded down, so that 100 is said of a group that is complete and of no other.
    """
    if progress.total_bytes > 0:
        return min(100, 100 * progress.complete_bytes // progress.total_bytes)
    if progress.total_objects > 0:
        return min(100, 100 * progress.handled_objects // progress.total_objects)
    return None


def seconds_left(progress: Progress) -> int | None:
    """Seconds to the end at the present rate; None while nothing moves or the total is unknown."""
    left = progress.total_bytes - progress.complete_bytes
    if progress.speed_bytes_per_second <= 0 or progress.total_bytes <= 0 or left < 0:
        return None
    return -(-left // progress.speed_bytes_per_second)


def has_moved(before: Progress, after: Progress) -> bool:
    """Whether more bytes or objects were migrated, or skipped, than before. A status alone moves nothing."""
    return (
        after.complete_bytes > before.complete_bytes
        or after.success_objects > before.success_objects
        or after.skipped_objects > before.skipped_objects
    )
