"""Asks Slack over HTTP as slack_sdk does, but straight: no redirect is followed, no proxy taken from the environment.

What is asked, and what the answer means, is left to `bot.slack.messenger` and whoever else calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, Request

from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient, WebhookResponse

from bot.net.session import MAX_BODY_BYTES, DeadlineResponse


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


# All else that urllib would do, redirects and proxies among it, are handlers of their own, and left out.
_STRAIGHT = OpenerDirector()
_STRAIGHT.add_handler(_Http())
_STRAIGHT.add_handler(_Https())


class DirectClient(WebClient):
    """A `WebClient` that nothing leads elsewhere. The names of headers are given in small letters."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Whatever HTTPS_PROXY says: Bolt hands it on to the socket.
        self.proxy = None

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        got = _ask(req, self.timeout)
        return {"status": got.status, "headers": got.headers, "body": got.body}


class DirectWebhook(WebhookClient):
    """The same for a `response_url`."""

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        got = _ask(req, self.timeout)
        return WebhookResponse(url=url, status_code=got.status, body=got.body, headers=got.headers)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: str


def _ask(request: Request, seconds: float) -> _Answer:
    """The answer, whatever it is: the whole of it comes within these seconds.

    Raises:
        OSError, HTTPException, UnicodeError: there is none, or half of one, or one larger than any can be.
    """
    with _STRAIGHT.open(request, timeout=seconds) as answer:
        body = answer.read(MAX_BODY_BYTES)
        if answer.length:
            raise IncompleteRead(b"", answer.length)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return _Answer(answer.status, headers, body.decode())
