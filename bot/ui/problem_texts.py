"""The sentences of a `Problem`, and how cards and thread lines quote them.

Pure. `bot.jobs.problems` chooses the sentences for an error of Vault or Huawei Cloud. The meaning of each error code is
in `bot.huawei.error_catalogue`.
"""

from __future__ import annotations

import re
from enum import StrEnum

from bot.domain.outcome import GroupProblem
from bot.domain.request import Problem
from bot.domain.task_group import DELETED_STATUSES, TaskGroup, changed_settings, status_name
from bot.ui.blocks import truncate
from bot.ui.formatting import escape_mrkdwn, inline_code, link_console, quote

NOTHING_STARTED = "Nothing was started."
NOTHING_PAUSED = "Nothing was paused."
# For a group whose settings changed, this many changes are shown, and this much of each value.
MAX_CHANGES = 3
MAX_VALUE_CHARACTERS = 60
_REFERENCE = re.compile(r"F-[0-9A-F]{8}")

IDENTITY_UNANSWERED = (
    "Huawei Cloud didn't answer the bot's last calls, so the bot has stopped using its credentials for now. If those "
    "calls were rejected, one more could lock the credentials for everyone."
)
IDENTITY_REFUSED = (
    "Huawei Cloud rejected the bot's credentials, so the bot has stopped using them. A few more rejections would lock "
    "them for everyone."
)
BOT_WAS_LATE = "The bot was delayed, so it didn't send the call to OMS."
FAILED_WITHOUT_REASON = "OMS reports that the migration failed and gives no reason."
FAILED_WITHOUT_CODE = "OMS reports that the migration failed and gives no error code."

APPROVERS_NOT_CONFIRMED = "Slack couldn't confirm that the approvals still count."
TAMPERED = Problem(
    "",
    "",
    "",
    "Someone changed this request in the bot's database, outside the bot. The bot won't start it.",
    "Tell the bot's administrator to look for this request in the bot's log.",
)
KEY_CHANGED = Problem(
    "",
    "",
    "",
    "The bot's signing key is new, so it can't verify earlier approvals. Nothing was started.",
    "Check the request, then approve it again.",
)
UNVERIFIED = Problem(
    "",
    "",
    "",
    "The bot can't verify this request, because it doesn't know the signing key. Nothing was started.",
    "Press Request again.",
)
NOT_PAUSED_TAMPERED = Problem(
    "",
    "",
    "",
    "Someone changed this request in the bot's database, outside the bot. Nothing was paused.",
    "Tell the bot's administrator. Pause the group in the Huawei Cloud console.",
)
NOT_PAUSED_KEY_CHANGED = Problem(
    "",
    "",
    "",
    "The bot's signing key is new, so it can't verify this request. Nothing was paused.",
    "Pause the group in the Huawei Cloud console.",
)

CAUSES_NOT_READ = "The bot can't read why sub-tasks failed."
MAY_NOT_LIST_TASKS = "The bot isn't allowed to list the group's sub-tasks, so it can't tell why they failed."

GROUP_NOT_READ = "The bot can't read the group's progress."

KEY_REPEATED = "Huawei Cloud's answer contains part of a key, so the bot doesn't show it."

WAIT_A_MINUTE = "Wait a minute."
WAIT_FIVE_MINUTES = "Wait five minutes."
WAIT_SOME_MINUTES = "Wait a few minutes."
LOOK_IN_CONSOLE = "Check the group in the Huawei Cloud console."
NOT_EXPECTED = "If you didn't expect that, look for it in the Huawei Cloud console."

#: In place of a next step about the source key, where a group's source needs no key.
CHECK_SOURCE_URLS = "Check the source URLs. This group needs no source key."


class RetryHint(StrEnum):
    """The sentence after the next step: how to try again. It depends on where the problem is shown."""

    #: On a card with a Retry button.
    RETRY = "Then press Retry."
    #: In the answer to a command or a form.
    CREATE_REQUEST = "Then request again."
    #: On a card whose request has ended.
    REQUEST_AGAIN = "Then press Request again."
    #: On a card whose group could not be paused.
    PAUSE = "Then press Pause again."
    #: Where the bot retries automatically, or there is nothing to retry.
    NOTHING = ""


def correct_identity(path: str, *, is_close_to_lock: bool) -> str:
    """The next step after Huawei Cloud refused the identity at this path in Vault."""
    return f"Correct the bot's credentials at {path} in Vault." + (f" {WAIT_FIVE_MINUTES}" if is_close_to_lock else "")


def grant_listing_tasks(path: str) -> str:
    """The next step if the bot may not list sub-tasks. `path` is that of its own credentials in Vault."""
    # Not `oms:task:list`, of which Slack would make an emoji.
    return (
        "Ask a Huawei Cloud administrator to grant the permission list of oms:task to the IAM user whose credentials "
        f"are at {path} in Vault."
    )


def cannot_reach(service: str, url: str, error: str) -> str:
    return f"The bot couldn't reach {service} at {url} ({error})."


def check_address(setting: str) -> str:
    """The next step when a service cannot be reached. `setting` is the key of its address in bot.toml."""
    return f"Check the bot's network. Check region and {setting} in bot.toml."


