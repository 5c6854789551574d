"""Alerts about groups without an open request: each trouble causes one alert, and old trouble causes none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.domain.alert import (
    MERGE_WITHIN,
    PAUSED_FOR,
    Alert,
    AlertItem,
    Watch,
    accepts,
    alert_item,
    as_posted,
    merged,
    mute_is_over,
    muted,
    updated,
)
from bot.domain.task_group import GroupStatus, Progress, SubTasks, TaskGroup
from bot.domain.watched_group import Trouble, WatchedGroup, WatchLimits, after_first_reading, after_next_reading
from tests.support.values import GROUP, NOON

LIMITS = WatchLimits(timedelta(minutes=15), slow_below=20_000_000)
KEY = f"{'0' * 32}/{GROUP.group_id}"
EVERY = timedelta(seconds=30)
GB = 1_000_000_000


def group(status: GroupStatus, complete_bytes: int = 0) -> TaskGroup:
    progress = Progress(1000 * GB, complete_bytes, 1000, complete_bytes // GB)
    return replace(GROUP, status=status, progress=progress, sub_tasks=SubTasks(2, executing=2))


PAUSED, FAILED = group(GroupStatus.PAUSED), group(GroupStatus.MIGRATION_FAILED)
RUNNING = group(GroupStatus.MONITORING)


class Watcher:
    """Reads one group again and again, and collects the items for alerts about it."""

    def __init__(self, watch: Watch = "trouble", limits: WatchLimits = LIMITS) -> None:
        self.now = NOON
        self.known: WatchedGroup | None = None
        self.items: list[AlertItem] = []
        self._watch = watch
        self._limits = limits

    def read(self, seen: TaskGroup, after: timedelta = EVERY, /, **flags: bool) -> AlertItem | None:
        """Reads the group after this time. Returns the item for an alert."""
        self.now += after
        before = self.known
        if before is None:
            known = after_first_reading(KEY, "media", seen, self.now, self._limits)
        else:
            known = after_next_reading(before, seen, self.now, self._limits)
        quiet: dict[str, Any] = dict.fromkeys(("is_first_sweep", "paused_by_bot", "is_on_card", "is_muted"), False)
        arguments = {"watch": self._watch, **quiet, **flags}
        self.known, item = alert_item(before, known, **arguments)
        if item is not None:
            self.items.append(item)
        return item

    def move(self, times: int = 3, bytes_per_reading: int = 10 * GB, **flags: bool) -> None:
        """The group moves for some readings."""
        complete = self.known.group.progress.complete_bytes if self.known is not None else 0
        for number in range(1, times + 1):
            self.read(group(GroupStatus.MONITORING, complete + number * bytes_per_reading), **flags)

    def stand_still(self, minutes: int = 16, **flags: bool) -> None:
        """The group runs and does not move for some minutes."""
        assert self.known is not None
        for _ in range(minutes * 2):
            self.read(replace(self.known.group, status=GroupStatus.MONITORING), **flags)

    @property
    def troubles(self) -> list[Trouble | None]:
        return [item.trouble for item in self.items if not item.is_over]


@pytest.fixture
def watcher() -> Watcher:
    """A group that moves, of a project with the default of `watch`."""
    made = Watcher()
    made.move()
    assert made.items == []
    return made


def test_the_first_reading_that_shows_a_failure_causes_an_alert_and_later_ones_cause_none(watcher: Watcher) -> None:
    item = watcher.read(FAILED)
    assert item is not None
    assert (item.trouble, item.since, item.at, item.is_over) == (Trouble.FAILED, watcher.now, watcher.now, False)
    assert item.group == replace(FAILED, settings=())
    for _ in range(100):
        assert watcher.read(FAILED) is None


def test_a_pause_causes_an_alert_when_two_readings_half_a_minute_apart_show_it(watcher: Watcher) -> None:
    ten = timedelta(seconds=10)
    watcher.read(PAUSED)
    paused_at = watcher.now
    assert [watcher.read(PAUSED, ten), watcher.read(PAUSED, ten)] == [None, None]
    item = watcher.read(PAUSED, ten)
    assert item is not None
    assert (item.trouble, item.since, item.at) == (Trouble.PAUSED, paused_at, paused_at + PAUSED_FOR)
    assert [watcher.read(PAUSED) for _ in range(100)] == [None] * 100


def test_a_pause_that_is_over_within_half_a_minute_causes_no_alert(watcher: Watcher) -> None:
    watcher.read(PAUSED)
    watcher.move()
    assert watcher.items == []


def test_a_group_that_is_being_paused_causes_no_alert_yet(watcher: Watcher) -> None:
    pausing = group(GroupStatus.PAUSING)
    assert [watcher.read(pausing) for _ in range(10)] == [None] * 10
    watcher.read(PAUSED)
    watcher.read(PAUSED)
    assert watcher.troubles == [Trouble.PAUSED]


def test_the_alert_of_a_stall_has_the_time_since_when_nothing_moves(watcher: Watcher) -> None:
    still_since = watcher.now
    watcher.stand_still(14)
    assert watcher.items == []
    watcher.stand_still(60)
    [item] = watcher.items
    assert (item.trouble, item.since) == (Trouble.STALLED, still_since)
    assert item.at == still_since + LIMITS.stall_after


def test_a_stall_that_lasts_through_a_restart_of_the_bot_causes_one_alert(watcher: Watcher) -> None:
    watcher.stand_still()
    assert watcher.known is not None
    watcher.read(watcher.known.group, timedelta(hours=1))
    watcher.stand_still(60)
    assert watcher.troubles == [Trouble.STALLED]


def test_a_stall_is_over_when_the_group_moves_and_the_next_stall_causes_an_alert(watcher: Watcher) -> None:
    watcher.stand_still()
    watcher.move()
    watcher.stand_still()
    assert [(item.trouble, item.is_over) for item in watcher.items] == [
        (Trouble.STALLED, False),
        (Trouble.STALLED, True),
        (Trouble.STALLED, False),
    ]


def test_a_slow_group_causes_one_alert_once_it_has_been_slow_for_stall_after(watcher: Watcher) -> None:
    watcher.move(20, bytes_per_reading=GB // 10)
    slow_at = watcher.now
    assert watcher.items == []
    watcher.move(200, bytes_per_reading=GB // 10)
    [item] = watcher.items
    assert item.trouble is Trouble.SLOW
    assert item.at - item.since >= LIMITS.stall_after
    assert item.since < slow_at + LIMITS.stall_after
    watcher.move(20, bytes_per_reading=10 * GB)
    assert [(item.trouble, item.is_over) for item in watcher.items] == [(Trouble.SLOW, False), (Trouble.SLOW, True)]


def test_without_a_limit_no_group_is_slow() -> None:
    watcher = Watcher(limits=WatchLimits())
    watcher.move(200, bytes_per_reading=1)
    assert watcher.items == []


def test_a_pause_by_the_bot_causes_no_alert(watcher: Watcher) -> None:
    watcher.read(PAUSED, paused_by_bot=True)
    assert [watcher.read(PAUSED) for _ in range(10)] == [None] * 10
    watcher.read(FAILED, paused_by_bot=True)
    assert watcher.troubles == [Trouble.FAILED]


@pytest.mark.parametrize("seen", [PAUSED, FAILED])
def test_trouble_of_a_followed_group_causes_no_alert_even_after_its_request_has_ended(
    watcher: Watcher, seen: TaskGroup
) -> None:
    watcher.read(seen, is_on_card=True)
    assert [watcher.read(seen) for _ in range(10)] == [None] * 10
    watcher.move()
    watcher.read(seen)
    watcher.read(seen)
    assert len(watcher.troubles) == 1, "new trouble after the request causes an alert"


def test_a_stall_of_a_followed_group_causes_no_alert_after_its_request_has_ended(watcher: Watcher) -> None:
    watcher.stand_still(is_on_card=True)
    watcher.stand_still()
    assert watcher.items == []


def test_a_group_that_a_request_resumes_is_no_longer_in_trouble(watcher: Watcher) -> None:
    watcher.read(FAILED)
    watcher.read(group(GroupStatus.WAITING), is_on_card=True)
    assert [item.is_over for item in watcher.items] == [False, True]


@pytest.mark.parametrize("watch", ["trouble", "all"])
@pytest.mark.parametrize("seen", [PAUSED, FAILED, RUNNING, group(GroupStatus.COMPLETED)])
def test_the_first_sweep_causes_no_alert(watch: Watch, seen: TaskGroup) -> None:
    watcher = Watcher(watch)
    for _ in range(10):
        watcher.read(seen, is_first_sweep=watcher.known is None)
    assert watcher.items == []


def test_a_change_while_the_bot_was_away_causes_an_alert_from_the_stored_group(watcher: Watcher) -> None:
    watcher.read(FAILED, timedelta(days=1))
    assert watcher.troubles == [Trouble.FAILED]


def test_an_hour_without_readings_is_no_stall(watcher: Watcher) -> None:
    assert watcher.known is not None
    watcher.read(watcher.known.group, timedelta(hours=1))
    watcher.stand_still(14)
    assert watcher.items == []


def test_a_paused_group_that_was_resumed_and_failed_between_two_readings_causes_an_alert(watcher: Watcher) -> None:
    watcher.read(PAUSED)
    watcher.read(PAUSED)
    watcher.read(FAILED)
    assert watcher.troubles == [Trouble.PAUSED, Trouble.FAILED]


def test_with_watch_off_no_change_causes_an_alert_then_or_later() -> None:
    off, later = Watcher("off"), Watcher("trouble")
    off.move()
    off.read(FAILED)
    assert off.items == []
    later.known, later.now = off.known, off.now
    later.read(FAILED)
    assert later.items == []


def test_with_watch_all_starts_and_ends_cause_alerts_too() -> None:
    watcher = Watcher("all")
    watcher.read(group(GroupStatus.WAITING))
    assert [item.group.status for item in watcher.items] == [GroupStatus.WAITING], "a new group"
    watcher.move()
    watcher.read(group(GroupStatus.COMPLETED))
    watcher.read(group(GroupStatus.COMPLETED))
    assert watcher.troubles == [None, None]
    assert watcher.items[-1].group.status is GroupStatus.COMPLETED


def test_with_watch_all_a_paused_group_that_is_resumed_or_deleted_causes_an_alert() -> None:
    watcher = Watcher("all")
    watcher.read(PAUSED, is_first_sweep=True)
    watcher.move()
    watcher.read(group(GroupStatus.WAITING_FOR_DELETION))
    watcher.read(group(GroupStatus.DELETED))
    assert [(item.trouble, item.group.status) for item in watcher.items] == [
        (None, GroupStatus.MONITORING),
        (None, GroupStatus.WAITING_FOR_DELETION),
    ]


@pytest.mark.parametrize("flag", ["is_on_card", "is_muted"])
def test_starts_and_ends_of_followed_or_muted_groups_cause_no_alert(flag: str) -> None:
    watcher = Watcher("all")
    watcher.read(PAUSED, is_first_sweep=True)
    watcher.move(**{flag: True})
    watcher.read(group(GroupStatus.COMPLETED), **{flag: True})
    assert watcher.troubles == []


def test_a_muted_group_causes_an_alert_after_the_mute_if_the_trouble_lasts_and_is_new(watcher: Watcher) -> None:
    watcher.stand_still()
    watcher.read(FAILED, is_muted=True)
    watcher.read(FAILED)
    watcher.read(FAILED)
    assert watcher.troubles == [Trouble.STALLED, Trouble.FAILED]


def test_trouble_that_began_and_ended_during_a_mute_causes_no_alert(watcher: Watcher) -> None:
    watcher.read(FAILED, is_muted=True)
    watcher.move(is_muted=True)
    watcher.move()
    assert watcher.items == []


def test_a_mute_ends_at_its_time_or_when_the_group_moves(watcher: Watcher) -> None:
    assert watcher.known is not None
    assert mute_is_over(None, watcher.known)
    watcher.read(PAUSED)
    paused = watcher.known
    assert not mute_is_over(None, paused)
    assert not mute_is_over(watcher.now + timedelta(seconds=1), paused)
    assert mute_is_over(watcher.now, paused)
    watcher.stand_still()
    assert not mute_is_over(None, watcher.known), "it runs, but nothing moves"
    watcher.move(2)
    assert mute_is_over(None, watcher.known)


def test_a_mute_ends_when_only_objects_without_bytes_move(watcher: Watcher) -> None:
    watcher.stand_still()
    assert watcher.known is not None
    assert not mute_is_over(None, watcher.known)
    moved = replace(watcher.known.group.progress, skipped_objects=watcher.known.group.progress.skipped_objects + 1)
    watcher.read(replace(watcher.known.group, progress=moved))
    assert mute_is_over(None, watcher.known)


# What an alert shows


def item(number: int = 1, trouble: Trouble | None = Trouble.PAUSED, **changes: object) -> AlertItem:
    made = AlertItem(f"key {number}", PAUSED, trouble, NOON, NOON)
    return replace(made, **changes)  # type: ignore[arg-type]


def alert(*items: AlertItem) -> Alert:
    return Alert("media", items, NOON)


@pytest.mark.parametrize(
    ("shown", "added", "at", "taken"),
    [
        (item(1), item(2, Trouble.FAILED), NOON + MERGE_WITHIN - timedelta(seconds=1), True),
        (item(1), item(2, Trouble.FAILED), NOON + MERGE_WITHIN, False),
        (item(1, None), item(2, None), NOON, True),
        (item(1, None), item(2, Trouble.SLOW), NOON, False),
        (item(1, is_over=True), item(2), NOON, False),
    ],
)
def test_a_posted_alert_accepts_more_items_for_a_minute_unless_nobody_would_be_notified(
    shown: AlertItem, added: AlertItem, at: datetime, taken: bool
) -> None:
    assert accepts(alert(shown), [added], at) is taken


def test_newer_items_replace_those_of_the_same_group() -> None:
    assert merged(alert(item(1), item(2)), [item(3), item(1, Trouble.FAILED)]) == alert(
        item(1, Trouble.FAILED), item(2), item(3)
    )


def test_trouble_is_over_when_the_group_moves_again_or_is_in_other_trouble() -> None:
    later = NOON + timedelta(hours=1)
    started = alert(item(4, None, group=RUNNING))
    shown = alert(item(1), item(2, Trouble.STALLED), item(3), *started.items)
    after = updated(
        shown,
        [
            item(1, group=RUNNING, at=later, is_over=True),
            item(2, Trouble.FAILED, group=FAILED, at=later),
            item(4, Trouble.FAILED, group=FAILED, at=later),
        ],
    )
    assert after == alert(
        item(1, group=RUNNING, at=later, is_over=True),
        item(2, Trouble.STALLED, group=FAILED, at=later, is_over=True),
        item(3),
        *started.items,
    )
    assert updated(after, [item(1, group=FAILED, is_over=True)]) == after
    assert updated(alert(item(1, Trouble.SLOW)), [item(1, Trouble.STALLED)]) == alert(item(1, Trouble.SLOW))


def test_a_message_that_is_posted_later_leaves_out_muted_groups_and_trouble_that_is_over() -> None:
    shown = alert(item(1), item(2, is_over=True), item(3, None), item(4))
    assert as_posted(muted(shown, "key 4", "UCAROL00", None)) == alert(item(1), item(3, None))


def test_only_the_pressed_group_is_muted() -> None:
    until = NOON + timedelta(days=1)
    assert muted(alert(item(1), item(2)), "key 2", "UCAROL00", until) == alert(
        item(1), item(2, muted_by="UCAROL00", muted_until=until)
    )
