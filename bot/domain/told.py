"""Decides what the bot posts to the thread of a request about the movement of its group, each thing once.

Pure. The request stores what was posted, and `bot.ui.thread` has the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.progress import has_moved, percent
from bot.domain.task_group import Progress
from bot.domain.watched_group import Activity, Movement, Trouble

#: In percent.
MILESTONES = (25, 50, 75)
#: Milestones are posted only if the migration takes longer than this in all, and at most one in this time.
LONG = timedelta(hours=1)


@dataclass(frozen=True)
class Told:
    """What the bot posted to the thread of a request about the movement of its group."""

    trouble: Trouble | None = None  # STALLED or SLOW, until the thread says that it is over
    since: datetime | None = None  # since when the group is in `trouble`
    milestone: int = (
        0  # the last of `MILESTONES` that was posted, or left out because another was posted shortly before
    )
    milestone_at: datetime | None = None  # when a milestone was last posted


def tell(
    told: Told,
    movement: Movement,
    progress: Progress,
    *,
    before: Progress,
    last: Progress,
    running_for: timedelta,
    now: datetime,
) -> Told:
    """What the thread has after another reading of a running group. At most one thing is new.

    A milestone is not posted while it is not known how long the migration takes.

    Arguments:
        progress: as read now.
        before: the progress when the group was started.
        last: the progress at the last call of this function.
        running_for: how long ago the group was started.
    """
    in_trouble = _trouble(told, movement, moved=has_moved(last, progress))
    if in_trouble is not told.trouble:
        since = {Trouble.STALLED: movement.still_since, Trouble.SLOW: movement.slow_since}
        return replace(told, trouble=in_trouble, since=since[in_trouble] if in_trouble else None)
    milestone = _milestone(progress)
    seconds_left = movement.seconds_left(progress, now)
    is_new = milestone > max(told.milestone, _milestone(before))
    # A timedelta cannot be as long as the time left of a group that hardly moves.
    if not is_new or seconds_left is None or running_for.total_seconds() + seconds_left <= LONG.total_seconds():
        return told
    is_too_early = told.milestone_at is not None and now - told.milestone_at < LONG
    return replace(told, milestone=milestone, milestone_at=told.milestone_at if is_too_early else now)


def _trouble(told: Told, movement: Movement, *, moved: bool) -> Trouble | None:
    """The trouble that the group is in. It lasts until a reading shows that it is over."""
    if movement.activity is Activity.STOPPED:
        return told.trouble
    if movement.activity is Activity.STALLED:
        return Trouble.STALLED
    if told.trouble is Trouble.STALLED:
        return None if moved or movement.still_since is None else Trouble.STALLED
    if movement.is_slow:
        return Trouble.SLOW
    return None if movement.is_fast else told.trouble


def _milestone(progress: Progress) -> int:
    """The last milestone that this progress has reached; 0 if there is none."""
    share = percent(progress) or 0
    return max((one for one in MILESTONES if one <= share < 100), default=0)
