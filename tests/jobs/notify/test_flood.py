"""A hundred moving groups share Slack's rate limits with decisions, at a simulated time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from slack_sdk import WebClient

from bot.domain.request import LastSeen, Request, State
from bot.jobs.context import Context
from bot.sandbox.slack.ids import ALICE, BOT_TOKEN, BOT_USER_ID, MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import requests
from bot.store.inbox import Kind
from tests.support.in_process import create_request, press_button, stored_request
from tests.support.sandbox import button_ids, full_text
from tests.support.simulated_time import Clock, run_for, simulated_time
from tests.support.values import request

SECONDS, MOVING_GROUPS = 150, 100
DECISION = timedelta(seconds=3)


def create_moving(sandbox: Sandbox, context: Context, number: int) -> tuple[Request, PostedMessage]:
    """A request whose group moves, and its card."""
    sample = request(State.MOVING)
    return create_request(
        sandbox,
        context,
        number,
        state=State.MOVING,
        decision=sample.decision,
        attempt=sample.attempt,
        last_seen=sample.last_seen,
    )


def save(context: Context, request_id: str, **changes: object) -> None:
    with context.store.write() as connection:
        old = requests.lock(connection, request_id)
        assert old is not None
        requests.save(connection, old, replace(old, **changes), context.now())  # type: ignore[arg-type]


def save_state(context: Context, request_id: str, state: State) -> None:
    ended_at = None if replace(stored_request(context, request_id), state=state).is_open else context.now()
    save(context, request_id, state=state, ended_at=ended_at)


def move(context: Context, request_id: str) -> None:
    """Stores that more bytes have moved."""
    seen = stored_request(context, request_id).last_seen
    assert seen is not None
    progress = replace(seen.progress, complete_bytes=seen.progress.complete_bytes + 1_000_000)
    save(context, request_id, last_seen=LastSeen(context.now(), progress))


def edited(sandbox: Sandbox, status: int = 200, since: int = 0) -> int:
    """How many calls of chat.update got this status."""
    return sum(call.path == "chat.update" and call.status == status for call in sandbox.call_log.since(since))


def test_a_hundred_moving_groups_delay_no_decision_and_slack_refuses_no_call(inside: tuple[Sandbox, Context]) -> None:
    sandbox, _ = inside
    with simulated_time(*inside) as (context, clock):
        moving = [create_moving(sandbox, context, number) for number in range(MOVING_GROUPS)]
        pending = [create_request(sandbox, context, MOVING_GROUPS + number) for number in range(SECONDS // 6)]
        # A few decisions at once, then one in a while.
        pressed_at = [60] * 6 + list(range(67, SECONDS, 7))
        decided: list[tuple[datetime, PostedMessage]] = []
        for second in range(SECONDS):
            for made, _ in moving[second % 10 :: 10]:
                move(context, made.id)
            for _ in range(pressed_at.count(second)):
                made, posted = pending[len(decided)]
                press_button(context, Kind.CANCEL, ALICE, made, posted)
                decided.append((clock(), posted))
            run_for(context, clock, 1)
            for at, posted in decided:
                assert "approve" not in button_ids(posted) or clock() - at < DECISION
        run_for(context, clock, DECISION.total_seconds())
    assert len(decided) == len(pressed_at)
    assert [posted for _, posted in decided if "approve" in button_ids(posted)] == []
    calls = [call for call in sandbox.call_log.since() if call.service == "slack"]
    assert [call for call in calls if call.status == 429] == []
    assert edited(sandbox) >= SECONDS / 60 * 36, "all that the rate allows is used"
    edits = [sum(call.path == "chat.update" and made.id in call.note for call in calls) for made, _ in moving]
    assert max(edits) - min(edits) <= 1, "the moving groups take turns"


def test_decisions_are_shown_at_once_while_many_requests_fail(inside: tuple[Sandbox, Context]) -> None:
    sandbox, _ = inside
    with simulated_time(*inside) as (context, clock):
        failing = [create_moving(sandbox, context, number) for number in range(50)]
        pending = [create_request(sandbox, context, 50 + number) for number in range(6)]
        for made, _ in failing:
            save_state(context, made.id, State.FAILED)
        for made, posted in pending:
            run_for(context, clock, 7)
            press_button(context, Kind.CANCEL, ALICE, made, posted)
            run_for(context, clock, DECISION.total_seconds())
            assert "approve" not in button_ids(posted)
        run_for(context, clock, 40)
        assert all("failed" in posted.text for _, posted in failing), "within two minutes"
    assert edited(sandbox, 429) == 0


def test_after_a_refusal_no_card_is_edited_until_slack_allows_it_and_then_the_most_urgent_first(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, _ = inside
    with simulated_time(*inside) as (context, clock):
        states = {
            "progress": State.MOVING,
            "accepted": State.ACCEPTED,
            "done": State.DONE,
            "failed": State.FAILED,
            "cancelled": State.CANCELLED,
        }
        cards = {}
        for number, name in enumerate(states):
            create = create_request if name == "cancelled" else create_moving
            cards[name] = create(sandbox, context, number)
        spend_all_edits(sandbox)
        for name, state in states.items():
            made, _posted = cards[name]
            move(context, made.id) if name == "progress" else save_state(context, made.id, state)
        seen = len(sandbox.call_log.since())
        run_for(context, clock, 59)
        assert (edited(sandbox, 429, seen), edited(sandbox, 200, seen)) == (1, 0)
        order = shown_in_order(sandbox, context, clock, cards)
    assert order == ["cancelled", "failed", "done", "accepted", "progress"]
    assert edited(sandbox, 429, seen) == 1


def spend_all_edits(sandbox: Sandbox) -> None:
    """Makes so many edits that Slack refuses more of them for a minute."""
    client = WebClient(token=BOT_TOKEN, base_url=sandbox.slack.api_url)
    posted = sandbox.workspace.add_message(MIGRATIONS, BOT_USER_ID, "x", [], None)
    for _ in range(50):
        client.chat_update(channel=posted.channel, ts=posted.ts, text="y")


def shown_in_order(
    sandbox: Sandbox, context: Context, clock: Clock, cards: dict[str, tuple[Request, PostedMessage]]
) -> list[str]:
    """The names of the cards in the order in which they change during the next minute."""
    before = {name: full_text(posted) for name, (_, posted) in cards.items()}
    order: list[str] = []
    for _ in range(300):
        run_for(context, clock, 0.2)
        changed = [name for name, (_, posted) in cards.items() if full_text(posted) != before[name]]
        order += [name for name in changed if name not in order]
    return order
