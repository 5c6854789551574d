"""When a digest is due, across changes of the clocks, and which groups and requests it contains."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.domain.digest import DailyTime, digest_of
from bot.domain.request import LastSeen, State
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import Activity, Movement, WatchedGroup
from tests.support.values import GROUP, HALF, NOON, request

SINGAPORE = DailyTime(8, 0, ZoneInfo("Asia/Singapore"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("daily", "now", "following"),
    [
        (SINGAPORE, "2026-03-02 23:59:59", "2026-03-03 00:00"),
        (SINGAPORE, "2026-03-03 00:00", "2026-03-04 00:00"),
        (DailyTime(8, 0, ZoneInfo("America/New_York")), "2026-03-07 13:00", "2026-03-08 12:00"),
        (DailyTime(8, 0, ZoneInfo("America/New_York")), "2026-10-31 12:00", "2026-11-01 13:00"),
        # 02:30 does not exist on this day, and 01:30 exists twice on the other.
        (DailyTime(2, 30, ZoneInfo("America/New_York")), "2026-03-08 00:00", "2026-03-08 07:30"),
        (DailyTime(1, 30, ZoneInfo("America/New_York")), "2026-11-01 00:00", "2026-11-01 05:30"),
        (DailyTime(1, 30, ZoneInfo("America/New_York")), "2026-11-01 05:30", "2026-11-02 06:30"),
        (DailyTime(0, 0, ZoneInfo("Pacific/Kiritimati")), "2026-03-02 09:59", "2026-03-02 10:00"),
    ],
)
def test_a_digest_is_due_at_the_local_time_on_each_day(daily: DailyTime, now: str, following: str) -> None:
    assert daily.after(utc(now)) == utc(following)
    assert daily.before(utc(following)) == utc(following)
    assert daily.before(utc(following) - timedelta(seconds=1)) <= utc(now)


def test_a_digest_is_due_exactly_once_on_each_day_of_a_year() -> None:
    daily = DailyTime(2, 30, ZoneInfo("Europe/Berlin"))
    at, days = utc("2026-01-01 00:00"), []
    while at < utc("2027-01-01 00:00"):
        at = daily.after(at)
        days.append(at.astimezone(daily.zone).date())
    assert len(days) == len(set(days)) == 365 + 1


def watched(number: int, status: GroupStatus) -> WatchedGroup:
    group = replace(GROUP, group_id=f"6a6b6c6d-0000-4000-8000-{number:012d}", status=status)
    movement = Movement(Activity.MOVING, 1_000) if status is GroupStatus.MONITORING else Movement(Activity.STOPPED)
    return WatchedGroup(f"group {number}", "media", group, NOON, NOON, movement)


def test_groups_are_sorted_by_their_current_status() -> None:
    statuses = (
        GroupStatus.COMPLETED,
        GroupStatus.MIGRATION_FAILED,
        GroupStatus.PAUSED,
        GroupStatus.MONITORING,
        GroupStatus.PAUSING,
        GroupStatus.DELETED,
    )
    groups = [watched(number, status) for number, status in enumerate(statuses)]
    found = digest_of("media", NOON, groups, [], [])
    assert [one.group for one in found.done] == [groups[0].group]
    assert [one.group for one in found.failed] == [groups[1].group]
    assert [one.group for one in found.paused] == [groups[2].group]
    assert [(one.group, one.movement) for one in found.running] == [
        (groups[3].group, groups[3].movement),
        (groups[4].group, groups[4].movement),
    ]
    assert [one.group for one in found.deleted] == [groups[5].group]
    assert not found.is_empty
    assert not digest_of("media", NOON, groups[5:], [], []).is_empty


def test_a_group_that_no_sweep_saw_is_known_from_its_request() -> None:
    done = replace(GROUP, status=GroupStatus.COMPLETED)
    ended = request(State.DONE, group=done)
    waiting = request(State.PENDING, 2)
    moving = request(
        State.MOVING,
        3,
        group=replace(GROUP, group_id="another", status=GroupStatus.MONITORING),
        last_seen=LastSeen(NOON, HALF, Movement(Activity.MOVING, 1_000)),
    )
    denied = request(State.DENIED, 4, group=replace(GROUP, group_id="third"))
    found = digest_of("media", NOON, [], [ended, denied], [waiting, moving])
    assert [one.group for one in found.done] == [done]
    assert [(one.group.group_id, one.movement) for one in found.running] == [
        ("another", Movement(Activity.MOVING, 1_000))
    ]
    assert found.waiting == (waiting,)
    assert found.paused == found.failed == ()


def test_a_later_sweep_replaces_what_an_ended_request_says() -> None:
    paused = request(State.PAUSED_AGAIN)
    runs_again = replace(watched(1, GroupStatus.MONITORING), key=paused.group_key)
    found = digest_of("media", NOON, [runs_again], [paused], [])
    assert len(found.running) == 1
    assert found.paused == ()


def test_a_day_without_anything_is_empty() -> None:
    assert digest_of("media", NOON, [], [], []).is_empty
