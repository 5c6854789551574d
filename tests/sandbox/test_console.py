"""What people do in the console and what goes wrong with a group shows in the groups that the official SDK reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from huaweicloudsdkoms.v2 import ListTaskGroupRequest, ShowTaskGroupRequest, ShowTaskGroupResponse

from bot.sandbox.huawei import console
from bot.sandbox.huawei.console import ACTIONS, actions_for
from bot.sandbox.huawei.example_groups import (
    NIGHTLY_IMAGES,
    OLD_BACKUPS,
    SENSOR_DATA,
    VIDEO_MASTERS,
    WEB_ASSETS,
)
from bot.sandbox.huawei.group import (
    EXECUTING,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    WAITING_FOR_DELETION,
    Condition,
    Failure,
)
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import OmsState, media_state
from bot.sandbox.huawei.paging import Paging
from bot.sandbox.huawei.rejection import Rejection
from tests.sandbox.oms import Clock, assert_rejected, sdk


def show(oms: OmsStandIn, group: str) -> ShowTaskGroupResponse:
    return sdk(oms).show_task_group(ShowTaskGroupRequest(group_id=group))


def counts(group: ShowTaskGroupResponse) -> tuple[int, ...]:
    """Total, waiting, executing, paused, failed and complete sub-tasks."""
    return (
        group.total_task_num,
        group.waiting_task_num,
        group.executing_task_num,
        group.paused_task_num,
        group.failed_task_num,
        group.complete_task_num,
    )


def test_sub_tasks_follow_the_group_to_its_end(oms: OmsStandIn, clock: Clock) -> None:
    oms.state.groups[NIGHTLY_IMAGES].status_lag = timedelta(0)
    assert counts(show(oms, NIGHTLY_IMAGES)) == (20, 0, 0, 12, 0, 8)
    console.resume(oms.state, NIGHTLY_IMAGES)
    assert counts(show(oms, NIGHTLY_IMAGES)) == (20, 7, 5, 0, 0, 8)
    clock.ahead += timedelta(seconds=34)
    assert counts(show(oms, NIGHTLY_IMAGES)) == (20, 0, 2, 0, 0, 18)
    clock.ahead += timedelta(seconds=30)
    assert counts(show(oms, NIGHTLY_IMAGES)) == (20, 0, 0, 0, 0, 20)
    assert counts(show(oms, OLD_BACKUPS)) == (20, 0, 0, 0, 12, 8)


@pytest.mark.parametrize(
    ("condition", "executing"), [(Condition.STALLED, 5), (Condition.RESTORING, 5), (Condition.QUEUED, 0)]
)
def test_no_counter_of_a_group_changes_while_it_does_not_move(
    oms: OmsStandIn, clock: Clock, condition: Condition, executing: int
) -> None:
    show(oms, VIDEO_MASTERS)
    clock.ahead += timedelta(seconds=60)
    console.set_condition(oms.state, VIDEO_MASTERS, condition)
    before = show(oms, VIDEO_MASTERS)
    clock.ahead += timedelta(minutes=10)
    after = show(oms, VIDEO_MASTERS)
    assert str(after) == str(before)
    assert (after.status, after.migrate_speed) == (MONITORING, 0)
    assert (after.executing_task_num, after.waiting_task_num > 0) == (executing, True)
    assert after.enable_restore is (condition is Condition.RESTORING)
    console.set_condition(oms.state, VIDEO_MASTERS, Condition.USUAL)
    clock.ahead += timedelta(seconds=1)
    assert show(oms, VIDEO_MASTERS).complete_size - after.complete_size == 150_000_000, "still time does not count"


def test_a_group_can_slow_down(oms: OmsStandIn, clock: Clock) -> None:
    console.set_condition(oms.state, VIDEO_MASTERS, Condition.SLOW)
    before = show(oms, VIDEO_MASTERS)
    clock.ahead += timedelta(seconds=10)
    after = show(oms, VIDEO_MASTERS)
    assert (after.migrate_speed, after.complete_size - before.complete_size) == (7_500_000, 75_000_000)


def test_totals_and_created_counters_grow_while_the_source_is_listed(oms: OmsStandIn, clock: Clock) -> None:
    before = show(oms, VIDEO_MASTERS)
    console.grow(oms.state, VIDEO_MASTERS)
    seen = [before]
    for _ in range(3):
        clock.ahead += timedelta(seconds=5)
        seen.append(show(oms, VIDEO_MASTERS))
    for name in (
        "total_num",
        "total_size",
        "total_task_num",
        "create_task_num",
        "create_complete_num",
        "create_complete_size",
        "complete_size",
    ):
        values = [getattr(group, name) for group in seen]
        assert values == sorted(set(values)), name
    assert {group.status for group in seen[1:]} == {EXECUTING}
    clock.ahead += timedelta(seconds=6)
    listed = show(oms, VIDEO_MASTERS)
    assert (listed.status, listed.total_num, listed.total_size) == (MONITORING, 2000, 2 * before.total_size)
    assert (listed.total_task_num, listed.create_task_num) == (40, 40)


def test_a_pause_interrupts_the_listing_and_a_resume_continues_it(oms: OmsStandIn, clock: Clock) -> None:
    console.grow(oms.state, VIDEO_MASTERS)
    show(oms, VIDEO_MASTERS)
    clock.ahead += timedelta(seconds=4)
    console.pause(oms.state, VIDEO_MASTERS)
    paused = show(oms, VIDEO_MASTERS)
    clock.ahead += timedelta(minutes=10)
    assert (show(oms, VIDEO_MASTERS).status, show(oms, VIDEO_MASTERS).total_num) == (PAUSED, paused.total_num)
    console.resume(oms.state, VIDEO_MASTERS)
    clock.ahead += timedelta(seconds=2)
    assert show(oms, VIDEO_MASTERS).status == EXECUTING
    clock.ahead += timedelta(seconds=20)
    assert (show(oms, VIDEO_MASTERS).status, show(oms, VIDEO_MASTERS).total_num) == (MONITORING, 2000)


def test_a_group_that_fails_in_parts_continues_and_fails_at_its_end(oms: OmsStandIn, clock: Clock) -> None:
    console.fail_in_parts(oms.state, VIDEO_MASTERS, (Failure("TRF.0155", "No such bucket.", 4),), failed_objects=100)
    before = show(oms, VIDEO_MASTERS)
    assert (before.status, before.failed_task_num, before.fail_num) == (MONITORING, 4, 100)
    assert before.failed_object_record.list_file_key
    clock.ahead += timedelta(seconds=60)
    assert show(oms, VIDEO_MASTERS).complete_size > before.complete_size
    oms.state.groups[VIDEO_MASTERS].bytes_per_second *= 100
    clock.ahead += timedelta(seconds=60)
    failed = show(oms, VIDEO_MASTERS)
    assert (failed.status, failed.error_reason.error_code) == (MIGRATION_FAILED, "TRF.0155")
    assert (failed.success_num, failed.fail_num, failed.complete_size) == (900, 100, 810_000_000_000)
    assert counts(failed) == (20, 0, 0, 0, 4, 16)


def test_a_person_in_the_console_needs_no_permission_and_no_keys_of_the_bot(oms: OmsStandIn, clock: Clock) -> None:
    oms.state.may_change_groups = False
    console.pause(oms.state, VIDEO_MASTERS)
    clock.ahead += timedelta(seconds=3)
    assert show(oms, VIDEO_MASTERS).status == PAUSED
    console.resume(oms.state, VIDEO_MASTERS)
    clock.ahead += timedelta(seconds=2)
    assert show(oms, VIDEO_MASTERS).status == MONITORING
    assert oms.state.groups[VIDEO_MASTERS].starts == 0, "no call of the bot"


def test_a_deleted_group_waits_for_its_deletion_and_is_forgotten(oms: OmsStandIn, clock: Clock) -> None:
    total = sdk(oms).list_task_group(ListTaskGroupRequest()).count
    console.delete(oms.state, WEB_ASSETS)
    assert show(oms, WEB_ASSETS).status == WAITING_FOR_DELETION
    clock.ahead += timedelta(seconds=3)
    assert_rejected("OMS.1009", lambda: show(oms, WEB_ASSETS))
    assert sdk(oms).list_task_group(ListTaskGroupRequest()).count == total - 1


@pytest.mark.parametrize(
    ("act", "group", "code"),
    [
        (console.pause, WEB_ASSETS, "OMS.1038"),
        (console.resume, VIDEO_MASTERS, "OMS.1039"),
        (console.delete, VIDEO_MASTERS, "OMS.0063"),
        (console.delete, SENSOR_DATA, "OMS.0063"),
        (console.grow, NIGHTLY_IMAGES, "OMS.1036"),
        (console.pause, "00000000-0000-0000-0000-000000000000", "OMS.1009"),
    ],
)
def test_the_console_is_bound_to_the_status_of_the_group(
    oms: OmsStandIn, act: Callable[[OmsState, str], None], group: str, code: str
) -> None:
    with pytest.raises(Rejection) as rejected:
        act(oms.state, group)
    assert rejected.value.code == code


def test_every_offered_action_is_accepted(clock: Clock) -> None:
    offered = [(group.id, action) for group in media_state(clock).groups.values() for action in actions_for(group)]
    for group_id, action in offered:
        ACTIONS[action](media_state(clock), group_id)
    assert {action for _, action in offered} | {"move on"} == set(ACTIONS)


def pages(oms: OmsStandIn, paging: Paging) -> list[str]:
    oms.state.paging = paging
    requests = [ListTaskGroupRequest(limit=7, offset=offset) for offset in (0, 7, 14)]
    return [group.group_id for one in requests for group in sdk(oms).list_task_group(one).taskgroups]


def test_pages_can_repeat_and_leave_out_groups_and_change_their_order(oms: OmsStandIn) -> None:
    stable = pages(oms, Paging.STABLE)
    assert stable == list(oms.state.groups)
    repeated = pages(oms, Paging.REPEATS)
    assert repeated == stable[:7] + stable[6:]
    dropped = pages(oms, Paging.DROPS)
    assert dropped == stable[:7] + stable[8:]
    shuffled = pages(oms, Paging.SHUFFLED)
    assert len(set(shuffled)) < len(shuffled)