def no_clear_answer(service: str, error: str) -> str:
    return f"{service} gave no clear answer ({error})."


def original_message(problem: Problem) -> str:
    """The error message of Vault or Huawei Cloud, as mrkdwn; empty if the meaning already contains it."""
    message = problem.message.rstrip(".")
    if not message or problem.meaning.lower().startswith(message.lower()):
        return ""
    return f"{escape_mrkdwn(problem.where)} said: {escape_mrkdwn(problem.message, 300)}"


def with_references(problem: Problem) -> str:
    """The code, the meaning, the original message and Huawei's request id. Plain text, in one line."""
    code = f"{problem.code}: " if problem.code else ""
    message = problem.message.rstrip(".")
    is_repeated = problem.meaning.lower().startswith(message.lower())
    parts = [
        f"{code}{problem.meaning}",
        f"{problem.where} said: {message}." if message and not is_repeated else "",
        f"Huawei request id {problem.huawei_request_id}." if problem.huawei_request_id else "",
    ]
    return " ".join(filter(None, parts))


def details(problem: Problem) -> str:
    """The part of a thread line after the meaning: original message, next step and Huawei request id.

    Begins with a space unless it is empty.
    """
    message = original_message(problem).rstrip(".")
    parts = [
        f"{message}." if message else "",
        f"Next: {escape_mrkdwn(problem.next_step)}" if problem.next_step else "",
        f"Huawei request id {inline_code(problem.huawei_request_id, 80)}." if problem.huawei_request_id else "",
    ]
    return "".join(f" {part}" for part in parts if part)


# What a reading of the group shows (`bot.domain.outcome.GroupProblem`).

#: The next step if OMS cannot use its list of failed objects. The choice is on the card.
CHOOSE_ALL_OBJECTS = "Choose to retry all objects on this card. The request then needs approval again."


def group_problem(kind: GroupProblem, group: TaskGroup, approved: TaskGroup | None = None) -> Problem:
    """The problem for a group as last read, with the error that OMS reports for the group.

    Arguments:
        approved: the group as it was approved, for OTHER_MIGRATION.

    Raises:
        KeyError: `kind` is FAILED, which `bot.jobs.problems` explains from the error code.
    """
    status = status_name(group.status)
    meaning, next_step = {
        GroupProblem.DELETED: (
            "The group was deleted while the bot followed it.",
            NOT_EXPECTED,
        ),
        GroupProblem.UNCHANGED_AFTER_ACCEPTED: (
            f"OMS accepted the call, but a minute later it still shows the group as {status}.",
            "Press Retry, or check the group in the Huawei Cloud console.",
        ),
        GroupProblem.UNCHANGED_AFTER_UNCLEAR: (
            f"A minute after the call, OMS still shows the group as {status}.",
            "Press Retry. The bot reads the group again before it calls OMS.",
        ),
        GroupProblem.STILL_RUNNING: (
            "OMS accepted the pause, but a minute later it still shows the group as running.",
            "Press Pause again.",
        ),
        GroupProblem.OTHER_MIGRATION: (
            f"The group's settings changed after the approval{_changes(approved or group, group)}. {NOTHING_STARTED}",
            "Press Request again.",
        ),
        GroupProblem.OTHER_STATUS: (
            f"The group is now {status}, so the approval no longer applies. {NOTHING_STARTED}",
            LOOK_IN_CONSOLE if group.status in DELETED_STATUSES else "Press Request again.",
        ),
    }[kind]
    shows_error = kind is GroupProblem.UNCHANGED_AFTER_ACCEPTED and group.error is not None
    code, message = (group.error.code, group.error.message) if shows_error and group.error else ("", "")
    return Problem("OMS", code, message, meaning, next_step)


def _changes(approved: TaskGroup, group: TaskGroup) -> str:
    changed = changed_settings(approved, group)
    shown = [f"{one.name} was {_value(one.before)} and is now {_value(one.after)}" for one in changed[:MAX_CHANGES]]
    more = [f"{len(changed) - MAX_CHANGES} more"] if len(changed) > MAX_CHANGES else []
    return f": {'; '.join(shown + more)}" if shown else ""


def _value(text: str) -> str:
    return quote(truncate(text, MAX_VALUE_CHARACTERS)) if text else "not set"


def bug_problem(reference: str) -> Problem:
    """The problem of a request at which the bot failed. The exception is in the log under the reference."""
    return Problem("", "", "", "The bot failed at this request, and tries again.", "", None, reference)


def is_bug(problem: Problem | None) -> bool:
    """Whether this is a `bug_problem`, with a reference as the bot makes them."""
    reference = problem.reference if problem else None
    return reference is not None and _REFERENCE.fullmatch(reference) is not None and problem == bug_problem(reference)


def problem_sentences(problem: Problem | None, console_url: str) -> str:
    """The end of a thread line about a problem: its code in parentheses, a period, and what it means."""
    if problem is None:
        return "."
    code = f" ({escape_mrkdwn(problem.code)})" if problem.code else ""
    return link_console(f"{code}. {escape_mrkdwn(problem.meaning)}{details(problem)}", console_url)
