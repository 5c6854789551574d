"""Texts about a task group with or without a request: its status, its line in a list, and pausing it.

Pure. `bot.ui.movement` has the texts about how a group moves.
"""

from __future__ import annotations

from collections.abc import Collection

from bot.domain.progress import percent
from bot.domain.request import Problem
from bot.domain.task_group import RUNNING_STATUSES, TaskGroup, status_name
from bot.domain.watched_group import Reading
from bot.ui.formatting import capitalized, escape_mrkdwn, inline_code, mentions, quote
from bot.ui.movement import movement_details, movement_sentence, pace, trouble
from bot.ui.problem_texts import NOTHING_PAUSED, problem_sentences
from bot.ui.progress import progress_line
from bot.ui.replies import group_status, named_group


def paused_by(group: TaskGroup, project: str, person: str) -> str:
    """The message to the channel after a person paused a group without a request."""
    return f"{mentions([person])} paused {named_group(group)} in project {escape_mrkdwn(project)} with this bot."


def you_paused(group: TaskGroup) -> str:
    """The reply to the person who paused a group without a request."""
    return f"You paused {named_group(group)}. The bot also posts this in the channel."


def not_running(group: TaskGroup, project: str) -> str:
    """The reply to a person who pressed Pause for a group that does not run."""
    return f"{group_status(group, project)} There's nothing to pause."


def pause_too_late(group_id: str) -> str:
    """The reply to a person whose pause the bot could not send in time."""
    text = f"The bot couldn't pause group `{group_id}` in time. {NOTHING_PAUSED}"
    return f"{text} Check the group, then press Pause again."


def not_paused(group: TaskGroup, problem: Problem, console_url: str) -> str:
    """The reply to a person whose pause failed."""
    return f"{capitalized(named_group(group))} wasn't paused{problem_sentences(problem, console_url)}"


def group_line(reading: Reading, requested: Collection[str] = ()) -> str:
    """A line about one of several groups: its id, name and status, and if it runs, how it moves.

    Arguments:
        requested: the ids of the groups that have an open request.
    """
    group = reading.group
    name = escape_mrkdwn(group.description, 80)
    runs = group.status in RUNNING_STATUSES
    share = percent(group.progress) if runs else None
    parts = [
        f"{inline_code(group.group_id)}{f' {quote(name)}' if name else ''}",
        status_name(group.status),
        f"{share} %" if share is not None else "",
        (trouble(reading) or pace(reading)) if runs else "",
        "already requested" if group.group_id in requested else "",
    ]
    return ", ".join(filter(None, parts))


def running_status(reading: Reading, project: str) -> str:
    """The status of a running group in several lines."""
    moves = capitalized(trouble(reading) or pace(reading))
    return f"{group_status(reading.group, project)} {moves}.\n{running_details(reading)}"


def running_details(reading: Reading) -> str:
    """What the card of a running group shows below its headline, in several lines."""
    lines = (progress_line(reading.group.progress), movement_sentence(reading), movement_details(reading))
    return "\n".join(filter(None, lines))
