"""Much that one person asks, and a region that hangs, keep nobody else from being served."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bot.sandbox.oms_server import Hold
from bot.sandbox.oms_state import NIGHTLY_IMAGES, PAUSED, Group
from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from tests.support.sandbox import create_request, put_calls


def test_whatever_one_person_asks_another_s_approval_reaches_oms(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    hold = Hold(threading.Event(), threading.Event())
    sandbox.oms.fault("list", *[hold] * 100)
    for _ in range(30):
        assert sandbox.people.type(w.BOB, "list").failure is None
    assert hold.reached.wait(10)
    sandbox.people.press(w.CAROL, card, "approve")
    sandbox.wait_until(lambda: len(put_calls(sandbox)) == 1, 30, "the call while the lists hang")
    sandbox.oms.calm()
    hold.released.set()
    sandbox.wait_until(lambda: len(sandbox.workspace.told(w.BOB)) == 30, 30, "an answer to everything")


def test_a_region_that_hangs_keeps_no_approval_of_another_project_from_oms(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(projects=2)
    hang = [f"4d4d4d4d-0000-4000-8000-{number:012d}" for number in range(9)]
    for group_id in hang:
        sandbox.worlds["archive"].groups[group_id] = Group(group_id, "in a region that hangs", PAUSED)
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.type(w.BOB, f"{' '.join(hang)} as well")
    sandbox.wait_until(lambda: len(sandbox.workspace.of(w.MIGRATIONS)) == 10, 40, "the other cards")
    hold = Hold(threading.Event(), threading.Event())
    sandbox.clouds["archive"].fault("start", *[hold] * 100)
    # One and the same person approves all of them, and that which does not hang last.
    for other in sandbox.workspace.of(w.MIGRATIONS)[1:]:
        sandbox.people.press(w.CAROL, other, "approve")
    assert hold.reached.wait(10)
    sandbox.people.press(w.CAROL, card, "approve")
    sandbox.wait_until(
        lambda: [call for call in put_calls(sandbox) if NIGHTLY_IMAGES in call.path] != [], 10, "its call"
    )
    sandbox.clouds["archive"].calm()
    hold.released.set()
    sandbox.wait_until(lambda: len(put_calls(sandbox)) == 10, 40, "every call")
