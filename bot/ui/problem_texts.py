"""How cards and thread lines quote a `Problem`. Pure."""

from __future__ import annotations

from bot.domain.request import Problem
from bot.ui.formatting import escape_mrkdwn, inline_code

# Sentences that begin with one of these keep the capital letter in the middle of a line.
_PROPER_NAMES = ("Vault", "Huawei", "OMS", "IAM", "Slack")


def first_sentence(problem: Problem) -> str:
    """The first sentence of the meaning, to go on after a colon or a comma: in lower case, without its period."""
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


def details(problem: Problem) -> str:
    """What follows the meaning in a thread line: original message, next step and Huawei request id.

    Begins with a space unless it is empty.
    """
    message = original_message(problem).rstrip(".")
    parts = [
        f"{message}." if message else "",
        f"Next: {escape_mrkdwn(problem.next_step)}" if problem.next_step else "",
        f"Huawei request id {inline_code(problem.huawei_request_id, 80)}." if problem.huawei_request_id else "",
    ]
    return "".join(f" {part}" for part in parts if part)
