"""Advances a simulated task group to a time: statuses that are due, objects that are listed, bytes that move.

Pure. Calls that change a group are left to `oms_state`, what people do in the console to `console`.
"""

from __future__ import annotations

from datetime import datetime

from bot.sandbox.huawei.group import (
    COMPLETED,
    CREATION_FAILED,
    EXECUTING,
    MIGRATION_FAILED,
    MONITORING,
    Group,
)


def advance(group: Group, now: datetime) -> None:
    """Gives the group the status and the counters that it has at this time."""
    while group.pending_changes and now >= group.pending_changes[0][0]:
        restarts = group.status in (CREATION_FAILED, MIGRATION_FAILED)
        group.moved_at, group.status = group.pending_changes.pop(0)
        group.listed_at = group.moved_at
        if restarts:
            group.error, group.failed_objects, group.failures = None, 0, ()
    if group.status == EXECUTING and group.listed_objects is not None:
        _list(group, group.listed_objects, now)
    if group.runs:
        _move(group, now)


def _list(group: Group, before: int, now: datetime) -> None:
    since = now - (group.listed_at or now)
    listed = int(since.total_seconds() * group.objects_listed_per_second)
    if listed > 0 or group.listed_at is None:
        group.listed_objects, group.listed_at = min(group.total_objects, before + listed), now
    if group.listed_objects == group.total_objects:
        group.status, group.listed_objects, group.listed_at = MONITORING, None, None


def _move(group: Group, now: datetime) -> None:
    since = now - (group.moved_at or now)
    moved = int(since.total_seconds() * group.speed)
    if moved > 0 or group.moved_at is None or group.speed == 0:
        reached = min(group.reachable_bytes, group.complete_bytes + moved)
        group.complete_bytes, group.moved_at = max(group.complete_bytes, reached), now
    if group.fails_later is not None and moved > 0:
        group.status, group.error, group.fails_later = MIGRATION_FAILED, group.fails_later, None
    elif group.status == MONITORING and group.complete_bytes >= group.reachable_bytes:
        _end(group)


def _end(group: Group) -> None:
    """Ends the group. It has failed if any of its sub-tasks have, for the reason that most of them have."""
    if group.failures:
        worst = max(group.failures, key=lambda failure: failure.sub_tasks)
        group.status, group.error = MIGRATION_FAILED, (worst.code, worst.message)
    else:
        group.status = COMPLETED
