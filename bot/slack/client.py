"""Clients of slack_sdk whose calls end in time and go to Slack alone: no redirects, no proxies of the environment.

Each call opens its own connection, because urllib asks the server to close it after the answer.
Which methods are called is left to `bot.slack.messenger`, `bot.slack.users` and `bot.slack.transport`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead
from time import monotonic
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, Request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse
from slack_sdk.webhook import WebhookClient, WebhookResponse

from bot.net.session import MAX_BODY_BYTES, DeadlineResponse, ended_without_answer
from bot.slack.errors import Denied, RateLimited, denial_in, retry_after_seconds

# The methods that change nothing a person sees. They are repeated once if the connection ends without an answer.
_REPEATED_METHODS = (
    "apps.connections.open",
    "auth.test",
    "bots.info",
    "chat.getPermalink",
    "usergroups.users.list",
    "users.info",
)


class _Connection(HTTPConnection):
    response_class = DeadlineResponse


class _TlsConnection(HTTPSConnection):
    response_class = DeadlineResponse


class _Http(HTTPHandler):
    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(HTTPSHandler):
    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_TlsConnection, req)


# urllib follows redirects and uses proxies in handlers of their own, which are left out.
_OPENER = OpenerDirector()
_OPENER.add_handler(_Http())
_OPENER.add_handler(_Https())


class DirectClient(WebClient):
    """A `WebClient` without redirects and proxies. It returns the names of headers in lower case.

    After Slack has refused a call because of a rate limit, no call of the same method is made until Slack allows it.

    Attributes:
        denial: why Slack refused the token at the last call that it answered; None if it accepted it.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # slack_sdk sets it from HTTPS_PROXY, and Bolt passes it on to the socket.
        self.proxy = None
        self.denial: Denied | None = None
        self._stopped_until: dict[str, float] = {}  # by method, on the monotonic clock

    def api_call(self, api_method: str, **arguments: Any) -> SlackResponse:
        """As `WebClient.api_call`. Remembers whether Slack accepts the token.

        Raises:
            RateLimited: nothing was sent, because the method is stopped.
        """
        seconds_left = self._stopped_until.get(api_method, 0.0) - monotonic()
        if seconds_left > 0:
            raise RateLimited("ratelimited", math.ceil(seconds_left))
        try:
            answer = super().api_call(api_method, **arguments)
        except SlackApiError as error:
            if error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                seconds = retry_after_seconds(error.response.headers)
                self._stopped_until[api_method] = monotonic() + (seconds or 0)
            denial = denial_in(error.response)
            if denial is not None:
                # Slack checks the scopes of an accepted token only.
                self.denial = denial if denial.is_about_token else None
            raise
        self.denial = None
        return answer

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        try:
            answer = _send(req, self.timeout)
        except OSError as error:
            if not url.endswith(_REPEATED_METHODS) or not ended_without_answer(error):
                raise
            answer = _send(req, self.timeout)
        return {"status": answer.status, "headers": answer.headers, "body": answer.body}


class DirectWebhook(WebhookClient):
    """A `WebhookClient` for one `response_url`, with the same limits."""

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        answer = _send(req, self.timeout)
        return WebhookResponse(url=url, status_code=answer.status, body=answer.body, headers=answer.headers)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: str


def _send(request: Request, seconds: float) -> _Answer:
    """The answer, of any status. All of it arrives within these seconds.

    Raises:
        OSError, HTTPException, UnicodeError: there is no answer, only a part of one, or it is too large.
    """
    with _OPENER.open(request, timeout=seconds) as answer:
        body = answer.read(MAX_BODY_BYTES)
        if answer.length:
            raise IncompleteRead(b"", answer.length)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return _Answer(answer.status, headers, body.decode())
