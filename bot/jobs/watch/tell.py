"""Stores the alert of a sweep: its news about groups that no open request follows.

What an alert says is decided by `bot.domain.alert`. The messages are left to `bot.jobs.watch.alerts`.
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


def tell(
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
        name: of the project.
        before, after: the groups before and after the sweep, by key.
        followed: the keys of the groups that an open request follows.

    Returns:
        The groups after the sweep, with what people know of them.
    """
    mutes, paused_by_bot = groups.mutes(connection, name), groups.paused_by_bot(connection, name, now)
    over = {key for key, until in mutes.items() if key in after and mute_is_over(until, after[key])}
    stopped = [group for key, group in after.items() if key not in followed and _has_stopped(before.get(key), group)]
    ended_at = requests.last_ends(connection, [group.group.group_id for group in stopped])
    # Requests that followed these groups have ended since, so that their cards tell why the groups stopped.
    told_on_cards = {
        group.key
        for group in stopped
        if (at := ended_at.get(group.group.group_id)) is not None and at >= _ran_at(before[group.key], group)
    }
    told, items = {}, []
    for key, group in after.items():
        told[key], item = alert_item(
            before.get(key),
            group,
            watch=project.watch,
            is_first_sweep=is_first_sweep,
            paused_by_bot=key in paused_by_bot,
            is_followed=key in followed or key in told_on_cards,
            is_muted=key in mutes and key not in over,
        )
        if item is not None:
            items.append(item)
    groups.end_mutes(connection, over)
    alerts.tell(connection, name, project.channel, items, now)
    return told


def _has_stopped(before: WatchedGroup | None, group: WatchedGroup) -> bool:
    """Whether a group that the bot knew has paused or failed, and people were not told so yet."""
    trouble = _TROUBLES.get(group.group.status)
    return before is not None and trouble is not None and group.told is not trouble


def _ran_at(before: WatchedGroup, group: WatchedGroup) -> datetime:
    """When a stopped group was last seen running."""
    return before.seen_at if before.runs else group.status_since
