"""kill -9 at the worst moments, then a restart: nothing acknowledged is lost, and no second PUT is sent."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from bot.sandbox.oms_server import Hold
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import (
    ask,
    audit,
    buttons,
    is_accepted,
    is_told,
    says,
    starts,
    the_card,
    thread_of,
    thread_says,
)


def test_killed_right_after_the_ack_the_request_is_asked_all_the_same(town: Town) -> None:
    # Slack is asked who she is, and does not answer before the end.
    town.slack.delay_seconds = 20
    ack = town.people.type(w.ALICE, f"{NIGHTLY_IMAGES} network is back")
    assert ack.failure is None
    town.kill_bot()
    assert town.workspace.of(w.MIGRATIONS) == []
    town.slack.delay_seconds = 0
    town.start_bot()
    the_card(town)
    is_told(town, w.ALICE, "Asked.")


def test_killed_while_the_put_is_under_way_the_group_tells_and_no_second_put_is_sent(
    new_town: Callable[..., Town], database_url: str
) -> None:
    town = new_town(database_url=database_url)
    town.start_bot()
    card = ask(town)
    hold = Hold(threading.Event(), threading.Event())
    town.oms.fault("start", hold)
    town.people.press(w.CAROL, card, "approve")
    assert hold.reached.wait(10)
    town.kill_bot()
    hold.released.set()
    town.start_bot()
    # On PostgreSQL the dead one's claim runs out first: 20 s.
    says(town, card, "Resumed, moving", 45)
    assert len(starts(town)) == 1


def test_killed_between_the_answer_and_its_commit_no_second_put_is_sent(town: Town) -> None:
    card = ask(town)
    hold = Hold(threading.Event(), threading.Event())
    town.oms.fault("start", hold)
    town.people.press(w.CAROL, card, "approve")
    assert hold.reached.wait(10)
    database = sqlite3.connect(town.directory / "bot.sqlite", isolation_level=None)
    # Nobody can commit while this transaction is open: the answer arrives and cannot be written down.
    database.execute("BEGIN IMMEDIATE")
    hold.released.set()
    town.wait_until(lambda: len(starts(town)) == 1, what="the answer to the PUT")
    town.kill_bot()
    database.execute("ROLLBACK")
    states = database.execute("SELECT state FROM attempts").fetchall()
    database.close()
    assert states == [("sending",)]
    town.start_bot()
    says(town, card, "Resumed, moving")
    assert len(starts(town)) == 1


def test_killed_with_a_card_to_be_posted_it_is_posted_after_the_restart(town: Town) -> None:
    town.slack.outage.answers["chat.postMessage"] = [500] * 50
    town.people.type(w.ALICE, NIGHTLY_IMAGES)
    is_told(town, w.ALICE, "the card is not in")
    town.kill_bot()
    town.slack.outage.answers.clear()
    town.start_bot()
    card = the_card(town)
    assert buttons(card) == ["approve", "deny", "cancel"]


def test_killed_with_a_card_to_be_edited_it_is_edited_after_the_restart(town: Town) -> None:
    card = ask(town)
    town.slack.outage.answers["chat.update"] = [500] * 50
    town.people.press(w.ALICE, card, "cancel")
    town.journal.wait_for(lambda call: call.path == "chat.update" and call.status == 500)
    town.kill_bot()
    assert buttons(card) == ["approve", "deny", "cancel"]
    town.slack.outage.answers.clear()
    town.start_bot()
    says(town, card, "Cancelled")
    assert buttons(card) == ["request"]


@contextmanager
def no_click_ends(town: Town) -> Iterator[None]:
    """The end of work on a click is not written down: the bot is killed before that, and started when it can be."""
    database = sqlite3.connect(town.directory / "bot.sqlite", isolation_level=None)
    database.execute(
        "CREATE TRIGGER no_end BEFORE UPDATE OF due_at ON inbox WHEN new.due_at IS NULL AND new.kind != 'ask' "
        "BEGIN SELECT RAISE(ABORT, 'killed before that'); END"
    )
    yield
    town.wait_until(lambda: "the end of work on inbox" in town.log(), what="the end of the work")
    town.kill_bot()
    database.execute("DROP TRIGGER no_end")
    town.start_bot()
    town.wait_until(
        lambda: database.execute("SELECT count(*) FROM inbox WHERE due_at IS NOT NULL").fetchone() == (0,),
        what="the click worked on again",
    )
    database.close()


def test_killed_after_its_decision_a_retry_opens_no_second_attempt(town: Town) -> None:
    card = ask(town)
    is_told(town, w.ALICE, "Asked.")
    town.world.may_start = False
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "OMS.0072")
    town.wait_until(lambda: "retry" in buttons(card), what="Retry")
    with no_click_ends(town):
        town.people.press(w.ALICE, card, "retry")
        town.wait_until(lambda: len(audit(town, "not started")) == 2, what="the second attempt settled")
    assert [row["detail"]["number"] for row in audit(town, "attempt opened")] == [1, 2]
    assert len(starts(town)) == 2


def test_killed_after_its_decision_an_approval_is_not_told_that_it_came_too_late(town: Town) -> None:
    card = ask(town)
    is_told(town, w.ALICE, "Asked.")
    with no_click_ends(town):
        town.people.press(w.CAROL, card, "approve")
        is_accepted(town, card)
    assert town.workspace.told(w.CAROL) == []
    assert audit(town, "refused") == []
    assert len(starts(town)) == 1


def test_killed_after_its_answer_a_question_is_not_answered_again(town: Town) -> None:
    with no_click_ends(town):
        town.people.type(w.ALICE, "list")
        is_told(town, w.ALICE, "*Open requests*")
        with closing(sqlite3.connect(town.directory / "bot.sqlite")) as database:
            left = "SELECT count(*) FROM notices WHERE due_at IS NOT NULL"
            town.wait_until(lambda: database.execute(left).fetchone() == (0,), what="the answer done with")
    assert len(town.workspace.told(w.ALICE)) == 1


def test_killed_before_a_sent_answer_is_done_with_it_is_done_with_after_the_restart(town: Town) -> None:
    database = sqlite3.connect(town.directory / "bot.sqlite", isolation_level=None)
    database.execute(
        "CREATE TRIGGER no_end BEFORE UPDATE OF due_at ON notices WHEN new.due_at IS NULL "
        "BEGIN SELECT RAISE(ABORT, 'killed before that'); END"
    )
    town.people.type(w.ALICE, f"status {NIGHTLY_IMAGES}")
    is_told(town, w.ALICE, "Nobody has asked for it.")
    town.wait_until(lambda: "killed before that" in town.log(), what="the end that is not written down")
    town.kill_bot()
    [address] = database.execute("SELECT address FROM notices").fetchone()
    assert address.startswith("http"), "it is forgotten with the end, and not before"
    database.execute("DROP TRIGGER no_end")
    town.log_path.unlink()
    town.start_bot()
    town.wait_until(
        lambda: database.execute("SELECT due_at, address FROM notices").fetchall() == [(None, "")],
        what="the answer done with",
    )
    database.close()
    assert "fault" not in town.log()


def test_killed_with_lines_of_a_thread_to_be_sent_they_come_in_their_order(town: Town) -> None:
    card = ask(town)
    town.slack.outage.answers["chat.postMessage"] = [500] * 500
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "Resumed, moving")
    assert thread_of(town, card) == []
    town.kill_bot()
    town.start_bot()
    # Only now: what the dead bot sent last may be read last.
    town.slack.outage.answers.clear()
    thread_says(town, card, "Resumed, moving")
    assert [line.split(" ")[0] for line in thread_of(town, card)] == ["Approved", "Accepted", "Resumed,"]


def test_sigterm_ends_it_in_time_even_when_oms_hangs(town: Town) -> None:
    card = ask(town)
    hold = Hold(threading.Event(), threading.Event())
    town.oms.fault("start", hold)
    town.people.press(w.CAROL, card, "approve")
    assert hold.reached.wait(10)
    assert town.stop_bot() == 0
    hold.released.set()
    town.start_bot()
    says(town, card, "Resumed, moving")
    assert len(starts(town)) == 1
