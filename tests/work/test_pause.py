"""A pause that is asked for before the group shows that it was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.request.model import State
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.store.inbox import Kind
from bot.work.tools import Tools
from tests.support.inside import asked, at, follow_once, press, shown, tools_of


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools


def stops(town: Town) -> int:
    return sum(call.path.endswith("/stop") for call in town.journal.since())


def test_a_group_that_does_not_show_yet_that_it_was_started_is_paused_once_it_does(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    clock = {"later": timedelta()}
    later = replace(tools, now=lambda: tools.now() + clock["later"])
    town.world.now = later.now
    request, card = asked(*inside)
    group = town.world.groups[request.group.group_id]
    group.status_lag = timedelta(seconds=20)
    group.bytes_per_second = 1_000_000
    assert press(later, Kind.APPROVE, w.CAROL, request, card).state is State.ACCEPTED
    press(later, Kind.PAUSE, w.ALICE, request, card)
    for seconds in (1, 6, 12):
        clock["later"] = timedelta(seconds=seconds)
        assert follow_once(later, request.id).state is State.PAUSING
        assert stops(town) == 0
    clock["later"] = timedelta(seconds=25)
    assert follow_once(later, request.id).state is State.PAUSING
    assert stops(town) == 1
    clock["later"] = timedelta(seconds=40)
    assert follow_once(later, request.id).state is State.PAUSED_AGAIN
    assert "aused" in shown(later, card, request.id)


def test_a_pause_of_what_never_started_ends_as_not_started(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside)
    town.world.groups[request.group.group_id].status_lag = timedelta(hours=1)
    press(tools, Kind.APPROVE, w.CAROL, request, card)
    press(tools, Kind.PAUSE, w.ALICE, request, card)
    assert follow_once(at(tools, tools.now() + timedelta(seconds=2)), request.id).state is State.PAUSING
    after = follow_once(at(tools, tools.now() + timedelta(seconds=61)), request.id)
    assert (after.state, stops(town)) == (State.NOT_STARTED, 0)
