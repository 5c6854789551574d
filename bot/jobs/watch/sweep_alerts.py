"""Stores an alert with what a sweep found about groups without an open request.

`bot.domain.alert` decides what an alert says, and `bot.jobs.watch.alerts` posts it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection

from bot.config.bot_toml import Project
from bot.domain.alert import alert_item, mute_is_over
from bot.domain.task_group import FAILED_STATUSES, GroupStatus
from bot.domain.watched_group import Trouble, WatchedGroup
from bot.store import alerts, groups, requests

_TROUBLES = {GroupStatus.PAUSED: Trouble.PAUSED} | dict.fromkeys(FAILED_STATUSES, Trouble.FAILED)


def save_alert(
    connection: Connection,
    name: str,
    project: Project,
    before: Mapping[str, WatchedGroup],
    after: Mapping[str, WatchedGroup],
    followed: Collection[str],
    now: datetime,
    *,
    is_first_sweep: bool,
) -> dict[str, WatchedGroup]:
    """Stores the alert about the groups that a sweep read, and ends the mutes that are over.

    Arguments:
        name: the name of the project.
        before, after: the groups before and after the sweep, by key; `after` has only those that the sweep read.
        followed: the keys of the groups that an open request follows.

    Returns:
        The groups after the sweep, each with its new `WatchedGroup.known_trouble`.
    """
    mutes, paused_by_bot = groups.mutes(connection, name), groups.paused_by_bot(connection, name, now)
    over = {key for key, until in mutes.items() if key in after and mute_is_over(until, after[key])}
    stopped = [group for key, group in after.items() if key not in followed and _has_stopped(before.get(key), group)]
    ended_at = requests.last_ends(connection, [group.group.group_id for group in stopped])
    # Requests that followed these groups have ended since then, so their cards show that the groups stopped.
    shown_on_cards = {
        group.key
        for group in stopped
        if (at := ended_at.get(group.group.group_id)) is not None and at >= _ran_at(before[group.key], group)
    }
    decided, items = {}, []
    for key, group in after.items():
        decided[key], item = alert_item(
            before.get(key),
            group,
            watch=project.watch,
            is_first_sweep=is_first_sweep,
            paused_by_bot=key in paused_by_bot,
            is_on_card=key in followed or key in shown_on_cards,
            is_muted=key in mutes and key not in over,
        )
        if item is not None:
            items.append(item)
    groups.end_mutes(connection, over)
    alerts.add_items(connection, name, project.channel, items, now)
    return decided


def _has_stopped(before: WatchedGroup | None, group: WatchedGroup) -> bool:
    """Whether a group that the bot knew has paused or failed, and this is no known trouble yet."""
    trouble = _TROUBLES.get(group.group.status)
    return before is not None and trouble is not None and group.known_trouble is not trouble


def _ran_at(before: WatchedGroup, group: WatchedGroup) -> datetime:
    """When a stopped group was last seen running."""
    return before.seen_at if before.runs else group.status_since
