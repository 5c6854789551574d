"""What `serve` says when it cannot begin, and what it shows of itself."""

from __future__ import annotations

import asyncio

import pytest
import requests

from bot.app import CannotStart, who_we_are
from bot.redaction import Secret
from bot.sandbox.system import Sandbox
from bot.slack.transport import new_client
from tests.support.wire import BROKEN_ANSWERS, answering


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_what_is_no_answer_of_slack_is_told_in_a_sentence_that_blames_no_token(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url, pytest.raises(CannotStart) as told:
        who_we_are(new_client(Secret("xoxb-1"), f"{url}/api/"))
    said = "is not what answers there" if what in ("no JSON", "no text") else "cannot be reached"
    assert str(told.value).startswith(f"Slack {said} (")
    assert "SLACK_API_URL" in str(told.value)


def test_that_slack_is_gone_is_counted_though_nobody_asks_whether_the_bot_lives(sandbox: Sandbox) -> None:
    def connected() -> str:
        text = requests.get(f"http://127.0.0.1:{sandbox.ops_port}/metrics", timeout=5).text
        return next(line for line in text.splitlines() if line.startswith("taskgroup_bot_slack_connected "))

    assert connected().endswith(" 1.0")
    sandbox.slack.outage.status = 500
    asyncio.run_coroutine_threadsafe(sandbox.slack.drop_connections(), sandbox.slack.server.loop).result(timeout=10)
    sandbox.wait_until(lambda: connected().endswith(" 0.0"), what="a gauge that shows it")
