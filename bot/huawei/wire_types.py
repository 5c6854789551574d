"""What the JSON of task groups and of sub-tasks has in common: how their fields are read.

Pure. Unknown fields are ignored, and null is read like a missing field.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.domain.task_group import ErrorReason
from bot.huawei.error_answer import clean_code, clean_message
from bot.redaction import visible

MAX_TEXT_CHARACTERS = 1024
#: The sum of three counts fits into a column of the database.
MAX_COUNT = 2**61 - 1


def _text(value: object) -> object:
    """Reads null as empty, replaces invisible characters and shortens the text."""
    return visible(value[:MAX_TEXT_CHARACTERS]) if isinstance(value, str) else "" if value is None else value


Text = Annotated[str, BeforeValidator(_text)]
Count = Annotated[
    int, Field(strict=True, ge=0, le=MAX_COUNT), BeforeValidator(lambda value: 0 if value is None else value)
]
Flag = Annotated[bool, BeforeValidator(lambda value: False if value is None else value)]


class Wire(BaseModel):
    """An object of the OMS API."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class WireReason(Wire):
    """`error_reason` of a group or of a sub-task."""

    error_code: Text = ""
    error_msg: Text = ""


def read_reason(reason: WireReason | None) -> ErrorReason | None:
    """The reason, without control characters and keys; None if it is empty."""
    code, message = (clean_code(reason.error_code), clean_message(reason.error_msg)) if reason else ("", "")
    return ErrorReason(code, message) if code or message.strip() else None


def first_wrong_field(error: ValidationError) -> str:
    """The name of the first field that could not be read."""
    return ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "the answer"
