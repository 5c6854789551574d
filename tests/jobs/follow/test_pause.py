"""A pause before OMS shows that the group was started, and while OMS fails in a way that may pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.request import Request, State
from bot.jobs.context import Context
from bot.sandbox.huawei.faults import Answer, Drop, Fault
from bot.sandbox.slack.ids import ALICE, CAROL
from bot.sandbox.slack.workspace import PostedMessage
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


def press_pause(sandbox: Sandbox, context: Context) -> tuple[Request, PostedMessage]:
    """A request whose group runs, after somebody pressed Pause."""
    request, card = create_request(sandbox, context)
    group = sandbox.oms.state.groups[request.group.group_id]
    group.status_lag, group.bytes_per_second = timedelta(), 1
    press_button(context, Kind.APPROVE, CAROL, request, card)
    return press_button(context, Kind.PAUSE, ALICE, request, card), card


@pytest.mark.parametrize("fault", [Answer(503, "APIG.0601"), Answer(429, "APIG.0308"), Drop(done=False)])
def test_a_pause_waits_out_a_fault_that_passes_and_the_card_says_so(
    inside: tuple[Sandbox, Context], fault: Fault
) -> None:
    sandbox, context = inside
    request, card = press_pause(*inside)
    sandbox.oms.faults.add("stop", *[fault] * 6)
    for tries in range(6):
        waiting = advance_once(context, request.id, tries)
        assert waiting.state is State.PAUSING
        assert (waiting.problem is not None) == (tries >= 2), "the card names a fault that lasts"
    assert 'Pausing "' in card_text(context, card, request.id)
    paused = advance_once(context, request.id, 6)
    assert (paused.state, paused.problem) == (State.PAUSING, None)
    assert paused.pause is not None
    assert paused.pause.sent_at is not None


def test_a_pause_is_given_up_after_ten_minutes(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = press_pause(*inside)
    sandbox.oms.faults.add("stop", Answer(429, "APIG.0308"))
    later = context_at(context, context.now() + timedelta(minutes=10))
    assert advance_once(later, request.id, 20).state is State.ACCEPTED
    assert "press Pause again" in card_text(context, card, request.id)
