"""The replies to a command or a form that is invalid. Pure.

`bot.domain.command` says what is wrong. The text of `help` is in `bot.ui.replies`.
"""

from __future__ import annotations

from bot.domain.command import (
    MAX_CHARACTERS,
    MAX_GROUPS,
    MAX_NAME_CHARACTERS,
    MAX_REASON_CHARACTERS,
    InvalidCommand,
    UsageError,
)
from bot.ui.formatting import inline_code

EXAMPLE_ID = "00878453-3402-4a86-9e2a-5d5217cd35b2"
NO_REQUEST_CREATED = "No request was created."
MAX_SHOWN = 60  # characters of a typed word


def invalid_command(invalid: InvalidCommand, command: str) -> str:
    """What is wrong with a slash command, and what to type instead. `command` is the name of the command."""
    typed = inline_code(invalid.typed, MAX_SHOWN)
    match invalid.error:
        case UsageError.NO_STATUS_ID:
            # `status` and `list` create no request anyway.
            ids = "the id of one request (R-…) or of one task group, or a part of the group's name"
            return f"Type `{command} status ID` with {ids}."
        case UsageError.NAME_TOO_LONG:
            return f"Type fewer words of the group's name, at most {MAX_NAME_CHARACTERS} characters."
        case UsageError.TEXT_TOO_LONG:
            text = (
                f"The command has {invalid.typed} characters and can have at most {MAX_CHARACTERS:,}. "
                "Shorten the reason."
            )
        case UsageError.TOO_MANY_GROUPS:
            text = (
                f"The command names {invalid.typed} task groups and can name at most {MAX_GROUPS}. "
                "Use several commands."
            )
        case UsageError.REASON_TOO_LONG:
            text = _reason_too_long(invalid)
        case UsageError.NO_GROUP_ID:
            text = f"Begin with the id of a task group: `{command} GROUP_ID reason`. Type `{command} help` for help."
        case UsageError.NOT_A_GROUP_ID:
            text = f"{typed} isn't a task group id. An id looks like `{EXAMPLE_ID}`."
        case UsageError.NOT_A_GROUP_LINK:
            text = "This link doesn't lead to one task group in the Huawei Cloud console. Type the id of the group."
        case UsageError.GROUP_ID_IN_REASON:
            text = f"The task group id {typed} comes after the reason. Put all ids before the reason."
        case UsageError.NOT_A_TIME:
            text = "Type a time of day after `at=`, for example `at=22:30`."
        case UsageError.NO_PROJECT_NAME:
            text = "Type the name of a project after `project=`."
        case UsageError.REPEATED_KEY:
            text = f"`{invalid.typed}=` can be used only once."
        case UsageError.LIKELY_KEY:
            text = f"Did you mean {typed}? If it is part of the reason, begin the reason with other words."
    return f"{text} {NO_REQUEST_CREATED}"


def invalid_reason(invalid: InvalidCommand) -> str:
    """What is wrong with the reason in the request form. Plain text, as Slack shows errors in forms."""
    match invalid.error:
        case UsageError.REASON_TOO_LONG:
            return _reason_too_long(invalid)
        case UsageError.GROUP_ID_IN_REASON:
            return "The reason can't contain the id of another task group. Make a request for each group."
        case _:
            # Slack's own elements allow no other error. Without formatting, the text about a command says enough.
            return invalid_command(invalid, "").replace("`", "")


def _reason_too_long(invalid: InvalidCommand) -> str:
    return f"The reason has {invalid.typed} characters and can have at most {MAX_REASON_CHARACTERS}. Shorten it."
