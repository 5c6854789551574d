"""Calls the methods of Slack that look up people and user groups, and keeps why Slack refuses a method.

What the answers mean is left to `bot.slack.users` and `bot.slack.user_groups`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from bot.net.retry import retry_once
from bot.slack.errors import Denied, RateLimited, SlackError, Unavailable, translating_errors

T = TypeVar("T")

log = logging.getLogger(__name__)


class Lookups:
    """Calls methods that only read, each once more if Slack cannot answer at the moment."""

    def __init__(self) -> None:
        self._denials: dict[str, Denied] = {}

    @property
    def denials(self) -> Mapping[str, Denied]:
        """Why Slack refuses these methods until people change the app. Empty if it does not, as of the last call."""
        return dict(self._denials)

    def call(self, method: str, call: Callable[[], T]) -> T:
        """The answer of a call.

        Arguments:
            method: Slack's name of the method, such as `users.info`.
            call: sends it with slack_sdk.

        Raises:
            SlackError: as the last call raised it.
        """

        def translated() -> T:
            with translating_errors():
                return call()

        try:
            answer = retry_once(translated, _wait_after)
        except Denied as error:
            if method not in self._denials:
                log.error("Slack %s (%s at %s). Fix: %s", error.problem, error.code, method, error.fix)
            self._denials[method] = error
            raise
        except Unavailable:
            raise
        except SlackError:
            self._denials.pop(method, None)
            raise
        self._denials.pop(method, None)
        return answer


def _wait_after(error: Exception) -> float | None:
    if isinstance(error, RateLimited):
        return error.retry_after_seconds or 0
    return 0 if isinstance(error, Unavailable) else None
