"""`serve` reports why it cannot start, and its metrics show whether Slack is connected."""

from __future__ import annotations

import asyncio

import pytest
import requests

from bot.app import CannotStart, authenticate
from bot.redaction import Secret
from bot.sandbox.system import Sandbox
from bot.slack.transport import new_client
from tests.support.wire import BROKEN_ANSWERS, answering


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_a_broken_answer_of_slack_is_not_blamed_on_the_token(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url, pytest.raises(CannotStart) as raised:
        authenticate(new_client(Secret("xoxb-1"), f"{url}/api/"), None)
    problem = "sent an answer that isn't from its API" if what in ("no JSON", "no text") else "can't be reached"
    assert str(raised.value).startswith(f"Slack {problem} (")
    assert "SLACK_API_URL" in str(raised.value)


def test_the_gauge_shows_a_lost_connection_without_a_call_to_the_probes(sandbox: Sandbox) -> None:
    def connected() -> str:
        text = requests.get(f"http://127.0.0.1:{sandbox.ops_port}/metrics", timeout=5).text
        return next(line for line in text.splitlines() if line.startswith("taskgroup_bot_slack_connected "))

    assert connected().endswith(" 1.0")
    sandbox.slack.outage.status = 500
    asyncio.run_coroutine_threadsafe(sandbox.slack.drop_connections(), sandbox.slack.server.loop).result(timeout=10)
    sandbox.wait_until(lambda: connected().endswith(" 0.0"), what="a gauge of 0")
