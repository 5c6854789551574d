"""The sentences of a `Problem`, and how cards and thread lines quote them.

Pure. `bot.jobs.problems` chooses the sentences for an error of Vault or Huawei Cloud. The meaning of each error code is
in `bot.huawei.error_catalogue`.
"""

from __future__ import annotations

from enum import StrEnum

from bot.domain.request import Problem
from bot.ui.formatting import escape_mrkdwn, inline_code

NOTHING_STARTED = "Nothing was started."

IDENTITY_UNANSWERED = (
    "Huawei Cloud didn't answer the bot's last calls, so the bot has stopped using its access key for now. If those "
    "calls were rejected, one more could lock the key for everyone."
)
IDENTITY_REFUSED = (
    "Huawei Cloud rejected the bot's access key, so the bot has stopped using it. A few more rejections would lock the "
    "key for everyone."
)
BOT_WAS_LATE = "The bot was delayed, so it didn't send the call to OMS."
FAILED_WITHOUT_REASON = "OMS reports that the migration failed and gives no reason."
FAILED_WITHOUT_CODE = "OMS reports that the migration failed and gives no error code."

GROUP_NOT_READ = "The bot can't read the group's progress."

WAIT_A_MINUTE = "Wait a minute."
WAIT_FIVE_MINUTES = "Wait five minutes."
WAIT_SOME_MINUTES = "Wait a few minutes."
LOOK_IN_CONSOLE = "Check the group in the Huawei Cloud console."

#: In place of a next step about the source key, where a group's source needs no key.
CHECK_SOURCE_URLS = "Check the source URLs. This group needs no source key."

# Sentences that begin with one of these keep the capital letter in the middle of a line.
_PROPER_NAMES = ("Vault", "Huawei", "OMS", "IAM", "Slack")


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
    return f"Correct {path} in Vault." + (f" {WAIT_FIVE_MINUTES}" if is_close_to_lock else "")


def cannot_reach(service: str, url: str, error: str) -> str:
    return f"The bot couldn't reach {service} at {url} ({error})."


def check_address(setting: str) -> str:
    """The next step when a service cannot be reached. `setting` is the key of its address in bot.toml."""
    return f"Check the bot's network, and region and {setting} in bot.toml."


def no_clear_answer(service: str, error: str) -> str:
    return f"{service} gave no clear answer ({error})."


def first_sentence(problem: Problem) -> str:
    """The first sentence of the meaning, for use after a colon or a comma: in lower case, without a period."""
    sentence = problem.meaning.split(". ")[0].rstrip(".")
    return sentence if sentence.startswith(_PROPER_NAMES) else sentence[:1].lower() + sentence[1:]


def after_first_sentence(problem: Problem) -> str:
    """The meaning without its first sentence, as mrkdwn."""
    return escape_mrkdwn(problem.meaning.partition(". ")[2])


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
