"""Texts about a task group that the bot watches, whether or not there is a request for it.

Pure. What the readings of the group show is computed by `bot.domain.watched_group`.
"""

from __future__ import annotations

from collections.abc import Collection

from bot.domain.progress import percent
from bot.domain.request import Problem
from bot.domain.task_group import RUNNING_STATUSES, Progress, SubTasks, TaskGroup, status_name
from bot.domain.watched_group import Activity, Movement
from bot.ui.formatting import capitalized, duration, escape_mrkdwn, local_time, mentions, quote, rate
from bot.ui.problem_texts import problem_sentences
from bot.ui.progress import progress_line
from bot.ui.replies import group_status, named_group

NO_SUCH_GROUP = "No such group, or you can't see it."


def paused_by(group: TaskGroup, project: str, person: str) -> str:
    """To the channel, after a person paused a group without a request."""
    return f"{mentions([person])} paused {named_group(group)} in project {escape_mrkdwn(project)} with this bot."


def you_paused(group: TaskGroup) -> str:
    """To the person who paused a group without a request."""
    return f"You paused {named_group(group)}. The channel was told."


def not_running(group: TaskGroup, project: str) -> str:
    """To a person who pressed Pause for a group that does not run."""
    return f"{group_status(group, project)} There's nothing to pause."


def pause_too_late(group_id: str) -> str:
    """To a person whose pause the bot could not send for so long that it no longer does."""
    text = f"The bot couldn't pause group `{group_id}` in time. Nothing was paused."
    return f"{text} Check the group, then press Pause again."


def not_paused(group: TaskGroup, problem: Problem, console_url: str) -> str:
    """To a person whose pause failed."""
    return f"{capitalized(named_group(group))} wasn't paused{problem_sentences(problem, console_url)}"


def group_line(group: TaskGroup, movement: Movement | None = None, requested: Collection[str] = ()) -> str:
    """A line about one of several groups: its id, name and status, and how it moves if it runs.

    Arguments:
        movement: None if only one reading is known.
        requested: ids of the groups that have an open request.
    """
    name = escape_mrkdwn(group.description, 80)
    share = percent(group.progress) if group.status in RUNNING_STATUSES else None
    parts = [
        f"`{group.group_id}`{f' {quote(name)}' if name else ''}",
        status_name(group.status),
        f"{share} %" if share is not None else "",
        movement_text(group, movement),
        "already requested" if group.group_id in requested else "",
    ]
    return ", ".join(filter(None, parts))


def running_status(group: TaskGroup, project: str, movement: Movement) -> str:
    """The status of a running group in several lines."""
    return f"{group_status(group, project)}\n{running_details(group, movement)}"


def running_details(group: TaskGroup, movement: Movement | None) -> str:
    """What the card of a running group shows, in several lines: progress, rate, time left and sub-tasks."""
    lines = [
        progress_line(group.progress),
        f"{capitalized(moves)}." if (moves := movement_text(group, movement)) else "",
        f"Sub-tasks: {counted}." if (counted := _sub_tasks(group.sub_tasks)) else "",
    ]
    return "\n".join(filter(None, lines))


def movement_text(group: TaskGroup, movement: Movement | None) -> str:
    """`220 MB/s, about 3 min left`, or why nothing moves. Empty if the group does not run, or nothing is known."""
    if group.status not in RUNNING_STATUSES:
        return ""
    speed = group.progress.speed_bytes_per_second if movement is None or movement.rate is None else movement.rate
    moves = rate(speed) if speed > 0 else ""
    since = local_time(movement.still_since) if movement is not None and movement.still_since is not None else ""
    match movement.activity if movement is not None else Activity.MOVING:
        case Activity.LISTING:
            texts = [moves, "OMS is still listing objects"]
        case Activity.QUEUED:
            texts = ["all sub-tasks wait in OMS's queue"]
        case Activity.RESTORING:
            texts = [f"nothing has moved since {since}", "OMS may be restoring archived objects"]
        case Activity.STALLED:
            texts = [f"nothing has moved since {since}"]
        case _:
            texts = [moves, _left(group.progress, speed)]
    if movement is not None and movement.is_slow and movement.slow_since is not None:
        texts.append(f"slow since {local_time(movement.slow_since)}")
    return ", ".join(filter(None, texts))


def _left(progress: Progress, bytes_per_second: int) -> str:
    left = progress.total_bytes - progress.complete_bytes
    if bytes_per_second <= 0 or left <= 0:
        return ""
    return f"about {duration(-(-left // bytes_per_second))} left"


def _sub_tasks(counts: SubTasks) -> str:
    named = {
        "done": counts.complete,
        "running": counts.executing,
        "waiting": counts.waiting,
        "paused": counts.paused,
        "failed": counts.failed,
    }
    return ", ".join(f"{count:,} {name}" for name, count in named.items() if count)
