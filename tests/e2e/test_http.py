"""HTTP instead of a socket: requests that Slack signed are taken, all others refused before anybody reads them."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
import requests

from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.sandbox.vault import free_port
from tests.support.story import is_told, the_card


def signed(body: str, secret: str = w.SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(at if at is not None else time.time()))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


@pytest.fixture
def served(new_town: Callable[..., Town]) -> tuple[Town, str]:
    town = new_town()
    port = free_port()
    town.more_environment = {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": w.SIGNING_SECRET, "PORT": str(port)}
    town.start_bot()
    return town, f"http://127.0.0.1:{port}/slack/events"


def command(town: Town, text: str) -> str:
    return urlencode(
        {
            "team_id": w.TEAM_ID,
            "channel_id": w.MIGRATIONS,
            "user_id": w.ALICE,
            "command": "/resume-taskgroup",
            "text": text,
            "api_app_id": w.APP_ID,
            "response_url": town.slack.answer_url(w.ALICE, w.MIGRATIONS),
            "trigger_id": town.workspace.new_trigger(w.ALICE),
        }
    )


def test_a_signed_command_is_taken(served: tuple[Town, str]) -> None:
    town, url = served
    body = command(town, f"{NIGHTLY_IMAGES} over HTTP")
    answer = requests.post(url, data=body, headers=signed(body), timeout=5)
    assert (answer.status_code, answer.text) == (200, "")
    the_card(town)
    is_told(town, w.ALICE, "Asked.")


def test_what_slack_did_not_sign_is_refused(served: tuple[Town, str]) -> None:
    town, url = served
    body = command(town, NIGHTLY_IMAGES)
    for headers in (
        {},
        signed(body, secret="another"),
        signed(body + "x"),
        signed(body, at=time.time() - 301),
        signed(body) | {"X-Slack-Request-Timestamp": "yesterday"},
        signed(body) | {"X-Slack-Signature": "v0=short"},
    ):
        assert requests.post(url, data=body, headers=headers, timeout=5).status_code == 401
    assert requests.get(url, timeout=5).status_code == 404
    assert (
        requests.post(url.replace("/slack/events", "/"), data=body, headers=signed(body), timeout=5).status_code == 404
    )
    assert town.workspace.of(w.MIGRATIONS) == []
    assert NIGHTLY_IMAGES not in town.log()
