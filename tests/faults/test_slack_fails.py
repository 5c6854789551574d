"""Slack drops connections or throttles: decisions are not delayed, and cards and threads follow in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
import requests

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import ALICE, CAROL
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from tests.support.postgres import Postgres
from tests.support.sandbox import (
    button_ids,
    create_request,
    put_calls,
    thread_lines,
    wait_for_accepted,
    wait_for_text,
    wait_for_thread_line,
)


def connection_count(sandbox: Sandbox) -> int:
    """How often the bot has connected since the start."""
    return [call.path for call in sandbox.call_log.since()].count("connected")


@pytest.mark.parametrize(
    "lose",
    [SlackStandIn.drop_connections, SlackStandIn.cut_connections, SlackStandIn.refresh_connections],
    ids=["closed", "cut", "announced"],
)
def test_after_a_lost_connection_the_bot_reconnects_and_is_ready_again(
    sandbox: Sandbox, lose: Callable[[SlackStandIn], Coroutine[None, None, None]]
) -> None:
    card = create_request(sandbox)
    asyncio.run_coroutine_threadsafe(lose(sandbox.slack), sandbox.slack.server.loop).result(timeout=10)
    sandbox.wait_until(
        lambda: connection_count(sandbox) == 2 and sandbox.slack.connections == 1, 30, "a new connection"
    )
    ready = f"http://127.0.0.1:{sandbox.ops_port}/readyz"
    sandbox.wait_until(lambda: requests.get(ready, timeout=5).status_code == 200, what="readiness")
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)


def test_readiness_fails_while_slack_is_not_connected(sandbox: Sandbox) -> None:
    sandbox.slack.outage.status = 500
    asyncio.run_coroutine_threadsafe(sandbox.slack.drop_connections(), sandbox.slack.server.loop).result(timeout=10)
    ready = f"http://127.0.0.1:{sandbox.ops_port}/readyz"

    def is_not_ready() -> bool:
        answer = requests.get(ready, timeout=5)
        return answer.status_code == 503 and "Slack is not connected" in answer.text

    sandbox.wait_until(is_not_ready, 30, "a failed readiness probe")


def test_a_decision_does_not_wait_for_a_throttling_slack(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    for method in ("chat.update", "chat.postMessage"):
        sandbox.slack.outage.answers[method] = [429] * 60
    sandbox.people.press(CAROL, card, "approve")
    sandbox.wait_until(lambda: len(put_calls(sandbox)) == 1, what="the call")
    assert "Accepted" not in card.text
    sandbox.slack.outage.answers.clear()
    # The card skips "Accepted" if the migration moves by then.
    wait_for_text(sandbox, card, "Resumed, moving")
    assert "approve" not in button_ids(card)
    wait_for_thread_line(sandbox, card, "Approved by")


def assert_thread_in_order(sandbox: Sandbox, card: PostedMessage) -> None:
    """Lets the group run to its end, and asserts that the thread has every line once and in order."""
    wait_for_thread_line(sandbox, card, "Resumed, moving", 60)
    sandbox.oms.state.groups[NIGHTLY_IMAGES].bytes_per_second = 6_000_000_000
    wait_for_thread_line(sandbox, card, '"nightly images" is done', 60)
    starts = ["Approved by", "OMS accepted the call", "Resumed, moving", f'<@{ALICE}>, "nightly images" is done']
    assert [text[: len(start)] for text, start in zip(thread_lines(sandbox, card), starts, strict=True)] == starts


@pytest.mark.parametrize("answers", [[429], [429, 500, 429], [500] * 4])
@pytest.mark.long
def test_the_thread_is_in_order_whatever_slack_answers(new_sandbox: Callable[..., Sandbox], answers: list[int]) -> None:
    sandbox = new_sandbox()
    sandbox.oms.state.groups[NIGHTLY_IMAGES].bytes_per_second = 1_000_000
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.slack.outage.answers["chat.postMessage"] = [*answers]
    sandbox.people.press(CAROL, card, "approve")
    assert_thread_in_order(sandbox, card)


@pytest.mark.long
def test_the_thread_is_in_order_although_a_replica_is_killed(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    sandbox.oms.state.groups[NIGHTLY_IMAGES].bytes_per_second = 1_000_000
    sandbox.start_bot()
    sandbox.start_bot(ops_port=free_port())
    card = create_request(sandbox)
    sandbox.slack.outage.answers["chat.postMessage"] = [429, 500, 429, 500]
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    sandbox.call_log.wait_for(lambda call: call.path == "chat.postMessage" and call.status == 500)
    sandbox.kill_bot()
    # The lease of the killed replica expires after 20 s.
    assert_thread_in_order(sandbox, card)
