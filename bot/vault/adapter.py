"""Sends hvac's calls: names a redirect instead of returning it, and repeats a call once if its answer may pass.

Repeating after a lost connection is left to `bot.net.session`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import hvac.adapters
import hvac.exceptions
import requests

from bot.net.retry import retry_once

# Statuses below 500 that Vault answers while nothing is wrong with the call (API documentation, "HTTP status codes" and
# "/sys/health"): 307 and 472, 473 of standby nodes, 412 of a node that is still replicating, 429 of a quota.
_PASSING_STATUSES = frozenset({307, 412, 429, 472, 473})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class NotServed(hvac.exceptions.VaultError):  # type: ignore[misc]
    """Vault answered with a redirect, or with a status that says that it cannot serve the call now.

    The bot does not follow a redirect, because the call carries its token or its login.

    Arguments:
        message: the errors in the answer.
        target: scheme and host of the address that a redirect names; empty if there is none.
        retry_after: the header Retry-After; empty if there is none.
    """

    def __init__(self, status: int, message: str, target: str, url: str, retry_after: str) -> None:
        super().__init__(message, url=url)
        self.status = status
        self.target = target
        self.retry_after = retry_after

    @property
    def is_redirect(self) -> bool:
        return self.status in _REDIRECTS


class JsonFloat(float):
    """A number as an answer has it. `text` is how it is written there, such as `1.10`."""

    def __new__(cls, text: str) -> JsonFloat:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


class RepeatingAdapter(hvac.adapters.JSONAdapter):  # type: ignore[misc]
    """Repeats each call at most once, within a second, with the same token.

    Every call of the bot to Vault may be repeated: it reads, logs in, or creates, renews or revokes a token. A second
    call to unwrap a secret id fails, as every later one would.
    """

    def request(self, method: str, url: str, *args: Any, **settings: Any) -> Any:
        """Sends a call as hvac does.

        Raises:
            NotServed: Vault redirects, or cannot serve the call now.
            hvac.exceptions.UnsupportedOperation: the API path does not have this method.
            hvac.exceptions.VaultError: the answer is another error.
        """
        # hvac writes the token into the headers, so each call gets its own.
        headers = settings.pop("headers", None) or {}
        return retry_once(lambda: self._send(method, url, *args, headers=dict(headers), **settings), _wait_after)

    def _send(self, method: str, url: str, *args: Any, **settings: Any) -> Any:
        response: requests.Response = hvac.adapters.RawAdapter.request(
            self, method, url, *args, raise_exception=False, **settings
        )
        status = response.status_code
        if _is_passing(status) or status in _REDIRECTS:
            headers = response.headers
            target, retry_after = _host(headers.get("Location", "")), headers.get("Retry-After", "")
            raise NotServed(status, response.text[:1000], target, response.url, retry_after)
        if status == requests.codes.method_not_allowed:
            raise hvac.exceptions.UnsupportedOperation(response.text[:1000], url=response.url)
        if not response.ok:
            self._raise_for_error(method, response.url, response)
        if status == requests.codes.ok:
            try:
                return response.json(parse_float=JsonFloat)
            except ValueError:
                pass
        return response


def _is_passing(status: int) -> bool:
    return status in _PASSING_STATUSES or status >= requests.codes.server_error


def _wait_after(error: Exception) -> float | None:
    if not isinstance(error, NotServed) or not _is_passing(error.status):
        return None
    value = error.retry_after
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0


def _host(location: str) -> str:
    """Scheme and host of an absolute address, without what else it may hold."""
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
