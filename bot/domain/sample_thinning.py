"""Chooses which samples of a group's progress are deleted, so that a month takes fewer than 2,000 of them.

Pure. `bot.store.groups` stores the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

#: Up to which age of a sample one is kept in which time. An older sample is one for each `_OLDEST_EVERY`. Each time
#: divides the next one, so that the first sample of an hour is also the first of its ten minutes.
_KEPT_EVERY = (
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(days=1), timedelta(minutes=10)),
)
_OLDEST_EVERY = timedelta(hours=1)


def surplus_samples(times: Sequence[datetime], now: datetime) -> list[datetime]:
    """The times of the samples that are not needed.

    Keeps the first sample of each minute for an hour, then of each ten minutes for a day, then of each hour. Keeps the
    newest one in any case: it shows how the group ended.

    Arguments:
        times: of all samples of one group, oldest first.
    """
    surplus: list[datetime] = []
    last_kept: datetime | None = None
    for at in times:
        every = _every(now - at)
        if last_kept is not None and _period(last_kept, every) == _period(at, every):
            surplus.append(at)
        else:
            last_kept = at
    if surplus and surplus[-1] == times[-1]:
        surplus.pop()
    return surplus


def _every(age: timedelta) -> timedelta:
    return next((every for limit, every in _KEPT_EVERY if age < limit), _OLDEST_EVERY)


def _period(at: datetime, every: timedelta) -> int:
    """The number of the minute, of the ten minutes or of the hour since 1970."""
    return int(at.timestamp() // every.total_seconds())
