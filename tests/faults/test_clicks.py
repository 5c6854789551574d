"""Redelivered and simultaneous clicks count once. Forged payloads change nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from copy import copy

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.slack.ids import ALICE, APP_ID, BOB, BOT_USER_ID, CAROL, DAVE, MIGRATIONS, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.ui.replies import FOREIGN_PAYLOAD
from tests.support.sandbox import (
    CREATED,
    audit_rows,
    button_ids,
    create_request,
    open_view,
    put_calls,
    run_concurrently,
    wait_for_accepted,
    wait_for_card,
    wait_for_reply,
    wait_for_text,
)


def test_a_redelivered_click_counts_once_and_sends_one_put(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    trigger = sandbox.workspace.new_trigger(CAROL)
    run_concurrently(*[lambda: sandbox.people.press(CAROL, card, "approve", trigger_id=trigger)] * 2)
    wait_for_accepted(sandbox, card)
    assert len(put_calls(sandbox)) == 1


def test_two_simultaneous_approvals_send_one_put_and_the_later_is_told(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    run_concurrently(
        lambda: sandbox.people.press(CAROL, card, "approve"),
        lambda: sandbox.people.press(DAVE, card, "approve"),
    )
    wait_for_accepted(sandbox, card)
    sandbox.wait_until(
        lambda: any("already decided" in text for one in (CAROL, DAVE) for text in sandbox.workspace.private_texts(one))
    )
    assert len(put_calls(sandbox)) == 1


def test_a_click_redelivered_to_another_replica_counts_once_and_sends_one_put(
    new_sandbox: Callable[..., Sandbox], postgres: object
) -> None:
    from bot.sandbox.ports import free_port
    from tests.support.postgres import Postgres

    assert isinstance(postgres, Postgres)
    sandbox = new_sandbox(database_url=postgres.new_database())
    sandbox.start_bot()
    sandbox.start_bot(ops_port=free_port())
    sandbox.wait_until(lambda: sandbox.slack.connections == 2, what="two connections")
    card = create_request(sandbox)
    # The Slack stand-in delivers payloads to the replicas in turn.
    seen = copy(card)
    bobs, carols = sandbox.workspace.new_trigger(BOB), sandbox.workspace.new_trigger(CAROL)
    run_concurrently(*[lambda: sandbox.people.press(BOB, seen, "approve", trigger_id=bobs)] * 2)
    wait_for_reply(sandbox, BOB, "You can't approve or deny this; ")
    run_concurrently(*[lambda: sandbox.people.press(CAROL, seen, "approve", trigger_id=carols)] * 2)
    wait_for_text(sandbox, card, "Resumed, moving")
    # One more click of each: its reply comes after every reply to the clicks before.
    sandbox.people.press(CAROL, seen, "approve")
    sandbox.people.press(BOB, seen, "approve")
    wait_for_reply(sandbox, CAROL, "already decided")
    wait_for_reply(sandbox, BOB, "already decided")
    assert len(put_calls(sandbox)) == 1
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1
    rows = [(row["event"], row["actor"]) for row in audit_rows(sandbox, "vote.added", "action.refused")]
    assert sorted(rows) == sorted([("vote.added", CAROL), ("action.refused", CAROL)] + [("action.refused", BOB)] * 2)
    for person, replies in ((CAROL, 2), (BOB, 2)):
        # Slack adds a message of its own when an ack is late.
        assert (
            len([text for text in sandbox.workspace.private_texts(person) if not text.startswith("Slack: ")]) == replies
        )


def test_a_click_on_a_duplicate_card_marks_the_duplicate_and_changes_nothing(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    copy = sandbox.workspace.add_message(MIGRATIONS, BOT_USER_ID, card.text, card.blocks, None)
    sandbox.people.press(CAROL, copy, "approve")
    wait_for_reply(sandbox, CAROL, "a copy of the card")
    wait_for_text(sandbox, copy, "a copy of the card")
    assert button_ids(copy) == []
    assert button_ids(card) == ["approve", "deny", "cancel"]
    assert not put_calls(sandbox)


def test_a_forged_button_value_is_refused(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    for value in ("R-00000000", "../../x", "", "R-" + "A" * 5000):
        forged = [{"type": "button", "action_id": "approve", "block_id": "decide", "value": value}]
        sandbox.people.press(CAROL, card, "approve", actions=forged)
    wait_for_reply(sandbox, CAROL, "No such request")
    assert not put_calls(sandbox)


def test_a_payload_of_another_team_or_app_changes_nothing(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve", team={"id": "T0ELSEWHER"})
    wait_for_reply(sandbox, CAROL, FOREIGN_PAYLOAD)
    sandbox.people.press(CAROL, card, "approve", api_app_id="A0ELSEWHER")
    sandbox.people.type(BOB, "help", team_id="T0ELSEWHER")
    wait_for_reply(sandbox, BOB, FOREIGN_PAYLOAD)
    assert button_ids(card) == ["approve", "deny", "cancel"]
    assert not put_calls(sandbox)


def test_refused_foreign_payloads_are_in_the_audit(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    form = open_view(sandbox, DAVE, lambda: sandbox.people.press(DAVE, card, "deny"))
    sandbox.workspace.views[form].view["private_metadata"] = "R-00000000"
    sandbox.people.submit(DAVE, form, {"reason": "no"})
    sandbox.people.press(CAROL, card, "approve", api_app_id="A0ELSEWHER")
    sandbox.people.type(BOB, "help", team_id="T0ELSEWHER")
    sandbox.people.type(BOB, NIGHTLY_IMAGES, team_id="T0ELSEWHER")
    refused = {(DAVE, TEAM_ID, APP_ID), (CAROL, TEAM_ID, "A0ELSEWHER"), (BOB, "T0ELSEWHER", APP_ID)}

    def refusals_in_audit() -> set[tuple[str, str, str]]:
        rows = audit_rows(sandbox, "action.refused")
        return {(row["actor"], row["detail"]["team"], row["detail"]["app"]) for row in rows}

    sandbox.wait_until(lambda: refusals_in_audit() == refused, what="the refusals in the audit")


def test_a_response_url_outside_slack_is_never_called(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.press(BOB, card, "approve", response_url=f"{sandbox.oms.server.url}/steal")
    sandbox.people.press(BOB, card, "approve")
    wait_for_reply(sandbox, BOB, "You can't approve or deny this; ")
    assert not any("steal" in call.path for call in sandbox.call_log.since())


def test_a_command_of_ten_thousand_characters_is_refused(sandbox: Sandbox) -> None:
    sandbox.people.type(ALICE, "x" * 10_000)
    wait_for_reply(sandbox, ALICE, "10,000 characters")
    assert sandbox.workspace.messages_in(MIGRATIONS) == []


def test_a_click_counts_even_if_the_bot_does_not_know_its_card_yet(sandbox: Sandbox) -> None:
    database = sqlite3.connect(sandbox.directory / "bot.sqlite", isolation_level=None)
    sandbox.people.type(ALICE, NIGHTLY_IMAGES)
    card = wait_for_card(sandbox)
    wait_for_reply(sandbox, ALICE, CREATED)
    [(ts,)] = database.execute("SELECT ts FROM cards").fetchall()
    database.execute("UPDATE cards SET ts = NULL")
    sandbox.people.press(CAROL, card, "approve")
    sandbox.wait_until(
        lambda: database.execute("SELECT claimed_by FROM inbox WHERE kind = 'approve'").fetchall() == [(None,)],
        what="the click to be rescheduled",
    )
    database.execute("UPDATE cards SET ts = ?", (ts,))
    database.close()
    wait_for_accepted(sandbox, card)
