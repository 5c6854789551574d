"""Two replicas on PostgreSQL: one takes over the work of the other, which does no harm when it continues."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from bot.sandbox.huawei.faults import Hold
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import ALICE, CAROL
from bot.sandbox.system import Sandbox
from tests.support.postgres import Postgres
from tests.support.sandbox import audit_rows, create_request, put_calls, wait_for_reply, wait_for_text


@pytest.mark.long
def test_the_work_of_a_killed_replica_is_taken_over_by_the_other(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    first = sandbox.start_bot()
    card = create_request(sandbox)
    hold = Hold()
    sandbox.oms.faults.add("start", hold)
    sandbox.people.press(CAROL, card, "approve")
    assert hold.reached.wait(10)
    sandbox.start_bot(free_port())
    first.kill()
    first.wait(10)
    hold.released.set()
    # The lease of the killed replica expires first, after 20 s.
    wait_for_text(sandbox, card, "Resumed, moving", 45)
    assert len(put_calls(sandbox)) == 1


@pytest.mark.long
def test_a_replica_that_was_stopped_during_the_call_records_the_late_answer_in_the_audit(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    first = sandbox.start_bot()
    card = create_request(sandbox)
    hold = Hold()
    sandbox.oms.faults.add("start", hold)
    sandbox.people.press(CAROL, card, "approve")
    assert hold.reached.wait(10)
    # The bot now also answers others: it has sent the whole call, and waits for the answer. Stopped in the middle of
    # sending it, it would find its time over when it continues, and would not read the answer.
    sandbox.people.type(ALICE, "list")
    wait_for_reply(sandbox, ALICE, "Looking up")
    first.send_signal(signal.SIGSTOP)
    hold.released.set()
    sandbox.start_bot(free_port())
    wait_for_text(sandbox, card, "Resumed, moving", 45)
    first.send_signal(signal.SIGCONT)
    sandbox.wait_until(lambda: bool(audit_rows(sandbox, "put.answered_late")), 20, "the late answer")
    [late] = audit_rows(sandbox, "put.answered_late")
    assert late["detail"]["huawei_request_id"]
    assert len(put_calls(sandbox)) == 1
