"""Slack cuts the connection, or slows down: decisions are not held back, and what people see follows, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
import requests

from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.ports import free_port
from bot.sandbox.slack import world as w
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from tests.support.postgres import Postgres
from tests.support.story import ask, buttons, is_accepted, says, starts, thread_of, thread_says


def connected(town: Town) -> int:
    """How often the bot has connected."""
    return [call.path for call in town.journal.since()].count("connected")


@pytest.mark.parametrize("how", [SlackStandIn.drop_connections, SlackStandIn.cut_connections], ids=["closed", "cut"])
def test_after_a_lost_connection_the_next_click_is_taken_and_readiness_told_the_truth(
    town: Town, how: Callable[[SlackStandIn], Coroutine[None, None, None]]
) -> None:
    card = ask(town)
    asyncio.run_coroutine_threadsafe(how(town.slack), town.slack.server.loop).result(timeout=10)
    town.wait_until(lambda: connected(town) == 2 and town.slack.connections == 1, 30, "a new connection")
    ready = f"http://127.0.0.1:{town.ops_port}/readyz"
    town.wait_until(lambda: requests.get(ready, timeout=5).status_code == 200, what="readiness")
    town.people.press(w.CAROL, card, "approve")
    is_accepted(town, card)


def test_where_slack_never_comes_back_readiness_says_so(town: Town) -> None:
    town.slack.outage.status = 500
    asyncio.run_coroutine_threadsafe(town.slack.drop_connections(), town.slack.server.loop).result(timeout=10)
    ready = f"http://127.0.0.1:{town.ops_port}/readyz"

    def is_said() -> bool:
        answer = requests.get(ready, timeout=5)
        return answer.status_code == 503 and "Slack is not connected" in answer.text

    town.wait_until(is_said, 30, "no readiness")


def test_a_decision_does_not_wait_for_a_slack_that_asks_to_slow_down(town: Town) -> None:
    card = ask(town)
    for method in ("chat.update", "chat.postMessage"):
        town.slack.outage.answers[method] = [429] * 60
    town.people.press(w.CAROL, card, "approve")
    town.wait_until(lambda: len(starts(town)) == 1, what="the call")
    assert "Accepted" not in card.text
    town.slack.outage.answers.clear()
    # By then it may have moved: what was accepted for a moment only is not shown late.
    says(town, card, "Resumed, moving")
    assert "approve" not in buttons(card)
    thread_says(town, card, "Approved by")


def reads_in_order(town: Town, card: Posted) -> None:
    """The whole thread of a request that was approved and ran to its end."""
    thread_says(town, card, "Resumed, moving", 60)
    town.world.groups[NIGHTLY_IMAGES].bytes_per_second = 6_000_000_000
    thread_says(town, card, "Done: nightly images", 60)
    begins = ["Approved by", "Accepted by OMS", "Resumed, moving", "Done: nightly images"]
    assert [text[: len(begin)] for text, begin in zip(thread_of(town, card), begins, strict=True)] == begins


@pytest.mark.parametrize("answers", [[429], [429, 500, 429], [500] * 4])
def test_the_thread_reads_in_order_whatever_slack_answers_meanwhile(
    new_town: Callable[..., Town], answers: list[int]
) -> None:
    town = new_town()
    town.world.groups[NIGHTLY_IMAGES].bytes_per_second = 1_000_000
    town.start_bot()
    card = ask(town)
    town.slack.outage.answers["chat.postMessage"] = answers
    town.people.press(w.CAROL, card, "approve")
    reads_in_order(town, card)


def test_the_thread_reads_in_order_of_two_replicas_one_of_which_is_killed(
    new_town: Callable[..., Town], postgres: Postgres
) -> None:
    town = new_town(database_url=postgres.new_database())
    town.world.groups[NIGHTLY_IMAGES].bytes_per_second = 1_000_000
    town.start_bot()
    town.start_bot(ops_port=free_port())
    card = ask(town)
    town.slack.outage.answers["chat.postMessage"] = [429, 500, 429, 500]
    town.people.press(w.CAROL, card, "approve")
    is_accepted(town, card)
    town.journal.wait_for(lambda call: call.path == "chat.postMessage" and call.status == 500)
    town.kill_bot()
    # What the dead one had in hand is free after 20 s.
    reads_in_order(town, card)
