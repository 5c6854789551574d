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
from bot.domain.watched_group import WatchedGroup
from bot.store import alerts, groups, requests

_STOPPED = FAILED_STATUSES | {GroupStatus.PAUSED}


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
    told, items = {}, []
    for key, group in after.items():
        told[key], item = alert_item(
            before.get(key),
            group,
            watch=project.watch,
            is_first_sweep=is_first_sweep,
            paused_by_bot=key in paused_by_bot,
            is_followed=key in followed or _was_followed(connection, before.get(key), group),
            is_muted=key in mutes and key not in over,
        )
        if item is not None:
            items.append(item)
    groups.end_mutes(connection, over)
    alerts.tell(connection, name, project.channel, items, now)
    return told


def _was_followed(connection: Connection, before: WatchedGroup | None, group: WatchedGroup) -> bool:
    """Whether a request that followed the group has ended since the group ran, so that its card shows the end."""
    if before is None or group.told is not None or group.group.status not in _STOPPED:
        return False
    newest = next(iter(requests.of_group(connection, group.group.group_id)), None)
    ran_at = before.seen_at if before.runs else group.status_since
    return newest is not None and newest.ended_at is not None and newest.ended_at >= ran_at
