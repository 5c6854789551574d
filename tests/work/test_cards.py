"""Showing people what is gets in nobody's way: not of a decision that is being written down, nor of the next card."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.request.model import Request, State
from bot.sandbox.slack import world as w
from bot.sandbox.slack.world import SCOPES, Posted
from bot.sandbox.town import Town
from bot.slack.posting import Hindrance, PostingFault
from bot.store import outbox, requests, tables
from bot.store.audit import Event, append
from bot.store.claims import Claim
from bot.work import cards
from bot.work.loop import Failed, Finished, Kept
from bot.work.tools import Tools
from tests.support.inside import asked, at, tools_of
from tests.support.postgres import Postgres
from tests.support.story import says

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def on_postgresql(new_town: Callable[..., Town], postgres: Postgres) -> Iterator[tuple[Tools, Request, Posted]]:
    town = new_town(database_url=postgres.new_database())
    with tools_of(town) as tools:
        yield tools, *asked(town, tools)


def wait_for_a_lock(tools: Tools) -> None:
    """Returns when somebody waits for a lock."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(1000):
        with tools.store.read() as connection:
            if connection.execute(query).scalar_one():
                return
        threading.Event().wait(0.01)
    raise TimeoutError("nobody waits")


def test_a_card_is_shown_while_its_request_is_being_decided(on_postgresql: tuple[Tools, Request, Posted]) -> None:
    tools, request, _ = on_postgresql
    with tools.store.write() as deciding:
        locked = requests.lock(deciding, request.id)
        card = outbox.get_card(deciding, request.id)
        assert locked is not None
        assert card is not None
        # It would wait for the decision, which in turn waits for the card.
        cards._shown(tools, card)
        requests.save(deciding, locked, locked, tools.now(), Event("approve", w.CAROL, request.id))


def test_a_card_that_is_gone_is_no_deadlock_with_a_decision(on_postgresql: tuple[Tools, Request, Posted]) -> None:
    tools, request, _ = on_postgresql
    failures: list[Exception] = []

    def gone() -> None:
        fault = PostingFault(Hindrance.GONE, "message_not_found")
        try:
            cards._hindered(tools, Claim(tables.cards.name, request.id, 0), request.id, fault)
        except Exception as error:  # noqa: BLE001 (the test shows it)
            failures.append(error)

    thread = threading.Thread(target=gone)
    with tools.store.write() as deciding:
        deciding.execute(tables.cards.update().values(due_at=tools.now()))
        thread.start()
        wait_for_a_lock(tools)
        append(deciding, Event("approve", w.CAROL, request.id), tools.now())
    thread.join()
    assert failures == []


def test_the_card_of_what_has_ended_follows_once_its_channel_takes_it_again(new_town: Callable[..., Town]) -> None:
    town = new_town()
    with tools_of(town) as tools:
        request, card = asked(town, tools)
        claim = Claim(tables.cards.name, request.id, 1)
        town.workspace.channels[w.MIGRATIONS].archived = True
        ended_at = tools.now()
        with tools.store.write() as connection:
            requests.save(connection, request, request.turned(State.CANCELLED, at=ended_at), ended_at)
        for passed, again in (
            (timedelta(minutes=1), timedelta(seconds=10)),
            (timedelta(minutes=11), timedelta(minutes=10)),
            (timedelta(hours=23), timedelta(minutes=10)),
        ):
            now = ended_at + passed
            assert cards.work_on_card(at(tools, now), claim) == Failed(now + again)
        assert cards.work_on_card(at(tools, ended_at + timedelta(hours=25)), claim) == Finished()
        town.workspace.channels[w.MIGRATIONS].archived = False
        assert cards.work_on_card(tools, claim) == Kept()
        says(town, card, "Cancelled")


def test_a_card_that_slack_refuses_for_good_is_tried_ever_more_seldom(new_town: Callable[..., Town]) -> None:
    town = new_town()
    with tools_of(town) as tools:
        request, card = asked(town, tools)
        now = tools.now()
        with tools.store.write() as connection:
            requests.save(connection, request, request.turned(State.CANCELLED, at=now), now)
        town.workspace.scopes = town.workspace.scopes - {"chat:write"}
        waits = []
        for tries in range(16):
            result = cards.work_on_card(at(tools, now), Claim(tables.cards.name, request.id, tries))
            assert isinstance(result, Failed)
            waits.append((result.due_at - now).seconds)
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *[600] * 6]
        town.workspace.scopes = SCOPES
        assert cards.work_on_card(tools, Claim(tables.cards.name, request.id, 16)) == Kept()
        says(town, card, "Cancelled")
