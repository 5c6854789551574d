"""SIGKILL at critical moments, then a restart: nothing acknowledged is lost, and no second PUT is sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Hold
from bot.sandbox.slack.ids import ALICE, CAROL, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.ui.replies import NO_REQUEST_FOR_GROUP
from tests.support.sandbox import (
    CREATED,
    audit_rows,
    button_ids,
    create_request,
    put_calls,
    thread_lines,
    wait_for_accepted,
    wait_for_card,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)


def test_killed_after_the_ack_the_request_is_made_after_the_restart(sandbox: Sandbox) -> None:
    # The bot looks alice up first, and gets no answer before it is killed.
    sandbox.slack.delay_seconds = 20
    ack = sandbox.people.type(ALICE, f"{NIGHTLY_IMAGES} network is back")
    assert ack.failure is None
    sandbox.kill_bot()
    assert sandbox.workspace.messages_in(MIGRATIONS) == []
    sandbox.slack.delay_seconds = 0
    sandbox.start_bot()
    wait_for_card(sandbox)
    wait_for_reply(sandbox, ALICE, CREATED)


def test_killed_during_the_put_the_outcome_is_read_from_the_group_without_a_second_put(
    new_sandbox: Callable[..., Sandbox], database_url: str
) -> None:
    sandbox = new_sandbox(database_url=database_url)
    sandbox.start_bot()
    card = create_request(sandbox)
    hold = Hold()
    sandbox.oms.faults.add("start", hold)
    sandbox.people.press(CAROL, card, "approve")
    assert hold.reached.wait(10)
    sandbox.kill_bot()
    hold.released.set()
    sandbox.start_bot()
    # On PostgreSQL, the lease of the killed bot expires first, after 20 s.
    wait_for_text(sandbox, card, "Resumed, moving", 45)
    assert len(put_calls(sandbox)) == 1


def test_killed_between_the_answer_and_its_commit_no_second_put_is_sent(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    hold = Hold()
    sandbox.oms.faults.add("start", hold)
    sandbox.people.press(CAROL, card, "approve")
    assert hold.reached.wait(10)
    database = sqlite3.connect(sandbox.directory / "bot.sqlite", isolation_level=None)
    # While this transaction is open, the bot cannot commit the answer.
    database.execute("BEGIN IMMEDIATE")
    hold.released.set()
    sandbox.wait_until(lambda: len(put_calls(sandbox)) == 1, what="the answer to the PUT")
    sandbox.kill_bot()
    database.execute("ROLLBACK")
    states = database.execute("SELECT state FROM requests").fetchall()
    database.close()
    assert states == [("sending",)]
    sandbox.start_bot()
    wait_for_text(sandbox, card, "Resumed, moving")
    assert len(put_calls(sandbox)) == 1


def test_killed_before_a_card_is_posted_it_is_posted_after_the_restart(sandbox: Sandbox) -> None:
    sandbox.slack.outage.answers["chat.postMessage"] = [500] * 50
    sandbox.people.type(ALICE, NIGHTLY_IMAGES)
    wait_for_reply(sandbox, ALICE, "Its card will appear in")
    sandbox.kill_bot()
    sandbox.slack.outage.answers.clear()
    sandbox.start_bot()
    card = wait_for_card(sandbox)
    assert button_ids(card) == ["approve", "deny", "cancel"]


def test_killed_before_a_card_is_updated_it_is_updated_after_the_restart(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.slack.outage.answers["chat.update"] = [500] * 50
    sandbox.people.press(ALICE, card, "cancel")
    sandbox.call_log.wait_for(lambda call: call.path == "chat.update" and call.status == 500)
    sandbox.kill_bot()
    assert button_ids(card) == ["approve", "deny", "cancel"]
    sandbox.slack.outage.answers.clear()
    sandbox.start_bot()
    wait_for_text(sandbox, card, "Canceled")
    assert button_ids(card) == ["request"]


@contextmanager
def killed_before_click_is_finished(sandbox: Sandbox) -> Iterator[None]:
    """Kills the bot before it can mark the click as finished, and restarts it.

    A trigger in the database prevents the mark in the meantime. Returns when the click was handled again.
    """
    database = sqlite3.connect(sandbox.directory / "bot.sqlite", isolation_level=None)
    database.execute(
        "CREATE TRIGGER no_end BEFORE UPDATE OF due_at ON inbox "
        "WHEN new.due_at IS NULL AND new.kind != 'create request' "
        "BEGIN SELECT RAISE(ABORT, 'killed before that'); END"
    )
    yield
    sandbox.wait_until(lambda: "killed before that" in sandbox.log(), what="the attempt to mark the click as finished")
    sandbox.kill_bot()
    database.execute("DROP TRIGGER no_end")
    sandbox.start_bot()
    sandbox.wait_until(
        lambda: database.execute("SELECT count(*) FROM inbox WHERE due_at IS NOT NULL").fetchone() == (0,),
        what="the click handled again",
    )
    database.close()


def test_killed_after_the_decision_a_retry_starts_no_second_attempt(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    wait_for_reply(sandbox, ALICE, CREATED)
    sandbox.oms.state.may_change_groups = False
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "OMS.0072")
    sandbox.wait_until(lambda: "retry" in button_ids(card), what="Retry")
    with killed_before_click_is_finished(sandbox):
        sandbox.people.press(ALICE, card, "retry")
        sandbox.wait_until(
            lambda: len(audit_rows(sandbox, "request.not_started")) == 2, what="the second attempt settled"
        )
    assert [row["detail"]["number"] for row in audit_rows(sandbox, "attempt.opened")] == [1, 2]
    assert len(put_calls(sandbox)) == 2


def test_killed_after_the_decision_the_approver_gets_one_receipt_and_no_refusal(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    wait_for_reply(sandbox, ALICE, CREATED)
    with killed_before_click_is_finished(sandbox):
        sandbox.people.press(CAROL, card, "approve")
        wait_for_accepted(sandbox, card)
        wait_for_reply(sandbox, CAROL, "is recorded. No more are needed.")
        wait_until_notices_are_sent(sandbox)
    assert len(sandbox.workspace.private_texts(CAROL)) == 1, "one receipt and no refusal"
    assert audit_rows(sandbox, "action.refused") == []
    assert len(put_calls(sandbox)) == 1


def test_killed_after_the_reply_a_question_is_not_answered_twice(sandbox: Sandbox) -> None:
    with killed_before_click_is_finished(sandbox):
        sandbox.people.type(ALICE, "list")
        wait_for_reply(sandbox, ALICE, "*No open requests*")
        wait_until_notices_are_sent(sandbox)
    assert sum("*No open requests*" in text for text in sandbox.workspace.private_texts(ALICE)) == 1


def wait_until_notices_are_sent(sandbox: Sandbox) -> None:
    """Waits until every reply and line is marked as sent."""
    with closing(sqlite3.connect(sandbox.directory / "bot.sqlite")) as database:
        left = "SELECT count(*) FROM notices WHERE due_at IS NOT NULL"
        sandbox.wait_until(lambda: database.execute(left).fetchone() == (0,), what="every notice marked as sent")


def test_killed_before_a_reply_is_marked_as_sent_it_is_marked_after_the_restart(sandbox: Sandbox) -> None:
    database = sqlite3.connect(sandbox.directory / "bot.sqlite", isolation_level=None)
    database.execute(
        "CREATE TRIGGER no_end BEFORE UPDATE OF due_at ON notices WHEN new.due_at IS NULL "
        "BEGIN SELECT RAISE(ABORT, 'killed before that'); END"
    )
    sandbox.people.type(ALICE, f"status {NIGHTLY_IMAGES}")
    wait_for_reply(sandbox, ALICE, NO_REQUEST_FOR_GROUP)
    sandbox.wait_until(lambda: "killed before that" in sandbox.log(), what="the attempt to mark the reply as sent")
    sandbox.kill_bot()
    [address] = database.execute("SELECT address FROM notices").fetchone()
    assert address.startswith("http"), "the address is deleted together with the mark"
    database.execute("DROP TRIGGER no_end")
    sandbox.log_path.unlink()
    sandbox.start_bot()
    sandbox.wait_until(
        lambda: database.execute("SELECT due_at, address FROM notices").fetchall() == [(None, "")],
        what="the reply marked as sent",
    )
    database.close()
    assert "fault" not in sandbox.log()


def test_killed_before_thread_lines_are_sent_they_are_sent_in_order(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.slack.outage.answers["chat.postMessage"] = [500] * 500
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "Resumed, moving")
    assert thread_lines(sandbox, card) == []
    sandbox.kill_bot()
    sandbox.start_bot()
    # Not before the restart: Slack may handle the last call of the killed bot only now.
    sandbox.slack.outage.answers.clear()
    wait_for_thread_line(sandbox, card, "Resumed, moving")
    assert [line.split(" ")[0] for line in thread_lines(sandbox, card)] == ["Approved", "OMS", "Resumed,"]


def test_sigterm_ends_the_bot_in_time_while_oms_hangs(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    hold = Hold()
    sandbox.oms.faults.add("start", hold)
    sandbox.people.press(CAROL, card, "approve")
    assert hold.reached.wait(10)
    assert sandbox.stop_bot() == 0
    hold.released.set()
    sandbox.start_bot()
    wait_for_text(sandbox, card, "Resumed, moving")
    assert len(put_calls(sandbox)) == 1
