"""A flood of requests fills neither the log nor the process with threads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import psutil
import pytest
import requests

from bot.sandbox.ports import free_port
from bot.sandbox.slack import payloads
from bot.sandbox.slack.http_delivery import JSON, signed_headers
from bot.sandbox.slack.ids import APP_ID, BOB, ERIN, MIGRATIONS, SIGNING_SECRET, TEAM_ID
from bot.sandbox.system import Sandbox
from tests.support.sandbox import wait_for_view

MALFORMED: list[dict[str, object]] = [
    {"type": "event_callback", "event": None},
    {"type": "event_callback", "event": 7},
    {"type": "view_submission", "view": 7},
    {"type": "block_actions", "user": True},
    {"type": "block_actions", "authorizations": [[]]},
    {"type": "workflow_step_edit", "callback_id": "words"},
]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, psutil.Process]]:
    """A bot in HTTP mode, and its process."""
    sandbox = Sandbox()
    try:
        sandbox.open()
        port = free_port()
        sandbox.extra_environment = {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": SIGNING_SECRET, "PORT": str(port)}
        sandbox.slack.request_url = f"http://127.0.0.1:{port}/slack/events"
        yield sandbox, psutil.Process(sandbox.start_bot().pid)
    finally:
        sandbox.close()


def flood(sandbox: Sandbox, bodies: list[str], content_type: str, secret: str = SIGNING_SECRET) -> list[int]:
    """Posts all bodies from 32 connections. Returns the statuses."""

    def post(part: list[str]) -> list[int]:
        with requests.Session() as session:
            session.trust_env = False
            url = str(sandbox.slack.request_url)
            return [
                session.post(url, data=body, headers=signed_headers(body, content_type, secret), timeout=20).status_code
                for body in part
            ]

    with ThreadPoolExecutor(32) as threads:
        return [status for found in threads.map(post, [bodies[n::32] for n in range(32)]) for status in found]


def test_a_flood_of_unsigned_and_malformed_requests_writes_a_line_a_minute_of_each_kind(
    served: tuple[Sandbox, psutil.Process],
) -> None:
    sandbox, _ = served
    lines_before = len(sandbox.log().splitlines())
    assert set(flood(sandbox, ["{}"] * 1500, JSON, "another secret")) == {401}
    malformed = [json.dumps({"team_id": TEAM_ID, "api_app_id": APP_ID} | body) for body in MALFORMED]
    assert set(flood(sandbox, malformed * 50, JSON)) == {400}
    assert set(flood(sandbox, ["[1]"] * 300, JSON)) == {400}
    lines = sandbox.log().splitlines()[lines_before:]
    # The minute may have ended once, and waitress writes a line about its queue.
    assert 3 <= len(lines) <= 8, "\n".join(lines[:20])
    assert "Traceback" not in "\n".join(lines)


def test_a_flood_of_forms_starts_no_more_threads_and_a_form_that_is_delivered_twice_opens_once(
    served: tuple[Sandbox, psutil.Process],
) -> None:
    sandbox, bot = served
    threads_before = bot.num_threads()

    def command(person: str) -> str:
        answer_url = sandbox.slack.response_url(person, MIGRATIONS)
        return urlencode(payloads.command(sandbox.workspace, person, MIGRATIONS, "/resume-taskgroup", "", answer_url))

    form = "application/x-www-form-urlencoded"
    opened = len([call for call in sandbox.call_log.since() if call.path == "views.open"])
    same = command(BOB)
    assert flood(sandbox, [same] * 10, form) == [200] * 10
    wait_for_view(sandbox, BOB)
    assert len([call for call in sandbox.call_log.since() if call.path == "views.open"]) == opened + 1
    sandbox.slack.delay_seconds = 1.0
    assert set(flood(sandbox, [command(ERIN) for _ in range(640)], form)) == {200}
    threads = bot.num_threads()
    sandbox.slack.delay_seconds = 0.0
    # The pools of the HTTP server, the inbox, the worker and the responder have a fixed size each.
    assert threads <= threads_before + 40, threads
