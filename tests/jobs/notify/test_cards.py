"""A card is updated without deadlocks with decisions, and tried again until Slack takes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request, State
from bot.jobs.context import Context
from bot.jobs.notify import cards
from bot.jobs.worker import Failed, Finished, Rescheduled
from bot.sandbox.slack.ids import CAROL, MIGRATIONS, SCOPES
from bot.sandbox.system import Sandbox
from bot.store import requests, tables
from bot.store.audit import Event, append
from bot.store.queue import Claim
from tests.support.in_process import context_at, context_of, create_request
from tests.support.postgres import Postgres
from tests.support.sandbox import wait_for_text

pytestmark = pytest.mark.usefixtures("slow_database_locks")


@pytest.fixture
def on_postgresql(new_sandbox: Callable[..., Sandbox], postgres: Postgres) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(database_url=postgres.new_database())
    with context_of(sandbox) as context:
        yield sandbox, context


def card_claim(request: Request, tries: int = 0) -> Claim:
    return Claim(tables.cards.name, request.id, tries)


def wait_for_a_blocked_transaction(context: Context) -> None:
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(1000):
        with context.store.read() as connection:
            if connection.execute(query).scalar_one():
                return
        threading.Event().wait(0.01)
    raise TimeoutError("no transaction waits for a lock")


def test_a_card_is_updated_while_its_request_is_locked_by_a_decision(on_postgresql: tuple[Sandbox, Context]) -> None:
    _, context = on_postgresql
    request, _ = create_request(*on_postgresql)
    event = Event(AuditEvent.VOTE_ADDED, CAROL, request.id)
    with context.store.write() as deciding:
        locked = requests.lock(deciding, request.id)
        assert locked is not None
        # If the update waited for the decision, this thread would wait for itself.
        assert cards.update_card(context, card_claim(request)) == Rescheduled()
        requests.save(deciding, locked, locked, context.now(), event)


def test_handling_a_deleted_card_does_not_deadlock_with_a_decision(on_postgresql: tuple[Sandbox, Context]) -> None:
    sandbox, context = on_postgresql
    request, posted = create_request(*on_postgresql)
    with context.store.write() as connection:
        requests.save(connection, request, request, context.now())
    sandbox.workspace.delete(posted.channel, posted.ts)
    with ThreadPoolExecutor(1) as pool:
        with context.store.write() as deciding:
            deciding.execute(tables.cards.update().values(due_at=context.now()))
            handling = pool.submit(cards.update_card, context, card_claim(request))
            wait_for_a_blocked_transaction(context)
            append(deciding, Event(AuditEvent.VOTE_ADDED, CAROL, request.id), context.now())
        assert isinstance(handling.result(30), Finished)


def test_the_card_of_an_ended_request_is_updated_after_its_channel_is_unarchived(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        request, card = create_request(sandbox, context)
        claim = card_claim(request, tries=1)
        sandbox.workspace.channels[MIGRATIONS].archived = True
        ended_at = context.now()
        with context.store.write() as connection:
            requests.save(connection, request, request.with_state(State.CANCELLED, at=ended_at), ended_at)
        for passed, delay in (
            (timedelta(minutes=1), timedelta(seconds=10)),
            (timedelta(minutes=11), timedelta(minutes=10)),
            (timedelta(hours=23), timedelta(minutes=10)),
        ):
            now = ended_at + passed
            assert cards.update_card(context_at(context, now), claim) == Failed(now + delay)
        assert cards.update_card(context_at(context, ended_at + timedelta(hours=25)), claim) == Finished()
        sandbox.workspace.channels[MIGRATIONS].archived = False
        assert cards.update_card(context, claim) == Rescheduled()
        wait_for_text(sandbox, card, "Canceled")


def test_a_card_that_slack_keeps_refusing_is_tried_less_and_less_often(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        request, card = create_request(sandbox, context)
        now = context.now()
        with context.store.write() as connection:
            requests.save(connection, request, request.with_state(State.CANCELLED, at=now), now)
        sandbox.workspace.scopes = sandbox.workspace.scopes - {"chat:write"}
        delays = []
        for tries in range(16):
            result = cards.update_card(context_at(context, now), card_claim(request, tries))
            assert isinstance(result, Failed)
            delays.append((result.due_at - now).seconds)
        assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *[600] * 6]
        sandbox.workspace.scopes = SCOPES
        assert cards.update_card(context, card_claim(request, 16)) == Rescheduled()
        wait_for_text(sandbox, card, "Canceled")
