"""A report says what moved since OMS accepted the call, how fast, who approved it and which calls OMS accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.audit_events import AuditEvent
from bot.domain.report import MAX_POINTS, AcceptedCall, Rate, Report, Sample, sum_up
from bot.domain.request import Attempt, LastSeen, Request, State, Vote
from bot.domain.request_record import RecordedEvent
from bot.domain.task_group import Progress
from tests.support.values import NOON, TEAM, request

GB = 1_000_000_000
BEFORE = Progress(10 * GB, 4 * GB, 1000, 400)
AFTER = Progress(10 * GB, 10 * GB, 1000, 950, 13, 37)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def ran(minutes: float, after: Progress = AFTER, before: Progress | None = BEFORE, **changes: object) -> Request:
    """A request whose group was started at noon, and was done this many minutes later."""
    fields: dict[str, object] = {
        "attempt": Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=before),
        "last_seen": LastSeen(at(minutes), after),
        "ended_at": at(minutes),
    }
    return request(State.DONE, **(fields | changes))  # type: ignore[arg-type]


def report(made: Request, *readings: tuple[float, float], events: list[RecordedEvent] | None = None) -> Report:
    """The report on a request, with readings as minutes since noon and complete gigabytes."""
    found = [Sample(at(minute), round(gigabytes * GB)) for minute, gigabytes in readings]
    return sum_up(made, events or [], found, "ab" * 32, 0, at(60))


def points(found: Report) -> list[int]:
    return [part.bytes_per_second for part in found.rates]


def test_what_moved_this_time_leaves_out_what_was_moved_before() -> None:
    found = report(ran(10))
    assert (found.moved_bytes, found.moved_objects, found.progress) == (6 * GB, 550, AFTER)
    assert (found.took, found.average_rate) == (timedelta(minutes=10), 10_000_000)


def test_the_fastest_part_is_the_one_between_two_readings_with_the_highest_rate() -> None:
    assert report(ran(10), (2, 4), (3, 7), (9, 9.5)).fastest == Rate(at(2), at(3), 50_000_000)


def test_a_run_without_readings_in_between_has_no_fastest_part() -> None:
    assert report(ran(10)).fastest is None


def test_readings_closer_than_half_a_minute_give_no_rate_of_their_own() -> None:
    """OMS counts an object when it is complete, so a large object would look like a burst."""
    assert report(ran(10), (5, 4), (5.01, 7)).fastest == Rate(at(5), at(10), 20_000_000)


def test_the_rate_over_time_adds_up_to_what_moved() -> None:
    found = report(ran(10), (1, 4.6), (2, 5.2), (5, 5.2), (8, 9))
    assert sum(part.bytes_per_second * (part.until - part.since).total_seconds() for part in found.rates) == 6 * GB
    assert (found.rates[0].since, found.rates[-1].until) == (NOON, at(10))


def test_a_run_with_one_sample_has_two_points() -> None:
    found = report(ran(4), (2, 4.6))
    assert points(found) == [5_000_000, 45_000_000]


def test_a_run_of_less_than_a_minute_has_no_rate_over_time() -> None:
    found = report(ran(0.5), (0.2, 5))
    assert (found.rates, found.average_rate, found.fastest) == ((), 200_000_000, None)


def test_a_month_of_samples_has_as_many_points_as_a_chart_can_have() -> None:
    month = 30 * 24 * 60
    found = report(ran(month), *((minute, 4 + 6 * minute / month) for minute in range(1, month, month // 2000)))
    assert len(found.rates) == MAX_POINTS
    assert set(points(found)) == {found.average_rate}


def test_a_group_without_bytes_has_rates_of_zero() -> None:
    found = report(ran(10, Progress(0, 0, 5, 5), Progress(0, 0, 5, 0)), (2, 0), (5, 0))
    assert (found.moved_bytes, found.moved_objects, found.average_rate) == (0, 5, 0)
    assert set(points(found)) == {0}


def test_counters_that_oms_resets_late_after_a_retry_are_no_progress() -> None:
    reset = Progress(10 * GB, 0, 1000, 0)
    found = report(ran(10, before=reset), (1, 9), (2, 1), (5, 4))
    assert (found.moved_bytes, found.fastest) == (10 * GB, Rate(at(5), at(10), 20_000_000))
    assert sum(points(found)) / len(points(found)) == pytest.approx(10 * GB / 600, rel=0.01)


def test_readings_before_the_start_or_after_the_last_one_do_not_count() -> None:
    assert report(ran(10), (-5, 9), (12, 10)) == report(ran(10))


def test_while_the_group_runs_the_report_covers_the_time_up_to_the_last_reading() -> None:
    found = report(replace(ran(10, Progress(10 * GB, 7 * GB, 1000, 700)), state=State.MOVING, ended_at=None))
    assert (found.until, found.took, found.average_rate) == (at(10), timedelta(minutes=10), 5_000_000)


def test_a_group_that_was_deleted_ran_until_the_bot_learned_of_it() -> None:
    deleted = ran(10, ended_at=at(20))
    assert report(deleted).took == timedelta(minutes=20)


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_report(state: State) -> None:
    made = request(state)
    for one in (made, replace(made, attempt=None, last_seen=None), replace(made, last_seen=None)):
        found = report(one)
        assert found.request is one
        assert (found.moved_bytes is None) == (one.attempt is None or one.last_seen is None)


def test_without_the_progress_before_the_start_it_is_not_known_what_moved() -> None:
    found = report(ran(10, before=None))
    assert (found.moved_bytes, found.average_rate, found.rates) == (None, None, ())
    assert found.took == timedelta(minutes=10)


def test_approvals_and_accepted_calls_come_from_the_audit() -> None:
    voting = {"fingerprint": "f", "approvals needed": 2}
    events = [
        RecordedEvent(AuditEvent.REQUEST_CREATED, "UALICE00", at(0), voting),
        RecordedEvent(AuditEvent.VOTE_ADDED, "UCAROL00", at(1), {"team": TEAM}),
        RecordedEvent(AuditEvent.VOTE_ADDED, "UBOB0000", at(2), {"team": TEAM}),
        RecordedEvent(AuditEvent.VOTE_WITHDRAWN, "UBOB0000", at(3), {}),
        RecordedEvent(AuditEvent.VOTE_ADDED, "UDAVE000", at(4), {"team": TEAM}),
        RecordedEvent(AuditEvent.PUT_UNANSWERED, "bot", at(5), {"huawei_request_id": "not accepted"}),
        RecordedEvent(AuditEvent.PUT_ACCEPTED, "bot", at(6), {"number": 2, "huawei_request_id": "7f3c"}),
        RecordedEvent(AuditEvent.PAUSE_ACCEPTED, "bot", at(7), {"huawei_request_id": None}),
    ]
    found = report(ran(10), events=events)
    assert found.approvals == (Vote("UCAROL00", TEAM, at(1)), Vote("UDAVE000", TEAM, at(4)))
    assert found.calls == (AcceptedCall("put.accepted", at(6), "7f3c"), AcceptedCall("pause.accepted", at(7), ""))


@given(
    minutes=st.floats(0, 50_000),
    samples=st.lists(st.tuples(st.floats(0, 50_000), st.floats(0, 12)), max_size=30).map(sorted),
)
def test_a_report_on_any_readings_is_consistent(minutes: float, samples: list[tuple[float, float]]) -> None:
    found = report(ran(minutes), *samples)
    assert len(found.rates) <= MAX_POINTS
    assert all(part.bytes_per_second >= 0 for part in found.rates)
    assert all(part.until - part.since >= timedelta(seconds=59) for part in found.rates)
    assert all(one.until == next_one.since for one, next_one in pairwise(found.rates))
    if found.average_rate is not None and found.fastest is not None:
        assert found.fastest.bytes_per_second >= found.average_rate
