"""The official SDK lists the sub-tasks of the OMS stand-in as it lists those of OMS."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from huaweicloudsdkoms.v2 import ListTasksRequest, ListTasksResponse, ShowTaskGroupRequest
from huaweicloudsdkoms.v2.model.task_resp import TaskResp

from bot.sandbox.huawei import console
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES, OLD_BACKUPS, TAX_FILES, VIDEO_MASTERS
from bot.sandbox.huawei.group import Failure
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.sub_tasks import (
    TASK_FAILED,
    TASK_PAUSING,
    TASK_RUNNING,
    TASK_STOPPED,
    TASK_SUCCESS,
    TASK_WAITING,
)
from tests.sandbox.oms import Clock, assert_rejected, sdk


def tasks(oms: OmsStandIn, **query: object) -> ListTasksResponse:
    return sdk(oms).list_tasks(ListTasksRequest(**query))


def test_a_sub_task_has_every_documented_field(oms: OmsStandIn) -> None:
    [raw, *_] = oms.state.list_tasks(TAX_FILES, TASK_FAILED, "")
    assert set(raw) == set(TaskResp.attribute_map)
    [first, second, third] = tasks(oms, group_id=TAX_FILES, status=TASK_FAILED).tasks
    assert (first.group_id, first.group_type, first.task_type) == (TAX_FILES, "GROUP_TASK", "prefix")
    assert [one.error_reason.error_code for one in (first, second, third)] == ["TRF.0157", "TRF.0157", "TRF.0156"]
    assert (first.failed_num, second.failed_num, third.failed_num) == (13, 12, 12)
    assert first.failed_object_record.list_file_key != second.failed_object_record.list_file_key
    assert len({first.id, second.id, third.id}) == 3


def test_the_states_of_the_sub_tasks_are_those_that_the_group_counts(oms: OmsStandIn, clock: Clock) -> None:
    for group_id in oms.state.groups:
        group = sdk(oms).show_task_group(ShowTaskGroupRequest(group_id=group_id))
        found = Counter(task.status for task in tasks(oms, group_id=group_id, limit=100).tasks)
        assert found == {
            status: count
            for status, count in {
                TASK_WAITING: group.waiting_task_num,
                TASK_RUNNING: group.executing_task_num,
                TASK_STOPPED if group.status != 7 else TASK_PAUSING: group.paused_task_num,
                TASK_FAILED: group.failed_task_num,
                TASK_SUCCESS: group.complete_task_num,
            }.items()
            if count
        }, group.description


def test_all_sub_tasks_of_a_failed_group_fail_for_its_reason_if_no_other_is_known(oms: OmsStandIn) -> None:
    failed = tasks(oms, group_id=OLD_BACKUPS, status=TASK_FAILED, limit=100).tasks
    assert {task.error_reason.error_code for task in failed} == {"TRF.0151"}
    assert {task.failed_object_record for task in failed} == {None}


def test_failed_sub_tasks_come_in_pages(oms: OmsStandIn) -> None:
    group = oms.state.groups[VIDEO_MASTERS]
    group.sub_tasks, group.total_objects = 500, 100_000
    failures = tuple(Failure(f"TRF.01{number}", "broken", number) for number in (51, 56, 90))
    console.fail_in_parts(oms.state, VIDEO_MASTERS, failures)
    pages = [
        tasks(oms, group_id=VIDEO_MASTERS, status=TASK_FAILED, limit=100, offset=offset) for offset in (0, 100, 200)
    ]
    assert {page.count for page in pages} == {197}
    found = Counter(task.error_reason.error_code for page in pages for task in page.tasks)
    assert found == {"TRF.0151": 51, "TRF.0156": 56, "TRF.0190": 90}
    assert len(tasks(oms, group_id=VIDEO_MASTERS).tasks) == 10, "the documented default"


def test_running_sub_tasks_move_and_have_a_time_left(oms: OmsStandIn, clock: Clock) -> None:
    [before, *_] = tasks(oms, group_id=VIDEO_MASTERS, status=TASK_RUNNING).tasks
    clock.ahead += timedelta(seconds=10)
    [after, *_] = tasks(oms, group_id=VIDEO_MASTERS, status=TASK_RUNNING).tasks
    assert after.complete_size > before.complete_size
    assert after.migrate_speed == 30_000_000
    assert after.left_time > 0
    assert 0 < after.progress < 1


def test_sub_tasks_are_found_by_a_part_of_their_name(oms: OmsStandIn) -> None:
    found = tasks(oms, task_name="nightly images_0000", limit=100).tasks
    assert {task.group_id for task in found} == {NIGHTLY_IMAGES}
    assert len(found) == 9
    assert tasks(oms, group_id="unknown").tasks == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 101},
        {"offset": 10_001},
        {"status": 0},
        {"status": 8},
        {"group_id": "x" * 101},
        {"task_name": "x" * 256},
    ],
)
def test_an_invalid_query_is_rejected(oms: OmsStandIn, query: dict[str, object]) -> None:
    assert_rejected("OMS.0064", lambda: tasks(oms, **query))


def test_sub_tasks_are_refused_without_the_permission(oms: OmsStandIn) -> None:
    oms.state.may_list_tasks = False
    assert_rejected("OMS.0072", lambda: tasks(oms, group_id=OLD_BACKUPS), status=403)
    assert sdk(oms).show_task_group(ShowTaskGroupRequest(group_id=OLD_BACKUPS)).group_id == OLD_BACKUPS
