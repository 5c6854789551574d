"""The message to a project's channel about task groups without an open request.

Pure. `bot.domain.alert` decides what an alert says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from slack_sdk.models.blocks import Block, ButtonElement

from bot.domain.alert import Alert, AlertItem
from bot.domain.request import Problem
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
from bot.ui.formatting import (
    capitalized,
    escape_mrkdwn,
    inline_code,
    link_console,
    local_time,
    mention,
    mentions,
    quoted_name,
)
from bot.ui.movement import moves_again
from bot.ui.progress import objects_of_total, progress_line

# A message can have 50 blocks (Slack's reference for Block Kit). A group with buttons needs three of them, and
# everything else five.
MAX_WITH_BUTTONS = 10
# How many groups the text of the message names. Notifications and screen readers use this text.
MAX_IN_TEXT = 10

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


def alert_message(
    alert: Alert, notify: Sequence[str], problems: Mapping[str, Problem], console_url: str, command: str
) -> SlackMessage:
    """The message. The worst trouble comes first. Groups that do not fit are counted.

    Arguments:
        notify: the ids of the users and user groups to mention if a group is in trouble.
        problems: why groups failed, by key.
        console_url: the address of the OMS page in the Huawei Cloud console; empty if it is not known.
        command: the slash command, with its slash.
    """
    items = sorted(alert.items, key=_precedence)
    with_buttons = [item for item in items if item.is_trouble][:MAX_WITH_BUTTONS]
    lines, left_out = _lines([item for item in items if item not in with_buttons])
    blocks: list[Block] = [header(_title(alert, items)), section(_introduction(alert, notify))]
    for item in with_buttons:
        blocks += _item_blocks(item, problems.get(item.key), console_url)
    if lines:
        blocks.append(section(lines))
    if left_out:
        blocks.append(context_block(f"and {left_out:,} more; type `{command} list`"))
    sentences = [_sentence(item) for item in items[:MAX_IN_TEXT]]
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
    if item.is_over:
        return "no longer in trouble"
    return _change(item.group) if item.trouble is None else _LABELS[item.trouble]


def _change(group: TaskGroup) -> str:
    """What happened to a group without trouble."""
    if group.status in DELETED_STATUSES:
        return "deleted"
    return "done" if group.status is GroupStatus.COMPLETED else "started"


def _introduction(alert: Alert, notify: Sequence[str]) -> str:
    """The project, and the people who are mentioned while a group is in trouble."""
    project = f"Project {escape_mrkdwn(alert.project)}."
    if not notify or not alert.has_trouble:
        return project
    which = "this group" if len(alert.items) == 1 else "these groups"
    return f"{project} {mentions(notify, 'and')}, please check {which}."


def _item_blocks(item: AlertItem, problem: Problem | None, console_url: str) -> list[Block]:
    lines = [_sentence(item), progress_line(item.group.progress)]
    if problem is not None:
        lines[0] += f" {escape_mrkdwn(problem.meaning)}"
        lines.append(f"*Next:* {link_console(escape_mrkdwn(problem.next_step), console_url)}")
    blocks: list[Block] = [section("\n".join(lines))]
    if buttons := _buttons(item):
        blocks.append(actions(item.group.group_id, *buttons))
    if item.muted_by:
        blocks.append(context_block(_muted(item)))
    return blocks


def _buttons(item: AlertItem) -> list[ButtonElement]:
    group_id = item.group.group_id
    verb = {Trouble.PAUSED: "Resume", Trouble.FAILED: "Retry"}.get(item.trouble) if item.trouble else None
    found = []
    if verb is not None:
        found.append(button(f"{verb}…", "request", item.key, accessibility_label=f"{verb} group {group_id}"))
    if item.muted_by:
        return found
    found.append(button("Mute for a day", "mute", item.key, accessibility_label=f"Mute group {group_id} for a day"))
    if item.trouble is not Trouble.SLOW:
        label = f"Mute group {group_id} until it moves"
        found.append(button("Mute until it moves", "mute_until_it_moves", item.key, accessibility_label=label))
    return found


def _lines(items: Sequence[AlertItem]) -> tuple[str, int]:
    """A line for each group, as many as fit into a section, and how many groups are left out."""
    shown: list[str] = []
    left = SECTION_CHARACTERS
    for item in items:
        # Without an end time, the group was muted until it moves, and that mute is over when the trouble is.
        line = f"{_sentence(item)} {_muted(item)}." if item.muted_until else _sentence(item)
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    return "\n".join(shown), len(items) - len(shown)


def _sentence(item: AlertItem) -> str:
    """What happened to the group, and since when. mrkdwn."""
    return f"*{_name(item.group)}* (group {inline_code(item.group.group_id)}) {_event(item)}."


def _event(item: AlertItem) -> str:
    noticed = f"noticed {local_time(item.at)}"
    if item.is_over and item.trouble is not None:
        return f"{_WAS[item.trouble]} and {_now(item)}, {noticed}"
    match item.trouble:
        case Trouble.PAUSED:
            return f"was paused outside this bot, noticed {local_time(item.since)}"
        case Trouble.FAILED:
            code = item.group.error.code if item.group.error is not None else ""
            return f"failed{f' with {escape_mrkdwn(code)}' if code else ''}, {noticed}"
        case Trouble.STALLED:
            return f"has stalled. Nothing has moved since {local_time(item.since)}, although its sub-tasks are running"
        case Trouble.SLOW:
            return f"is slow. Its rate has been below the limit (slow_below in bot.toml) since {local_time(item.since)}"
    match _change(item.group):
        case "started":
            return f"started, {noticed}"
        case "deleted":
            return f"was deleted, {noticed}"
        case _:
            return f"is done with {objects_of_total(item.group.progress)}, {noticed}"


def _now(item: AlertItem) -> str:
    """What happened to a group after its trouble."""
    status = item.group.status
    if status in RUNNING_STATUSES:
        again = {Trouble.STALLED: moves_again(item.group.progress), Trouble.SLOW: "its rate is above the limit again"}
        return again.get(item.trouble, "is running again") if item.trouble else ""
    if status in FAILED_STATUSES:
        return "later failed"
    if status in DELETED_STATUSES:
        return "was deleted"
    return "is done" if status is GroupStatus.COMPLETED else "was later paused"


def _muted(item: AlertItem) -> str:
    return f"Muted by {mention(item.muted_by)} {_until(item.muted_until)}"


def _until(until: datetime | None) -> str:
    return f"until {local_time(until)}" if until is not None else "until it moves"


def _name(group: TaskGroup) -> str:
    return escape_mrkdwn(quoted_name(group))
