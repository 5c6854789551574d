"""HTTP instead of a socket: what Slack signed is taken as by the socket, all else refused before anybody reads it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests

from bot.sandbox.oms_server import Hold
from bot.sandbox.oms_world import NIGHTLY_IMAGES, an
from bot.sandbox.ports import free_port
from bot.sandbox.slack import payloads
from bot.sandbox.slack import world as w
from bot.sandbox.slack.signed import signed
from bot.sandbox.town import Town
from tests.faults.test_clicks import at_once
from tests.support.story import ask_for, audit, deny, is_told, opened_by, said_in, says, starts, thread_says


@pytest.fixture(scope="module")
def served() -> Iterator[Town]:
    """One bot for all, and the last of these tests ends it."""
    town = Town()
    try:
        town.open()
        port = free_port()
        town.more_environment = {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": w.SIGNING_SECRET, "PORT": str(port)}
        town.slack.request_url = f"http://127.0.0.1:{port}/slack/events"
        town.start_bot()
        yield town
    finally:
        town.close()


def command(town: Town, text: str) -> str:
    answer_url = town.slack.answer_url(w.ALICE, w.MIGRATIONS)
    return urlencode(payloads.command(town.workspace, w.ALICE, w.MIGRATIONS, "/resume-taskgroup", text, answer_url))


def test_the_whole_story_of_an_approval(served: Town) -> None:
    town = served
    town.world.groups[NIGHTLY_IMAGES].bytes_per_second = 6_000_000_000
    card = ask_for(town, NIGHTLY_IMAGES, "over HTTP")
    town.people.press(w.BOB, card, "approve")
    is_told(town, w.BOB, "not among those who decide")
    trigger = town.workspace.new_trigger(w.CAROL)
    # Slack posts again what it had no answer to.
    at_once(*[lambda: town.people.press(w.CAROL, card, "approve", trigger_id=trigger)] * 2)
    says(town, card, "Done: nightly images")
    thread_says(town, card, "Approved by")
    assert [call.status for call in starts(town)] == [200]
    assert town.slack.connections == 0


def test_both_forms(served: Town) -> None:
    town = served
    form = opened_by(town, w.ALICE, lambda: town.people.type(w.ALICE, ""))
    ack = town.people.submit(w.ALICE, form, {"group": "../../etc/passwd"})
    assert isinstance(ack.payload, dict)
    assert "errors" in ack.payload
    town.people.submit(w.ALICE, form, {"group": an(1), "reason": "over HTTP"})
    town.wait_until(lambda: an(1) in town.workspace.of(w.MIGRATIONS)[-1].text, what="the card")
    card = town.workspace.of(w.MIGRATIONS)[-1]
    deny(town, w.DAVE, card, "not tonight")
    says(town, card, "Denied")
    is_told(town, w.ALICE, "not tonight")


def test_app_home_and_what_is_refused_in_the_answer_itself(served: Town) -> None:
    town = served
    assert town.people.open_home(w.BOB).failure is None
    town.wait_until(lambda: town.people.home_of(w.BOB) is not None, what="App Home")
    home = town.people.home_of(w.BOB)
    assert home is not None
    form = opened_by(town, w.BOB, lambda: town.people.press(w.BOB, home, "request"))
    assert "Task group" in said_in(town, form)
    ack = town.people.type(w.BOB, "../../etc/passwd now")
    assert "is not a task group id" in str(ack.payload)


def test_what_slack_did_not_sign_is_refused(served: Town) -> None:
    town, url = served, str(served.slack.request_url)
    cards = len(town.workspace.of(w.MIGRATIONS))
    body = command(town, an(5))
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
    elsewhere = url.replace("/slack/events", "/")
    assert requests.post(elsewhere, data=body, headers=signed(body), timeout=5).status_code == 404
    assert len(town.workspace.of(w.MIGRATIONS)) == cards
    assert an(5) not in town.log()
    assert requests.post(url, data=body, headers=signed(body), timeout=5).status_code == 200, "as signed it is taken"


def test_sigterm_ends_it_once_what_is_in_hand_is_done(served: Town) -> None:
    town = served
    card = ask_for(town, an(6))
    hold = Hold(threading.Event(), threading.Event())
    town.oms.fault("start", hold)
    town.people.press(w.CAROL, card, "approve")
    assert hold.reached.wait(10)
    ended: list[int] = []
    stopping = threading.Thread(target=lambda: ended.append(town.stop_bot()))
    stopping.start()
    town.wait_until(lambda: town.people.type(w.BOB, "list").failure == "dispatch_failed", what="nothing new taken")
    hold.released.set()
    stopping.join()
    assert ended == [0]
    assert audit(town, "accepted")[-1]["detail"]["huawei_request_id"]
    assert [call.status for call in starts(town) if an(6) in call.path] == [200]
