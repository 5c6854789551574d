"""The newest hash reaches each project's channel once a day with activity, and what is old is deleted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update

from bot.domain.audit_events import AuditEvent
from bot.domain.request import State
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import WatchLimits, after_first_reading
from bot.jobs import maintenance
from bot.jobs.context import Context
from bot.jobs.maintenance import Task
from bot.jobs.notify.notices import send_notice
from bot.jobs.worker import Failed, Rescheduled, Result
from bot.sandbox.slack.ids import BOT_USER_ID, MIGRATIONS
from bot.sandbox.slack.server import SlackStandIn
from bot.store import alerts, audit, groups, inbox, outbox, queue, requests, tables
from bot.store.audit import Event, append, rows
from bot.store.database import Store, open_store
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim, Queue
from bot.store.verification import Verified, verify
from tests.support.alerts import item
from tests.support.maintenance import die_before_commit, maintenance_context
from tests.support.values import GROUP, NOON, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(store: Store, slack: SlackStandIn, clock: Clock) -> Context:
    return maintenance_context(store, lambda: clock.now, slack.api_url)


def run_due_tasks(context: Context) -> list[str]:
    """Runs the tasks that are due, as the worker does, and returns their names."""
    with context.store.write() as connection:
        due = queue.claim_due(connection, Queue(tables.maintenance), context.owner, context.now(), 10)
    for claim in due:
        assert maintenance.run_task(context, claim) == Rescheduled()
        with context.store.write() as connection:
            queue.release(connection, claim, context.owner)
    return [str(claim.key) for claim in due]


def record(context: Context, event: Event) -> None:
    with context.store.write() as connection:
        append(connection, event, context.now())


def add_request(context: Context) -> None:
    with context.store.write() as connection:
        requests.add(connection, request(), Event(AuditEvent.REQUEST_CREATED, "UALICE00", "R-00000001"), context.now())


def notices(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        query = select(tables.notices.c.address, tables.notices.c.text).where(tables.notices.c.delivery == "channel")
        return [(row.address, row.text) for row in connection.execute(query.order_by(tables.notices.c.id))]


def events(store: Store) -> list[str]:
    with store.read() as connection:
        assert isinstance(verify(connection), Verified)
        return [link.event for link in rows(connection)]


def test_the_tasks_are_due_at_the_first_start_and_then_at_each_midnight(context: Context, clock: Clock) -> None:
    assert sorted(run_due_tasks(context)) == sorted(Task)
    assert run_due_tasks(context) == []
    clock.now = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
    assert run_due_tasks(context) == ["thin"]
    clock.now = datetime(2026, 3, 3, tzinfo=UTC)
    assert sorted(run_due_tasks(context)) == ["anchor", "purge"]
    with context.store.read() as connection:
        query = select(tables.maintenance.c.due_at).where(tables.maintenance.c.name.in_(["anchor", "purge"]))
        assert set(connection.execute(query).scalars()) == {datetime(2026, 3, 4, tzinfo=UTC)}


def test_the_newest_hash_is_posted_to_the_channel_of_a_project_with_activity(context: Context) -> None:
    add_request(context)
    record(context, Event(AuditEvent.VOTE_ADDED, "UCAROL00", "R-00000001"))
    record(context, Event(AuditEvent.ACTION_REFUSED, "UEVE0000", None, {"why": "not ours"}))
    with context.store.read() as connection:
        head = audit.newest(connection)
    assert head is not None
    run_due_tasks(context)
    assert notices(context.store) == [
        (
            MIGRATIONS,
            "Audit of media: 2 new rows since the last message, 3 in all. To check that no row was changed or removed, "
            f"run `taskgroup-bot audit verify --head {head.hash}`",
        )
    ]
    with context.store.read() as connection:
        assert verify(connection, head.hash) == Verified(audit.newest(connection) or head, 3)
        anchored = list(rows(connection))[-1]
    assert (anchored.event, anchored.actor, anchored.request_id) == ("audit.anchored", "bot", None)
    assert anchored.detail == f'{{"head":"{head.hash}","project":"media","rows":3}}'


def test_the_newest_hash_is_logged_even_without_activity(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    record(context, Event(AuditEvent.ACTION_REFUSED, "UEVE0000", None, {"why": "not ours"}))
    with context.store.read() as connection:
        head = audit.newest(connection)
    assert head is not None
    with caplog.at_level(logging.INFO):
        run_due_tasks(context)
    assert f"audit: 1 rows, newest hash {head.hash}" in caplog.messages
    assert notices(context.store) == []
    assert events(context.store) == ["action.refused"]


def test_no_hash_is_posted_after_a_day_with_no_activity_but_an_anchor(context: Context, clock: Clock) -> None:
    add_request(context)
    for _ in range(4):
        run_due_tasks(context)
        clock.now += DAY
    assert len(notices(context.store)) == 1
    record(context, Event(AuditEvent.VOTE_ADDED, "UCAROL00", "R-00000001"))
    run_due_tasks(context)
    assert len(notices(context.store)) == 2
    assert "Audit of media: 1 new row since the last message, 3 in all." in notices(context.store)[1][1]


def test_rows_added_between_counting_and_posting_are_counted_the_next_day(context: Context, clock: Clock) -> None:
    add_request(context)
    record(context, Event(AuditEvent.AUDIT_ANCHORED, "bot", None, {"project": "media", "rows": 0, "head": "0"}))
    clock.now += DAY
    run_due_tasks(context)
    assert "Audit of media: 1 new row since the last message, 2 in all." in notices(context.store)[0][1]


def test_the_hash_is_posted_once_a_day_however_often_the_task_is_due(context: Context, clock: Clock) -> None:
    for hours in (0, 6, 11):
        clock.now = NOON + timedelta(hours=hours)
        with context.store.write() as connection:
            connection.execute(update(tables.maintenance).values(due_at=clock.now))
        if hours == 0:
            add_request(context)
        else:
            record(context, Event(AuditEvent.VOTE_ADDED, "UCAROL00", "R-00000001"))
        run_due_tasks(context)
    assert len(notices(context.store)) == 1
    clock.now = NOON + DAY
    run_due_tasks(context)
    assert len(notices(context.store)) == 2
    assert "media: 2 new rows" in notices(context.store)[1][1]


def test_one_of_many_replicas_posts_the_hash(context: Context) -> None:
    add_request(context)
    barrier = threading.Barrier(6)

    def work(owner: str) -> None:
        barrier.wait()
        # No replica checks that the claim is its own, like a worker that did not notice the end of its lease.
        maintenance.run_task(replace(context, owner=owner), Claim(tables.maintenance.name, Task.ANCHOR.value, 0))

    threads = [threading.Thread(target=work, args=(f"o{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notices(context.store)) == 1
    assert events(context.store).count("audit.anchored") == 1


def test_a_process_killed_before_the_commit_leaves_the_hash_to_be_posted_once_after_the_restart(
    database_url: str, clock: Clock, slack: SlackStandIn
) -> None:
    with closing(open_store(database_url)) as store:
        add_request(maintenance_context(store, lambda: clock.now, slack.api_url))
    die_before_commit(database_url, clock.now)
    with closing(open_store(database_url)) as store:
        context = maintenance_context(store, lambda: clock.now, slack.api_url)
        assert notices(store) == []
        assert "audit.anchored" not in events(store)
        assert "anchor" in run_due_tasks(context)
        run_due_tasks(context)
        assert len(notices(store)) == 1
        assert events(store).count("audit.anchored") == 1


def send_due_notice(context: Context) -> Result:
    with context.store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.notices), context.owner, context.now(), 10)
    result = send_notice(context, claim)
    if isinstance(result, Failed):
        with context.store.write() as connection:
            queue.postpone(connection, claim, context.owner, result.due_at)
    return result


def test_the_notice_is_posted_to_the_channel(context: Context, slack: SlackStandIn) -> None:
    add_request(context)
    run_due_tasks(context)
    assert send_due_notice(context) == Rescheduled()
    [posted] = slack.workspace.messages_in(MIGRATIONS)
    assert posted.text.startswith("Audit of media: 1 new row since the last message, 1 in all.")
    assert posted.thread_ts is None


@pytest.mark.parametrize(
    ("close_channel", "code"),
    [
        (lambda slack: slack.workspace.channels[MIGRATIONS].members.discard(BOT_USER_ID), "not_in_channel"),
        (lambda slack: setattr(slack.workspace.channels[MIGRATIONS], "archived", True), "is_archived"),
    ],
)
def test_a_hash_that_the_channel_does_not_take_is_audited_and_logged_and_not_tried_again(
    context: Context,
    slack: SlackStandIn,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    close_channel: Callable[[SlackStandIn], None],
    code: str,
) -> None:
    add_request(context)
    run_due_tasks(context)
    close_channel(slack)
    assert send_due_notice(context) == Rescheduled()
    assert slack.workspace.messages_in(MIGRATIONS) == []
    assert events(context.store) == ["request.created", "audit.anchored", "notice.not_sent"]
    assert f"a notice was not sent: channel, {code}" in caplog.messages
    clock.now += DAY
    run_due_tasks(context)
    assert len(notices(context.store)) == 1, "a notice that was not sent is no activity"


def test_posting_the_hash_is_tried_again_for_a_day_while_slack_is_down(
    context: Context, slack: SlackStandIn, clock: Clock
) -> None:
    add_request(context)
    run_due_tasks(context)
    slack.outage.status = 503
    assert isinstance(send_due_notice(context), Failed)
    clock.now += DAY + timedelta(minutes=1)
    assert send_due_notice(context) == Rescheduled()
    assert events(context.store)[-1] == "notice.not_sent"


# Deleting finished rows


def test_finished_messages_and_notices_are_deleted_after_thirty_days_and_nothing_else(
    context: Context, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    add_request(context)
    with context.store.write() as connection:
        old = requests.lock(connection, "R-00000001")
        assert old is not None
        requests.save(
            connection,
            old,
            old.with_state(State.CANCELLED, at=NOON),
            NOON,
            Event(AuditEvent.REQUEST_CANCELLED, "UALICE00", old.id),
        )
        for key in ("finished", "unfinished"):
            claim = inbox.put(connection, Message(Kind.CREATE_REQUEST, key, "U", "T"), "one", NOON)
            assert claim is not None
            queue.finish(connection, claim, "one", None if key == "finished" else NOON)
        for words in ("sent", "unsent"):
            outbox.add_notice(connection, Notice(Delivery.DIRECT, "U", words), NOON)
        connection.execute(text("UPDATE notices SET due_at = NULL WHERE text = 'sent'"))
    kept = {"requests": 1, "cards": 1}
    for days, left in ((29, ["finished", "unfinished", "sent", "unsent"]), (31, ["unfinished", "unsent"])):
        clock.now = NOON + timedelta(days=days)
        run_due_tasks(context)
        with context.store.read() as connection:
            found = [*connection.execute(select(tables.inbox.c.key).order_by(tables.inbox.c.id)).scalars()]
            query = (
                select(tables.notices.c.text).where(tables.notices.c.delivery == "direct").order_by(tables.notices.c.id)
            )
            found += connection.execute(query).scalars()
            counts = {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in kept}
        assert found == left
        assert counts == kept
    assert events(context.store)[:2] == ["request.created", "request.cancelled"]
    logged = [line for line in caplog.messages if line.startswith("deleted")]
    assert logged == ["deleted 2 finished messages and notices older than 30 days"], "logged only if rows were deleted"


def test_a_claimed_message_is_not_deleted(context: Context, clock: Clock) -> None:
    with context.store.write() as connection:
        inbox.put(connection, Message(Kind.CREATE_REQUEST, "claimed", "U", "T"), "one", NOON)
        connection.execute(update(tables.inbox).values(due_at=None))
    clock.now += timedelta(days=40)
    run_due_tasks(context)
    with context.store.read() as connection:
        assert connection.execute(select(tables.inbox.c.key)).scalars().all() == ["claimed"]


# Deleting the history


def end_request(context: Context, number: int, ended_at: datetime) -> None:
    made = request(number=number, group=replace(GROUP, group_id=f"group {number}"))
    with context.store.write() as connection:
        requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, "UALICE00", made.id), ended_at)
        ended = made.with_state(State.CANCELLED, at=ended_at)
        requests.save(connection, made, ended, ended_at, Event(AuditEvent.REQUEST_CANCELLED, "UALICE00", made.id))


def test_requests_that_ended_alerts_and_groups_that_were_not_seen_are_deleted_after_the_time_of_keep(
    context: Context, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(maintenance, "DELETED_AT_ONCE", 2)
    for number in range(1, 6):
        end_request(context, number, NOON)
    end_request(context, 6, NOON + DAY * 2)
    add_request_that_is_open(context, 7)
    seen = after_first_reading("p/1", "media", GROUP, NOON, WatchLimits())
    with context.store.write() as connection:
        groups.save(connection, [seen])
        groups.add_samples(connection, [seen])
        alerts.add_items(connection, "media", "C0MIGRATE1", [item()], NOON)
        connection.execute(tables.alerts.update().values(due_at=None))
    clock.now = NOON + context.keep - timedelta(hours=1)
    run_due_tasks(context)
    assert stored_ids(context) == [f"R-0000000{number}" for number in range(1, 8)]
    with context.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.alerts)).scalar() == 1
    clock.now = NOON + context.keep + DAY
    run_due_tasks(context)
    assert stored_ids(context) == ["R-00000006", "R-00000007"]
    with context.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.cards)).scalar() == 2
        assert groups.get(connection, "p/1") is None
        assert groups.samples_of(connection, "p/1", NOON, NOON) == []
        assert alerts.lock(connection, 1) is None
        assert [row.event for row in rows(connection, "R-00000001")] == ["request.created", "request.cancelled"]
        assert isinstance(verify(connection), Verified)
    assert "deleted 5 requests that ended, and 1 groups last seen, more than 400 days ago" in caplog.messages


def add_request_that_is_open(context: Context, number: int) -> None:
    made = request(number=number, group=replace(GROUP, group_id=f"group {number}"))
    with context.store.write() as connection:
        requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, "UALICE00", made.id), NOON)


def stored_ids(context: Context) -> list[str]:
    with context.store.read() as connection:
        return list(connection.execute(select(tables.requests.c.id).order_by(tables.requests.c.id)).scalars())


def test_the_samples_of_running_groups_are_thinned_each_hour(context: Context, clock: Clock) -> None:
    run_due_tasks(context)
    seen = after_first_reading("p/1", "media", replace(GROUP, status=GroupStatus.MONITORING), NOON, WatchLimits())
    with context.store.write() as connection:
        groups.save(connection, [seen])
        minutes = [replace(seen, seen_at=NOON + timedelta(minutes=number)) for number in range(180)]
        groups.add_samples(connection, minutes)
    clock.now = NOON + timedelta(hours=3)
    assert run_due_tasks(context) == ["thin"]
    with context.store.read() as connection:
        left = groups.samples_of(connection, "p/1", NOON, NOON + DAY)
    assert len(left) == 12 + 60
