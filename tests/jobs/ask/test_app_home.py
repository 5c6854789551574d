"""App Home is kept up to date for an hour after it was opened, by one replica, and published only if it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import WatchLimits, after_first_reading, after_next_reading
from bot.jobs import inbox_dispatcher
from bot.jobs.ask import app_home
from bot.jobs.ask.app_home import FRESH_FOR, UPDATE_EVERY
from bot.jobs.context import Context
from bot.jobs.worker import Finished
from bot.sandbox.slack.ids import ALICE, BOB, CAROL, DAVE, ERIN, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.store import groups, queue, tables
from bot.store.inbox import Kind, Message
from bot.store.queue import Queue
from tests.support.in_process import context_at, context_of, create_request, store_message
from tests.support.values import GROUP

SECOND = timedelta(seconds=1)


class Home:
    def __init__(self, sandbox: Sandbox, context: Context) -> None:
        self.sandbox, self.context = sandbox, context_at(context, context.now())
        self.opened = 0

    def open(self, person: str) -> None:
        """Opens App Home, and handles that."""
        self.opened += 1
        store_message(self.context, Message(Kind.HOME, f"opened {self.opened}", person, TEAM_ID))
        with self.context.store.write() as connection:
            queue.release_all(connection)
        self.handle_due()

    def handle_due(self, after: timedelta = timedelta()) -> int:
        """Handles the messages that are due after this time. Returns how many were due."""
        self.context = context_at(self.context, self.context.now() + after)
        with self.context.store.write() as connection:
            due = queue.claim_due(connection, Queue(tables.inbox), self.context.owner, self.context.now(), 100)
        for claim in due:
            result = inbox_dispatcher.handle_message(self.context, claim)
            assert isinstance(result, Finished)
            with self.context.store.write() as connection:
                queue.finish(connection, claim, self.context.owner, result.due_at)
        return len(due)

    def published(self) -> int:
        return sum(call.path.endswith("views.publish") for call in self.sandbox.call_log.since())

    def shown(self, person: str) -> str:
        home = self.sandbox.people.home_view(person)
        return "" if home is None else str(home.view)


@pytest.fixture
def home(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[Home]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield Home(sandbox, context)


def test_an_open_home_shows_a_new_request_within_a_minute(home: Home) -> None:
    home.open(CAROL)
    assert home.handle_due(UPDATE_EVERY - SECOND) == 0
    made, _ = create_request(home.sandbox, home.context)
    assert made.id not in home.shown(CAROL)
    assert home.handle_due(SECOND) == 1
    assert made.id in home.shown(CAROL)
    assert "Waiting for your approval (1)" in home.shown(CAROL)


def test_a_group_that_was_paused_outside_the_bot_is_in_trouble_and_one_paused_with_it_is_not(home: Home) -> None:
    now, limits = home.context.now() - UPDATE_EVERY, WatchLimits()
    running = [
        after_first_reading(
            f"p/{number}",
            "media",
            replace(GROUP, group_id=f"group {number}", status=GroupStatus.MONITORING),
            now,
            limits,
        )
        for number in range(2)
    ]
    with home.context.store.write() as connection:
        groups.add_samples(connection, running)
        groups.save(
            connection,
            [after_next_reading(one, replace(one.group, status=GroupStatus.PAUSED), now, limits) for one in running],
        )
        groups.set_paused(connection, "p/1", now)
    home.open(CAROL)
    trouble, ended = home.shown(CAROL).split("Trouble (1)")[1].split("Ended in the last 24 hours (1)")
    assert "`group 0`" in trouble
    assert "`group 1`" in ended


def test_a_home_whose_content_is_the_same_is_not_published_again(home: Home) -> None:
    create_request(home.sandbox, home.context)
    home.open(CAROL)
    before = home.published()
    for _ in range(5):
        assert home.handle_due(UPDATE_EVERY) == 1
    assert home.published() == before


def test_an_hour_after_its_opening_a_home_is_no_longer_updated(home: Home) -> None:
    home.open(CAROL)
    home.handle_due(FRESH_FOR - SECOND)
    assert home.handle_due(UPDATE_EVERY) == 1
    made, _ = create_request(home.sandbox, home.context)
    assert home.handle_due(FRESH_FOR) == 0
    assert made.id not in home.shown(CAROL)


def test_a_home_that_was_opened_again_is_updated_once_a_minute(home: Home) -> None:
    home.open(CAROL)
    home.open(CAROL)
    assert home.handle_due(UPDATE_EVERY) == 2
    assert home.handle_due(UPDATE_EVERY) == 1


def test_only_the_people_who_opened_it_last_get_updates(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_home, "MAX_PEOPLE", 2)
    for person in (ALICE, BOB, DAVE):
        home.open(person)
    assert home.handle_due(UPDATE_EVERY) == 3
    assert home.handle_due(UPDATE_EVERY) == 2
    made, _ = create_request(home.sandbox, home.context)
    home.handle_due(UPDATE_EVERY)
    assert [made.id in home.shown(person) for person in (ALICE, BOB, DAVE)] == [False, True, True]


def test_a_person_without_access_gets_no_updates(home: Home) -> None:
    home.open(ERIN)
    assert "Guests can't use this app." in home.shown(ERIN)
    assert home.handle_due(UPDATE_EVERY) == 0


def test_an_update_keeps_what_is_shown_while_slack_does_not_tell_who_the_person_is(home: Home) -> None:
    made, _ = create_request(home.sandbox, home.context)
    home.open(CAROL)
    home.sandbox.slack.outage.status = 503
    home.handle_due(UPDATE_EVERY * 20)
    home.sandbox.slack.outage.status = None
    assert made.id in home.shown(CAROL)
    assert home.handle_due(UPDATE_EVERY) == 1


def test_a_home_that_slack_did_not_take_is_published_at_the_next_update(home: Home) -> None:
    home.open(CAROL)
    made, _ = create_request(home.sandbox, home.context)
    home.sandbox.slack.outage.status = 503
    home.handle_due(UPDATE_EVERY)
    home.sandbox.slack.outage.status = None
    assert made.id not in home.shown(CAROL)
    home.handle_due(UPDATE_EVERY)
    assert made.id in home.shown(CAROL)
