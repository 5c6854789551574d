"""A form opens beside the ack, however slow Slack and the database are, and says what became of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import ask, filled_view, is_told, said_in


def test_a_form_is_acknowledged_in_time_while_slack_is_slow_and_the_database_is_locked(town: Town) -> None:
    card = ask(town)
    town.slack.delay_seconds = 1.1
    with closing(sqlite3.connect(town.directory / "bot.sqlite", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        # The first that opens waits longest: for Slack, for the database, and for Slack again.
        for person, ack in (
            (w.ALICE, town.people.type(w.ALICE, "")),
            (w.CAROL, town.people.press(w.CAROL, card, "deny")),
        ):
            assert ack.failure is None
            assert "could not write it down" in said_in(town, filled_view(town, person))


def test_whoever_gets_no_form_is_told_so(town: Town) -> None:
    card = ask(town)
    town.slack.outage.answers["views.open"] = [500, 500]
    town.people.type(w.BOB, "")
    town.people.press(w.CAROL, card, "deny")
    for person in (w.BOB, w.CAROL):
        is_told(town, person, "Slack did not open the form.")
