"""Sample alerts about groups without an open request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.domain.alert import Alert, AlertItem
from bot.domain.task_group import GroupStatus, Progress, TaskGroup
from bot.domain.watched_group import Trouble
from bot.jobs.problems import RetryHint, explain_reason
from tests.gallery.requests import PLAN_WITH_PATHS, REQUESTS, failed_group
from tests.support.values import GROUP, GROUP_ID, NOON

_AT = NOON + timedelta(minutes=20)
_RUNNING = replace(
    GROUP, status=GroupStatus.MONITORING, progress=replace(GROUP.progress, speed_bytes_per_second=140_000_000)
)
_STANDING = replace(_RUNNING, progress=GROUP.progress)
_COMPLETE = replace(GROUP, status=GroupStatus.COMPLETED, progress=Progress(10**10, 10**10, 1000, 1000))
_DELETED = replace(GROUP, status=GroupStatus.DELETED)
_IN_PARTS = REQUESTS["Failed, for three reasons"]
_FAILED = failed_group("TRF.0151", "Invalid AK/SK of the source end.")


def alert_item(
    trouble: Trouble | None = Trouble.PAUSED, group: TaskGroup = GROUP, number: int = 1, **changes: Any
) -> AlertItem:
    """An item about a group, noticed at twenty past twelve."""
    made = AlertItem(f"{number:032}/{GROUP_ID}", group, trouble, NOON + timedelta(minutes=3), _AT)
    return replace(made, **changes)


def alert_of(trouble: Trouble | None, group: TaskGroup = GROUP, **changes: Any) -> Alert:
    """An alert about one group."""
    return Alert("media", (alert_item(trouble, group, **changes),), _AT)


def failed_item(number: int = 1) -> AlertItem:
    """A group that failed because of a key."""
    return alert_item(Trouble.FAILED, _FAILED, number)


_EVERYTHING = (
    failed_item(2),
    alert_item(Trouble.PAUSED, number=3),
    alert_item(None, _COMPLETE, 4),
    *(alert_item(Trouble.FAILED, failed_group(""), number) for number in range(10, 40)),
)
_OVER = tuple(
    alert_item(trouble, group, number, is_over=True)
    for number, (trouble, group) in enumerate(
        [
            *((trouble, _RUNNING) for trouble in Trouble),
            *((Trouble.STALLED, group) for group in (_STANDING, _COMPLETE, _FAILED, GROUP, _DELETED)),
        ]
    )
)

#: What differs from the first sample, a paused group.
ALERTS: tuple[Mapping[str, Any], ...] = (
    {
        "alert": alert_of(Trouble.FAILED, _FAILED),
        "problems": {failed_item().key: explain_reason(_FAILED.error, PLAN_WITH_PATHS, RetryHint.RETRY)},
    },
    {"alert": alert_of(Trouble.FAILED, _IN_PARTS.group, failure_causes=_IN_PARTS.failure_causes)},
    {"alert": alert_of(Trouble.STALLED, _RUNNING), "notify": ()},
    {"alert": alert_of(Trouble.SLOW, _RUNNING, rate=7_500_000)},
    {"alert": alert_of(Trouble.PAUSED, request_id="R-7K3F2QAB", requested_by="UALICE00")},
    {"alert": alert_of(Trouble.PAUSED, paused_by="UBOB0000")},
    {"alert": alert_of(Trouble.PAUSED, muted_by="UBOB0000", muted_until=NOON + timedelta(days=1))},
    {"alert": alert_of(Trouble.STALLED, _RUNNING, muted_by="UBOB0000")},
    {"alert": alert_of(None, _RUNNING)},
    {"alert": alert_of(None, _COMPLETE)},
    {"alert": alert_of(None, _DELETED)},
    {"alert": Alert("media", _OVER, _AT)},
    {"alert": Alert("media", _EVERYTHING, _AT)},
)
