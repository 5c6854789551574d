"""The message to a project's channel about task groups without an open request.

Pure. `bot.domain.alert` decides what an alert says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from slack_sdk.models.blocks import Block, ButtonElement

from bot.domain.alert import Alert, AlertItem
from bot.domain.request import Problem, Verb
from bot.domain.task_group import DELETED_STATUSES, FAILED_STATUSES, RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.domain.watched_group import Trouble
from bot.ui import refusals
from bot.ui.blocks import (
    SECTION_CHARACTERS,
    SlackMessage,
    actions,
    button,
    context_block,
    header,
    section,
    slack_message,
)
from bot.ui.buttons import pause_group_button, request_group_button
from bot.ui.card import route_line
from bot.ui.failure_causes import causes_lines
from bot.ui.formatting import (
    capitalized,
    escape_mrkdwn,
    inline_code,
    link_console,
    local_time,
    mention,
    mentions,
    quoted_name,
    rate,
)
from bot.ui.problem_texts import LOOK_IN_CONSOLE, NOT_EXPECTED
from bot.ui.progress import objects_of_total, progress_line

# A message can have 50 blocks (Slack's reference for Block Kit). A group with buttons needs three of them, and
# everything else four.
MAX_WITH_BUTTONS = 10
# How many groups the text of the message names. Notifications and screen readers use this text.
MAX_IN_TEXT = 10

_ENDED_STATUSES = DELETED_STATUSES | {GroupStatus.COMPLETED}
# The worst first.
_TROUBLES = (Trouble.FAILED, Trouble.STALLED, Trouble.PAUSED, Trouble.SLOW)
_LABELS = {
    Trouble.FAILED: "failed",
    Trouble.STALLED: "stalled",
    Trouble.PAUSED: "paused outside this bot",
    Trouble.SLOW: "slow",
}
_WAS = {
    Trouble.FAILED: "had failed",
    Trouble.STALLED: "had stalled",
    Trouble.PAUSED: "was paused outside this bot",
    Trouble.SLOW: "was slow",
}
# What a person can do. The next step for a group that failed depends on its error.
_NEXT_STEPS = {
    Trouble.PAUSED: "To continue, press Resume. The request then needs approval.",
    Trouble.STALLED: LOOK_IN_CONSOLE,
    Trouble.SLOW: "Check the source and its bandwidth limit.",
}


def alert_message(
    alert: Alert,
    notify: Sequence[str],
    problems: Mapping[str, Problem],
    slow_below: int,
    console_url: str,
    command: str,
) -> SlackMessage:
    """The message. The worst trouble comes first. Groups that do not fit are counted.

    Arguments:
        notify: the ids of the users and user groups to mention if a group is in trouble.
        problems: why groups failed, by key.
        slow_below: the limit of the project, in bytes per second.
        console_url: the address of the OMS page in the Huawei Cloud console; empty if it is not known.
        command: the slash command, with its slash.
    """
    items = sorted(alert.items, key=_precedence)
    with_buttons = [item for item in items if item.is_trouble][:MAX_WITH_BUTTONS]
    lines, left_out = _lines([item for item in items if item not in with_buttons], slow_below, console_url)
    blocks: list[Block] = [header(_title(alert, items))]
    if introduction := _introduction(alert, notify):
        blocks.append(section(introduction))
    for item in with_buttons:
        blocks += _item_blocks(item, problems.get(item.key), slow_below, console_url)
    if lines:
        blocks.append(section(lines))
    if left_out:
        blocks.append(context_block(f"and {left_out:,} more; type `{command} list`"))
    sentences = [_sentence(item, slow_below) for item in items[:MAX_IN_TEXT]]
    more = [f"And {len(items) - MAX_IN_TEXT:,} more."] if len(items) > MAX_IN_TEXT else []
    return slack_message(" ".join((f"Project {escape_mrkdwn(alert.project)}.", *sentences, *more)), blocks)


def muted(group: TaskGroup, until: datetime | None) -> str:
    """The reply to the person who muted a group."""
    return f"{capitalized(_name(group))} is muted {_until(until)}. The bot won't post about it here before that."


def moves_already(group: TaskGroup) -> str:
    """The reply to a person who wants to mute a group until it moves, if it moves already."""
    return f"{capitalized(_name(group))} is moving again, so there's nothing to mute. {refusals.NOTHING_CHANGED}"


def _precedence(item: AlertItem) -> tuple[bool, bool, int]:
    """The sort key: trouble, the worst first; then muted groups; then trouble that is over."""
    at = _TROUBLES.index(item.trouble) if item.trouble is not None else len(_TROUBLES)
    return item.is_over, bool(item.muted_by), at


def _title(alert: Alert, items: Sequence[AlertItem]) -> str:
    if len(items) == 1:
        return f"{capitalized(_label(items[0]))}: {quoted_name(items[0].group)}"
    counts = Counter(_label(item) for item in items)
    return f"Task groups in {alert.project}: {', '.join(f'{count:,} {label}' for label, count in counts.items())}"


def _label(item: AlertItem) -> str:
    """What happened to the group. For trouble that is over, this stays true whatever the group does later."""
    if item.trouble is None:
        return _change(item.group)
    if not item.is_over:
        return "paused" if item.paused_by else _LABELS[item.trouble]
    status = item.group.status
    if status in RUNNING_STATUSES:
        return "was paused" if item.paused_by else _WAS[item.trouble]
    if status in FAILED_STATUSES:
        return "failed"
    return _change(item.group) if status in _ENDED_STATUSES else "paused"


def _change(group: TaskGroup) -> str:
    """What happened to a group without trouble."""
    if group.status in DELETED_STATUSES:
        return "deleted"
    return "done" if group.status is GroupStatus.COMPLETED else "started"


def _introduction(alert: Alert, notify: Sequence[str]) -> str:
    """The project, and the people who are mentioned while a group is in trouble.

    The title of a message about several groups has the project already.
    """
    is_one = len(alert.items) == 1
    project = f"Project {escape_mrkdwn(alert.project)}." if is_one else ""
    if not notify or not alert.has_trouble:
        return project
    return f"{project} {mentions(notify, 'and')}, please check {'this group' if is_one else 'these groups'}.".lstrip()


def _item_blocks(item: AlertItem, problem: Problem | None, slow_below: int, console_url: str) -> list[Block]:
    lines = [_sentence(item, slow_below, problem), route_line(item.group), progress_line(item.group.progress)]
    next_step = problem.next_step if problem is not None else _NEXT_STEPS.get(item.trouble) if item.trouble else None
    if next_step and not item.request_id:
        lines.append(f"*Next:* {link_console(escape_mrkdwn(next_step), console_url)}")
    if item.trouble is Trouble.FAILED:
        lines += causes_lines(item.group, item.failure_causes, problem, console_url)
    blocks: list[Block] = [section("\n".join(lines))]
    if buttons := _buttons(item):
        blocks.append(actions(item.group.group_id, *buttons))
    if item.muted_by:
        blocks.append(context_block(_muted(item)))
    return blocks


def _buttons(item: AlertItem) -> list[ButtonElement]:
    """A request for the group takes the place of the buttons."""
    if item.request_id:
        return []
    group_id = item.group.group_id
    verb = {Trouble.PAUSED: Verb.RESUME, Trouble.FAILED: Verb.RETRY}.get(item.trouble) if item.trouble else None
    found = [request_group_button(item.key, verb) if verb is not None else pause_group_button(item.key)]
    if item.muted_by or item.paused_by:
        return found
    found.append(button("Mute for a day", "mute", item.key, accessibility_label=f"Mute group {group_id} for a day"))
    if item.trouble is not Trouble.SLOW:
        label = f"Mute group {group_id} until it moves"
        found.append(button("Mute until it moves", "mute_until_it_moves", item.key, accessibility_label=label))
    return found


def _lines(items: Sequence[AlertItem], slow_below: int, console_url: str) -> tuple[str, int]:
    """A line for each group, as many as fit into a section, and how many groups are left out."""
    shown: list[str] = []
    left = SECTION_CHARACTERS
    for item in items:
        # Without an end time, the group was muted until it moves, and that mute is over when the trouble is.
        sentence = link_console(_sentence(item, slow_below), console_url)
        line = f"{sentence} {_muted(item)}." if item.muted_until else sentence
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    return "\n".join(shown), len(items) - len(shown)


def _sentence(item: AlertItem, slow_below: int, problem: Problem | None = None) -> str:
    """What happened to the group, since when, what that means, and who requested the group. mrkdwn."""
    sentences = [f"*{_name(item.group)}* (group {inline_code(item.group.group_id)}) {_event(item, slow_below)}."]
    if problem is not None:
        sentences.append(escape_mrkdwn(problem.meaning))
    if item.group.status in DELETED_STATUSES:
        sentences.append(NOT_EXPECTED)
    if item.request_id:
        sentences.append(f"Requested by {mention(item.requested_by)} ({inline_code(item.request_id)}).")
    return " ".join(sentences)


def _event(item: AlertItem, slow_below: int) -> str:
    noticed = f"noticed {local_time(item.at)}"
    paused = f"was paused by {mention(item.paused_by)} {local_time(item.since)}" if item.paused_by else ""
    if item.is_over and item.trouble is not None:
        return f"{paused or _WAS[item.trouble]} and {_later(item, item.trouble)}"
    match item.trouble:
        case Trouble.PAUSED:
            return paused or f"was paused outside this bot, noticed {local_time(item.since)}"
        case Trouble.FAILED:
            code = item.group.error.code if item.group.error is not None else ""
            return f"failed{f' with {escape_mrkdwn(code)}' if code else ''}, {noticed}"
        case Trouble.STALLED:
            return f"has stalled. Nothing has moved since {local_time(item.since)}, although its sub-tasks are running"
        case Trouble.SLOW:
            limit = f"the limit of {rate(slow_below)}" if slow_below else "the limit"
            slow = f"is slow. Its rate has been below {limit} (slow_below in bot.toml) since {local_time(item.since)}"
            return slow if item.rate is None else f"{slow}. It was {rate(item.rate)} {local_time(item.at)}"
    match _change(item.group):
        case "started":
            return f"started, {noticed}"
        case "deleted":
            return f"was deleted, {noticed}"
        case _:
            return f"is done with {objects_of_total(item.group.progress)}, {noticed}"


def _later(item: AlertItem, trouble: Trouble) -> str:
    """What happened to a group after its trouble, and when the bot noticed it."""
    status, at = item.group.status, local_time(item.at)
    if status in RUNNING_STATUSES:
        moved = "was moving again" if item.group.progress.speed_bytes_per_second else "had moved again"
        again = {Trouble.STALLED: moved, Trouble.SLOW: "its rate was above the limit again"}
        return f"{again.get(trouble, 'was running again')} {at}"
    if status in FAILED_STATUSES:
        return f"later failed, noticed {at}"
    if status in DELETED_STATUSES:
        return f"was deleted, noticed {at}"
    return f"{'is done' if status is GroupStatus.COMPLETED else 'was later paused'}, noticed {at}"


def _muted(item: AlertItem) -> str:
    return f"Muted by {mention(item.muted_by)} {_until(item.muted_until)}"


def _until(until: datetime | None) -> str:
    return f"until {local_time(until)}" if until is not None else "until it moves"


def _name(group: TaskGroup) -> str:
    return escape_mrkdwn(quoted_name(group))
