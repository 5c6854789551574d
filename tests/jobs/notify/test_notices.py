"""Each notice is sent once or given up after a day. The lines of one thread are sent in their order."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.jobs.context import Context
from bot.jobs.notify.notices import MAX_NOTICE_AGE, send_notice
from bot.jobs.worker import Failed, Rescheduled
from bot.sandbox.slack.ids import ALICE, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store import outbox, queue, tables
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim, Queue
from tests.support.in_process import context_at, create_request


def store(context: Context, *notices: Notice) -> None:
    with context.store.write() as connection:
        for notice in notices:
            outbox.add_notice(connection, notice, context.now())


def claim_due(context: Context) -> list[Claim]:
    with context.store.write() as connection:
        return queue.claim_due(connection, Queue(tables.notices), context.owner, context.now(), 10)


def send_due(context: Context) -> None:
    """Sends the notices that are due, as the worker does, until only failed ones are left."""
    context = context_at(context, context.now())
    while claims := claim_due(context):
        for claim in claims:
            result = send_notice(context, claim)
            with context.store.write() as connection:
                if isinstance(result, Failed):
                    queue.postpone(connection, claim, context.owner, result.due_at)
                else:
                    queue.release(connection, claim, context.owner)


def rows(context: Context) -> list[tuple[str, str, datetime | None]]:
    """The text, the address and the due time of every notice."""
    columns = (tables.notices.c.text, tables.notices.c.address, tables.notices.c.due_at)
    with context.store.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(tables.notices.c.id))]


def audit_events(context: Context) -> list[str]:
    with context.store.read() as connection:
        return list(connection.execute(select(tables.audit.c.event)).scalars())


def answer(sandbox: Sandbox, text: str = "hello") -> Notice:
    return Notice(Delivery.EPHEMERAL, f"{sandbox.slack.response_url(ALICE, MIGRATIONS)} {ALICE}", text)


def test_sending_an_answer_finishes_its_row_and_deletes_its_address(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    store(context, answer(sandbox))
    [claim] = claim_due(context)
    # The process ends here: nothing else ends the claim.
    assert send_notice(context, claim) == Rescheduled()
    assert rows(context) == [("hello", "", None)]
    assert sandbox.workspace.private_texts(ALICE) == ["hello"]


@pytest.mark.parametrize(("after_key", "shown"), [("", "Pause"), (" resume", "Resume…"), (" retry", "Retry…")])
def test_an_answer_has_the_button_that_its_address_names(
    inside: tuple[Sandbox, Context], after_key: str, shown: str
) -> None:
    sandbox, context = inside
    plain = answer(sandbox)
    store(context, replace(plain, address=f"{plain.address} project/group{after_key}"))
    send_due(context)
    [sent] = sandbox.workspace.ephemerals
    [button] = sent.blocks[-1]["elements"]
    assert (button["text"]["text"], button["value"]) == (shown, "project/group")


def test_a_message_to_a_channel_is_a_section_so_that_it_is_as_large_as_other_messages(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    store(context, Notice(Delivery.CHANNEL, MIGRATIONS, "*Digest*\nline"))
    send_due(context)
    [sent] = sandbox.workspace.messages_in(MIGRATIONS)
    assert [(block["type"], block["text"]["text"]) for block in sent.blocks] == [("section", "*Digest*\nline")]


def test_an_answer_without_an_address_is_not_sent_again(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    store(context, Notice(Delivery.EPHEMERAL, "", "hello"))
    send_due(context)
    assert rows(context) == [("hello", "", None)]
    assert sandbox.workspace.private_texts(ALICE) == []
    assert audit_events(context) == []


def test_the_address_of_an_answer_that_is_given_up_is_deleted(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    store(context, answer(sandbox))
    send_due(context_at(context, context.now() + MAX_NOTICE_AGE + timedelta(seconds=1)))
    assert rows(context) == [("hello", "", None)]
    assert audit_events(context) == ["notice.not_sent"]


def test_a_line_that_slack_refuses_is_given_up_and_the_next_lines_are_sent(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(sandbox, context)
    for text in ("x" * 40_001, "moving", "done"):
        store(context, Notice(Delivery.THREAD, "", text, request.id))
    send_due(context)
    assert [line.text for line in sandbox.workspace.messages_in(MIGRATIONS, card.ts)] == ["moving", "done"]
    assert audit_events(context) == ["request.created", "notice.not_sent"]


def test_a_line_that_is_never_sent_blocks_its_own_thread_only_and_for_a_day_at_most(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    (stuck, stuck_card), (other, other_card) = create_request(sandbox, context, 1), create_request(sandbox, context, 2)
    store(context, Notice(Delivery.THREAD, "", "never", stuck.id))
    sandbox.slack.outage.answers["chat.postMessage"] = [500]
    send_due(context)
    later = context_at(context, context.now() + MAX_NOTICE_AGE - timedelta(minutes=1))
    store(later, Notice(Delivery.THREAD, "", "later", stuck.id), Notice(Delivery.THREAD, "", "of another", other.id))
    sandbox.slack.outage.answers["chat.postMessage"] = [500]
    send_due(later)
    assert sandbox.workspace.messages_in(MIGRATIONS, stuck_card.ts) == []
    assert [line.text for line in sandbox.workspace.messages_in(MIGRATIONS, other_card.ts)] == ["of another"]
    send_due(context_at(context, later.now() + timedelta(minutes=2)))
    assert [line.text for line in sandbox.workspace.messages_in(MIGRATIONS, stuck_card.ts)] == ["later"]
    assert audit_events(context).count("notice.not_sent") == 1


def test_of_the_lines_about_movement_that_slack_did_not_take_for_hours_only_the_last_is_sent(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    (request, card), (other, other_card) = create_request(sandbox, context, 1), create_request(sandbox, context, 2)
    store(context, Notice(Delivery.MOVEMENT, "", "stalled", request.id))
    send_due(context)
    store(context, Notice(Delivery.THREAD, "", "paused", request.id), Notice(Delivery.MOVEMENT, "", "slow", other.id))
    for hour in range(1, 20):
        sandbox.slack.outage.answers["chat.postMessage"] = [500, 500]
        later = context_at(context, context.now() + hour * timedelta(hours=1))
        text = "moving again" if hour % 2 else "stalled again"
        store(later, Notice(Delivery.MOVEMENT, "", text, request.id))
        send_due(later)
    sandbox.slack.outage.answers.clear()
    send_due(context_at(context, context.now() + timedelta(hours=20)))
    texts = [line.text for line in sandbox.workspace.messages_in(MIGRATIONS, card.ts)]
    assert texts == ["stalled", "paused", "moving again"]
    assert [line.text for line in sandbox.workspace.messages_in(MIGRATIONS, other_card.ts)] == ["slow"]


@pytest.mark.parametrize("status", [429, 500])
def test_lines_that_wait_behind_a_failed_one_are_sent_in_their_order(
    inside: tuple[Sandbox, Context], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    request, card = create_request(sandbox, context)
    store(context, *(Notice(Delivery.THREAD, "", text, request.id) for text in ("approved", "accepted", "moving")))
    sandbox.slack.outage.answers["chat.postMessage"] = [status]
    send_due(context)
    assert sandbox.workspace.messages_in(MIGRATIONS, card.ts) == []
    monkeypatch.setattr("bot.slack.client.monotonic", lambda: time.monotonic() + 300)
    send_due(context_at(context, context.now() + timedelta(minutes=5)))
    assert [line.text for line in sandbox.workspace.messages_in(MIGRATIONS, card.ts)] == [
        "approved",
        "accepted",
        "moving",
    ]
