"""A pause that somebody wants before OMS shows that the group was started."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.request import State
from bot.jobs.context import Context
from bot.sandbox.slack.ids import ALICE, CAROL
from bot.sandbox.system import Sandbox
from bot.store.inbox import Kind
from tests.support.in_process import advance_once, card_text, context_at, create_request, press_button


def stops(sandbox: Sandbox) -> int:
    return sum(call.path.endswith("/stop") for call in sandbox.call_log.since())


def test_a_group_is_paused_once_oms_shows_that_it_was_started(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    clock = {"later": timedelta()}
    later = replace(context, now=lambda: context.now() + clock["later"])
    sandbox.oms.state.now = later.now
    request, card = create_request(*inside)
    group = sandbox.oms.state.groups[request.group.group_id]
    group.status_lag = timedelta(seconds=20)
    group.bytes_per_second = 1_000_000
    assert press_button(later, Kind.APPROVE, CAROL, request, card).state is State.ACCEPTED
    press_button(later, Kind.PAUSE, ALICE, request, card)
    for seconds in (1, 6, 12):
        clock["later"] = timedelta(seconds=seconds)
        assert advance_once(later, request.id).state is State.PAUSING
        assert stops(sandbox) == 0
    clock["later"] = timedelta(seconds=25)
    assert advance_once(later, request.id).state is State.PAUSING
    assert stops(sandbox) == 1
    clock["later"] = timedelta(seconds=40)
    assert advance_once(later, request.id).state is State.PAUSED_AGAIN
    assert "aused" in card_text(later, card, request.id)


def test_a_pause_of_a_group_that_never_starts_ends_as_not_started(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    sandbox.oms.state.groups[request.group.group_id].status_lag = timedelta(hours=1)
    press_button(context, Kind.APPROVE, CAROL, request, card)
    press_button(context, Kind.PAUSE, ALICE, request, card)
    assert advance_once(context_at(context, context.now() + timedelta(seconds=2)), request.id).state is State.PAUSING
    after = advance_once(context_at(context, context.now() + timedelta(seconds=61)), request.id)
    assert (after.state, stops(sandbox)) == (State.NOT_STARTED, 0)
