"""Delivers payloads by HTTP to the request URL of an app, signed as Slack signs them.

How long the app may take, and what a person sees when it does not answer, is left to `server`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import aiohttp

from bot.sandbox.slack.ids import SIGNING_SECRET
from bot.sandbox.slack.workspace import Json

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def signed_headers(body: str, content_type: str = FORM, secret: str = SIGNING_SECRET, at: float | None = None) -> Json:
    """The headers of a signed request with this body (Slack documentation, "Verifying requests from Slack").

    Arguments:
        at: when it is signed, in seconds since the epoch; now by default.
    """
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": content_type,
    }


async def post(url: str, kind: str, payload: Json) -> Json | str | None:
    """Delivers a payload, and returns what the app answered, or None if the answer is empty.

    Arguments:
        kind: "slash_commands", "interactive" or "events_api", as an envelope of Socket Mode names it.

    Raises:
        aiohttp.ClientError: the app cannot be reached, or answered with an HTTP error.
    """
    body, content_type = _encoded(kind, payload)
    headers = signed_headers(body, content_type)
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        text = await answer.text()
        found: Json | str = json.loads(text) if answer.content_type == JSON else text
        return found or None


def _encoded(kind: str, payload: Json) -> tuple[str, str]:
    match kind:
        case "slash_commands":
            return urlencode(payload), FORM
        case "interactive":
            return urlencode({"payload": json.dumps(payload)}), FORM
        case _:
            return json.dumps(payload), JSON
