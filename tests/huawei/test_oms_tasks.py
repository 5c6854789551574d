"""Sub-tasks of a group are listed over real sockets: all pages, each sub-task once, and every error by its kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bot.domain.failure_causes import SubTask, SubTaskStatus
from bot.huawei.errors import Rejected, Throttled, Unreadable
from bot.huawei.http import Timeouts
from bot.huawei.oms import Oms
from bot.huawei.signing import AccessKey, AccessKeyAuth
from bot.huawei.task_wire import read_sub_task
from bot.net.session import new_session
from bot.redaction import Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei import console
from bot.sandbox.huawei.credentials import ACCESS_KEY, PROJECT_ID, SECRET_KEY
from bot.sandbox.huawei.example_groups import OLD_BACKUPS, TAX_FILES, VIDEO_MASTERS
from bot.sandbox.huawei.faults import Answer, Raw
from bot.sandbox.huawei.group import Failure
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import media_state
from bot.sandbox.huawei.paging import Paging

THREE_CODES = tuple(
    Failure(code, "broken", count) for code, count in (("TRF.0159", 120), ("TRF.0156", 80), ("TRF.0152", 50))
)


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def oms() -> Iterator[OmsStandIn]:
    stand_in = OmsStandIn(media_state(utc_now), CallLog())
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()


def client(url: str) -> Oms:
    auth = AccessKeyAuth(AccessKey(Secret(ACCESS_KEY), Secret(SECRET_KEY)), PROJECT_ID, utc_now)
    return Oms(url, PROJECT_ID, auth, new_session(), Timeouts(1, 5))


def fail_in_parts(oms: OmsStandIn) -> None:
    group = oms.state.groups[VIDEO_MASTERS]
    group.sub_tasks, group.total_objects = 1_000, 1_000_000
    console.fail_in_parts(oms.state, VIDEO_MASTERS, THREE_CODES, failed_objects=500)


def failed(client: Oms, group_id: str = VIDEO_MASTERS) -> list[SubTask]:
    return [one for one in client.tasks(group_id, SubTaskStatus.FAILED) if isinstance(one, SubTask)]


def test_failed_sub_tasks_of_all_pages_are_listed_with_their_codes(oms: OmsStandIn) -> None:
    fail_in_parts(oms)
    found = failed(client(oms.server.url))
    assert Counter(one.error.code for one in found if one.error) == {one.code: one.sub_tasks for one in THREE_CODES}
    assert len({one.id for one in found}) == 250
    assert len([call for call in oms.call_log.since() if call.path.endswith("/tasks")]) == 3


def test_a_repeated_sub_task_counts_once(oms: OmsStandIn) -> None:
    fail_in_parts(oms)
    oms.state.paging = Paging.REPEATS
    found = failed(client(oms.server.url))
    assert len({one.id for one in found}) == len(found) == 250


def test_the_sub_tasks_of_one_group_or_of_the_project_are_listed(oms: OmsStandIn) -> None:
    assert len(failed(client(oms.server.url), TAX_FILES)) == 3
    everywhere = list(client(oms.server.url).tasks(None, SubTaskStatus.FAILED))
    assert len(everywhere) == 3 + len(failed(client(oms.server.url), OLD_BACKUPS))


def test_a_list_ends_at_the_highest_offset_that_oms_accepts(oms: OmsStandIn) -> None:
    group = oms.state.groups[VIDEO_MASTERS]
    group.sub_tasks, group.total_objects = 20_000, 1_000_000
    console.fail_in_parts(oms.state, VIDEO_MASTERS, (Failure("TRF.0159", "slow", 12_000),))
    shown = oms.state.list_tasks(VIDEO_MASTERS, 4, "")
    pages = [shown[first : first + 100] for first in range(0, 10_100, 100)]
    oms.faults.add("tasks", *[Raw(body=json.dumps({"count": 12_000, "tasks": page}).encode()) for page in pages])
    assert len(failed(client(oms.server.url))) == 10_100


def test_a_missing_permission_is_a_rejection(oms: OmsStandIn) -> None:
    oms.state.may_list_tasks = False
    with pytest.raises(Rejected) as rejected:
        failed(client(oms.server.url))
    assert rejected.value.answer.code == "OMS.0072"


def test_a_rate_limit_is_throttled(oms: OmsStandIn) -> None:
    oms.faults.add("tasks", Answer(429, "APIG.0308", retry_after=1))
    with pytest.raises(Throttled):
        failed(client(oms.server.url))


def test_an_unreadable_sub_task_does_not_hide_the_others(oms: OmsStandIn) -> None:
    [shown, *_] = oms.state.list_tasks(TAX_FILES, 4, "")
    items = [{**shown, "status": 9}, "no sub-task", {**shown, "id": None}, shown]
    oms.faults.add("tasks", Raw(body=json.dumps({"count": 4, "tasks": items}).encode()))
    listed = list(client(oms.server.url).tasks(TAX_FILES, SubTaskStatus.FAILED))
    assert [str(one) for one in listed if isinstance(one, Unreadable)] == [
        "OMS returned a sub-task that the bot can't read (the answer)",
        "OMS returned a sub-task that the bot can't read (id)",
    ]


def test_an_answer_without_sub_tasks_is_unreadable(oms: OmsStandIn) -> None:
    oms.faults.add("tasks", Raw(body=b'{"taskgroups": []}'))
    with pytest.raises(Unreadable, match="other than a list of sub-tasks"):
        failed(client(oms.server.url))


def test_unknown_fields_are_ignored_and_null_is_read_like_a_missing_field() -> None:
    least = {"id": 7, "status": 4}
    nulls = dict.fromkeys(("name", "error_reason", "failed_object_record"))
    expected = SubTask(7, SubTaskStatus.FAILED, None)
    assert read_sub_task(least) == read_sub_task({**least, **nulls, "new_field": {"a": 1}}) == expected
    with pytest.raises(Unreadable, match="undocumented status 9"):
        read_sub_task({"id": 7, "status": 9})


def test_the_reason_of_a_sub_task_is_scrubbed_like_that_of_a_group() -> None:
    reason = {"error_code": "TRF.0151\x00", "error_msg": "ak\u202e " + "x" * 5_000}
    error = read_sub_task({"id": 7, "status": 4, "error_reason": reason}).error
    assert error is not None
    assert "\x00" not in error.code
    assert "\u202e" not in error.message
    assert len(error.message) <= 1_024
