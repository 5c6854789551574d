"""What can go wrong with a call to Slack: one tree of exceptions.

`translating_errors` turns what slack_sdk and the connection raise into it. What follows from an error is left to the
caller.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from bot.net.proxy import ProxyError
from bot.net.session import causes, find_cause

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
    """The message, view or response URL does not exist, or no longer exists."""


class Denied(SlackError):
    """Slack refuses the token, or the app lacks a scope or Socket Mode. Every call fails until people change the app.

    Arguments:
        problem: continues a sentence that begins with "Slack".
        fix: what people can do.
    """

    def __init__(self, code: str, problem: str, fix: str) -> None:
        super().__init__(code)
        self.problem = problem
        self.fix = fix

    @property
    def is_about_token(self) -> bool:
        """Whether Slack refuses the token, and with it every method."""
        return self.code in _TOKEN_CODES


def explanation(error: Denied | Unavailable, api_url: str) -> str:
    """The problem, its code and its fix, for people."""
    fix = error.fix if isinstance(error, Denied) else error.fix_for(api_url)
    return f"Slack {error.problem} ({error.code}). {fix[0].upper()}{fix[1:]}."


class LookupFailed(SlackError):
    """Slack did not say who a person is, or who is in a user group. `code` begins with the method that was called."""


class GroupsUnknown(LookupFailed):
    """Slack did not say who is in a user group, and a decision depends on it."""

    def __init__(self) -> None:
        super().__init__("usergroups.users.list")


# slack_sdk raises the first where something answered. The next two come up through it where nothing did.
_EXCEPTIONS = (SlackClientError, OSError, HTTPException)
# slack_sdk fails so at an answer that is not a JSON object, or whose JSON Python does not read.
_NOT_AN_ANSWER = (ValueError, TypeError, AttributeError, RecursionError)
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

_REINSTALL = "reinstall the Slack app, then set SLACK_BOT_TOKEN to its new bot token"
_TOKEN_CODES: Mapping[str, tuple[str, str]] = {
    "not_authed": ("gets no token from the bot", "set SLACK_BOT_TOKEN to the bot token of your Slack app"),
    "invalid_auth": ("rejects the bot's token", _REINSTALL),
    "token_revoked": ("has revoked the bot's token", _REINSTALL),
    "token_expired": ("says that the bot's token has expired", _REINSTALL),
    "account_inactive": ("says that the app was removed or its bot user deactivated", _REINSTALL),
}
_ADD_SCOPE = "add it under OAuth & Permissions of the Slack app, then reinstall the app"


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raises a `SlackError` for every exception of slack_sdk and of the connection."""
    try:
        yield
    except SlackApiError as error:
        answer = error.response
        raise denial_in(answer) or _answered(answer.status_code, answer.headers, answer.get("error")) from None
    except _EXCEPTIONS as error:
        # The cause says more than the exception of requests around it.
        raise unreachable(type([*causes(error)][-1]).__name__, error) from None
    except _NOT_AN_ANSWER as error:
        raise not_slack(type(error).__name__) from None


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """How long an answer asks to wait, at most 600 s; None where it does not say. Names of headers are lower case."""
    value = headers.get("retry-after", "")
    return min(int(value), MAX_RETRY_AFTER_SECONDS) if value.isascii() and value.isdigit() else None


def denial_in(answer: SlackResponse) -> Denied | None:
    """The `Denied` for an answer of the Web API; None if it is another answer."""
    code = answer.get("error")
    if code == "missing_scope":
        needed = answer.get("needed")
        scope = f" {needed}" if isinstance(needed, str) and re.fullmatch(r"[a-z:.,_ ]{1,100}", needed) else ""
        return Denied(code, f"requires a scope that the app doesn't have{f':{scope}' if scope else ''}", _ADD_SCOPE)
    found = _TOKEN_CODES.get(code) if isinstance(code, str) else None
    return None if found is None else Denied(str(code), *found)


def _answered(status: int, headers: Mapping[str, str], error: object) -> SlackError:
    # Where the answer is not JSON, slack_sdk puts the whole page in place of the error code.
    code = error if isinstance(error, str) and re.fullmatch(r"[a-z0-9_]{1,80}", error) else None
    label = code or f"HTTP {status}"
    kind = _KINDS.get(code or "", SlackError)
    if status == HTTPStatus.TOO_MANY_REQUESTS or kind is RateLimited:
        return RateLimited(label, retry_after_seconds(headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(label)
    return kind(label) if code else not_slack(label)


def unreachable(
    code: str, error: Exception, fix: str = "check the bot's network connection to {address}"
) -> Unavailable:
    """The error for a connection that failed. A proxy or a certificate that is the cause is named with its own fix."""
    proxy_error = find_cause(error, ProxyError)
    if proxy_error is not None:
        return Unavailable(code, f"can't be reached, because {proxy_error.problem}", proxy_error.fix)
    if find_cause(error, ssl.SSLCertVerificationError) is not None:
        problem = "can't be reached, because the bot doesn't trust its TLS certificate"
        return Unavailable(code, problem, "set SSL_CERT_FILE to the CA certificate that signed it")
    return Unavailable(code, "can't be reached", fix)


def not_slack(code: str) -> Unavailable:
    """The error for an answer that does not come from Slack's API, but for example from a proxy."""
    return Unavailable(
        code, "sent an answer that isn't from its API", "check for a proxy between the bot and {address}"
    )
