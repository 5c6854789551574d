"""Plans the sweeps of a project: when each sweep begins, and which statuses of task groups it lists.

Pure. `bot.jobs.watch.sweep` lists the groups. A project can have many ended groups, so these are listed rarely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.schedule import doubling_wait
from bot.domain.task_group import FAILED_STATUSES, RUNNING_STATUSES, GroupStatus
from bot.domain.watched_group import WatchedGroup

# How often running groups are listed: while a group is young (`is_young`), and otherwise.
YOUNG_EVERY, EVERY = timedelta(seconds=10), timedelta(seconds=30)
YOUNG_FOR = timedelta(minutes=10)
# The longest time between two sweeps while OMS answers with 429.
MAX_WAIT = timedelta(minutes=5)
SAMPLE_EVERY = timedelta(minutes=1)


class Part(StrEnum):
    """A part of the task groups of a project. Groups whose status is in the same part are listed equally often."""

    #: Groups that run or can be resumed.
    ACTIVE = "active"
    #: Groups that failed.
    FAILED = "failed"
    #: Groups that are complete or deleted.
    ENDED = "ended"


STATUSES: Mapping[Part, frozenset[GroupStatus]] = {
    Part.ACTIVE: RUNNING_STATUSES | {GroupStatus.PAUSED, GroupStatus.PAUSING},
    Part.FAILED: FAILED_STATUSES,
    Part.ENDED: frozenset({GroupStatus.COMPLETED, GroupStatus.WAITING_FOR_DELETION, GroupStatus.DELETED}),
}
_EVERY: Mapping[Part, timedelta] = {Part.FAILED: timedelta(minutes=1), Part.ENDED: timedelta(minutes=10)}


@dataclass(frozen=True)
class SweepState:
    """What the sweeps of a project have done so far."""

    listed_at: Mapping[Part, datetime] = field(default_factory=dict)  # when each part was last listed
    sampled_at: datetime | None = None  # when samples of the running groups were last stored
    unreadable: Mapping[Part, int] = field(default_factory=dict)  # how many groups of each part could not be read
    is_young: bool = False  # whether a group is young (`is_young`)
    throttled: int = 0  # how many sweeps in a row OMS refused because of a rate limit
    failures: int = 0  # how many sweeps in a row failed, for any reason

    def listed(
        self,
        parts: frozenset[Part],
        now: datetime,
        *,
        is_young: bool,
        unreadable: Mapping[Part, int],
    ) -> SweepState:
        """The state after a sweep that listed these parts."""
        return replace(
            self,
            listed_at={**self.listed_at, **dict.fromkeys(parts, now)},
            unreadable={**self.unreadable, **unreadable},
            is_young=is_young,
            throttled=0,
            failures=0,
        )

    def failed(self, *, throttled: bool) -> SweepState:
        """The state after a sweep that failed."""
        return replace(self, throttled=self.throttled + 1 if throttled else 0, failures=self.failures + 1)


def due_parts(state: SweepState, now: datetime) -> frozenset[Part]:
    """The parts to list in a sweep that begins now. `Part.ACTIVE` is listed in every sweep."""
    due = {part for part, every in _EVERY.items() if _is_due(state.listed_at.get(part), every, now)}
    return frozenset({Part.ACTIVE, *due})


def next_sweep_at(state: SweepState, now: datetime) -> datetime:
    """When the next sweep begins if the current sweep ends now."""
    every = YOUNG_EVERY if state.is_young else EVERY
    return now + (doubling_wait(state.throttled, every, MAX_WAIT) if state.throttled else every)


def samples_due(state: SweepState, now: datetime) -> bool:
    """Whether the sweep that runs now stores samples of the running groups."""
    return _is_due(state.sampled_at, SAMPLE_EVERY, now)


def is_young(group: WatchedGroup, now: datetime) -> bool:
    """Whether a group runs and was not running `YOUNG_FOR` ago."""
    return group.runs and now - group.status_since < YOUNG_FOR


def _is_due(last: datetime | None, every: timedelta, now: datetime) -> bool:
    # Sweeps begin at slightly irregular times. Without this tolerance, a part could be listed one sweep too late.
    return last is None or now - last >= every - YOUNG_EVERY / 2
