"""Showing people what is gets in nobody's way: not of a decision that is being written down, nor of the next card."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request, State
from bot.jobs.context import Context
from bot.jobs.notify import cards
from bot.jobs.worker import Failed, Finished, Rescheduled
from bot.sandbox.slack.ids import CAROL, MIGRATIONS, SCOPES
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.slack.errors import Gone
from bot.store import outbox, requests, tables
from bot.store.audit import Event, append
from bot.store.queue import Claim
from tests.support.in_process import context_at, context_of, create_request
from tests.support.postgres import Postgres
from tests.support.sandbox import wait_for_text

pytestmark = pytest.mark.usefixtures("slow_database_locks")


@pytest.fixture
def on_postgresql(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> Iterator[tuple[Context, Request, PostedMessage]]:
    sandbox = new_sandbox(database_url=postgres.new_database())
    with context_of(sandbox) as context:
        yield context, *create_request(sandbox, context)


def wait_for_a_lock(context: Context) -> None:
    """Returns when somebody waits for a lock."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(1000):
        with context.store.read() as connection:
            if connection.execute(query).scalar_one():
                return
        threading.Event().wait(0.01)
    raise TimeoutError("nobody waits")


def test_a_card_is_shown_while_its_request_is_being_decided(
    on_postgresql: tuple[Context, Request, PostedMessage],
) -> None:
    context, request, _ = on_postgresql
    with context.store.write() as deciding:
        locked = requests.lock(deciding, request.id)
        card = outbox.get_card(deciding, request.id)
        assert locked is not None
        assert card is not None
        # It would wait for the decision, which in turn waits for the card.
        cards.record_shown(context, card)
        requests.save(deciding, locked, locked, context.now(), Event(AuditEvent.VOTE_ADDED, CAROL, request.id))


def test_a_card_that_is_gone_is_no_deadlock_with_a_decision(
    on_postgresql: tuple[Context, Request, PostedMessage],
) -> None:
    context, request, _ = on_postgresql
    failures: list[Exception] = []

    def gone() -> None:
        fault = Gone("message_not_found")
        try:
            cards.record_failure(context, Claim(tables.cards.name, request.id, 0), request.id, fault)
        except Exception as error:  # noqa: BLE001 (the test shows it)
            failures.append(error)

    thread = threading.Thread(target=gone)
    with context.store.write() as deciding:
        deciding.execute(tables.cards.update().values(due_at=context.now()))
        thread.start()
        wait_for_a_lock(context)
        append(deciding, Event(AuditEvent.VOTE_ADDED, CAROL, request.id), context.now())
    thread.join()
    assert failures == []


def test_the_card_of_what_has_ended_follows_once_its_channel_takes_it_again(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        request, card = create_request(sandbox, context)
        claim = Claim(tables.cards.name, request.id, 1)
        sandbox.workspace.channels[MIGRATIONS].archived = True
        ended_at = context.now()
        with context.store.write() as connection:
            requests.save(connection, request, request.with_state(State.CANCELLED, at=ended_at), ended_at)
        for passed, again in (
            (timedelta(minutes=1), timedelta(seconds=10)),
            (timedelta(minutes=11), timedelta(minutes=10)),
            (timedelta(hours=23), timedelta(minutes=10)),
        ):
            now = ended_at + passed
            assert cards.update_card(context_at(context, now), claim) == Failed(now + again)
        assert cards.update_card(context_at(context, ended_at + timedelta(hours=25)), claim) == Finished()
        sandbox.workspace.channels[MIGRATIONS].archived = False
        assert cards.update_card(context, claim) == Rescheduled()
        wait_for_text(sandbox, card, "Cancelled")


def test_a_card_that_slack_refuses_for_good_is_tried_ever_more_seldom(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        request, card = create_request(sandbox, context)
        now = context.now()
        with context.store.write() as connection:
            requests.save(connection, request, request.with_state(State.CANCELLED, at=now), now)
        sandbox.workspace.scopes = sandbox.workspace.scopes - {"chat:write"}
        waits = []
        for tries in range(16):
            result = cards.update_card(context_at(context, now), Claim(tables.cards.name, request.id, tries))
            assert isinstance(result, Failed)
            waits.append((result.due_at - now).seconds)
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *[600] * 6]
        sandbox.workspace.scopes = SCOPES
        assert cards.update_card(context, Claim(tables.cards.name, request.id, 16)) == Rescheduled()
        wait_for_text(sandbox, card, "Cancelled")
