"""What happens to a task group without the bot: what people do in the Huawei Cloud console, and what goes wrong.

For the control panel and for tests. Nothing here depends on the permissions or the keys of the bot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

from bot.sandbox.huawei.group import (
    COMPLETED,
    CREATION_FAILED,
    EXECUTING,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    WAITING_FOR_DELETION,
    Condition,
    Failure,
    Group,
)
from bot.sandbox.huawei.oms_state import OmsState
from bot.sandbox.huawei.rejection import Rejection

_ENDED = (CREATION_FAILED, MIGRATION_FAILED, COMPLETED)
DELETING_FOR = timedelta(seconds=2)
SOME_FAILURES = (
    Failure("TRF.0159", "The source end limits the request rate.", 3),
    Failure("TRF.0156", "The object does not exist at the source end.", 2),
    Failure("TRF.0152", "The source AK/SK has no rights.", 1),
)


def pause(state: OmsState, group_id: str) -> None:
    """Pauses a group.

    Raises:
        Rejection: the group is not running.
    """
    with state.up_to_date(group_id) as group:
        state.pause(group)


def resume(state: OmsState, group_id: str) -> None:
    """Resumes a group, with valid keys.

    Raises:
        Rejection: the group is not paused.
    """
    with state.up_to_date(group_id) as group:
        if group.status != PAUSED or group.pending_changes:
            raise Rejection(400, "OMS.1039", "Only paused task groups can be resumed.")
        state.schedule_run(group)


def delete(state: OmsState, group_id: str) -> None:
    """Deletes a group. It waits for its deletion, and then OMS no longer knows it.

    Raises:
        Rejection: the group may not be deleted in its status.
    """
    with state.up_to_date(group_id) as group:
        if group.status not in (PAUSED, *_ENDED):
            raise Rejection(400, "OMS.0063", "The task group cannot be deleted in this status.")
        group.status, group.pending_changes = WAITING_FOR_DELETION, []
        group.gone_at = state.now() + DELETING_FOR


def set_condition(state: OmsState, group_id: str, condition: Condition) -> None:
    """Changes how a group moves while it runs."""
    with state.up_to_date(group_id) as group:
        group.condition = condition


def grow(state: OmsState, group_id: str) -> None:
    """Lets OMS find as many objects again at the source. They are listed while the others are migrated.

    Raises:
        Rejection: the group is not running.
    """
    with state.up_to_date(group_id) as group:
        if group.status not in (EXECUTING, MONITORING):
            raise Rejection(400, "OMS.1036", "The status of the task group does not allow this operation.")
        if group.listed_objects is None:
            group.listed_objects, group.listed_at = group.total_objects, state.now()
        group.status = EXECUTING
        group.total_objects, group.total_bytes = 2 * group.total_objects, 2 * group.total_bytes
        group.sub_tasks *= 2


def fail_in_parts(
    state: OmsState, group_id: str, failures: tuple[Failure, ...] = SOME_FAILURES, failed_objects: int = 37
) -> None:
    """Lets sub-tasks of a group fail. The group continues, and fails when the others are complete.

    Arguments:
        failed_objects: how many objects of these sub-tasks fail.
    """
    with state.up_to_date(group_id) as group:
        group.failures += failures
        group.failed_objects = min(group.objects, group.failed_objects + failed_objects)
        group.records_failed_objects = True


_CONDITIONS = {
    "stall": Condition.STALLED,
    "slow down": Condition.SLOW,
    "queue": Condition.QUEUED,
    "restore": Condition.RESTORING,
    "move on": Condition.USUAL,
}
# The buttons of the control panel, by their words.
ACTIONS: Mapping[str, Callable[[OmsState, str], None]] = {
    "pause": pause,
    "resume": resume,
    "delete": delete,
    **{words: partial(set_condition, condition=condition) for words, condition in _CONDITIONS.items()},
    "grow": grow,
    "fail in parts": fail_in_parts,
}


def actions_for(group: Group) -> list[str]:
    """The buttons that do something to this group."""
    if group.status in (EXECUTING, MONITORING):
        conditions = [words for words, condition in _CONDITIONS.items() if condition is not group.condition]
        return ["pause", *conditions, "grow", "fail in parts"]
    if group.pending_changes:
        return []
    if group.status == PAUSED:
        return ["resume", "delete"]
    return ["delete"] if group.status in _ENDED else []
