"""When sweeps list task groups, and with which statuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.sweep_plan import (
    MAX_WAIT,
    STATUSES,
    Part,
    SweepState,
    due_parts,
    is_young,
    next_sweep_at,
    samples_due,
)
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import WatchLimits, after_first_reading
from tests.support.values import GROUP, NOON

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ALL = frozenset(Part)


def test_every_status_is_listed_in_exactly_one_part() -> None:
    listed = [status for part in Part for status in STATUSES[part]]
    assert sorted(listed) == sorted(GroupStatus)


def test_in_ten_minutes_ended_groups_are_listed_once_and_failed_groups_each_minute() -> None:
    state, counts = SweepState(), dict.fromkeys(Part, 0)
    now = NOON
    while now < NOON + timedelta(minutes=10):
        parts = due_parts(state, now)
        for part in parts:
            counts[part] += 1
        state = state.listed(parts, now, is_young=False, unreadable={})
        # A sweep takes a while.
        now = next_sweep_at(state, now + SECOND)
    assert counts == {Part.ACTIVE: 20, Part.FAILED: 10, Part.ENDED: 1}


def test_active_groups_are_listed_every_ten_seconds_while_one_of_them_is_young() -> None:
    state = SweepState().listed(ALL, NOON, is_young=True, unreadable={})
    assert next_sweep_at(state, NOON) == NOON + 10 * SECOND
    state = state.listed(ALL, NOON, is_young=False, unreadable={})
    assert next_sweep_at(state, NOON) == NOON + 30 * SECOND


def test_a_group_is_young_for_ten_minutes_after_it_began_to_run() -> None:
    group = after_first_reading("key", "media", replace(GROUP, status=GroupStatus.MONITORING), NOON, WatchLimits())
    assert is_young(group, NOON + 9 * MINUTE)
    assert not is_young(group, NOON + 10 * MINUTE)
    assert not is_young(after_first_reading("key", "media", GROUP, NOON, WatchLimits()), NOON)


def test_each_429_doubles_the_wait_up_to_five_minutes() -> None:
    state, waits = SweepState().listed(ALL, NOON, is_young=True, unreadable={}), []
    for _ in range(7):
        state = state.failed(throttled=True)
        waits.append((next_sweep_at(state, NOON) - NOON).total_seconds())
    assert waits == [20, 40, 80, 160, 300, 300, 300]
    assert timedelta(seconds=waits[-1]) == MAX_WAIT
    assert next_sweep_at(state.listed(ALL, NOON, is_young=True, unreadable={}), NOON) == NOON + 10 * SECOND


def test_a_failure_without_a_429_keeps_the_interval() -> None:
    state = SweepState().failed(throttled=True).failed(throttled=False)
    assert (state.failures, next_sweep_at(state, NOON)) == (2, NOON + 30 * SECOND)


def test_samples_are_due_each_minute() -> None:
    assert samples_due(SweepState(), NOON)
    sampled = SweepState(sampled_at=NOON)
    assert not samples_due(sampled, NOON + 31 * SECOND)
    assert samples_due(sampled, NOON + 61 * SECOND)
