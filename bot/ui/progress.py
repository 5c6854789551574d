"""Texts about the progress of a task group: the bar, amounts, speed and time left.

Pure. The numbers come from the last response of OMS; a number that OMS did not send is left out.
"""

from __future__ import annotations

from bot.domain.progress import percent, seconds_left
from bot.domain.request import Request
from bot.domain.task_group import Progress
from bot.ui.formatting import duration, progress_bar, rate, size, size_of_total


def latest_progress(request: Request) -> Progress:
    """The last known progress: `last_seen`, or before the first reading the progress of `Request.group`."""
    return request.last_seen.progress if request.last_seen else request.group.progress


def progress_line(progress: Progress, group_status: str = "") -> str:
    """The bar, the percentage and the amounts, then the status of the task group if there is one to show."""
    share = percent(progress)
    shown = f"{progress_bar(share)}  *{share} %*" if share is not None else "Size not known yet"
    return f"{shown}     {' · '.join(filter(None, (_bytes(progress), _objects(progress), group_status)))}"


def pace(progress: Progress) -> str:
    """`moving at 220 MB/s, about 3 min left`, without the parts that are not known."""
    if progress.speed_bytes_per_second <= 0:
        return "moving"
    left = seconds_left(progress)
    moving = f"moving at {rate(progress.speed_bytes_per_second)}"
    return f"{moving}, about {duration(left)} left" if left is not None else moving


def total(progress: Progress) -> str:
    """`450 objects, 4.0 GB, 7 objects failed`: the result of a migration that has ended."""
    text = f"{progress.success_objects + progress.skipped_objects:,} objects, {size(progress.complete_bytes)}"
    return f"{text}, {progress.failed_objects:,} objects failed" if progress.failed_objects else text


def _bytes(progress: Progress) -> str:
    if progress.total_bytes:
        return size_of_total(progress.complete_bytes, progress.total_bytes)
    return size(progress.complete_bytes) if progress.complete_bytes else ""


def _objects(progress: Progress) -> str:
    if not progress.total_objects:
        return ""
    text = f"{progress.handled_objects:,} of {progress.total_objects:,} objects"
    return f"{text}, {progress.failed_objects:,} of them failed" if progress.failed_objects else text
