"""Two replicas on PostgreSQL: one that falls silent is taken for dead, and one that wakes up again does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from bot.sandbox.oms_server import Hold
from bot.sandbox.ports import free_port
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.postgres import Postgres
from tests.support.story import ask, audit, says, starts


def test_what_a_killed_replica_had_in_hand_is_taken_up_by_the_other(
    new_town: Callable[..., Town], postgres: Postgres
) -> None:
    town = new_town(database_url=postgres.new_database())
    first = town.start_bot()
    card = ask(town)
    hold = Hold(threading.Event(), threading.Event())
    town.oms.fault("start", hold)
    town.people.press(w.CAROL, card, "approve")
    assert hold.reached.wait(10)
    town.start_bot(free_port())
    first.kill()
    first.wait(10)
    hold.released.set()
    # The dead one's claim runs out first: 20 s.
    says(town, card, "Resumed, moving", 45)
    assert len(starts(town)) == 1


def test_a_replica_that_was_stopped_in_the_call_tells_the_audit_what_oms_had_said(
    new_town: Callable[..., Town], postgres: Postgres
) -> None:
    town = new_town(database_url=postgres.new_database())
    first = town.start_bot()
    card = ask(town)
    hold = Hold(threading.Event(), threading.Event())
    town.oms.fault("start", hold)
    town.people.press(w.CAROL, card, "approve")
    assert hold.reached.wait(10)
    first.send_signal(signal.SIGSTOP)
    hold.released.set()
    town.start_bot(free_port())
    says(town, card, "Resumed, moving", 45)
    first.send_signal(signal.SIGCONT)
    town.wait_until(lambda: bool(audit(town, "answered too late")), 20, "the late answer")
    [late] = audit(town, "answered too late")
    assert late["detail"]["huawei_request_id"]
    assert len(starts(town)) == 1
