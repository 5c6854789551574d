"""Clicks that cannot be right change nothing; clicks that land twice count once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from copy import copy

from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import ask, audit, buttons, is_accepted, is_told, opened_by, says, starts, the_card


def at_once(*doing: Callable[[], object]) -> None:
    """Runs them at the same moment, each in a thread of its own."""
    barrier = threading.Barrier(len(doing))

    def run(one: Callable[[], object]) -> None:
        barrier.wait()
        one()

    threads = [threading.Thread(target=run, args=(one,)) for one in doing]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_same_click_delivered_twice_is_one_vote_and_one_put(town: Town) -> None:
    card = ask(town)
    trigger = town.workspace.new_trigger(w.CAROL)
    at_once(*[lambda: town.people.press(w.CAROL, card, "approve", trigger_id=trigger)] * 2)
    is_accepted(town, card)
    assert len(starts(town)) == 1


def test_two_approvers_at_once_are_one_put_and_both_are_told_the_truth(town: Town) -> None:
    card = ask(town)
    at_once(
        lambda: town.people.press(w.CAROL, card, "approve"),
        lambda: town.people.press(w.DAVE, card, "approve"),
    )
    is_accepted(town, card)
    town.wait_until(
        lambda: any("decided already" in text for one in (w.CAROL, w.DAVE) for text in town.workspace.told(one))
    )
    assert len(starts(town)) == 1


def test_the_same_click_in_two_processes_on_postgresql_counts_once_and_sends_one_put(
    new_town: Callable[..., Town], postgres: object
) -> None:
    from bot.sandbox.ports import free_port
    from tests.support.postgres import Postgres

    assert isinstance(postgres, Postgres)
    town = new_town(database_url=postgres.new_database())
    town.start_bot()
    town.start_bot(ops_port=free_port())
    town.wait_until(lambda: town.slack.connections == 2, what="two connections")
    card = ask(town)
    # The stand-in hands each to the other process than the one before.
    seen = copy(card)
    bobs, carols = town.workspace.new_trigger(w.BOB), town.workspace.new_trigger(w.CAROL)
    at_once(*[lambda: town.people.press(w.BOB, seen, "approve", trigger_id=bobs)] * 2)
    is_told(town, w.BOB, "not among those who decide")
    at_once(*[lambda: town.people.press(w.CAROL, seen, "approve", trigger_id=carols)] * 2)
    says(town, card, "Resumed, moving")
    # Another click of each, and what is heard of it comes after whatever the first ones made.
    town.people.press(w.CAROL, seen, "approve")
    town.people.press(w.BOB, seen, "approve")
    is_told(town, w.CAROL, "decided already")
    is_told(town, w.BOB, "decided already")
    assert len(starts(town)) == 1
    assert len(town.workspace.of(w.MIGRATIONS)) == 1
    rows = [(row["event"], row["actor"]) for row in audit(town, "approve", "refused")]
    assert sorted(rows) == sorted([("approve", w.CAROL), ("refused", w.CAROL)] + [("refused", w.BOB)] * 2)
    for person, most in ((w.CAROL, 1), (w.BOB, 2)):
        # Slack adds words of its own where an ack comes late.
        assert len([text for text in town.workspace.told(person) if not text.startswith("Slack: ")]) == most


def test_a_button_of_a_copy_marks_the_copy_and_changes_nothing(town: Town) -> None:
    card = ask(town)
    copy = town.workspace.add_message(w.MIGRATIONS, w.BOT_USER_ID, card.text, card.blocks, None)
    town.people.press(w.CAROL, copy, "approve")
    is_told(town, w.CAROL, "a copy of the card")
    says(town, copy, "A copy of the card")
    assert buttons(copy) == []
    assert buttons(card) == ["approve", "deny", "cancel"]
    assert not starts(town)


def test_a_forged_value_names_no_request(town: Town) -> None:
    card = ask(town)
    for value in ("R-00000000", "../../x", "", "R-" + "A" * 5000):
        forged = [{"type": "button", "action_id": "approve", "block_id": "decide", "value": value}]
        town.people.press(w.CAROL, card, "approve", actions=forged)
    is_told(town, w.CAROL, "no such request")
    assert not starts(town)


def test_a_payload_of_another_team_or_app_changes_nothing(town: Town) -> None:
    card = ask(town)
    town.people.press(w.CAROL, card, "approve", team={"id": "T0ELSEWHER"})
    is_told(town, w.CAROL, "does not come from the workspace")
    town.people.press(w.CAROL, card, "approve", api_app_id="A0ELSEWHER")
    town.people.type(w.BOB, "help", team_id="T0ELSEWHER")
    is_told(town, w.BOB, "does not come from the workspace")
    assert buttons(card) == ["approve", "deny", "cancel"]
    assert not starts(town)


def test_what_is_refused_as_not_ours_is_in_the_audit(town: Town) -> None:
    card = ask(town)
    form = opened_by(town, w.DAVE, lambda: town.people.press(w.DAVE, card, "deny"))
    town.workspace.views[form].view["private_metadata"] = "R-00000000"
    town.people.submit(w.DAVE, form, {"reason": "no"})
    town.people.press(w.CAROL, card, "approve", api_app_id="A0ELSEWHER")
    town.people.type(w.BOB, "help", team_id="T0ELSEWHER")
    town.people.type(w.BOB, NIGHTLY_IMAGES, team_id="T0ELSEWHER")
    refused = {(w.DAVE, w.TEAM_ID, w.APP_ID), (w.CAROL, w.TEAM_ID, "A0ELSEWHER"), (w.BOB, "T0ELSEWHER", w.APP_ID)}

    def told() -> set[tuple[str, str, str]]:
        rows = audit(town, "refused")
        return {(row["actor"], row["detail"]["team"], row["detail"]["app"]) for row in rows}

    town.wait_until(lambda: told() == refused, what="what was refused in the audit")


def test_an_answer_address_that_is_not_slacks_is_never_called(town: Town) -> None:
    card = ask(town)
    town.people.press(w.BOB, card, "approve", response_url=f"{town.oms.server.url}/steal")
    town.people.press(w.BOB, card, "approve")
    is_told(town, w.BOB, "not among those who decide")
    assert not any("steal" in call.path for call in town.journal.since())


def test_ten_thousand_characters_get_one_sentence(town: Town) -> None:
    town.people.type(w.ALICE, "x" * 10_000)
    is_told(town, w.ALICE, "10,000 characters")
    assert town.workspace.of(w.MIGRATIONS) == []


def test_a_press_that_comes_before_the_bot_knows_where_its_card_is_counts_all_the_same(town: Town) -> None:
    database = sqlite3.connect(town.directory / "bot.sqlite", isolation_level=None)
    town.people.type(w.ALICE, NIGHTLY_IMAGES)
    card = the_card(town)
    is_told(town, w.ALICE, "Asked.")
    [(ts,)] = database.execute("SELECT ts FROM cards").fetchall()
    database.execute("UPDATE cards SET ts = NULL")
    town.people.press(w.CAROL, card, "approve")
    town.wait_until(
        lambda: database.execute("SELECT claimed_by FROM inbox WHERE kind = 'approve'").fetchall() == [(None,)],
        what="the press to be put off",
    )
    database.execute("UPDATE cards SET ts = ?", (ts,))
    database.close()
    is_accepted(town, card)
