"""What is announced in a thread about the movement of a group: stalls, slowness and milestones, each once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.announcements import Announced, announce
from bot.domain.task_group import Progress
from bot.domain.watched_group import Activity, Movement, Trouble
from tests.support.values import NOON

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TOTAL = 1_000_000_000_000
MOVING = Movement(Activity.MOVING, rate=50_000_000, rate_since=NOON - HOUR)
STANDING = replace(MOVING, still_since=NOON)
STALLED = Movement(Activity.STALLED, still_since=NOON)
BELOW = replace(MOVING, rate=3_000_000, slow_since=NOON)
SLOW = replace(BELOW, is_slow=True)


NOTHING = Announced()


def troubles_after(
    movements: Iterable[Movement], announced: Announced = NOTHING, moved: int = 0
) -> list[Trouble | None]:
    """The trouble that is announced after each of these readings. Each shows `moved` more bytes than the last one."""
    found = []
    progress = Progress(TOTAL)
    for movement in movements:
        last, progress = progress, replace(progress, complete_bytes=progress.complete_bytes + moved)
        announced = announce(
            announced, movement, progress, before=Progress(TOTAL), last=last, running_for=HOUR, now=NOON
        )
        found.append(announced.trouble)
    return found


class TestTrouble:
    def test_a_stall_is_announced_once_and_its_end_when_something_moves(self) -> None:
        stalled = Trouble.STALLED
        assert troubles_after([MOVING, STALLED, STALLED, STANDING, STALLED, MOVING, MOVING]) == [
            None,
            stalled,
            stalled,
            stalled,
            stalled,
            None,
            None,
        ]

    @pytest.mark.parametrize("activity", [Activity.LISTING, Activity.QUEUED, Activity.RESTORING, Activity.STOPPED])
    def test_a_stalled_group_that_does_something_else_is_not_moving_again(self, activity: Activity) -> None:
        other = Movement(activity, still_since=None if activity is Activity.STOPPED else NOON)
        assert troubles_after([STALLED, other]) == [Trouble.STALLED, Trouble.STALLED]

    def test_movement_between_two_readings_ends_a_stall(self) -> None:
        announced = Announced(Trouble.STALLED, NOON)
        assert troubles_after([STANDING], announced, moved=1) == [None]

    def test_slowness_is_announced_once_and_its_end_when_the_rate_is_above_the_limit(self) -> None:
        slow = Trouble.SLOW
        unknown = Movement(Activity.MOVING)
        listing = replace(MOVING, activity=Activity.LISTING)
        assert troubles_after([BELOW, SLOW, SLOW, BELOW, unknown, listing, MOVING]) == [None, *[slow] * 5, None]

    def test_a_slow_group_that_stalls_is_announced_as_stalled(self) -> None:
        assert troubles_after([SLOW, STALLED, BELOW, SLOW], moved=1) == [
            Trouble.SLOW,
            Trouble.STALLED,
            None,
            Trouble.SLOW,
        ]

    def test_the_time_since_when_the_group_is_in_trouble_is_stored(self) -> None:
        none = Progress(TOTAL)
        announced = announce(Announced(), STALLED, none, before=none, last=none, running_for=HOUR, now=NOON + HOUR)
        assert announced.since == NOON
        assert announce(announced, MOVING, none, before=none, last=none, running_for=HOUR, now=NOON).since is None


def milestones(hours: float, *, start: int = 0, movement: Movement = MOVING) -> list[tuple[int, int]]:
    """The milestones of a migration that takes this long, each with the minute when it was announced."""
    found = []
    announced, last = Announced(), Progress(TOTAL, start * TOTAL // 100)
    rate = math.ceil((TOTAL - last.complete_bytes) / (hours * 3600))
    for minute in range(int(hours * 60) + 1):
        now = NOON + minute * MINUTE
        complete = last.complete_bytes + rate * 60 if minute else last.complete_bytes
        progress = Progress(TOTAL, min(complete, TOTAL))
        new = announce(
            announced,
            replace(movement, rate=rate),
            progress,
            before=Progress(TOTAL, start * TOTAL // 100),
            last=last,
            running_for=minute * MINUTE,
            now=now,
        )
        if new.milestone_at != announced.milestone_at:
            found.append((new.milestone, minute))
        announced, last = new, progress
    return found


class TestMilestones:
    def test_only_migrations_longer_than_an_hour_have_milestones(self) -> None:
        assert milestones(0.9) == []
        assert milestones(8) == [(25, 120), (50, 240), (75, 360)]

    def test_at_most_one_milestone_is_announced_in_an_hour(self) -> None:
        assert milestones(2) == [(25, 30), (75, 90)]
        assert milestones(3) == [(25, 45), (75, 135)]

    def test_milestones_reached_before_the_start_are_not_announced(self) -> None:
        assert [one for one, _ in milestones(8, start=40)] == [50, 75]

    @pytest.mark.parametrize(
        "movement",
        [
            replace(MOVING, activity=Activity.LISTING),
            replace(MOVING, still_since=NOON - HOUR),
            replace(MOVING, grew_at=NOON + 8 * HOUR),
        ],
    )
    def test_no_milestone_is_announced_while_the_time_left_is_not_known(self, movement: Movement) -> None:
        assert milestones(8, movement=movement) == []

    def test_a_group_that_would_take_longer_than_a_timedelta_has_a_milestone(self) -> None:
        total = 2 * 10**15
        before, now = Progress(total, total // 4 - 1), Progress(total, total // 4)
        slowest = replace(MOVING, rate=1)
        announced = announce(NOTHING, slowest, now, before=before, last=before, running_for=HOUR, now=NOON)
        assert announced.milestone == 25

    def test_no_milestone_is_announced_together_with_trouble(self) -> None:
        half = Progress(TOTAL, TOTAL // 2)
        announced = Announced(Trouble.STALLED, NOON)
        again = announce(announced, MOVING, half, before=Progress(TOTAL), last=half, running_for=HOUR, now=NOON)
        assert (again.trouble, again.milestone) == (None, 0)
        later = announce(again, MOVING, half, before=Progress(TOTAL), last=half, running_for=HOUR, now=NOON)
        assert later.milestone == 50
