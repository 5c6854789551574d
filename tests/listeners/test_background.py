"""A form opens beside the ack, however slow Slack and the database are, and says what became of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from tests.support.sandbox import create_request, view_text, wait_for_reply, wait_for_view


def test_a_form_is_acknowledged_in_time_while_slack_is_slow_and_the_database_is_locked(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.slack.delay_seconds = 1.1
    with closing(sqlite3.connect(sandbox.directory / "bot.sqlite", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        # The first that opens waits longest: for Slack, for the database, and for Slack again.
        for person, ack in (
            (w.ALICE, sandbox.people.type(w.ALICE, "")),
            (w.CAROL, sandbox.people.press(w.CAROL, card, "deny")),
        ):
            assert ack.failure is None
            assert "could not write it down" in view_text(sandbox, wait_for_view(sandbox, person))


def test_whoever_gets_no_form_is_told_so(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.slack.outage.answers["views.open"] = [500, 500]
    sandbox.people.type(w.BOB, "")
    sandbox.people.press(w.CAROL, card, "deny")
    for person in (w.BOB, w.CAROL):
        wait_for_reply(sandbox, person, "Slack did not open the form.")
