"""`at=22:30` is the next time that the requester's clock shows 22:30, also when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.start_time import NoStart, StartProblem, next_start, voting_ends

DAY = timedelta(hours=24)
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
MORNING = datetime(2026, 3, 2, 7, 41, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_time_later_today_is_today_and_an_earlier_one_is_tomorrow() -> None:
    assert next_start(MORNING, UTC, (22, 30), DAY) == utc("2026-03-02T22:30")
    assert next_start(MORNING, UTC, (7, 30), DAY) == utc("2026-03-03T07:30")
    assert next_start(MORNING, UTC, (7, 41), DAY) == utc("2026-03-03T07:41")


@given(st.integers(0, 3 * 366 * 24 * 60))
def test_with_24h_every_time_of_day_is_accepted_at_any_time(minutes: int) -> None:
    start = next_start(MORNING + timedelta(minutes=minutes), NEW_YORK, (22, 30), DAY)
    assert isinstance(start, datetime)
    assert start.astimezone(NEW_YORK).strftime("%H:%M") == "22:30"


def test_a_start_beyond_the_limit_is_refused_with_the_latest_time() -> None:
    limit = timedelta(hours=8)
    assert next_start(MORNING, UTC, (15, 41), limit) == MORNING + limit
    assert next_start(MORNING, UTC, (15, 42), limit) == NoStart(StartProblem.TOO_LATE, MORNING + limit)
    assert next_start(MORNING, UTC, (7, 40), limit) == NoStart(StartProblem.TOO_LATE, MORNING + limit)


def test_a_limit_of_zero_allows_no_start_time() -> None:
    assert next_start(MORNING, UTC, (22, 30), timedelta(0)) == NoStart(StartProblem.NOT_ALLOWED)


# In Berlin, clocks go back from 03:00 to 02:00 on 25 October 2026, at 01:00 UTC.
@pytest.mark.parametrize(
    ("typed_at", "start"),
    [
        ("2026-10-25T00:20", "2026-10-25T00:30"),  # at the first 02:20, the first 02:30 is next
        ("2026-10-25T00:40", "2026-10-25T01:30"),  # at the first 02:40, the second 02:30 is next
        ("2026-10-25T01:20", "2026-10-25T01:30"),  # at the second 02:20
        ("2026-10-25T01:40", "2026-10-26T01:30"),  # at the second 02:40, the next 02:30 is tomorrow
        ("2026-10-24T20:00", "2026-10-25T00:30"),  # in the evening before
    ],
)
def test_when_clocks_go_back_the_next_of_both_times_is_found(typed_at: str, start: str) -> None:
    assert next_start(utc(typed_at), BERLIN, (2, 30), DAY) == utc(start)


# In Berlin, clocks go forward from 02:00 to 03:00 on 29 March 2026, at 01:00 UTC.
@pytest.mark.parametrize("typed_at", ["2026-03-28T12:00", "2026-03-29T00:40"])
def test_a_time_that_clocks_skip_is_refused_with_the_time_that_they_show_instead(typed_at: str) -> None:
    shown_instead = utc("2026-03-29T01:30")
    assert shown_instead.astimezone(BERLIN).strftime("%H:%M") == "03:30"
    assert next_start(utc(typed_at), BERLIN, (2, 30), DAY) == NoStart(StartProblem.SKIPPED, shown_instead)


def test_after_clocks_went_forward_the_skipped_time_is_tomorrow() -> None:
    assert next_start(utc("2026-03-29T01:10"), BERLIN, (2, 30), DAY) == utc("2026-03-30T00:30")


def test_voting_ends_after_the_expiry_and_not_later_than_an_hour_after_the_start() -> None:
    expiry, hour = timedelta(hours=8), timedelta(hours=1)
    assert voting_ends(MORNING, expiry, None) == MORNING + expiry
    assert voting_ends(MORNING, expiry, MORNING + 20 * hour) == MORNING + expiry
    assert voting_ends(MORNING, expiry, MORNING + 3 * hour) == MORNING + 4 * hour
