"""Chooses which samples of a group's progress to delete, so that a month-long migration has fewer than 2,000.

Pure. `bot.store.groups` stores the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

#: Each pair is an age, and a period. Of the samples younger than that age, one is kept for each period. Of older
#: samples, one is kept for each `_OLDEST_EVERY`. Each period divides the next one, so that the first sample of an hour
#: is also the first of its ten minutes.
_KEPT_EVERY = (
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(days=1), timedelta(minutes=10)),
)
_OLDEST_EVERY = timedelta(hours=1)


def surplus_samples(times: Sequence[datetime], now: datetime) -> list[datetime]:
    """The times of the samples that are not needed.

    The samples of the last hour are thinned to one a minute, those of the last day to one in ten minutes, and older
    ones to one an hour. The first sample of each period is kept. The newest sample is always kept, because it shows how
    the group ended.

    Arguments:
        times: the times of all samples of one group, oldest first.
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
