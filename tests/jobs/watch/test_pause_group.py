"""The Pause button below the status of a group: who may press it, and that it pauses the group and posts one
message."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.domain.alert import AlertItem
from bot.domain.request import State
from bot.domain.watched_group import Trouble, WatchLimits, after_first_reading
from bot.huawei.wire import read_group
from bot.jobs import inbox_dispatcher
from bot.jobs.context import Context
from bot.jobs.watch import pause_group
from bot.sandbox.huawei.credentials import PROJECT_ID, REGION
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.huawei.group import MONITORING, PAUSED, PAUSING, Group
from bot.sandbox.slack.ids import ALICE, BOB, ERIN, MIGRATIONS, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.store import alerts, audit, groups, inbox, queue, tables
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery
from bot.store.queue import Claim, Queue
from tests.support.in_process import context_at, context_of, create_request, store_message, stored_request

GROUP_ID = "4d4d4d4d-0000-4000-8000-000000000001"
KEY = f"{PROJECT_ID}/{GROUP_ID}"
NUMBERS = itertools.count(1)


class Bot:
    def __init__(self, sandbox: Sandbox, context: Context) -> None:
        self.sandbox, self.context = sandbox, context_at(context, context.now())
        self.sandbox.oms.state.groups[GROUP_ID] = Group(GROUP_ID, "nightly images", MONITORING)

    @property
    def group(self) -> Group:
        return self.sandbox.oms.state.groups[GROUP_ID]

    def press(self, person: str, group_id: str = GROUP_ID) -> None:
        """Presses Pause, and handles this click."""
        key = f"{PROJECT_ID}/{group_id}"
        message = Message(Kind.PAUSE_GROUP, f"press {next(NUMBERS)}", person, TEAM_ID, MIGRATIONS, group_key=key)
        self.handle(store_message(self.context, message))

    def handle(self, claim: Claim) -> None:
        result = inbox_dispatcher.handle_message(self.context, claim)
        with self.context.store.write() as connection:
            queue.finish(connection, claim, self.context.owner, getattr(result, "due_at", None))

    def handle_due(self, after: timedelta = timedelta()) -> None:
        """Handles the messages that are due after this time."""
        self.context = context_at(self.context, self.context.now() + after)
        with self.context.store.write() as connection:
            due = queue.claim_due(connection, Queue(tables.inbox), self.context.owner, self.context.now(), 10)
        for claim in due:
            self.handle(claim)

    def notices(self, delivery: Delivery) -> list[str]:
        with self.context.store.read() as connection:
            rows = connection.execute(tables.notices.select().order_by(tables.notices.c.id))
            return [row.text for row in rows if row.delivery == delivery.value]

    def alerted(self) -> list[AlertItem]:
        """The items of all alerts."""
        with self.context.store.write() as connection:
            found = [
                alerts.lock(connection, number) for number in connection.execute(select(tables.alerts.c.id)).scalars()
            ]
        return [item for one in found if one is not None for item in one.alert.items]

    def events(self) -> list[str]:
        with self.context.store.read() as connection:
            return [row.event for row in audit.rows(connection)]

    def stops(self) -> int:
        return sum(call.path.endswith("/stop") for call in self.sandbox.call_log.since())


@pytest.fixture
def bot(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[Bot]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield Bot(sandbox, context)


def test_a_group_without_a_request_is_paused_and_the_channel_is_notified(bot: Bot) -> None:
    bot.press(BOB)
    assert bot.stops() == 0, "the click is recorded first"
    assert bot.events() == ["pause.requested"]
    bot.handle_due()
    assert bot.group.status in (PAUSED, PAUSING)
    assert bot.stops() == 1
    [item] = bot.alerted()
    assert (item.key, item.trouble, item.paused_by, item.is_over) == (KEY, Trouble.PAUSED, BOB, False)
    assert bot.notices(Delivery.DIRECT) == [
        f'You paused "nightly images" (group `{GROUP_ID}`). The bot also posts this in the channel.'
    ]
    assert bot.events() == ["pause.requested", "pause.accepted"]
    bot.handle_due(timedelta(hours=1))
    assert bot.stops() == 1


def test_after_a_crash_right_after_the_call_the_channel_is_still_notified(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot.press(BOB)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pause_group, "_save_paused", die)
        with pytest.raises(KeyboardInterrupt):
            bot.handle_due()
    assert bot.stops() == 1
    with bot.context.store.write() as connection:
        queue.release_all(connection)
    bot.handle_due()
    assert bot.stops() == 1
    assert [item.paused_by for item in bot.alerted()] == [BOB]
    assert bot.events() == ["pause.requested", "pause.accepted"]


def test_a_group_that_an_open_request_follows_is_paused_through_the_request(bot: Bot) -> None:
    made, _ = create_request(bot.sandbox, bot.context, 7, state=State.MOVING)
    bot.press(BOB, made.group.group_id)
    paused = stored_request(bot.context, made.id)
    assert paused.state is State.PAUSING
    assert paused.pause is not None
    assert paused.pause.person == BOB
    assert "The card shows when the group is paused." in bot.notices(Delivery.DIRECT)[0]
    assert bot.alerted() == []


def test_a_guest_may_not_pause(bot: Bot) -> None:
    bot.press(ERIN)
    bot.handle_due()
    assert bot.stops() == 0
    assert bot.notices(Delivery.DIRECT) == ["Guests can't use this app. Nothing changed."]
    assert bot.events() == ["action.refused"]


def test_a_person_who_may_not_see_the_project_learns_nothing(bot: Bot) -> None:
    media = bot.context.projects["media"].model_copy(update={"requesters": (ALICE,)})
    bot.context = replace(bot.context, projects={"media": media})
    bot.press(BOB)
    bot.handle_due()
    assert bot.stops() == 0
    assert bot.notices(Delivery.DIRECT) == ["No such group, or you can't see it."]
    assert bot.events() == ["action.refused"]


def test_a_group_that_does_not_run_is_not_paused(bot: Bot) -> None:
    bot.group.status = PAUSED
    bot.press(BOB)
    bot.handle_due()
    assert bot.stops() == 0
    assert bot.notices(Delivery.DIRECT)[0].endswith("is paused. There's nothing to pause.")
    assert bot.alerted() == []
    assert bot.events() == ["pause.not_needed"]


def test_only_the_person_who_pressed_pause_is_notified_if_oms_refuses_it(bot: Bot) -> None:
    bot.sandbox.oms.faults.add("stop", Answer(403, "OMS.0072"))
    bot.press(BOB)
    bot.handle_due()
    assert bot.group.status == MONITORING
    assert "wasn't paused (OMS.0072)" in bot.notices(Delivery.DIRECT)[0]
    assert "Nothing was paused." in bot.notices(Delivery.DIRECT)[0]
    assert bot.alerted() == []
    assert bot.events() == ["pause.requested", "pause.failed"]
    with bot.context.store.write() as connection:
        assert not groups.paused_by_bot(connection, "media", bot.context.now())


def test_a_pause_is_tried_again_after_a_fault_that_passes(bot: Bot) -> None:
    bot.sandbox.oms.faults.add("stop", Answer(503, "APIG.0202"))
    bot.press(BOB)
    bot.handle_due()
    assert bot.notices(Delivery.DIRECT) == []
    bot.handle_due(timedelta(seconds=10))
    assert bot.group.status in (PAUSED, PAUSING)
    assert [item.paused_by for item in bot.alerted()] == [BOB]


def test_a_group_that_is_not_found_is_not_paused(bot: Bot) -> None:
    bot.press(BOB, "4d4d4d4d-0000-4000-8000-00000000ffff")
    assert bot.notices(Delivery.DIRECT) == ["No such group, or you can't see it. Nothing was paused."]


def test_a_click_that_is_delivered_twice_pauses_once(bot: Bot) -> None:
    message = Message(Kind.PAUSE_GROUP, "same", BOB, TEAM_ID, MIGRATIONS, group_key=f"{PROJECT_ID}/{GROUP_ID}")
    claim = store_message(bot.context, message)
    with bot.context.store.write() as connection:
        assert inbox.put(connection, message, bot.context.owner, datetime.now().astimezone()) is None
    bot.handle(claim)
    bot.handle(claim)
    bot.handle_due()
    assert bot.stops() == 1
    assert bot.events() == ["pause.requested", "pause.accepted"]


def test_a_pause_that_could_not_be_sent_for_ten_minutes_is_not_sent(bot: Bot) -> None:
    bot.press(BOB)
    bot.handle_due(timedelta(hours=1))
    assert bot.stops() == 0
    assert bot.notices(Delivery.DIRECT)[0].startswith(f"The bot couldn't pause group `{GROUP_ID}` in time.")
    assert bot.events() == ["pause.requested", "pause.failed"]


def test_a_pause_that_oms_takes_after_some_minutes_counts_as_paused_by_the_bot(bot: Bot) -> None:
    bot.group.bytes_per_second = 0
    with bot.context.store.write() as connection:
        watched = after_first_reading(
            KEY, "media", read_group(bot.group.as_json(REGION)), bot.context.now(), WatchLimits()
        )
        groups.save(connection, [watched])
    bot.press(BOB)
    bot.sandbox.oms.faults.add("stop", Answer(429, "APIG.0308"))
    bot.handle_due()
    with bot.context.store.write() as connection:
        later = bot.context.now() + groups.PAUSES_WITHIN + timedelta(seconds=1)
        assert not groups.paused_by_bot(connection, "media", later), "a sweep found the group still running"
    bot.handle_due(timedelta(minutes=3))
    assert [item.paused_by for item in bot.alerted()] == [BOB]
    with bot.context.store.write() as connection:
        assert groups.paused_by_bot(connection, "media", bot.context.now()) == {KEY}


def test_a_group_that_no_sweep_has_seen_counts_as_paused_by_the_bot(bot: Bot) -> None:
    bot.press(BOB)
    with bot.context.store.write() as connection:
        assert groups.paused_by_bot(connection, "media", bot.context.now()) == {KEY}
