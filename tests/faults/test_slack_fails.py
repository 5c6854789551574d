"""Slack cuts the connection, or asks to slow down: decisions are not held back, and what people see follows."""

from __future__ import annotations

import asyncio

import requests

from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import ask, buttons, says, starts, thread_says


def test_after_a_cut_connection_the_next_click_is_taken_and_readiness_told_the_truth(town: Town) -> None:
    card = ask(town)
    asyncio.run_coroutine_threadsafe(town.slack.drop_connections(), town.slack.server.loop).result(timeout=10)
    town.wait_until(lambda: town.slack.connections == 1, 30, "a new connection")
    ready = f"http://127.0.0.1:{town.ops_port}/readyz"
    town.wait_until(lambda: requests.get(ready, timeout=5).status_code == 200, what="readiness")
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "Accepted by OMS")


def test_where_slack_never_comes_back_readiness_says_so(town: Town) -> None:
    town.slack.outage.status = 500
    asyncio.run_coroutine_threadsafe(town.slack.drop_connections(), town.slack.server.loop).result(timeout=10)
    ready = f"http://127.0.0.1:{town.ops_port}/readyz"
    town.wait_until(lambda: requests.get(ready, timeout=5).status_code == 503, 30, "no readiness")
    assert "Slack is not connected" in requests.get(ready, timeout=5).text


def test_a_decision_does_not_wait_for_a_slack_that_asks_to_slow_down(town: Town) -> None:
    card = ask(town)
    town.slack.outage.answers["chat.update"] = [429] * 2
    town.slack.outage.answers["chat.postMessage"] = [429] * 2
    town.people.press(w.CAROL, card, "approve")
    town.wait_until(lambda: len(starts(town)) == 1, what="the call")
    assert "Accepted" not in card.text
    says(town, card, "Accepted by OMS")
    assert "approve" not in buttons(card)
    thread_says(town, card, "Approved by")
