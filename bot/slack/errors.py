"""What can go wrong with a call to Slack: one tree of exceptions.

`translating_errors` turns what slack_sdk and the connection raise into it. What follows from an error is left to the
caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

MAX_RETRY_AFTER_SECONDS = 600


class SlackError(Exception):
    """A call to Slack failed. Without a kind of its own, Slack refused it.

    Arguments:
        code: Slack's error code, such as `invalid_blocks`; without one, the HTTP status or the name of the exception.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Unavailable(SlackError):
    """Slack did not process the call, or its answer was lost. A later call may succeed.

    Unless it is `RateLimited`, Slack may have processed the call.

    Arguments:
        problem: continues a sentence that begins with "Slack".
        fix: what people can do. `{address}` stands for the address of the Web API.
    """

    def __init__(self, code: str, problem: str = "can't answer right now", fix: str = "try again later") -> None:
        super().__init__(code)
        self.problem = problem
        self._fix = fix

    def fix_for(self, api_url: str) -> str:
        """What people can do. Names SLACK_API_URL only if it is set to another address than Slack's own."""
        name = "slack.com" if api_url == WebClient.BASE_URL else f"SLACK_API_URL ({api_url})"
        return self._fix.format(address=name)


class RateLimited(Unavailable):
    """Slack did not process the call, because there were too many.

    Arguments:
        retry_after_seconds: how long Slack asks to wait, at most 600; None where it does not say.
    """

    def __init__(self, code: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(code)
        self.retry_after_seconds = retry_after_seconds


class ChannelUnavailable(SlackError):
    """The bot cannot post to the channel: it is archived (code `is_archived`), or the bot is no member of it."""


class Gone(SlackError):
    """The message, view or response URL does not exist, or not any more."""


class LookupFailed(SlackError):
    """Slack did not say who a person is, or who is in a user group. `code` begins with the method that was called."""


class GroupsUnknown(LookupFailed):
    """Slack did not say who is in a user group, and a decision depends on it."""

    def __init__(self) -> None:
        super().__init__("usergroups.users.list")


# slack_sdk raises the first where something answered. The others come up through it where nothing did.
_EXCEPTIONS = (SlackClientError, OSError, HTTPException, UnicodeError)
_KINDS: Mapping[str, type[SlackError]] = {
    "not_in_channel": ChannelUnavailable,
    "channel_not_found": ChannelUnavailable,
    "is_archived": ChannelUnavailable,
    "message_not_found": Gone,
    "cant_update_message": Gone,
    "not_found": Gone,
    "ratelimited": RateLimited,
    "rate_limited": RateLimited,
    "message_limit_exceeded": RateLimited,
    "internal_error": Unavailable,
    "fatal_error": Unavailable,
    "service_unavailable": Unavailable,
    "request_timeout": Unavailable,
}


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raises a `SlackError` for every exception of slack_sdk and of the connection."""
    try:
        yield
    except SlackApiError as error:
        raise _answered(error.response.status_code, error.response.headers, error.response.get("error")) from None
    except _EXCEPTIONS as error:
        code = type(error).__name__
        if isinstance(error, UnicodeError):
            raise _not_slack(code) from None
        raise Unavailable(code, "can't be reached", "check the bot's network connection to {address}") from None


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """How long an answer asks to wait, at most 600 s; None where it does not say. Names of headers are lower case."""
    value = headers.get("retry-after", "")
    return min(int(value), MAX_RETRY_AFTER_SECONDS) if value.isascii() and value.isdigit() else None


def _answered(status: int, headers: Mapping[str, str], error: object) -> SlackError:
    # Where the answer is not JSON, slack_sdk puts the whole page in place of the error code.
    code = error if isinstance(error, str) and re.fullmatch(r"[a-z0-9_]{1,80}", error) else None
    label = code or f"HTTP {status}"
    kind = _KINDS.get(code or "", SlackError)
    if status == HTTPStatus.TOO_MANY_REQUESTS or kind is RateLimited:
        return RateLimited(label, retry_after_seconds(headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(label)
    return kind(label) if code else _not_slack(label)


def _not_slack(code: str) -> Unavailable:
    """The error for an answer that does not come from Slack's API, but for example from a proxy."""
    return Unavailable(
        code, "sent an answer that isn't from its API", "check for a proxy between the bot and {address}"
    )
