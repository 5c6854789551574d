"""Texts about a task group with or without a request: its status, its line in a list, and pausing it.

Pure. `bot.ui.movement` has the texts about how a group moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.progress import percent
from bot.domain.request import Problem, Verb
from bot.domain.task_group import (
    DELETED_STATUSES,
    FAILED_STATUSES,
    RUNNING_STATUSES,
    GroupStatus,
    TaskGroup,
    status_name,
)
from bot.domain.watched_group import Reading
from bot.ui.formatting import (
    capitalized,
    escape_mrkdwn,
    inline_code,
    link_console,
    local_time,
    percentage,
    quote,
    size,
    time_left,
)
from bot.ui.movement import movement_details, movement_sentence, pace, trouble
from bot.ui.problem_texts import NOTHING_PAUSED, problem_sentences
from bot.ui.progress import objects_of_total, progress_line
from bot.ui.replies import group_status, named_group


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


def group_line(reading: Reading, requests: Mapping[str, str] | None = None) -> str:
    """A line about one of several groups: its name, id and status, and how far it is.

    Arguments:
        requests: the ids of the open requests, by the id of their group.
    """
    group = reading.group
    name = escape_mrkdwn(group.description, 80)
    parts = [
        f"{quote(name)} ({inline_code(group.group_id)})" if name else inline_code(group.group_id),
        *(_running(reading) if group.status in RUNNING_STATUSES else _stopped(reading)),
        escape_mrkdwn((requests or {}).get(group.group_id, "")),
    ]
    return ", ".join(filter(None, parts))


def _running(reading: Reading) -> list[str]:
    group, movement = reading.group, reading.movement
    status = status_name(group.status)
    if group.status is GroupStatus.WAITING:
        return [status]
    does = trouble(reading)
    left = movement.seconds_left(group.progress, reading.at) if movement is not None and movement.is_slow else None
    if left is not None:
        does += f", {time_left(left)} left"
    if reading.total_grows:
        return [status, does or pace(reading), f"{objects_of_total(group.progress)} so far"]
    return [status, _share(group), does or pace(reading)]


def _stopped(reading: Reading) -> list[str]:
    group, progress = reading.group, reading.group.progress
    noticed = f"noticed {local_time(reading.noticed_at)}" if reading.noticed_at is not None else ""
    parts = [status_name(group.status)]
    if group.status is GroupStatus.COMPLETED:
        parts += [size(progress.complete_bytes), objects_of_total(progress)]
    elif group.status not in DELETED_STATUSES:
        parts += [_share(group), objects_of_total(progress) if progress.failed_objects else ""]
    if group.status in FAILED_STATUSES and group.error is not None and group.error.code:
        parts[0] += f" with {escape_mrkdwn(group.error.code)}"
    return [*parts, noticed]


def _share(group: TaskGroup) -> str:
    share = percent(group.progress)
    return percentage(share) if share is not None else ""


def running_status(reading: Reading, project: str) -> str:
    """The status of a running group in several lines."""
    status = group_status(reading.group, project)
    if reading.group.status is not GroupStatus.WAITING:
        status += f" {capitalized(trouble(reading) or pace(reading))}."
    return f"{status}\n{running_details(reading)}"


def stopped_status(reading: Reading, project: str, verb: Verb | None, problem: Problem | None, console_url: str) -> str:
    """The status of a group that does not run, in several lines.

    Arguments:
        verb: what the button below the status requests; None if there is no button.
        problem: why the group failed; None for other groups.
        console_url: the address of the OMS page in the Huawei Cloud console; empty if it is not known.
    """
    lines = [group_status(reading.group, project, reading.noticed_at)]
    if reading.group.status not in DELETED_STATUSES:
        lines.append(progress_line(reading.group.progress))
    if problem is not None:
        code = f"{escape_mrkdwn(problem.code)}: " if problem.code else ""
        next_step = link_console(escape_mrkdwn(problem.next_step), console_url)
        lines += [f"{code}{escape_mrkdwn(problem.meaning)}", f"*Next:* {next_step}"]
    if verb is not None:
        lines.append(f"{verb.capitalize()}… opens the request form. The request needs approval.")
    return "\n".join(lines)


def running_details(reading: Reading) -> str:
    """What the card of a running group shows below its headline, in several lines."""
    progress = progress_line(reading.group.progress, total_grows=reading.total_grows)
    lines = (progress, movement_sentence(reading), movement_details(reading))
    return "\n".join(filter(None, lines))
