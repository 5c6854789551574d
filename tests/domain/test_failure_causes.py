"""Why sub-tasks of a group failed: the causes by code, and when the bot reads them from OMS."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.failure_causes import MAX_CAUSES, FailureCauses, SubTask, SubTaskStatus, causes_by_code
from bot.domain.request import LastSeen, Problem, Request, State
from bot.domain.schedule import Step, causes_due_at, due_at, next_step
from bot.domain.task_group import ErrorReason, GroupStatus, SubTasks
from tests.support.values import GROUP, HALF, NOON, request

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def failed(number: int, code: str, message: str = "broken") -> SubTask:
    error = ErrorReason(code, message) if code or message else None
    return SubTask(number, SubTaskStatus.FAILED, error)


def explain(reason: ErrorReason | None) -> Problem:
    return Problem("OMS", reason.code, reason.message, "", "") if reason else Problem("OMS", "", "", "no reason", "")


def test_causes_are_counted_by_code_and_the_most_frequent_comes_first() -> None:
    codes = ["TRF.0156", "TRF.0159", "TRF.0151", "TRF.0159", "TRF.0151", "TRF.0159"]
    found = causes_by_code([failed(*one) for one in enumerate(codes)], explain, 7, NOON)
    assert [(cause.problem.code, cause.sub_tasks) for cause in found.causes] == [
        ("TRF.0159", 3),
        ("TRF.0151", 2),
        ("TRF.0156", 1),
    ]
    assert (found.read_at, found.failed_sub_tasks, found.listed_sub_tasks) == (NOON, 7, 6)


def test_the_order_of_causes_does_not_depend_on_the_order_of_the_sub_tasks() -> None:
    one, other = failed(1, "TRF.0159"), failed(2, "TRF.0151")
    assert causes_by_code([one, other], explain, 2, NOON) == causes_by_code([other, one], explain, 2, NOON)


def test_sub_tasks_without_a_code_are_one_cause() -> None:
    found = causes_by_code([failed(1, "", ""), failed(2, "", "odd"), failed(3, "TRF.0151")], explain, 3, NOON)
    assert [(cause.sub_tasks, cause.problem.meaning) for cause in found.causes] == [(2, "no reason"), (1, "")]


def test_of_many_codes_the_most_frequent_are_kept_and_all_sub_tasks_count() -> None:
    many = [failed(number, f"TRF.{number:04d}") for number in range(30)]
    found = causes_by_code([*many, failed(31, "TRF.0029")], explain, 31, NOON)
    assert len(found.causes) == MAX_CAUSES
    assert found.causes[0].problem.code == "TRF.0029"
    assert found.listed_sub_tasks == 31


def moving(failed_sub_tasks: int, known: FailureCauses | None = None) -> Request:
    group = replace(GROUP, status=GroupStatus.MONITORING, sub_tasks=SubTasks(20, failed=failed_sub_tasks))
    seen = LastSeen(NOON + MINUTE, HALF)
    return request(State.MOVING, group=group, last_seen=seen, failure_causes=known)


def test_no_causes_are_read_while_no_sub_task_has_failed() -> None:
    assert causes_due_at(moving(0)) is None


def test_the_causes_of_the_first_failed_sub_tasks_are_read_immediately() -> None:
    begun = moving(3)
    assert causes_due_at(begun) == NOON + MINUTE
    assert due_at(begun) == NOON + MINUTE
    assert next_step(begun, NOON + MINUTE) is Step.READ_CAUSES
    assert next_step(begun, NOON + 2 * MINUTE) is Step.FOLLOW, "people wait for the progress more than for the causes"


def test_the_causes_of_a_moving_group_are_read_again_if_more_fail_at_most_every_ten_minutes() -> None:
    known = FailureCauses(NOON, 3)
    assert causes_due_at(moving(3, known)) is None
    assert causes_due_at(moving(4, known)) == NOON + 10 * MINUTE
    assert causes_due_at(moving(0, known)) is None, "OMS counts from the beginning after a retry"


def test_failures_from_before_a_retry_are_not_read_while_oms_still_shows_them() -> None:
    before = replace(moving(3).group, status=GroupStatus.MIGRATION_FAILED)
    assert causes_due_at(replace(moving(3), group=before)) is None
    assert causes_due_at(replace(moving(3), last_seen=None)) is None


def ended(state: State, status: GroupStatus, failed_sub_tasks: int, known: FailureCauses | None = None) -> Request:
    group = replace(GROUP, status=status, sub_tasks=SubTasks(20, failed=failed_sub_tasks))
    return replace(moving(0, known), group=group).with_state(state, at=NOON + 30 * MINUTE)


@pytest.mark.parametrize("status", [GroupStatus.MIGRATION_FAILED, GroupStatus.CREATION_FAILED])
def test_the_causes_of_a_failed_group_are_read_once_more(status: GroupStatus) -> None:
    at_end = NOON + 30 * MINUTE
    known = FailureCauses(NOON + 29 * MINUTE, 3)
    assert causes_due_at(ended(State.FAILED, status, 0)) == at_end
    assert causes_due_at(ended(State.FAILED, status, 3, known)) == at_end, "the same number can be other sub-tasks"
    assert next_step(ended(State.FAILED, status, 3, known), at_end) is Step.READ_CAUSES
    assert due_at(ended(State.FAILED, status, 4, replace(known, read_at=at_end))) is None


def test_the_causes_of_a_completed_group_are_read_only_if_sub_tasks_failed() -> None:
    assert due_at(ended(State.DONE, GroupStatus.COMPLETED, 0)) is None
    assert due_at(ended(State.DONE, GroupStatus.COMPLETED, 2)) == NOON + 30 * MINUTE
    assert due_at(ended(State.DONE, GroupStatus.COMPLETED, 2, FailureCauses(NOON, 2))) is None


def test_the_causes_of_a_deleted_group_are_not_read() -> None:
    assert due_at(ended(State.FAILED, GroupStatus.DELETED, 3)) is None
    assert due_at(ended(State.PAUSED_AGAIN, GroupStatus.PAUSED, 3)) is None
