"""Delivery by HTTP, to an app with a request URL: signed as Slack signs, shaped as each kind of payload is.

How long an answer may take, and what a person sees where none comes, is left to `server`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import aiohttp

from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.workspace import Json

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def signed(body: str, content_type: str = FORM, secret: str = w.SIGNING_SECRET, at: float | None = None) -> Json:
    """The headers of a request with this body, signed at this moment (seconds since the epoch; now by default).

    The rules are in Slack's "Verifying requests from Slack".
    """
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": content_type,
    }


async def post(url: str, kind: str, payload: Json) -> Json | str | None:
    """Delivers a payload; what the app answered, None where it only took it.

    Raises:
        aiohttp.ClientError: it cannot be reached, or answered with anything but 200.
    """
    body, content_type = _encoded(kind, payload)
    headers = signed(body, content_type)
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
