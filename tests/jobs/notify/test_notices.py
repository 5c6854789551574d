"""A notice is sent, or given up, and done with in one step; what cannot be sent keeps nothing else waiting for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.jobs.context import Context
from bot.jobs.notify.notices import NOTICES_WAIT_FOR, send_notice
from bot.jobs.worker import Failed, Rescheduled
from bot.sandbox.slack.ids import ALICE, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store import outbox, queue, tables
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim, Queue
from tests.support.in_process import context_at, context_of, create_request


@pytest.fixture
def inside(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        yield sandbox, context


def leave(context: Context, *notices: Notice) -> None:
    with context.store.write() as connection:
        for notice in notices:
            outbox.add_notice(connection, notice, context.now())


def claim_due(context: Context) -> list[Claim]:
    with context.store.write() as connection:
        return queue.claim_due(connection, Queue(tables.notices), context.owner, context.now(), 10)


def send_due(context: Context) -> None:
    """Sends what is due by now, as the loop does, until nothing is left but what failed."""
    context = context_at(context, context.now())
    while found := claim_due(context):
        for claim in found:
            result = send_notice(context, claim)
            with context.store.write() as connection:
                if isinstance(result, Failed):
                    queue.postpone(connection, claim, context.owner, result.due_at)
                else:
                    queue.release(connection, claim, context.owner)


def left(context: Context) -> list[tuple[str, str, datetime | None]]:
    """Of every notice its text, its address, and when it is due."""
    columns = (tables.notices.c.text, tables.notices.c.address, tables.notices.c.due_at)
    with context.store.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(tables.notices.c.id))]


def told_of(context: Context) -> list[str]:
    with context.store.read() as connection:
        return list(connection.execute(select(tables.audit.c.event)).scalars())


def answer(sandbox: Sandbox, text: str = "hello") -> Notice:
    return Notice(Delivery.EPHEMERAL, f"{sandbox.slack.response_url(ALICE, MIGRATIONS)} {ALICE}", text)


def test_an_answer_is_done_with_when_its_address_is_forgotten(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    leave(context, answer(sandbox))
    [claim] = claim_due(context)
    # Nothing after this is written down: the bot is killed.
    assert send_notice(context, claim) == Rescheduled()
    assert left(context) == [("hello", "", None)]
    assert sandbox.workspace.private_texts(ALICE) == ["hello"]


def test_an_answer_whose_address_is_forgotten_was_sent(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    leave(context, Notice(Delivery.EPHEMERAL, "", "hello"))
    send_due(context)
    assert left(context) == [("hello", "", None)]
    assert sandbox.workspace.private_texts(ALICE) == []
    assert told_of(context) == []


def test_an_answer_that_was_given_up_keeps_no_address_either(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    leave(context, answer(sandbox))
    send_due(context_at(context, context.now() + NOTICES_WAIT_FOR + timedelta(seconds=1)))
    assert left(context) == [("hello", "", None)]
    assert told_of(context) == ["notice.not_sent"]


def test_a_line_that_slack_refuses_is_given_up_and_the_thread_goes_on(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(sandbox, context)
    for text in ("x" * 40_001, "moving", "done"):
        leave(context, Notice(Delivery.THREAD, "", text, request.id))
    send_due(context)
    assert [one.text for one in sandbox.workspace.messages_in(MIGRATIONS, card.ts)] == ["moving", "done"]
    assert told_of(context) == ["request.created", "notice.not_sent"]


def test_a_line_that_never_gets_through_holds_its_thread_for_a_day_at_most_and_no_other(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    (stuck, stuck_card), (other, other_card) = create_request(sandbox, context, 1), create_request(sandbox, context, 2)
    leave(context, Notice(Delivery.THREAD, "", "never", stuck.id))
    sandbox.slack.outage.answers["chat.postMessage"] = [500]
    send_due(context)
    later = context_at(context, context.now() + NOTICES_WAIT_FOR - timedelta(minutes=1))
    leave(later, Notice(Delivery.THREAD, "", "later", stuck.id), Notice(Delivery.THREAD, "", "of another", other.id))
    sandbox.slack.outage.answers["chat.postMessage"] = [500]
    send_due(later)
    assert sandbox.workspace.messages_in(MIGRATIONS, stuck_card.ts) == []
    assert [one.text for one in sandbox.workspace.messages_in(MIGRATIONS, other_card.ts)] == ["of another"]
    send_due(context_at(context, later.now() + timedelta(minutes=2)))
    assert [one.text for one in sandbox.workspace.messages_in(MIGRATIONS, stuck_card.ts)] == ["later"]
    assert told_of(context).count("notice.not_sent") == 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_line_that_waits_is_followed_by_the_later_ones_in_their_order(
    inside: tuple[Sandbox, Context], status: int
) -> None:
    sandbox, context = inside
    request, card = create_request(sandbox, context)
    leave(context, *(Notice(Delivery.THREAD, "", text, request.id) for text in ("approved", "accepted", "moving")))
    sandbox.slack.outage.answers["chat.postMessage"] = [status]
    send_due(context)
    assert sandbox.workspace.messages_in(MIGRATIONS, card.ts) == []
    send_due(context_at(context, context.now() + timedelta(minutes=5)))
    assert [one.text for one in sandbox.workspace.messages_in(MIGRATIONS, card.ts)] == [
        "approved",
        "accepted",
        "moving",
    ]
