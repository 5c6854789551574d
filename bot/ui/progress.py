"""Texts about the progress of a task group: the bar and the amounts.

Pure. The numbers come from the last response of OMS; a number that OMS did not send is left out.
"""

from __future__ import annotations

from bot.domain.progress import percent
from bot.domain.request import Request
from bot.domain.task_group import Progress
from bot.ui.formatting import duration, progress_bar, size, size_of_total


def latest_progress(request: Request) -> Progress:
    """The last known progress: `last_seen`, or before the first reading the progress of `Request.group`."""
    return request.last_seen.progress if request.last_seen else request.group.progress


def progress_line(progress: Progress, group_status: str = "", *, total_grows: bool = False) -> str:
    """The bar, the percentage and the amounts, then the status of the task group if there is one to show.

    Arguments:
        total_grows: whether OMS is still listing the source, so that the amounts are of what is listed so far.
    """
    share = percent(progress)
    shown = f"{progress_bar(share)}  *{share} %*" if share is not None else "Size not known yet"
    amounts = " · ".join(filter(None, (_bytes(progress), _objects(progress))))
    if amounts and total_grows:
        amounts += " so far"
    return f"{shown}     {' · '.join(filter(None, (amounts, group_status)))}"


def progress_sentence(progress: Progress) -> str:
    """`60 % done: 6.0 of 10.0 GB, 600 of 1,000 objects`; empty if the percentage is not known."""
    share = percent(progress)
    return f"{share} % done: {', '.join(filter(None, (_bytes(progress), _objects(progress))))}" if share else ""


def objects_of_total(progress: Progress) -> str:
    """`963 of 1,000 objects, 37 failed`. Failed objects do not count as migrated."""
    failed = f", {progress.failed_objects:,} failed" if progress.failed_objects else ""
    return f"{_migrated(progress)}{failed}"


def moved_since_start(request: Request) -> str:
    """`moved 6.0 GB in 43 s (10.0 GB in all)`: what was migrated since the group was started; empty if not known.

    Leaves out what was migrated before, unless it is nothing. For a request that has ended.
    """
    attempt, last_seen = request.attempt, request.last_seen
    if attempt is None or last_seen is None or attempt.answered_at is None or request.ended_at is None:
        return ""
    took = duration(int((request.ended_at - attempt.answered_at).total_seconds()))
    if attempt.before is None:
        return f"took {took}"
    before, all_bytes = attempt.before.complete_bytes, last_seen.progress.complete_bytes
    text = f"moved {size(max(all_bytes - before, 0))} in {took}"
    return f"{text} ({size(all_bytes)} in all)" if before else text


def _bytes(progress: Progress) -> str:
    if progress.total_bytes:
        return size_of_total(progress.complete_bytes, progress.total_bytes)
    return size(progress.complete_bytes) if progress.complete_bytes else ""


def _objects(progress: Progress) -> str:
    """`963 of 1,000 objects, 50 skipped, 37 failed`, where 963 includes 50; empty if the total is not known."""
    if not progress.total_objects:
        return ""
    counts = {"skipped": progress.skipped_objects, "failed": progress.failed_objects}
    return ", ".join([_migrated(progress), *(f"{number:,} {what}" for what, number in counts.items() if number)])


def _migrated(progress: Progress) -> str:
    of_total = f" of {progress.total_objects:,}" if progress.total_objects else ""
    return f"{progress.success_objects + progress.skipped_objects:,}{of_total} objects"
