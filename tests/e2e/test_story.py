"""The whole story, with the real bot as a process, on both databases: asked, approved, resumed, followed to the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from bot.sandbox import oms_state
from bot.sandbox.oms_state import NIGHTLY_IMAGES
from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from tests.support.sandbox import (
    buttons,
    create_request,
    deny,
    everything_shown,
    everything_stored,
    full_text,
    key_reads,
    mrkdwn_text,
    put_calls,
    wait_for_card,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
    wait_for_update,
)

SECRETS = (
    w.BOT_TOKEN,
    w.APP_TOKEN,
    oms_state.ACCESS_KEY,
    oms_state.SECRET_KEY,
    oms_state.SOURCE_AK,
    oms_state.SOURCE_SK,
    oms_state.DESTINATION_AK,
    oms_state.DESTINATION_SK,
)


@pytest.mark.parametrize("two_identities", [False, True], ids=["one-identity", "two-identities"])
def test_a_paused_group_is_resumed_after_one_approval_and_followed_to_its_end(
    new_sandbox: Callable[..., Sandbox], database_url: str, two_identities: bool
) -> None:
    sandbox = new_sandbox(database_url=database_url, two_identities=two_identities)
    group = sandbox.world.groups[NIGHTLY_IMAGES]
    # Accepted for longer than it takes to say so.
    group.bytes_per_second, group.status_lag = 6_000_000_000, timedelta(seconds=4)
    logins = {name: value for name, value in sandbox.environment().items() if name.endswith("SECRET_ID")}
    sandbox.more_environment = logins
    sandbox.start_bot()

    card = create_request(sandbox)
    assert buttons(card) == ["approve", "deny", "cancel"]
    assert NIGHTLY_IMAGES in full_text(card)
    link = wait_for_reply(sandbox, w.ALICE, "Asked.")
    assert card.ts.replace(".", "") in link
    assert not key_reads(sandbox)

    sandbox.people.press(w.CAROL, card, "approve")
    wait_for_update(sandbox, "Accepted by OMS, nothing has moved yet")
    wait_for_text(sandbox, card, "Done: nightly images")
    wait_for_thread_line(sandbox, card, "Approved by")
    wait_for_thread_line(sandbox, card, "Done: nightly images")
    assert buttons(card) == []
    assert len(put_calls(sandbox)) == 1
    assert [call.path.rsplit("/", 1)[1] for call in key_reads(sandbox)] == ["source", "destination"]
    assert any(call.path.endswith("revoke-self") for call in sandbox.call_log.since())
    metrics = requests.get(f"http://127.0.0.1:{sandbox.ops_port}/metrics", timeout=5).text
    assert sandbox.stop_bot() == 0

    exported = subprocess.run(
        [sys.executable, "-m", "bot", "audit", "export"],
        env=sandbox.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for where, text in {
        "metrics": metrics,
        "Slack": everything_shown(sandbox),
        "the database and the log": everything_stored(sandbox),
        "the audit": exported,
    }.items():
        assert NIGHTLY_IMAGES in text or where == "metrics", f"{where} is the right one"
        assert not [secret for secret in (*SECRETS, *logins.values()) if secret in text], where
    events = [json.loads(line)["event"] for line in exported.splitlines()]
    assert [
        event
        for event in events
        if event in ("request.created", "vote.added", "vault.opened", "put.sending", "put.accepted", "request.done")
    ] == [
        "request.created",
        "vote.added",
        "vault.opened",
        "put.sending",
        "put.accepted",
        "request.done",
    ]
    verified = subprocess.run(
        [sys.executable, "-m", "bot", "audit", "verify"],
        env=sandbox.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
    assert "Whole:" in verified.stdout


def test_a_denial_closes_the_card_and_its_reason_reaches_the_requester(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    deny(sandbox, w.DAVE, card, "wait for <!channel> *legal*")
    wait_for_text(sandbox, card, "Denied: nightly images")
    assert buttons(card) == []
    told = wait_for_reply(sandbox, w.ALICE, "denied by")
    assert card.ts.replace(".", "") in told
    assert "<!channel>" not in told
    assert "<!channel>" not in mrkdwn_text(card)
    assert "wait for <!channel> *legal*" in full_text(card)
    assert not put_calls(sandbox)
    assert not key_reads(sandbox)


def test_the_requester_cancels(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.press(w.ALICE, card, "cancel")
    wait_for_text(sandbox, card, "Cancelled: nightly images")
    assert not put_calls(sandbox)


def test_who_may_not_approve_is_told_why_and_nothing_changes(sandbox: Sandbox) -> None:
    card = create_request(sandbox, person=w.CAROL)
    for person, why in (
        (w.BOB, "not among those who decide"),
        (w.CAROL, "somebody else must decide"),
        (w.ERIN, "Guests cannot"),
        (w.GRACE, "another organisation"),
        (w.FRANK, "deactivated"),
    ):
        sandbox.people.press(person, card, "approve")
        wait_for_reply(sandbox, person, why)
    assert buttons(card) == ["approve", "deny", "cancel"]
    assert not put_calls(sandbox)


def test_a_second_request_for_the_same_group_is_shown_the_first(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.type(w.BOB, f"{NIGHTLY_IMAGES} me too")
    told = wait_for_reply(sandbox, w.BOB, "already asked")
    assert card.ts.replace(".", "") in told
    assert sandbox.workspace.of(w.MIGRATIONS) == [card]


def test_what_cannot_be_resumed_is_told_only_to_whoever_typed(sandbox: Sandbox) -> None:
    for number, words in ((2, "running already"), (3, "complete")):
        sandbox.people.type(w.BOB, f"1a2b3c4d-0000-4000-8000-{number:012d}")
        wait_for_reply(sandbox, w.BOB, words)
    sandbox.people.type(w.BOB, "1a2b3c4d-0000-4000-8000-00000000ffff")
    wait_for_reply(sandbox, w.BOB, "No task group")
    sandbox.people.type(w.BOB, "../../etc/passwd now")
    wait_for_reply(sandbox, w.BOB, "is not a task group id")
    sandbox.people.type(w.ERIN, NIGHTLY_IMAGES)
    wait_for_reply(sandbox, w.ERIN, "not among those who may ask")
    assert sandbox.workspace.of(w.MIGRATIONS) == []


def test_a_reason_is_shown_and_never_obeyed(sandbox: Sandbox) -> None:
    card = create_request(sandbox, text=f"{NIGHTLY_IMAGES} &lt;!channel&gt; *look* <@{w.BOB}>")
    assert "<!channel>" not in mrkdwn_text(card)
    assert f"<!channel> *look* <@{w.BOB}>" in full_text(card)


def test_the_command_works_in_a_channel_where_the_bot_is_not(sandbox: Sandbox) -> None:
    sandbox.people.type(w.ALICE, NIGHTLY_IMAGES, channel=w.GENERAL)
    wait_for_card(sandbox)
    wait_for_reply(sandbox, w.ALICE, "Asked.")


def test_a_group_that_is_still_pausing_is_asked_for_once_it_is_paused(sandbox: Sandbox) -> None:
    running = "1a2b3c4d-0000-4000-8000-000000000002"
    sandbox.world.stop(running)
    # However long the bot takes to look.
    group = sandbox.world.groups[running]
    group.turns, group.turns_once_shown = [], (timedelta(seconds=2), oms_state.PAUSED)
    sandbox.people.type(w.ALICE, f"{running} {NIGHTLY_IMAGES} project=media after the &amp; outage")
    told = wait_for_reply(sandbox, w.ALICE, "as soon as it is paused")
    assert "Asked." in told, "the other group did not wait"
    sandbox.wait_until(lambda: len(sandbox.workspace.of(w.MIGRATIONS)) == 2, 40, "the second card")
    card = sandbox.workspace.of(w.MIGRATIONS)[1]
    assert running in card.text
    assert "after the &amp; outage" in full_text(card)
