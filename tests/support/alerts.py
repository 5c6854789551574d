"""Sample items of alerts about task groups without an open request."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.alert import AlertItem
from bot.domain.task_group import ErrorReason, GroupStatus
from bot.domain.watched_group import Trouble
from tests.support.values import GROUP, NOON, PLAN

RUNNING = replace(GROUP, status=GroupStatus.MONITORING)
FAILED = replace(GROUP, status=GroupStatus.MIGRATION_FAILED, error=ErrorReason("TRF.0151", "Invalid AK/SK."))
LATER = NOON + timedelta(hours=1)
_GROUPS = {Trouble.PAUSED: GROUP, Trouble.FAILED: FAILED}


def item(number: int = 1, trouble: Trouble | None = Trouble.PAUSED, **changes: object) -> AlertItem:
    """An item about the group with this number, since noon, noticed an hour later. `changes` replaces fields."""
    group = _GROUPS.get(trouble, RUNNING) if trouble is not None else RUNNING
    group_id = f"00878453-3402-4a86-9e2a-{number:012d}"
    group = replace(group, group_id=group_id, settings=())
    made = AlertItem(f"{PLAN.project_id}/{group_id}", group, trouble, NOON, LATER)
    return replace(made, **changes)  # type: ignore[arg-type]


def over(number: int = 1, trouble: Trouble = Trouble.PAUSED) -> AlertItem:
    """An item that says that the group with this number runs again."""
    group = replace(RUNNING, group_id=item(number).group.group_id, settings=())
    return item(number, trouble, group=group, is_over=True)
