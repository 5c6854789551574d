"""Much that one person asks, and a region that hangs, keep nobody else from being served."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bot.sandbox.oms_server import Hold
from bot.sandbox.oms_world import NIGHTLY_IMAGES, PAUSED, Group
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import ask, starts


def test_whatever_one_person_asks_another_s_approval_reaches_oms(town: Town) -> None:
    card = ask(town)
    hold = Hold(threading.Event(), threading.Event())
    town.oms.fault("list", *[hold] * 100)
    for _ in range(30):
        assert town.people.type(w.BOB, "list").failure is None
    assert hold.reached.wait(10)
    town.people.press(w.CAROL, card, "approve")
    town.wait_until(lambda: len(starts(town)) == 1, 30, "the call while the lists hang")
    town.oms.calm()
    hold.released.set()
    town.wait_until(lambda: len(town.workspace.told(w.BOB)) == 30, 30, "an answer to everything")


def test_a_region_that_hangs_keeps_no_approval_of_another_project_from_oms(new_town: Callable[..., Town]) -> None:
    town = new_town(projects=2)
    hang = [f"4d4d4d4d-0000-4000-8000-{number:012d}" for number in range(9)]
    for group_id in hang:
        town.worlds["archive"].groups[group_id] = Group(group_id, "in a region that hangs", PAUSED)
    town.start_bot()
    card = ask(town)
    town.people.type(w.BOB, f"{' '.join(hang)} as well")
    town.wait_until(lambda: len(town.workspace.of(w.MIGRATIONS)) == 10, 40, "the other cards")
    hold = Hold(threading.Event(), threading.Event())
    town.clouds["archive"].fault("start", *[hold] * 100)
    # One and the same person approves all of them, and that which does not hang last.
    for other in town.workspace.of(w.MIGRATIONS)[1:]:
        town.people.press(w.CAROL, other, "approve")
    assert hold.reached.wait(10)
    town.people.press(w.CAROL, card, "approve")
    town.wait_until(lambda: [call for call in starts(town) if NIGHTLY_IMAGES in call.path] != [], 10, "its call")
    town.clouds["archive"].calm()
    hold.released.set()
    town.wait_until(lambda: len(starts(town)) == 10, 40, "every call")
