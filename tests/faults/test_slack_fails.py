"""Slack cuts the connection, or slows down: decisions are not held back, and what people see follows, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
import requests

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import CAROL
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


def connected(sandbox: Sandbox) -> int:
    """How often the bot has connected."""
    return [call.path for call in sandbox.call_log.since()].count("connected")


@pytest.mark.parametrize("how", [SlackStandIn.drop_connections, SlackStandIn.cut_connections], ids=["closed", "cut"])
def test_after_a_lost_connection_the_next_click_is_taken_and_readiness_told_the_truth(
    sandbox: Sandbox, how: Callable[[SlackStandIn], Coroutine[None, None, None]]
) -> None:
    card = create_request(sandbox)
    asyncio.run_coroutine_threadsafe(how(sandbox.slack), sandbox.slack.server.loop).result(timeout=10)
    sandbox.wait_until(lambda: connected(sandbox) == 2 and sandbox.slack.connections == 1, 30, "a new connection")
    ready = f"http://127.0.0.1:{sandbox.ops_port}/readyz"
    sandbox.wait_until(lambda: requests.get(ready, timeout=5).status_code == 200, what="readiness")
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)


def test_where_slack_never_comes_back_readiness_says_so(sandbox: Sandbox) -> None:
    sandbox.slack.outage.status = 500
    asyncio.run_coroutine_threadsafe(sandbox.slack.drop_connections(), sandbox.slack.server.loop).result(timeout=10)
    ready = f"http://127.0.0.1:{sandbox.ops_port}/readyz"

    def is_said() -> bool:
        answer = requests.get(ready, timeout=5)
        return answer.status_code == 503 and "Slack is not connected" in answer.text

    sandbox.wait_until(is_said, 30, "no readiness")


def test_a_decision_does_not_wait_for_a_slack_that_asks_to_slow_down(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    for method in ("chat.update", "chat.postMessage"):
        sandbox.slack.outage.answers[method] = [429] * 60
    sandbox.people.press(CAROL, card, "approve")
    sandbox.wait_until(lambda: len(put_calls(sandbox)) == 1, what="the call")
    assert "Accepted" not in card.text
    sandbox.slack.outage.answers.clear()
    # By then it may have moved: what was accepted for a moment only is not shown late.
    wait_for_text(sandbox, card, "Resumed, moving")
    assert "approve" not in button_ids(card)
    wait_for_thread_line(sandbox, card, "Approved by")


def reads_in_order(sandbox: Sandbox, card: PostedMessage) -> None:
    """The whole thread of a request that was approved and ran to its end."""
    wait_for_thread_line(sandbox, card, "Resumed, moving", 60)
    sandbox.oms.state.groups[NIGHTLY_IMAGES].bytes_per_second = 6_000_000_000
    wait_for_thread_line(sandbox, card, "Done: nightly images", 60)
    begins = ["Approved by", "Accepted by OMS", "Resumed, moving", "Done: nightly images"]
    assert [text[: len(begin)] for text, begin in zip(thread_lines(sandbox, card), begins, strict=True)] == begins


@pytest.mark.parametrize("answers", [[429], [429, 500, 429], [500] * 4])
def test_the_thread_reads_in_order_whatever_slack_answers_meanwhile(
    new_sandbox: Callable[..., Sandbox], answers: list[int]
) -> None:
    sandbox = new_sandbox()
    sandbox.oms.state.groups[NIGHTLY_IMAGES].bytes_per_second = 1_000_000
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.slack.outage.answers["chat.postMessage"] = answers
    sandbox.people.press(CAROL, card, "approve")
    reads_in_order(sandbox, card)


def test_the_thread_reads_in_order_of_two_replicas_one_of_which_is_killed(
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
    # What the dead one had in hand is free after 20 s.
    reads_in_order(sandbox, card)
