"""The whole story, with the real bot as a process, on both databases: asked, approved, resumed, followed to the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from bot.sandbox import oms_world
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import (
    all_kept,
    all_seen,
    ask,
    buttons,
    deny,
    has_said,
    is_told,
    key_reads,
    obeyed,
    says,
    starts,
    the_card,
    thread_says,
    whole,
)

SECRETS = (
    w.BOT_TOKEN,
    w.APP_TOKEN,
    oms_world.ACCESS_KEY,
    oms_world.SECRET_KEY,
    oms_world.SOURCE_AK,
    oms_world.SOURCE_SK,
    oms_world.DESTINATION_AK,
    oms_world.DESTINATION_SK,
)


@pytest.mark.parametrize("two_identities", [False, True], ids=["one-identity", "two-identities"])
def test_a_paused_group_is_resumed_after_one_approval_and_followed_to_its_end(
    new_town: Callable[..., Town], database_url: str, two_identities: bool
) -> None:
    town = new_town(database_url=database_url, two_identities=two_identities)
    group = town.world.groups[NIGHTLY_IMAGES]
    # Accepted for longer than it takes to say so.
    group.bytes_per_second, group.status_lag = 6_000_000_000, timedelta(seconds=4)
    logins = {name: value for name, value in town.environment().items() if name.endswith("SECRET_ID")}
    town.more_environment = logins
    town.start_bot()

    card = ask(town)
    assert buttons(card) == ["approve", "deny", "cancel"]
    assert NIGHTLY_IMAGES in whole(card)
    link = is_told(town, w.ALICE, "Asked.")
    assert card.ts.replace(".", "") in link
    assert not key_reads(town)

    town.people.press(w.CAROL, card, "approve")
    has_said(town, "Accepted by OMS, nothing has moved yet")
    says(town, card, "Done: nightly images")
    thread_says(town, card, "Approved by")
    thread_says(town, card, "Done: nightly images")
    assert buttons(card) == []
    assert len(starts(town)) == 1
    assert [call.path.rsplit("/", 1)[1] for call in key_reads(town)] == ["source", "destination"]
    assert any(call.path.endswith("revoke-self") for call in town.journal.since())
    metrics = requests.get(f"http://127.0.0.1:{town.ops_port}/metrics", timeout=5).text
    assert town.stop_bot() == 0

    exported = subprocess.run(
        [sys.executable, "-m", "bot", "audit", "export"],
        env=town.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for where, text in {
        "metrics": metrics,
        "Slack": all_seen(town),
        "the database and the log": all_kept(town),
        "the audit": exported,
    }.items():
        assert NIGHTLY_IMAGES in text or where == "metrics", f"{where} is the right one"
        assert not [secret for secret in (*SECRETS, *logins.values()) if secret in text], where
    events = [json.loads(line)["event"] for line in exported.splitlines()]
    assert [
        event for event in events if event in ("asked", "approve", "vault opened", "sending", "accepted", "done")
    ] == [
        "asked",
        "approve",
        "vault opened",
        "sending",
        "accepted",
        "done",
    ]
    verified = subprocess.run(
        [sys.executable, "-m", "bot", "audit", "verify"],
        env=town.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
    assert "Whole:" in verified.stdout


def test_a_denial_closes_the_card_and_its_reason_reaches_the_requester(town: Town) -> None:
    card = ask(town)
    deny(town, w.DAVE, card, "wait for <!channel> *legal*")
    says(town, card, "Denied: nightly images")
    assert buttons(card) == []
    told = is_told(town, w.ALICE, "denied by")
    assert card.ts.replace(".", "") in told
    assert "<!channel>" not in told
    assert "<!channel>" not in obeyed(card)
    assert "wait for <!channel> *legal*" in whole(card)
    assert not starts(town)
    assert not key_reads(town)


def test_the_requester_cancels(town: Town) -> None:
    card = ask(town)
    town.people.press(w.ALICE, card, "cancel")
    says(town, card, "Cancelled: nightly images")
    assert not starts(town)


def test_who_may_not_approve_is_told_why_and_nothing_changes(town: Town) -> None:
    card = ask(town, person=w.CAROL)
    for person, why in (
        (w.BOB, "not among those who decide"),
        (w.CAROL, "somebody else must decide"),
        (w.ERIN, "Guests cannot"),
        (w.GRACE, "another organisation"),
        (w.FRANK, "deactivated"),
    ):
        town.people.press(person, card, "approve")
        is_told(town, person, why)
    assert buttons(card) == ["approve", "deny", "cancel"]
    assert not starts(town)


def test_a_second_request_for_the_same_group_is_shown_the_first(town: Town) -> None:
    card = ask(town)
    town.people.type(w.BOB, f"{NIGHTLY_IMAGES} me too")
    told = is_told(town, w.BOB, "already asked")
    assert card.ts.replace(".", "") in told
    assert town.workspace.of(w.MIGRATIONS) == [card]


def test_what_cannot_be_resumed_is_told_only_to_whoever_typed(town: Town) -> None:
    for number, words in ((2, "running already"), (3, "complete")):
        town.people.type(w.BOB, f"1a2b3c4d-0000-4000-8000-{number:012d}")
        is_told(town, w.BOB, words)
    town.people.type(w.BOB, "1a2b3c4d-0000-4000-8000-00000000ffff")
    is_told(town, w.BOB, "No task group")
    town.people.type(w.BOB, "../../etc/passwd now")
    is_told(town, w.BOB, "is not a task group id")
    town.people.type(w.ERIN, NIGHTLY_IMAGES)
    is_told(town, w.ERIN, "not among those who may ask")
    assert town.workspace.of(w.MIGRATIONS) == []


def test_a_reason_is_shown_and_never_obeyed(town: Town) -> None:
    card = ask(town, text=f"{NIGHTLY_IMAGES} &lt;!channel&gt; *look* <@{w.BOB}>")
    assert "<!channel>" not in obeyed(card)
    assert f"<!channel> *look* <@{w.BOB}>" in whole(card)


def test_the_command_works_in_a_channel_where_the_bot_is_not(town: Town) -> None:
    town.people.type(w.ALICE, NIGHTLY_IMAGES, channel=w.GENERAL)
    the_card(town)
    is_told(town, w.ALICE, "Asked.")


def test_a_group_that_is_still_pausing_is_asked_for_once_it_is_paused(town: Town) -> None:
    running = "1a2b3c4d-0000-4000-8000-000000000002"
    town.world.stop(running)
    # However long the bot takes to look.
    group = town.world.groups[running]
    group.turns, group.turns_once_shown = [], (timedelta(seconds=2), oms_world.PAUSED)
    town.people.type(w.ALICE, f"{running} {NIGHTLY_IMAGES} project=media after the &amp; outage")
    told = is_told(town, w.ALICE, "as soon as it is paused")
    assert "Asked." in told, "the other group did not wait"
    town.wait_until(lambda: len(town.workspace.of(w.MIGRATIONS)) == 2, 40, "the second card")
    card = town.workspace.of(w.MIGRATIONS)[1]
    assert running in card.text
    assert "after the &amp; outage" in whole(card)
