"""The database stands still: people are told in time, and what they were told holds once it goes on."""

from __future__ import annotations

from collections.abc import Callable

from bot.sandbox.slack import world as w
from bot.sandbox.slack.server import Ack
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from tests.faults.test_clicks import at_once
from tests.support.postgres import Postgres
from tests.support.story import ask, audit, buttons, is_accepted, is_told, starts


def acks_while_it_stands_still(town: Town, card: Posted, postgres: Postgres) -> list[Ack]:
    acks: list[Ack] = []
    postgres.freeze()
    try:
        at_once(
            lambda: acks.append(town.people.press(w.CAROL, card, "approve")),
            lambda: acks.append(town.people.press(w.DAVE, card, "approve")),
            lambda: acks.append(town.people.type(w.ALICE, "list")),
        )
        for person in (w.CAROL, w.DAVE):
            is_told(town, person, "Not taken, please press it again.")
    finally:
        postgres.thaw()
    return acks


def test_clicks_while_the_database_stands_still_are_not_taken_and_never_count(
    new_town: Callable[..., Town], postgres: Postgres
) -> None:
    town = new_town(database_url=postgres.new_database())
    town.start_bot()
    card = ask(town)
    # So that connections are open to the database that is going to stand still.
    at_once(*[lambda: town.people.type(w.ALICE, "status R-00000000")] * 8)
    town.wait_until(lambda: sum("no such request" in text for text in town.workspace.told(w.ALICE)) == 8)
    # The bot gives up after 2 s, and Slack after 3: a machine that is held up in between may go again.
    goes = (acks_while_it_stands_still(town, card, postgres) for _ in range(3))
    acks = next(acks for acks in goes if not any(ack.failure for ack in acks))
    assert [ack.payload["text"] for ack in acks if isinstance(ack.payload, dict)] == [
        "Not taken, please type it again. The bot could not write it down."
    ]
    town.wait_until(lambda: bool(audit(town, "not taken")), what="what came late written off")
    assert buttons(card) == ["approve", "deny", "cancel"]
    assert audit(town, "approve", "attempt opened") == []
    town.people.press(w.CAROL, card, "approve")
    is_accepted(town, card)
    assert len(starts(town)) == 1
    assert [row["actor"] for row in audit(town, "approve")] == [w.CAROL]
