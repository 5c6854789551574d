"""HTTP instead of Socket Mode: signed requests work as over a socket, all others are rejected unread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests

from bot.sandbox.huawei.example_groups import CLICK_LOGS, INVOICES, MAP_TILES, NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Hold
from bot.sandbox.ports import free_port
from bot.sandbox.slack import payloads
from bot.sandbox.slack.http_delivery import signed_headers
from bot.sandbox.slack.ids import ALICE, BOB, CAROL, DAVE, MIGRATIONS, SIGNING_SECRET
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from tests.support.sandbox import (
    audit_rows,
    create_request_for,
    deny,
    open_view,
    put_calls,
    run_concurrently,
    view_text,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    """One sandbox with a bot for all tests. The last test stops the bot."""
    sandbox = Sandbox()
    try:
        sandbox.open()
        port = free_port()
        sandbox.extra_environment = {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": SIGNING_SECRET, "PORT": str(port)}
        sandbox.slack.request_url = f"http://127.0.0.1:{port}/slack/events"
        sandbox.start_bot()
        yield sandbox
    finally:
        sandbox.close()


def command(sandbox: Sandbox, text: str) -> str:
    answer_url = sandbox.slack.response_url(ALICE, MIGRATIONS)
    return urlencode(payloads.command(sandbox.workspace, ALICE, MIGRATIONS, "/resume-taskgroup", text, answer_url))


def test_a_request_is_approved_once_although_slack_delivers_the_click_twice(served: Sandbox) -> None:
    sandbox = served
    sandbox.oms.state.groups[NIGHTLY_IMAGES].bytes_per_second = 6_000_000_000
    card = create_request_for(sandbox, NIGHTLY_IMAGES, "over HTTP")
    sandbox.people.press(BOB, card, "approve")
    wait_for_reply(sandbox, BOB, "You can't approve or deny this; ")
    trigger = sandbox.workspace.new_trigger(CAROL)
    # Slack delivers a payload again if it got no answer.
    run_concurrently(*[lambda: sandbox.people.press(CAROL, card, "approve", trigger_id=trigger)] * 2)
    wait_for_text(sandbox, card, '"nightly images" is done')
    wait_for_thread_line(sandbox, card, "Approved by")
    assert [call.status for call in put_calls(sandbox)] == [200]
    assert sandbox.slack.connections == 0


def test_the_request_form_and_the_deny_form(served: Sandbox) -> None:
    sandbox = served
    form = open_view(sandbox, ALICE, lambda: sandbox.people.type(ALICE, ""))
    ack = sandbox.people.submit(ALICE, form, {"group": "../../etc/passwd"})
    assert isinstance(ack.payload, dict)
    assert "errors" in ack.payload
    sandbox.people.submit(ALICE, form, {"group": INVOICES, "reason": "over HTTP"})

    def cards() -> list[PostedMessage]:
        return [message for message in sandbox.workspace.messages_in(MIGRATIONS) if INVOICES in message.text]

    sandbox.wait_until(lambda: bool(cards()), what="the card")
    [card] = cards()
    deny(sandbox, DAVE, card, "not tonight")
    wait_for_text(sandbox, card, "Denied")
    wait_for_reply(sandbox, ALICE, "not tonight")


def test_app_home_and_a_command_that_is_refused_in_the_ack(served: Sandbox) -> None:
    sandbox = served
    assert sandbox.people.open_home(BOB).failure is None
    sandbox.wait_until(lambda: sandbox.people.home_view(BOB) is not None, what="App Home")
    home = sandbox.people.home_view(BOB)
    assert home is not None
    form = open_view(sandbox, BOB, lambda: sandbox.people.press(BOB, home, "request"))
    assert "Task group" in view_text(sandbox, form)
    ack = sandbox.people.type(BOB, "../../etc/passwd now")
    assert "isn't a task group id" in str(ack.payload)


def test_requests_without_a_valid_signature_are_rejected(served: Sandbox) -> None:
    sandbox, url = served, str(served.slack.request_url)
    cards = len(sandbox.workspace.messages_in(MIGRATIONS))
    body = command(sandbox, MAP_TILES)
    for headers in (
        {},
        signed_headers(body, secret="another"),
        signed_headers(body + "x"),
        signed_headers(body, at=time.time() - 301),
        signed_headers(body) | {"X-Slack-Request-Timestamp": "yesterday"},
        signed_headers(body) | {"X-Slack-Signature": "v0=short"},
    ):
        assert requests.post(url, data=body, headers=headers, timeout=5).status_code == 401
    assert requests.get(url, timeout=5).status_code == 404
    elsewhere = url.replace("/slack/events", "/")
    assert requests.post(elsewhere, data=body, headers=signed_headers(body), timeout=5).status_code == 404
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == cards
    assert MAP_TILES not in sandbox.log()
    assert requests.post(url, data=body, headers=signed_headers(body), timeout=5).status_code == 200, (
        "with a valid signature it is accepted"
    )


def test_sigterm_ends_the_bot_once_its_work_in_progress_is_done(served: Sandbox) -> None:
    sandbox = served
    card = create_request_for(sandbox, CLICK_LOGS)
    hold = Hold()
    sandbox.oms.faults.add("start", hold)
    sandbox.people.press(CAROL, card, "approve")
    assert hold.reached.wait(10)
    ended: list[int] = []
    shutdown = threading.Thread(target=lambda: ended.append(sandbox.stop_bot()))
    shutdown.start()
    sandbox.wait_until(
        lambda: sandbox.people.type(BOB, "list").failure == "dispatch_failed", what="no new command accepted"
    )
    hold.released.set()
    shutdown.join()
    assert ended == [0]
    assert audit_rows(sandbox, "put.accepted")[-1]["detail"]["huawei_request_id"]
    assert [call.status for call in put_calls(sandbox) if CLICK_LOGS in call.path] == [200]
