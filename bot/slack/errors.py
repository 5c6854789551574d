"""How a call to Slack fails: refused in Slack's own word, or without one. What follows is left to whoever called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException

from slack_sdk.errors import SlackApiError, SlackClientError

# What slack_sdk raises, as SlackApiError where something answered; and what comes up where nothing does, or half of it.
SLACK_EXCEPTIONS = (SlackClientError, OSError, HTTPException, UnicodeError)


@dataclass(frozen=True)
class NoAnswer:
    """Why Slack itself said nothing of what it was asked, as said of Slack; and what to do about it."""

    said: str
    fix: str


UNREACHABLE = NoAnswer("cannot be reached", "check the network and SLACK_API_URL")
NOT_SLACK = NoAnswer("is not what answers there", "check SLACK_API_URL, and any proxy on the way")
BUSY = NoAnswer("cannot answer now", "try again later")


def no_answer_reason(error: Exception) -> NoAnswer | None:
    """Why Slack said nothing, or None where it refuses."""
    if not isinstance(error, SlackApiError):
        return NOT_SLACK if isinstance(error, UnicodeError) else UNREACHABLE
    if error.response.status_code >= HTTPStatus.TOO_MANY_REQUESTS:
        return BUSY
    return None if slack_error_code(error) else NOT_SLACK


def slack_error_code(error: Exception) -> str | None:
    """Slack's own word for its refusal."""
    # Where there is no JSON, slack_sdk puts the whole page in place of it.
    code = str(error.response.get("error")) if isinstance(error, SlackApiError) else ""
    return code if re.fullmatch(r"[a-z0-9_]{1,80}", code) else None


def error_label(error: Exception) -> str:
    """Slack's own word for its refusal, or the status or kind of error where there is none."""
    if isinstance(error, SlackApiError):
        return slack_error_code(error) or f"HTTP {error.response.status_code}"
    return type(error).__name__
