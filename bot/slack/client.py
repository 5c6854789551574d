"""Clients of slack_sdk that call Slack over an HTTP session of the bot: deadlines, no redirects, one proxy or none.

Each call opens its own connection, because a post on a connection that had ended would be lost or sent twice.
Which methods are called is left to `bot.slack.messenger`, `bot.slack.users` and `bot.slack.transport`.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.request import Request

import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse
from slack_sdk.webhook import WebhookClient, WebhookResponse

from bot.net.session import MAX_BODY_BYTES, ended_without_answer
from bot.redaction import Secret, UnreadableSecret
from bot.slack.errors import Denied, RateLimited, SlackError, denial_in, retry_after_seconds, translating_errors

log = logging.getLogger(__name__)

# The methods that change nothing a person sees. They are repeated once if the connection ends without an answer.
_REPEATED_METHODS = (
    "apps.connections.open",
    "auth.test",
    "bots.info",
    "chat.getPermalink",
    "usergroups.users.list",
    "users.info",
)


class DirectClient(WebClient):
    """A `WebClient` that calls Slack over a session. It returns the names of headers in lower case.

    If Slack refuses the token, and another program has replaced it in its file, the call is repeated with the new one.
    After Slack has refused a call because of a rate limit, no call of the same method is made until Slack allows it.

    Arguments:
        secret: the token.

    Attributes:
        session: a session of `bot.net.session`. It sends nothing twice.
        owner: whose token it is: a workspace and its bot user, or the app of an app-level token. The token of another
            owner is not used. While it is None, the token is not read again.
        denial: why Slack refused the token at the last call that it answered; None if it accepted it.
    """

    def __init__(self, session: requests.Session, secret: Secret, **settings: Any) -> None:
        super().__init__(token=secret.reveal(), **settings)
        self.session = session
        # slack_sdk sets it from HTTPS_PROXY, and Bolt passes it on to the socket.
        self.proxy = None
        self.denial: Denied | None = None
        self.owner = app_id_in(secret)
        self._secret = secret
        self._reading = threading.Lock()
        self._logged = ""
        self._stopped_until: dict[str, float] = {}  # by method, on the monotonic clock

    @property
    def secret(self) -> Secret:
        """The token that is used now."""
        return self._secret

    def api_call(self, api_method: str, **arguments: Any) -> SlackResponse:
        """As `WebClient.api_call`. Remembers whether Slack accepts the token.

        Raises:
            RateLimited: nothing was sent, because the method is stopped.
        """
        token = self.token
        try:
            return self._call(api_method, **arguments)
        except SlackApiError as error:
            denial = denial_in(error.response)
            if denial is None or not denial.is_about_token or not self._replace_token(token):
                raise
        return self._call(api_method, **arguments)

    def _call(self, api_method: str, **arguments: Any) -> SlackResponse:
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

    def _replace_token(self, refused: str | None) -> bool:
        """Reads the token again. Returns whether there is a usable token other than the refused one."""
        if self.owner is None:
            return False
        with self._reading:
            if self.token != refused:
                return True
            try:
                secret = self._secret.current()
                if secret == self._secret or not self._is_ours(secret):
                    return False
            except (UnreadableSecret, SlackError) as error:
                self._log_once(f"Slack refuses the bot's token, and the one in its file can't be used: {error}")
                return False
            self._secret, self.token = secret, secret.reveal()
            log.info("Slack refused the bot's token, so it was read again from its file")
            return True

    def _is_ours(self, secret: Secret) -> bool:
        """Whether a token belongs to the owner of the first one.

        Raises:
            SlackError: Slack does not say whose token it is, or refuses it.
        """
        with translating_errors():
            owner = app_id_in(secret) or owner_in(super().api_call("auth.test", params={"token": secret.reveal()}))
        if owner != self.owner:
            problem = "the one in its file belongs to another app or workspace"
            self._log_once(f"Slack refuses the bot's token, and {problem}: {owner}")
        return owner == self.owner

    def _log_once(self, problem: str) -> None:
        if problem != self._logged:
            self._logged = problem
            log.error("%s", problem)

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        try:
            answer = _send(self.session, req, self.timeout)
        except OSError as error:
            if not url.endswith(_REPEATED_METHODS) or not ended_without_answer(error):
                raise
            answer = _send(self.session, req, self.timeout)
        # slack_sdk reports an empty body as an answer that is not Slack's. JSON of another type makes it fail.
        body = answer.body if _is_object(answer.body) else ""
        return {"status": answer.status, "headers": answer.headers, "body": body}


def _is_object(body: str) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def app_id_in(token: Secret) -> str | None:
    """The id of the app in an app-level token (`xapp-1-A…-…`); None if it has none. A bot token never has one."""
    match = re.match(r"xapp-\d+-(A[A-Z0-9]+)-", token.reveal())
    return match[1] if match else None


def owner_in(auth_test: SlackResponse) -> str:
    """The workspace and the bot user of a bot token, from an answer of auth.test. Each app has its own bot user."""
    return f"{auth_test.get('team_id')} {auth_test.get('user_id')}"


class DirectWebhook(WebhookClient):
    """A `WebhookClient` for one `response_url`, over the session of a client and with its timeout."""

    def __init__(self, response_url: str, client: DirectClient) -> None:
        super().__init__(response_url, timeout=client.timeout, retry_handlers=[])
        self._session = client.session

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        answer = _send(self._session, req, self.timeout)
        return WebhookResponse(url=url, status_code=answer.status, body=answer.body, headers=answer.headers)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: str


def _send(session: requests.Session, request: Request, seconds: float) -> _Answer:
    """The answer, of any status. All of it arrives within these seconds after the connection was opened.

    Raises:
        OSError, UnicodeError: there is no answer, only a part of one, or it is too large.
    """
    headers = {**dict(request.header_items()), "Connection": "close"}
    data = request.data if isinstance(request.data, bytes) else None
    answer = session.request(request.get_method(), request.full_url, data=data, headers=headers, timeout=seconds)
    if len(answer.content) > MAX_BODY_BYTES:
        raise requests.exceptions.ContentDecodingError("the answer is too large")
    names = {name.lower(): value for name, value in answer.headers.items()}
    return _Answer(answer.status_code, names, answer.content.decode())
