"""The trouble that the channel must be told of in a simulated week, by what each sweep showed.

Knows none of the code of the bot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.sandbox.huawei.group import (
    CREATION_FAILED,
    EXECUTING,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    PAUSING,
    WAITING,
    Condition,
)
from tests.support.simulated_week import MINUTE, SECOND, STALL_AFTER, Seen, Week

RUNNING, FAILED = (WAITING, EXECUTING, MONITORING), (CREATION_FAILED, MIGRATION_FAILED)
PAUSED_FOR = 30 * SECOND
RESTORES_FOR = timedelta(hours=12)
#: Readings that are further apart say nothing of the time between them.
BLIND = 10 * MINUTE


@dataclass(frozen=True)
class Episode:
    """Trouble of a group that must be told once."""

    group: str
    trouble: str
    told_at: datetime  # the sweep that tells it
    since: datetime  # the time that the message must name
    over_at: datetime | None = None  # the sweep that shows that it is over


def episodes_of(week: Week, group: str) -> Iterator[Episode]:
    """The trouble of a group that the channel is told."""
    before: tuple[datetime, Seen] | None = None
    open_: Episode | None = None
    known: str | None = None  # the trouble that people know of, from an alert or from a card
    since = still_since = week.start
    is_followed = False
    mutes = [one for one in week.mutes if one.group == group]

    def is_muted(at: datetime) -> bool:
        return any(one.start <= at < one.end for one in mutes)

    for at, all_seen in week.sweeps:
        seen = all_seen.get(group)
        if seen is None:
            continue
        if before is None or before[1].status != seen.status:
            since = at
        still_since = _still_since(before, still_since, at, seen, known)
        trouble = _trouble(seen, at - still_since, known, moved=_has_moved(before, seen))
        if before is None:
            known, is_followed = trouble, seen.is_followed
        elif trouble is None:
            if open_ is not None:
                yield replace(open_, over_at=at)
            open_ = known = None
        elif is_followed:
            known = trouble
        elif trouble != known and not is_muted(at) and (trouble != "paused" or at - since >= PAUSED_FOR):
            if open_ is not None:
                yield replace(open_, over_at=at)
            named = {"paused": since, "failed": at, "stalled": still_since}[trouble]
            open_, known = Episode(group, trouble, at, named), trouble
        if before is not None and before[1].status in RUNNING and seen.status not in (*RUNNING, PAUSING):
            is_followed = False
        before = at, seen
    if open_ is not None:
        yield open_


def _has_moved(before: tuple[datetime, Seen] | None, seen: Seen) -> bool:
    return before is not None and seen.amounts.complete_bytes > before[1].amounts.complete_bytes


def _still_since(
    before: tuple[datetime, Seen] | None, still_since: datetime, at: datetime, seen: Seen, known: str | None
) -> datetime:
    """Since when the sweeps show that nothing moves."""
    if before is None or before[1].status not in RUNNING or not seen.stands:
        return at
    if before[1].counters != seen.counters or (at - before[0] > BLIND and known != "stalled"):
        return at
    return still_since


def _trouble(seen: Seen, still_for: timedelta, known: str | None, *, moved: bool) -> str | None:
    if seen.status == PAUSED:
        return "paused"
    if seen.status == PAUSING:
        return known
    if seen.status in FAILED:
        return "failed"
    if seen.status not in RUNNING or not seen.stands:
        return None
    if known == "stalled" and not moved:
        return "stalled"
    longest = {Condition.STALLED: STALL_AFTER, Condition.RESTORING: RESTORES_FOR}.get(seen.condition)
    is_stalled = seen.status == MONITORING and longest is not None and still_for >= longest
    return "stalled" if is_stalled else None
