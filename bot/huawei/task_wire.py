"""Reads sub-tasks from the JSON of the OMS API.

Pure. Source of the fields: OMS API reference, ListTasks.
"""

from __future__ import annotations

from pydantic import StrictInt, ValidationError

from bot.domain.failure_causes import SubTask, SubTaskStatus
from bot.huawei.errors import Unreadable
from bot.huawei.wire_types import Wire, WireReason, first_wrong_field, read_reason


class _Task(Wire):
    id: StrictInt
    status: StrictInt
    error_reason: WireReason | None = None


def read_sub_task(parsed: object) -> SubTask:
    """Reads one sub-task of a ListTasks answer. Ignores unknown fields, and reads null like a missing field.

    Raises:
        Unreadable: the value is not a sub-task as documented, or its status is not between 1 and 7.
    """
    try:
        wire = _Task.model_validate(parsed)
        status = SubTaskStatus(wire.status)
    except ValidationError as error:
        raise Unreadable(f"OMS returned a sub-task that the bot can't read ({first_wrong_field(error)})") from None
    except ValueError:
        raise Unreadable(f"OMS returned a sub-task with the undocumented status {wire.status}") from None
    return SubTask(wire.id, status, read_reason(wire.error_reason))
