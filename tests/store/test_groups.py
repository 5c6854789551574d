"""The groups that the sweeps saw: which stopped lately, which the bot paused, and how few samples are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import WatchedGroup, WatchLimits, after_first_reading, after_next_reading
from bot.store import groups
from bot.store.database import Store
from tests.support.values import GROUP, NOON

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIMITS = WatchLimits()


def watched(number: int, status: GroupStatus = GroupStatus.MONITORING, at: datetime = NOON) -> WatchedGroup:
    group = replace(GROUP, group_id=f"group {number}", status=status)
    return after_first_reading(f"p/{number}", "media", group, at, LIMITS)


def later(before: WatchedGroup, status: GroupStatus, at: datetime) -> WatchedGroup:
    return after_next_reading(before, replace(before.group, status=status), at, LIMITS)


def test_groups_that_ran_and_stopped_are_found_and_old_failures_are_not(store: Store) -> None:
    runs, ended, failed_before, of_another = (
        watched(1),
        watched(2),
        watched(3, GroupStatus.MIGRATION_FAILED),
        watched(4),
    )
    of_another = replace(of_another, project="archive")
    with store.write() as connection:
        groups.save(connection, [runs, ended, failed_before, of_another])
        groups.add_samples(connection, [runs, ended, of_another])
        ended = later(ended, GroupStatus.MIGRATION_FAILED, NOON + MINUTE)
        groups.save(connection, [ended, later(of_another, GroupStatus.COMPLETED, NOON + MINUTE)])
        groups.add_samples(connection, [ended])
    with store.read() as connection:
        assert groups.stopped_since(connection, ["media"], NOON) == [ended]
        assert groups.stopped_since(connection, ["media"], NOON + 2 * MINUTE) == []
        assert len(groups.stopped_since(connection, ["media", "archive"], NOON)) == 2


def test_a_group_that_was_deleted_is_found_even_if_it_did_not_run(store: Store) -> None:
    paused = watched(1, GroupStatus.PAUSED)
    deleted = later(paused, GroupStatus.DELETED, NOON + MINUTE)
    with store.write() as connection:
        groups.save(connection, [paused])
        assert groups.find_deleted(connection, ["media"], paused.group.group_id) is None
        groups.save(connection, [deleted])
        assert groups.stopped_since(connection, ["media"], NOON) == [deleted]
        assert groups.find_deleted(connection, ["media"], "1") == deleted
        assert groups.find_deleted(connection, ["archive"], "1") is None


def test_a_group_that_was_paused_with_the_bot_is_known_while_it_is_paused(store: Store) -> None:
    group = watched(1)
    with store.write() as connection:
        groups.save(connection, [group, later(watched(2), GroupStatus.PAUSED, NOON)])
        groups.set_paused(connection, group.key, NOON)
        assert groups.paused_with_bot(connection, ["media"]) == frozenset()
        groups.save(connection, [later(group, GroupStatus.PAUSED, NOON + MINUTE)])
        assert groups.paused_with_bot(connection, ["media"]) == {group.key}
        assert groups.paused_with_bot(connection, ["archive"]) == frozenset()


def test_a_pause_by_the_bot_is_known_until_the_group_runs_again(store: Store) -> None:
    group = watched(1)

    def paused_by_bot(now: datetime) -> bool:
        with store.write() as connection:
            return group.key in groups.paused_by_bot(connection, "media", now)

    with store.write() as connection:
        groups.save(connection, [group])
    assert not paused_by_bot(NOON)
    with store.write() as connection:
        groups.set_paused(connection, group.key, NOON)
        # A sweep that has read the group before saves it after.
        groups.save(connection, [later(group, GroupStatus.MONITORING, NOON)])
    assert paused_by_bot(NOON + MINUTE), "OMS does not show the pause at once"
    with store.write() as connection:
        groups.save(connection, [later(group, GroupStatus.PAUSED, NOON + MINUTE)])
    assert paused_by_bot(NOON + DAY)
    with store.write() as connection:
        groups.save(connection, [later(group, GroupStatus.MONITORING, NOON + DAY)])
    assert not paused_by_bot(NOON + DAY)


def test_samples_are_thinned_and_the_samples_of_other_groups_stay(store: Store) -> None:
    with store.write() as connection:
        for number in (1, 2):
            minutes = (replace(watched(number), seen_at=NOON + MINUTE * minute) for minute in range(60 * 30))
            groups.add_samples(connection, list(minutes))
        groups.thin_samples(connection, "p/1", NOON + DAY * 30)
        groups.thin_samples(connection, "p/3", NOON + DAY * 30)
        kept = [groups.samples_of(connection, f"p/{number}", NOON, NOON + DAY * 2) for number in (1, 2)]
    assert [sample.at for sample in kept[0]] == [
        *(NOON + HOUR * hour for hour in range(30)),
        NOON + HOUR * 30 - MINUTE,
    ]
    assert len(kept[1]) == 60 * 30


def test_only_groups_that_run_or_ran_recently_are_thinned(store: Store) -> None:
    with store.write() as connection:
        groups.save(
            connection, [watched(1), watched(2, GroupStatus.COMPLETED), watched(3, GroupStatus.PAUSED, NOON - DAY)]
        )
        assert set(groups.keys_to_thin(connection, NOON - HOUR)) == {"p/1", "p/2"}


def test_groups_that_are_no_longer_seen_are_deleted_with_all_old_samples(store: Store) -> None:
    old, current = watched(1), watched(2)
    with store.write() as connection:
        groups.save(connection, [old, current])
        groups.add_samples(connection, [old, current])
        current = later(current, GroupStatus.MONITORING, NOON + DAY)
        groups.save(connection, [current])
        groups.add_samples(connection, [current])
        assert groups.delete_not_seen(connection, NOON + HOUR) == 1
    with store.read() as connection:
        assert groups.get(connection, old.key) is None
        assert groups.get(connection, current.key) == current
        left = [groups.samples_of(connection, one.key, NOON, NOON + DAY) for one in (old, current)]
        assert [len(samples) for samples in left] == [0, 1]
