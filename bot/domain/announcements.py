"""Decides what the bot announces in the thread of a request about the movement of its group, each thing once.

Pure. The request stores what was announced, and `bot.ui.thread` has the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.progress import has_moved, percent
from bot.domain.task_group import Progress
from bot.domain.watched_group import Activity, Movement, Trouble

#: The percentages that are announced.
MILESTONES = (25, 50, 75)
#: Milestones are announced only if the whole migration takes longer than this, and at most one in each such period.
LONG = timedelta(hours=1)


@dataclass(frozen=True)
class Announced:
    """What the bot has announced in the thread of a request about the movement of its group."""

    trouble: Trouble | None = None  # STALLED or SLOW, until its end is announced
    since: datetime | None = None  # since when the group has been in `trouble`
    # The last of `MILESTONES` that was announced, or left out because another one had been announced shortly before.
    milestone: int = 0
    milestone_at: datetime | None = None  # when a milestone was last announced


def announce(
    announced: Announced,
    movement: Movement,
    progress: Progress,
    *,
    before: Progress,
    last: Progress,
    running_for: timedelta,
    now: datetime,
) -> Announced:
    """What is announced in the thread after another reading of a running group. At most one thing is new.

    While it is not known how long the migration takes, no milestone is announced.

    Arguments:
        progress: as read now.
        before: the progress when the group was started.
        last: the progress at the last call of this function.
        running_for: how long ago the group was started.
    """
    in_trouble = _trouble(announced, movement, moved=has_moved(last, progress))
    if in_trouble is not announced.trouble:
        since = {Trouble.STALLED: movement.still_since, Trouble.SLOW: movement.slow_since}
        return replace(announced, trouble=in_trouble, since=since[in_trouble] if in_trouble else None)
    milestone = _milestone(progress)
    seconds_left = movement.seconds_left(progress, now)
    is_new = milestone > max(announced.milestone, _milestone(before))
    # A timedelta cannot be as long as the time left of a group that hardly moves.
    if not is_new or seconds_left is None or running_for.total_seconds() + seconds_left <= LONG.total_seconds():
        return announced
    is_too_early = announced.milestone_at is not None and now - announced.milestone_at < LONG
    return replace(announced, milestone=milestone, milestone_at=announced.milestone_at if is_too_early else now)


def _trouble(announced: Announced, movement: Movement, *, moved: bool) -> Trouble | None:
    """The trouble that the group is in. It lasts until a reading shows that it is over."""
    if movement.activity is Activity.STOPPED:
        return announced.trouble
    if movement.activity is Activity.STALLED:
        return Trouble.STALLED
    if announced.trouble is Trouble.STALLED:
        return None if moved or movement.still_since is None else Trouble.STALLED
    if movement.is_slow:
        return Trouble.SLOW
    return None if movement.is_above_limit else announced.trouble


def _milestone(progress: Progress) -> int:
    """The last milestone that this progress has reached; 0 if there is none."""
    share = percent(progress) or 0
    return max((one for one in MILESTONES if one <= share < 100), default=0)
