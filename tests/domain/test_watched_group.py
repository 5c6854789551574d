"""What several readings of a group show: progress that never falls, its rate, and stalls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.progress import percent
from bot.domain.task_group import GroupStatus, Progress, SubTasks, TaskGroup
from bot.domain.watched_group import (
    MAX_GAP,
    RESTORE_TIME,
    Activity,
    WatchedGroup,
    WatchLimits,
    after_first_reading,
    after_next_reading,
)
from tests.support.values import GROUP, NOON

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
LIMITS = WatchLimits(timedelta(minutes=15), slow_below=20_000_000)
MB = 1_000_000
TOTAL = 1_000_000 * MB
STEP = timedelta(seconds=30)


def running(complete_bytes: int = 0, **changes: object) -> TaskGroup:
    """A group whose sub-tasks execute. `changes` replaces fields of the group."""
    group = replace(
        GROUP,
        status=GroupStatus.MONITORING,
        progress=Progress(TOTAL, complete_bytes, 1000),
        sub_tasks=SubTasks(total=3, executing=2, waiting=1),
    )
    return replace(group, **changes)  # type: ignore[arg-type]


def seen(group: TaskGroup, limits: WatchLimits = LIMITS) -> WatchedGroup:
    return after_first_reading("p/g", "media", group, NOON, limits)


def after(
    watched: WatchedGroup, group: TaskGroup, wait: timedelta = STEP, limits: WatchLimits = LIMITS
) -> WatchedGroup:
    """The group after one more reading."""
    return after_next_reading(watched, group, watched.seen_at + wait, limits)


def still(watched: WatchedGroup, lasting: timedelta, group: TaskGroup | None = None) -> WatchedGroup:
    """The group after readings for this time that all show the same."""
    end = watched.seen_at + lasting
    while watched.seen_at < end:
        watched = after(watched, group or watched.group, min(STEP, end - watched.seen_at))
    return watched


def moving(steps: int = 20, per_second: int = 100 * MB, start: int = 0, **changes: object) -> WatchedGroup:
    """A group that moves this fast, after this many readings."""
    watched = seen(running(start, **changes))
    for step in range(1, steps + 1):
        watched = after(watched, running(start + step * per_second * int(STEP.total_seconds()), **changes))
    return watched


def share(watched: WatchedGroup) -> int | None:
    return percent(watched.group.progress)


amounts = st.integers(0, 1200)
readings = st.builds(Progress, st.sampled_from([0, 500, 1000]), amounts, st.sampled_from([0, 10]), *[amounts] * 3)
statuses = st.sampled_from([GroupStatus.WAITING, GroupStatus.EXECUTING, GroupStatus.MONITORING])


class TestProgress:
    @given(st.lists(readings, max_size=20), st.booleans())
    def test_the_percentage_never_falls_while_a_group_runs_and_its_totals_stay(
        self, found: Sequence[Progress], has_speed: bool
    ) -> None:
        watched = seen(running())
        for progress in found:
            before = watched
            watched = after(watched, running(progress=replace(progress, speed_bytes_per_second=int(has_speed))))
            shown, was = watched.group.progress, before.group.progress
            if (shown.total_bytes, shown.total_objects) == (was.total_bytes, was.total_objects):
                assert (share(watched) or 0) >= (share(before) or 0)

    @given(readings, statuses)
    def test_a_percentage_is_between_0_and_100_and_does_not_come_from_totals_of_0(
        self, progress: Progress, status: GroupStatus
    ) -> None:
        found = share(after(seen(running()), running(progress=progress, status=status)))
        assert found is None or 0 <= found <= 100
        if progress.total_bytes == progress.total_objects == 0:
            assert percent(progress) is None

    @given(readings, st.integers(0, 1000))
    def test_one_odd_reading_in_between_makes_no_percentage_fall(self, odd: Progress, complete_bytes: int) -> None:
        normal = running(progress=Progress(1000, complete_bytes, 10, 5))
        first = after(seen(normal), normal)
        odd_reading = after(first, running(progress=replace(odd, total_bytes=min(odd.total_bytes, 1000))))
        last = after(odd_reading, normal)
        assert share(first) == complete_bytes * 100 // 1000
        assert (share(last) or 0) >= (share(first) or 0)

    def test_smaller_totals_count_when_a_second_reading_confirms_them(self) -> None:
        first = seen(running(progress=Progress(1000, 500)))
        smaller = running(progress=Progress(800, 480))
        once = after(first, smaller)
        assert once.group.progress == Progress(1000, 500)
        assert after(once, smaller).group.progress == Progress(800, 480)

    def test_a_retried_group_starts_over_when_two_readings_show_no_progress(self) -> None:
        listing = {"status": GroupStatus.EXECUTING}
        first = seen(running(progress=Progress(1000, 960, 10, 9), **listing))
        empty = running(progress=Progress(1000, 0, 10), **listing)
        once = after(first, empty)
        assert share(once) == 96
        assert share(after(once, empty)) == 0

    def test_a_group_that_was_stopped_or_not_read_for_long_shows_what_the_next_reading_shows(self) -> None:
        first = seen(running(progress=Progress(1000, 960)))
        less = running(progress=Progress(1000, 100))
        failed = after(first, replace(less, status=GroupStatus.MIGRATION_FAILED))
        assert share(failed) == 10
        assert share(after(failed, less)) == 10
        assert share(after(first, less, MAX_GAP + SECOND)) == 10

    def test_the_counts_of_objects_are_those_of_one_reading(self) -> None:
        first = seen(running(progress=Progress(1000, 500, 10, 6, 1, 2)))
        assert after(first, running(progress=Progress(1000, 600, 10, 3, 2, 1))).group.progress == Progress(
            1000, 600, 10, 6, 1, 2
        )
        retried = Progress(1000, 600, 10, 8, 1, 0)
        assert after(first, running(progress=retried)).group.progress == retried


class TestRate:
    @given(
        st.lists(st.tuples(st.integers(1, 300), st.integers(0, 10**12)), min_size=1, max_size=30),
    )
    def test_the_rate_is_between_the_slowest_and_the_fastest_reading(self, steps: Sequence[tuple[int, int]]) -> None:
        watched = seen(running(progress=Progress(10**15)))
        rates: list[float] = []
        complete = 0
        for seconds, moved in steps:
            complete += moved
            watched = after(watched, running(progress=Progress(10**15, complete)), timedelta(seconds=seconds))
            rates.append(moved / seconds)
        rate = watched.movement.rate
        assert rate is None or min(rates) - len(rates) <= rate <= max(rates) + len(rates), "rounded at each reading"

    def test_a_steady_group_has_its_rate_and_its_time_left(self) -> None:
        watched = moving(per_second=100 * MB)
        assert watched.movement.rate == 100 * MB
        left = watched.movement.seconds_left(watched.group.progress, watched.seen_at)
        assert left == (TOTAL - 20 * 30 * 100 * MB) // (100 * MB)

    def test_after_some_minutes_the_rate_follows_a_change(self) -> None:
        watched = moving(steps=60, per_second=100 * MB)
        for step in range(1, 31):
            complete = 60 * 30 * 100 * MB + step * 30 * 20 * MB
            watched = after(watched, running(complete))
            if step == 1:
                assert 85 * MB < (watched.movement.rate or 0) < 100 * MB
        assert 20 * MB <= (watched.movement.rate or 0) < 25 * MB

    def test_a_short_measurement_gives_no_time_left(self) -> None:
        watched = after(seen(running(0)), running(100 * MB), 10 * SECOND)
        assert watched.movement.rate == 10 * MB
        assert watched.movement.seconds_left(watched.group.progress, watched.seen_at) is None

    def test_there_is_no_time_left_while_totals_grow_and_for_two_minutes_after(self) -> None:
        watched = moving()
        grown = replace(watched.group.progress, total_bytes=TOTAL + MB)
        for minutes, is_known in ((0, False), (1, False), (2, True)):
            complete = grown.complete_bytes + (minutes + 1) * 3000 * MB
            watched = after(watched, running(progress=replace(grown, complete_bytes=complete)), MINUTE)
            left = watched.movement.seconds_left(watched.group.progress, watched.seen_at)
            assert (left is not None) is is_known
            assert watched.movement.totals_grow(watched.seen_at) is not is_known

    def test_there_is_no_time_left_while_oms_lists_the_source(self) -> None:
        watched = moving(status=GroupStatus.EXECUTING)
        assert watched.movement.rate == 100 * MB
        assert watched.movement.totals_grow(watched.seen_at)
        assert watched.movement.seconds_left(watched.group.progress, watched.seen_at) is None

    @pytest.mark.parametrize(
        ("lasting", "is_still"), [(STEP, False), (MINUTE, True), (2 * MINUTE, True), (15 * MINUTE, True)]
    )
    def test_there_is_no_time_left_when_nothing_moves(self, lasting: timedelta, is_still: bool) -> None:
        watched = still(moving(), lasting)
        assert watched.movement.seconds_left(watched.group.progress, watched.seen_at) is None
        assert watched.movement.is_still(watched.seen_at) is is_still

    def test_after_a_gap_or_a_stall_the_measurement_of_the_rate_starts_again(self) -> None:
        watched = moving()
        more = running(watched.group.progress.complete_bytes + 3000 * MB)
        assert after(watched, more, MAX_GAP + SECOND).movement.rate is None
        stalled = still(watched, 15 * MINUTE)
        assert stalled.movement.rate is None
        assert after(stalled, more).movement.rate == 100 * MB

    def test_after_an_odd_reading_the_rate_is_between_its_last_value_and_zero(self) -> None:
        watched = moving()
        odd = after(watched, running(progress=Progress()))
        assert 0 < (odd.movement.rate or 0) < 100 * MB
        back = after(odd, running(watched.group.progress.complete_bytes + 60 * 100 * MB))
        assert 99 * MB < (back.movement.rate or 0) < 102 * MB
        assert back.movement.grew_at is None, "the totals have not grown"

    def test_a_rate_below_the_limit_is_slow_after_stall_after_and_without_a_limit_never(self) -> None:
        first = moving(steps=1, per_second=3 * MB)
        began = first.movement.slow_since
        assert began == first.seen_at
        watched = moving(steps=30, per_second=3 * MB)
        assert not watched.movement.is_slow
        watched = after(watched, running(31 * 30 * 3 * MB))
        assert watched.movement.is_slow
        assert watched.movement.slow_since == began
        unlimited = after(watched, running(32 * 30 * 3 * MB), limits=WatchLimits())
        assert (unlimited.movement.is_slow, unlimited.movement.slow_since) == (False, None)
        assert not moving(steps=40, per_second=20 * MB).movement.is_slow


class TestStall:
    def test_a_group_is_stalled_when_nothing_has_moved_for_stall_after(self) -> None:
        watched = moving()
        last_moved = watched.seen_at
        almost = still(watched, 15 * MINUTE - SECOND)
        assert almost.movement.activity is Activity.MOVING
        stalled = still(almost, SECOND)
        assert stalled.movement.activity is Activity.STALLED
        assert stalled.movement.still_since == last_moved

    @given(st.lists(st.tuples(st.integers(1, 3600), st.booleans()), max_size=60))
    def test_a_stall_needs_readings_without_a_gap_and_without_a_change(self, found: Sequence[tuple[int, bool]]) -> None:
        watched = seen(running())
        unchanged_since = watched.seen_at
        complete = 0
        for seconds, moves in found:
            wait = timedelta(seconds=seconds)
            was_stalled = watched.movement.activity is Activity.STALLED
            if moves or (wait > MAX_GAP and not was_stalled):
                unchanged_since = watched.seen_at + wait
            complete += 1000 * moves
            watched = after(watched, running(complete), wait)
            is_stalled = watched.movement.activity is Activity.STALLED
            assert is_stalled is (watched.seen_at - unchanged_since >= LIMITS.stall_after)

    def test_an_hour_without_readings_starts_no_stall_and_ends_none(self) -> None:
        watched = moving()
        blind = after(watched, watched.group, HOUR)
        assert blind.movement.activity is Activity.MOVING
        assert blind.movement.still_since == blind.seen_at
        stalled = still(blind, 15 * MINUTE)
        assert stalled.movement.activity is Activity.STALLED
        later = after(stalled, stalled.group, HOUR)
        assert later.movement.activity is Activity.STALLED
        assert later.movement.still_since == blind.seen_at
        other_run = after(stalled, running(5), HOUR)
        assert other_run.movement.activity is Activity.MOVING

    @pytest.mark.parametrize(
        "change",
        [
            {"progress": Progress(TOTAL, 5000 * MB, 1000, failed_objects=1)},
            {"progress": Progress(TOTAL + 1, 5000 * MB, 1000)},
            {"sub_tasks": SubTasks(total=3, executing=2, complete=1)},
        ],
    )
    def test_any_change_delays_a_stall_but_only_movement_ends_it(self, change: dict[str, object]) -> None:
        group = running(5000 * MB)
        changed = replace(group, **change)  # type: ignore[arg-type]
        delayed = after(still(seen(group), 14 * MINUTE), changed, MINUTE)
        assert delayed.movement.activity is Activity.MOVING
        assert delayed.movement.still_since == delayed.seen_at
        stalled = after(still(seen(group), 15 * MINUTE), changed)
        assert stalled.movement.activity is Activity.STALLED
        assert stalled.movement.still_since == NOON

    @pytest.mark.parametrize(
        "moved",
        [
            Progress(TOTAL, 5001 * MB, 1000),
            Progress(TOTAL, 5000 * MB, 1000, success_objects=1),
            Progress(TOTAL, 5000 * MB, 1000, skipped_objects=1),
            Progress(TOTAL, 5000 * MB, 1000, speed_bytes_per_second=1),
        ],
    )
    def test_bytes_objects_skips_and_a_speed_end_a_stall(self, moved: Progress) -> None:
        stalled = still(seen(running(5000 * MB)), 15 * MINUTE)
        assert stalled.movement.activity is Activity.STALLED
        again = after(stalled, running(progress=moved))
        assert again.movement.activity is Activity.MOVING
        assert again.movement.still_since is None

    def test_an_odd_reading_ends_no_stall_and_delays_none(self) -> None:
        odd = running(progress=Progress(), sub_tasks=SubTasks())
        standing = still(moving(), 14 * MINUTE)
        stalled = still(after(standing, odd), STEP, standing.group)
        assert stalled.movement.activity is Activity.STALLED
        assert after(stalled, odd).movement.activity is Activity.STALLED

    def test_a_group_whose_sub_tasks_all_wait_is_queued_and_one_that_oms_creates_is_listing(self) -> None:
        waiting = running(sub_tasks=SubTasks(total=2, waiting=2))
        assert still(seen(waiting), HOUR).movement.activity is Activity.QUEUED
        for status in (GroupStatus.WAITING, GroupStatus.EXECUTING):
            assert still(seen(running(status=status)), HOUR).movement.activity is Activity.LISTING

    def test_without_a_running_sub_task_there_is_no_stall(self) -> None:
        paused = still(seen(running(sub_tasks=SubTasks(total=2, paused=2))), HOUR)
        assert paused.movement.activity is Activity.MOVING
        assert paused.movement.is_still(paused.seen_at)

    def test_a_group_that_restores_archives_is_stalled_after_twelve_hours(self) -> None:
        watched = seen(running(restores_archives=True))
        assert still(watched, 14 * MINUTE).movement.activity is Activity.MOVING
        restoring = still(watched, 15 * MINUTE)
        assert restoring.movement.activity is Activity.RESTORING
        almost = still(restoring, RESTORE_TIME - 15 * MINUTE - SECOND)
        assert almost.movement.activity is Activity.RESTORING
        assert still(almost, SECOND).movement.activity is Activity.STALLED

    def test_readings_without_a_gap_span_the_twelve_hours_too(self) -> None:
        restoring = still(seen(running(restores_archives=True)), 8 * HOUR)
        blind = after(restoring, restoring.group, 9 * HOUR)
        assert blind.movement.activity is Activity.MOVING
        assert blind.movement.still_since == blind.seen_at
        stalled = still(blind, RESTORE_TIME)
        assert stalled.movement.activity is Activity.STALLED
        assert after(stalled, stalled.group, HOUR).movement.still_since == blind.seen_at

    def test_a_paused_or_failed_group_does_not_count_as_standing_still(self) -> None:
        watched = moving()
        for status in (GroupStatus.PAUSED, GroupStatus.PAUSING, GroupStatus.MIGRATION_FAILED, GroupStatus.COMPLETED):
            stopped = still(watched, HOUR, replace(watched.group, status=status))
            assert stopped.movement.activity is Activity.STOPPED
            assert stopped.movement.still_since is None
        resumed = after(stopped, watched.group)
        assert resumed.movement.still_since == resumed.seen_at


def test_the_time_of_a_status_is_that_of_the_reading_that_first_showed_it() -> None:
    watched = still(moving(), MINUTE)
    assert watched.status_since == NOON
    paused = after(watched, replace(watched.group, status=GroupStatus.PAUSED))
    assert still(paused, MINUTE).status_since == paused.seen_at
