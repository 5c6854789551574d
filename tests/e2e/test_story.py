"""The life of a request with the real bot as a process: requested, approved or not, resumed, followed to the end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES, VIDEO_MASTERS, WEB_ASSETS
from bot.sandbox.huawei.faults import Hold
from bot.sandbox.huawei.group import MONITORING, PAUSED
from bot.sandbox.slack.ids import ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GENERAL, GRACE, MIGRATIONS
from bot.sandbox.system import Sandbox
from tests.support.leaks import TOKENS, find_leaks
from tests.support.sandbox import (
    CREATED,
    button_ids,
    create_request,
    deny,
    everything_shown,
    everything_stored,
    exported_audit,
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


@pytest.mark.parametrize("two_identities", [False, True], ids=["one-identity", "two-identities"])
def test_a_paused_group_is_resumed_after_one_approval_and_followed_to_its_end(
    new_sandbox: Callable[..., Sandbox], database_url: str, two_identities: bool
) -> None:
    sandbox = new_sandbox(database_url=database_url, two_identities=two_identities)
    group = sandbox.oms.state.groups[NIGHTLY_IMAGES]
    # Long enough for the card to show that the call was accepted.
    group.bytes_per_second, group.status_lag = 6_000_000_000, timedelta(seconds=4)
    logins = {name: value for name, value in sandbox.environment().items() if name.endswith("SECRET_ID")}
    sandbox.extra_environment = logins
    sandbox.start_bot()

    card = create_request(sandbox)
    assert button_ids(card) == ["approve", "deny", "cancel"]
    assert NIGHTLY_IMAGES in full_text(card)
    link = wait_for_reply(sandbox, ALICE, CREATED)
    assert card.ts.replace(".", "") in link
    assert not key_reads(sandbox)

    sandbox.people.press(CAROL, card, "approve")
    wait_for_update(sandbox, "Accepted by OMS, nothing has moved yet")
    wait_for_text(sandbox, card, '"nightly images" is done')
    wait_for_thread_line(sandbox, card, "Approved by")
    wait_for_thread_line(sandbox, card, '"nightly images" is done')
    assert button_ids(card) == []
    assert len(put_calls(sandbox)) == 1
    assert [call.path.rsplit("/", 1)[1] for call in key_reads(sandbox)] == ["source", "destination"]
    assert any(call.path.endswith("revoke-self") for call in sandbox.call_log.since())
    metrics = requests.get(f"http://127.0.0.1:{sandbox.ops_port}/metrics", timeout=5).text
    assert sandbox.stop_bot() == 0

    exported = exported_audit(sandbox)
    places = everything_stored(sandbox) | {"Slack": everything_shown(sandbox), "audit": exported}
    assert all(NIGHTLY_IMAGES in places[place] for place in ("rows", "Slack", "audit")), "each was read in full"
    assert find_leaks(places | {"metrics": metrics}, tokens=(*TOKENS, *logins.values())) == []
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
    assert "Intact:" in verified.stdout


def test_a_denial_closes_the_card_and_its_reason_reaches_the_requester(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    deny(sandbox, DAVE, card, "wait for <!channel> *legal*")
    wait_for_text(sandbox, card, 'Denied: "nightly images"')
    assert button_ids(card) == []
    reply = wait_for_reply(sandbox, ALICE, "denied R-")
    assert card.ts.replace(".", "") in reply
    assert "<!channel>" not in reply
    assert "<!channel>" not in mrkdwn_text(card)
    assert "wait for <!channel> *legal*" in full_text(card)
    assert not put_calls(sandbox)
    assert not key_reads(sandbox)


def test_the_requester_can_cancel(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.press(ALICE, card, "cancel")
    wait_for_text(sandbox, card, 'Canceled: "nightly images"')
    assert not put_calls(sandbox)


def test_people_who_may_not_approve_are_told_why_and_nothing_changes(sandbox: Sandbox) -> None:
    card = create_request(sandbox, person=CAROL)
    for person, why in (
        (BOB, "You can't approve or deny this; "),
        (CAROL, "You can't approve or deny your own request; "),
        (ERIN, "Guests can't use this app."),
        (GRACE, "other organizations"),
        (FRANK, "Deactivated accounts can't use this app."),
    ):
        sandbox.people.press(person, card, "approve")
        wait_for_reply(sandbox, person, why)
    assert button_ids(card) == ["approve", "deny", "cancel"]
    assert not put_calls(sandbox)


def test_a_second_request_for_the_same_group_links_to_the_first(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.type(BOB, f"{NIGHTLY_IMAGES} me too")
    reply = wait_for_reply(sandbox, BOB, "already requested")
    assert card.ts.replace(".", "") in reply
    assert sandbox.workspace.messages_in(MIGRATIONS) == [card]


def test_only_the_person_who_typed_is_told_that_a_group_cannot_be_resumed(sandbox: Sandbox) -> None:
    for group_id, words in ((VIDEO_MASTERS, "already running"), (WEB_ASSETS, "is done")):
        sandbox.people.type(BOB, group_id)
        wait_for_reply(sandbox, BOB, words)
    sandbox.people.type(BOB, "1a2b3c4d-0000-4000-8000-00000000ffff")
    wait_for_reply(sandbox, BOB, "No group")
    sandbox.people.type(BOB, "../../etc/passwd now")
    wait_for_reply(sandbox, BOB, "isn't a task group id")
    sandbox.people.type(ERIN, NIGHTLY_IMAGES)
    wait_for_reply(sandbox, ERIN, "Guests can't use this app.")
    assert sandbox.workspace.messages_in(MIGRATIONS) == []


def test_mentions_and_formatting_in_a_reason_have_no_effect(sandbox: Sandbox) -> None:
    card = create_request(sandbox, text=f"{NIGHTLY_IMAGES} &lt;!channel&gt; *look* <@{BOB}>")
    assert "<!channel>" not in mrkdwn_text(card)
    assert f"<!channel> *look* <@{BOB}>" in full_text(card)


def test_the_command_works_in_a_channel_without_the_bot(sandbox: Sandbox) -> None:
    sandbox.people.type(ALICE, NIGHTLY_IMAGES, channel=GENERAL)
    wait_for_card(sandbox)
    wait_for_reply(sandbox, ALICE, CREATED)


def test_a_request_for_a_pausing_group_is_made_once_it_is_paused(sandbox: Sandbox) -> None:
    sandbox.oms.state.stop(VIDEO_MASTERS)
    # The group is paused 2 s after the bot first looks at it, however long that takes.
    group = sandbox.oms.state.groups[VIDEO_MASTERS]
    group.pending_changes, group.change_once_shown = [], (timedelta(seconds=2), PAUSED)
    sandbox.people.type(ALICE, f"{VIDEO_MASTERS} {NIGHTLY_IMAGES} project=media after the &amp; outage")
    reply = wait_for_reply(sandbox, ALICE, "when the group is paused")
    assert CREATED in reply, "the request for the other group did not wait"
    sandbox.wait_until(lambda: len(sandbox.workspace.messages_in(MIGRATIONS)) == 2, 40, "the second card")
    card = sandbox.workspace.messages_in(MIGRATIONS)[1]
    assert VIDEO_MASTERS in card.text
    assert "after the &amp; outage" in full_text(card)


@pytest.mark.parametrize(
    ("text", "looking_up"),
    [
        (f"{NIGHTLY_IMAGES} network is back", "Looking up group 00878453…"),
        (f"status {NIGHTLY_IMAGES}", "Looking up group 00878453…"),
    ],
)
def test_a_person_sees_that_a_command_is_looked_at_while_oms_hangs_and_then_its_answer(
    sandbox: Sandbox, text: str, looking_up: str
) -> None:
    hold = Hold()
    sandbox.oms.faults.add("show", hold)
    sandbox.people.type(BOB, "help")  # the first payload takes longer than any other
    before = len(sandbox.workspace.private_texts(BOB))
    typed_at = time.monotonic()
    trigger = sandbox.workspace.new_trigger(BOB)
    assert sandbox.people.type(BOB, text, trigger_id=trigger).failure is None
    assert sandbox.workspace.private_texts(BOB)[before:] == [looking_up]
    assert time.monotonic() - typed_at < 0.5
    assert hold.reached.wait(10)
    hold.released.set()
    sandbox.wait_until(lambda: len(sandbox.workspace.private_texts(BOB)) == before + 2, what="the answer")
    assert NIGHTLY_IMAGES in sandbox.workspace.private_texts(BOB)[-1]
    sandbox.people.type(BOB, text, trigger_id=trigger)
    assert len(sandbox.workspace.private_texts(BOB)) == before + 2, "a redelivery after the answer shows nothing"


def test_a_running_group_without_a_request_is_paused_from_its_status(sandbox: Sandbox) -> None:
    group = sandbox.oms.state.groups[NIGHTLY_IMAGES]
    group.status, group.moved_at, group.bytes_per_second = MONITORING, sandbox.oms.state.now(), 1_000_000
    sandbox.people.type(BOB, f"status {NIGHTLY_IMAGES}")
    wait_for_reply(sandbox, BOB, "in project media is running.")
    [status] = [one for one in sandbox.workspace.ephemerals if "in project media is running." in one.text]
    assert sandbox.people.press(BOB, status, "pause").failure is None
    wait_for_reply(sandbox, BOB, "You paused")
    sandbox.wait_until(lambda: bool(sandbox.workspace.messages_in(MIGRATIONS)), what="the message to the channel")
    [message] = sandbox.workspace.messages_in(MIGRATIONS)
    assert f"was paused by <@{BOB}>" in message.text
    assert button_ids(message) == ["request"]
    assert [call.path.rsplit("/", 1)[1] for call in put_calls(sandbox)] == ["stop"]
