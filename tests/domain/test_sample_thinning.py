"""Samples of a month-long migration stay few, and the kept ones do not depend on when the samples were thinned."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bot.domain.sample_thinning import surplus_samples
from tests.support.values import NOON

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_one_sample_of_each_minute_is_kept_for_an_hour() -> None:
    times = [NOON - MINUTE * 30 + timedelta(seconds=10 * number) for number in range(60)]
    surplus = surplus_samples(times, NOON)
    assert [at for at in times if at not in surplus] == [*times[::6], times[-1]]


@pytest.mark.parametrize(
    ("age", "every"), [(timedelta(minutes=59), MINUTE), (HOUR, MINUTE * 10), (HOUR * 23, MINUTE * 10), (DAY, HOUR)]
)
def test_older_samples_are_kept_for_each_ten_minutes_and_then_for_each_hour(age: timedelta, every: timedelta) -> None:
    first = NOON - age
    first -= timedelta(seconds=first.timestamp() % every.total_seconds())
    times = [first, first + every / 2, NOON]
    kept = [at for at in times if at not in surplus_samples(times, first + every / 2 + age)]
    assert kept == [first, NOON]


def test_the_newest_sample_is_kept_at_any_age() -> None:
    times = [NOON, NOON + MINUTE, NOON + MINUTE * 2]
    assert surplus_samples(times, NOON + DAY * 30) == [NOON + MINUTE]
    assert surplus_samples([], NOON) == []


def test_a_month_of_samples_thinned_each_hour_stays_under_2000_rows() -> None:
    kept: list[datetime] = []
    most = 0
    for hour in range(24 * 31):
        now = NOON + HOUR * (hour + 1)
        kept += [NOON + HOUR * hour + MINUTE * number for number in range(60)]
        most = max(most, len(kept))
        surplus = set(surplus_samples(kept, now))
        kept = [at for at in kept if at not in surplus]
    assert most < 2_000
    everything = [NOON + MINUTE * number for number in range(60 * 24 * 31)]
    at_once = set(surplus_samples(everything, NOON + HOUR * 24 * 31))
    assert kept == [at for at in everything if at not in at_once], "thinning often keeps the same as thinning once"
