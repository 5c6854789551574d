"""Alerts are merged, marked as over, muted and authenticated, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from bot.domain.alert import MERGE_WITHIN, AlertItem
from bot.domain.audit_events import AuditEvent
from bot.domain.request_record import Authenticity
from bot.domain.slack_budget import EDITS
from bot.domain.watched_group import Trouble, WatchLimits, after_first_reading
from bot.store import alerts, groups, outbox, queue, requests, slack_budget, tables
from bot.store.alerts import StoredAlert
from bot.store.audit import Event
from bot.store.database import Store
from bot.store.outbox import Card
from bot.store.queue import Queue
from tests.support.alerts import item, over
from tests.support.values import GROUP, NOON, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

CHANNEL = "C0TEST0001"
WITHIN, AFTER = NOON + MERGE_WITHIN - timedelta(seconds=1), NOON + MERGE_WITHIN


def add(store: Store, *items: AlertItem, at: datetime = NOON, project: str = "media", channel: str = CHANNEL) -> None:
    with store.write() as connection:
        alerts.add_items(connection, project, channel, items, at)


def stored(store: Store) -> list[StoredAlert]:
    """All alerts, oldest first."""
    with store.write() as connection:
        numbers = connection.execute(select(tables.alerts.c.id).order_by(tables.alerts.c.id)).scalars().all()
        found = [alerts.lock(connection, number) for number in numbers]
    return [one for one in found if one is not None]


def items(store: Store) -> list[Sequence[AlertItem]]:
    return [one.alert.items for one in stored(store)]


def post(store: Store, ts: str = "1.0") -> None:
    """The newest alert was posted, and shows everything."""
    newest = stored(store)[-1]
    with store.write() as connection:
        alerts.save(connection, replace(newest, ts=ts), None)


def due(store: Store) -> list[datetime | None]:
    with store.read() as connection:
        return list(connection.execute(select(tables.alerts.c.due_at).order_by(tables.alerts.c.id)).scalars())


def test_one_sweep_causes_one_alert_that_is_due_immediately(store: Store) -> None:
    add(store, item(1), item(2, Trouble.FAILED))
    [made] = stored(store)
    assert made.alert.items == (item(1), item(2, Trouble.FAILED))
    assert (made.alert.project, made.alert.created_at, made.channel, made.ts) == ("media", NOON, CHANNEL, None)
    assert made.authenticity is Authenticity.AUTHENTIC
    assert due(store) == [NOON]


def test_without_items_there_is_no_alert(store: Store) -> None:
    add(store)
    add(store, over(1))
    assert stored(store) == []


def test_a_posted_alert_is_edited_within_a_minute_and_later_there_is_another_one(store: Store) -> None:
    add(store, item(1))
    post(store)
    add(store, item(2), at=WITHIN)
    assert items(store) == [(item(1), item(2))]
    assert due(store) == [WITHIN]
    post(store)
    add(store, item(3), at=AFTER)
    assert items(store) == [(item(1), item(2)), (item(3),)]
    assert due(store) == [None, AFTER]


def test_trouble_is_not_added_to_a_posted_alert_that_mentioned_nobody(store: Store) -> None:
    add(store, item(1, None))
    post(store)
    add(store, item(2), at=WITHIN)
    assert items(store) == [(item(1, None),), (item(2),)]


def test_an_alert_takes_every_item_until_it_is_posted(store: Store) -> None:
    add(store, item(1, None))
    for hours in range(1, 25):
        add(store, item(hours, Trouble.FAILED), at=NOON + timedelta(hours=hours), channel="C0OTHER001")
    [made] = stored(store)
    assert len(made.alert.items) == 24
    assert made.channel == "C0OTHER001", "the channel of the project was changed meanwhile"


def test_each_project_has_its_own_alerts(store: Store) -> None:
    add(store, item(1))
    add(store, item(2), project="archive")
    assert items(store) == [(item(1),), (item(2),)]


def test_trouble_that_is_over_is_marked_in_its_alert_even_much_later(store: Store) -> None:
    add(store, item(1), item(2))
    post(store, "1.0")
    add(store, item(3), at=AFTER)
    post(store, "2.0")
    later = NOON + timedelta(days=3)
    add(store, over(1), at=later)
    assert items(store) == [(over(1), item(2)), (item(3),)]
    assert due(store) == [later, None]


def test_new_trouble_of_a_group_is_another_alert_and_ends_the_older_one(store: Store) -> None:
    add(store, item(1))
    post(store)
    failed = item(1, Trouble.FAILED)
    add(store, failed, at=AFTER)
    assert items(store) == [(replace(item(1), group=failed.group, is_over=True),), (failed,)]


def test_a_mute_is_shown_in_the_message_where_it_was_pressed(store: Store) -> None:
    for number in (1, 2):
        add(store, item(number), item(number + 10), at=NOON + number * MERGE_WITHIN)
        post(store, f"{number}.0")
    with store.write() as connection:
        alerts.mute(connection, CHANNEL, "1.0", item(1).key, "UCAROL00", None, NOON)
        alerts.mute(connection, CHANNEL, "7.0", item(1).key, "UCAROL00", None, NOON)
    assert items(store) == [(item(1, muted_by="UCAROL00"), item(11)), (item(2), item(12))]
    assert due(store) == [NOON, None]


def test_a_group_is_muted_until_a_time_or_until_it_moves(store: Store) -> None:
    with store.write() as connection:
        groups.save(
            connection, [after_first_reading(str(number), "media", GROUP, NOON, WatchLimits()) for number in range(3)]
        )
        groups.mute(connection, "0", None)
        groups.mute(connection, "1", AFTER)
        assert groups.mutes(connection, "media") == {"0": None, "1": AFTER}
        assert groups.mutes(connection, "archive") == {}
        groups.end_mutes(connection, ["0"])
        assert groups.mutes(connection, "media") == {"1": AFTER}


@pytest.mark.parametrize("column", ["ts", "channel", "project", "body", "mac"])
def test_an_alert_that_someone_changed_in_the_database_is_not_the_bots_and_stays_so(store: Store, column: str) -> None:
    add(store, item(1))
    add(store, item(2), project="archive")
    forged = {"ts": "9.9", "channel": "C0OTHER001", "project": "archive", "mac": None}
    with store.write() as connection:
        body = connection.execute(select(tables.alerts.c.body).where(tables.alerts.c.id == 2)).scalar_one()
        value = body if column == "body" else forged[column]
        connection.execute(update(tables.alerts).where(tables.alerts.c.id == 1).values({column: value}))
    assert stored(store)[0].authenticity is not Authenticity.AUTHENTIC
    add(store, item(3), over(1), project="media")
    channel = stored(store)[0].channel
    with store.write() as connection:
        alerts.mute(connection, channel, "9.9", item(1).key, "UCAROL00", None, NOON)
    assert stored(store)[0].authenticity is not Authenticity.AUTHENTIC, "it is never signed again"
    assert any(item(3) in one for one in items(store)[1:])


def test_an_alert_is_claimed_by_its_call_to_slack_before_the_progress_of_cards(store: Store) -> None:
    add(store, item(1))
    with store.write() as connection:
        [first] = queue.claim_due(connection, Queue(tables.alerts), "one", NOON, 10)
        queue.finish(connection, first, "one")
    assert first.slack_call == f"chat.postMessage {CHANNEL}"
    post(store)
    add(store, over(1), at=WITHIN)
    with store.write() as connection:
        # What is left of the burst is reserved for urgent changes.
        for _ in range(4):
            assert slack_budget.spend(connection, EDITS, WITHIN)
        requests.add(connection, request(), Event(AuditEvent.REQUEST_CREATED, "UALICE00", request().id), WITHIN)
        outbox.save_card(connection, Card(request().id, CHANNEL, "1.0", None, 0), WITHIN)
        due_at = queue.next_due(connection, WITHIN)
        assert due_at[Queue(tables.alerts)] <= WITHIN < due_at[Queue(tables.cards)]
        assert queue.claim_due(connection, Queue(tables.cards), "one", WITHIN, 10) == []
        [second] = queue.claim_due(connection, Queue(tables.alerts), "one", WITHIN, 10)
    assert second.slack_call == EDITS


def test_two_sweeps_at_the_same_time_lose_nothing(store: Store) -> None:
    add(store, item(1))
    barrier = threading.Barrier(4)

    def sweep(number: int) -> None:
        barrier.wait()
        add(store, item(number))

    threads = [threading.Thread(target=sweep, args=(number,)) for number in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [shown] = items(store)
    assert {one.key for one in shown} == {item(number).key for number in range(1, 6)}
