"""The newest hash reaches each project's channel once a day with activity; what is done with goes after thirty days."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from bot.request.model import State
from bot.sandbox.journal import Journal
from bot.sandbox.slack import world as w
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.world import demo_workspace
from bot.store import audit, claims, inbox, outbox, requests, tables
from bot.store.audit import Event, Verified, append, links, verify
from bot.store.chores import Chore
from bot.store.claims import Claim, Share
from bot.store.engine import Store, open_store
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice, Way
from bot.work import chores
from bot.work.loop import Failed, Kept, Result
from bot.work.notices import work_on_notice
from bot.work.tools import Tools
from tests.support.chores import dies_before_the_commit, tools_for_chores
from tests.support.values import NOON, request

pytestmark = pytest.mark.usefixtures("patient")

DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    stand_in = SlackStandIn(demo_workspace(lambda: datetime.now(UTC)), Journal())
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()


@pytest.fixture
def tools(store: Store, slack: SlackStandIn, clock: Clock) -> Tools:
    return tools_for_chores(store, lambda: clock.now, slack.api_url)


def do_due(tools: Tools) -> list[str]:
    """Does the chores that are due, as the loop would; their names."""
    with tools.store.write() as connection:
        due = claims.claim_due(connection, Share(tables.chores), tools.owner, tools.now(), 10)
    for claim in due:
        assert chores.work(tools, claim) == Kept()
        with tools.store.write() as connection:
            claims.release(connection, claim, tools.owner)
    return [str(claim.key) for claim in due]


def tell(tools: Tools, event: Event) -> None:
    with tools.store.write() as connection:
        append(connection, event, tools.now())


def ask(tools: Tools) -> None:
    with tools.store.write() as connection:
        requests.add(connection, request(), Event("asked", "UALICE00", "R-00000001"), tools.now())


def notices(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        query = select(tables.notices.c.address, tables.notices.c.text).where(tables.notices.c.way == "channel")
        return [(row.address, row.text) for row in connection.execute(query.order_by(tables.notices.c.id))]


def events(store: Store) -> list[str]:
    with store.read() as connection:
        assert isinstance(verify(connection), Verified)
        return [link.event for link in links(connection)]


def test_both_chores_are_due_at_the_first_start_and_then_at_each_midnight(tools: Tools, clock: Clock) -> None:
    assert sorted(do_due(tools)) == ["anchor", "tidy"]
    assert do_due(tools) == []
    clock.now = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
    assert do_due(tools) == []
    clock.now = datetime(2026, 3, 3, tzinfo=UTC)
    assert sorted(do_due(tools)) == ["anchor", "tidy"]
    with tools.store.read() as connection:
        assert set(claims.next_due(connection).values()) == {datetime(2026, 3, 4, tzinfo=UTC)}


def test_the_channel_of_a_project_with_activity_is_told_the_newest_hash(tools: Tools) -> None:
    ask(tools)
    tell(tools, Event("approve", "UCAROL00", "R-00000001"))
    tell(tools, Event("refused", "UEVE0000", None, {"why": "not ours"}))
    with tools.store.read() as connection:
        head = audit.newest(connection)
    assert head is not None
    do_due(tools)
    assert notices(tools.store) == [
        (
            w.MIGRATIONS,
            "Audit of media: 2 new rows, 3 in the whole chain. Check with the newest hash, at any time, that none was "
            f"changed or removed: `taskgroup-bot audit verify --head {head.hash}`",
        )
    ]
    with tools.store.read() as connection:
        assert verify(connection, head.hash) == Verified(audit.newest(connection) or head, 3)
        anchored = list(links(connection))[-1]
    assert (anchored.event, anchored.actor, anchored.request_id) == ("anchored", "bot", None)
    assert anchored.detail == f'{{"head":"{head.hash}","project":"media","rows":3}}'


def test_the_newest_hash_goes_to_the_log_also_without_activity(tools: Tools, caplog: pytest.LogCaptureFixture) -> None:
    tell(tools, Event("refused", "UEVE0000", None, {"why": "not ours"}))
    with tools.store.read() as connection:
        head = audit.newest(connection)
    assert head is not None
    with caplog.at_level(logging.INFO):
        do_due(tools)
    assert f"audit: 1 rows, newest hash {head.hash}" in caplog.messages
    assert notices(tools.store) == []
    assert events(tools.store) == ["refused"]


def test_a_day_without_activity_is_quiet_and_an_anchor_is_no_activity(tools: Tools, clock: Clock) -> None:
    ask(tools)
    for _ in range(4):
        do_due(tools)
        clock.now += DAY
    assert len(notices(tools.store)) == 1
    tell(tools, Event("approve", "UCAROL00", "R-00000001"))
    do_due(tools)
    assert len(notices(tools.store)) == 2
    assert "Audit of media: 1 new row, 3 in the whole chain." in notices(tools.store)[1][1]


def test_what_happened_between_the_look_and_the_anchor_is_told_the_next_day(tools: Tools, clock: Clock) -> None:
    ask(tools)
    tell(tools, Event("anchored", "bot", None, {"project": "media", "rows": 0, "head": "0"}))
    clock.now += DAY
    do_due(tools)
    assert "Audit of media: 1 new row, 2 in the whole chain." in notices(tools.store)[0][1]


def test_there_is_one_message_a_day_however_often_it_is_due(tools: Tools, clock: Clock) -> None:
    for hours in (0, 6, 11):
        clock.now = NOON + timedelta(hours=hours)
        with tools.store.write() as connection:
            connection.execute(update(tables.chores).values(due_at=clock.now))
        if hours == 0:
            ask(tools)
        else:
            tell(tools, Event("approve", "UCAROL00", "R-00000001"))
        do_due(tools)
    assert len(notices(tools.store)) == 1
    clock.now = NOON + DAY
    do_due(tools)
    assert len(notices(tools.store)) == 2
    assert "media: 2 new rows" in notices(tools.store)[1][1]


def test_of_many_replicas_at_once_one_tells(tools: Tools) -> None:
    ask(tools)
    barrier = threading.Barrier(6)

    def work(owner: str) -> None:
        barrier.wait()
        # Each believes that the chore is its own, as one does whose lease ran out unnoticed.
        chores.work(replace(tools, owner=owner), Claim("chores", Chore.ANCHOR.value, 0))

    threads = [threading.Thread(target=work, args=(f"o{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notices(tools.store)) == 1
    assert events(tools.store).count("anchored") == 1


def test_killed_before_the_commit_it_is_told_at_the_next_start_and_once(
    database_url: str, clock: Clock, slack: SlackStandIn
) -> None:
    with closing(open_store(database_url)) as store:
        ask(tools_for_chores(store, lambda: clock.now, slack.api_url))
    dies_before_the_commit(database_url, clock.now)
    with closing(open_store(database_url)) as store:
        tools = tools_for_chores(store, lambda: clock.now, slack.api_url)
        assert notices(store) == []
        assert "anchored" not in events(store)
        assert "anchor" in do_due(tools)
        do_due(tools)
        assert len(notices(store)) == 1
        assert events(store).count("anchored") == 1


def send(tools: Tools) -> Result:
    with tools.store.write() as connection:
        [claim] = claims.claim_due(connection, Share(tables.notices), tools.owner, tools.now(), 10)
    result = work_on_notice(tools, claim)
    if isinstance(result, Failed):
        with tools.store.write() as connection:
            claims.postpone(connection, claim, tools.owner, result.due_at)
    return result


def test_the_message_is_posted_to_the_channel(tools: Tools, slack: SlackStandIn) -> None:
    ask(tools)
    do_due(tools)
    assert send(tools) == Kept()
    [posted] = slack.workspace.of(w.MIGRATIONS)
    assert posted.text.startswith("Audit of media: 1 new row, 1 in the whole chain.")
    assert posted.thread_ts is None


@pytest.mark.parametrize(
    ("hinder", "code"),
    [
        (lambda slack: slack.workspace.channels[w.MIGRATIONS].members.discard(w.BOT_USER_ID), "not_in_channel"),
        (lambda slack: setattr(slack.workspace.channels[w.MIGRATIONS], "archived", True), "is_archived"),
    ],
)
def test_a_channel_that_cannot_be_posted_to_is_audited_and_logged_and_not_tried_again(
    tools: Tools,
    slack: SlackStandIn,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    hinder: Callable[[SlackStandIn], None],
    code: str,
) -> None:
    ask(tools)
    do_due(tools)
    hinder(slack)
    assert send(tools) == Kept()
    assert slack.workspace.of(w.MIGRATIONS) == []
    assert events(tools.store) == ["asked", "anchored", "notice not sent"]
    assert f"a notice was not sent: channel, {code}" in caplog.messages
    clock.now += DAY
    do_due(tools)
    assert len(notices(tools.store)) == 1, "that it was not sent is no activity"


def test_a_message_is_tried_again_while_slack_is_down_for_a_day_at_most(
    tools: Tools, slack: SlackStandIn, clock: Clock
) -> None:
    ask(tools)
    do_due(tools)
    slack.outage.status = 503
    assert isinstance(send(tools), Failed)
    clock.now += DAY + timedelta(minutes=1)
    assert send(tools) == Kept()
    assert events(tools.store)[-1] == "notice not sent"


# Tidying up


def test_what_is_done_with_goes_after_thirty_days_and_nothing_else(
    tools: Tools, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ask(tools)
    with tools.store.write() as connection:
        old = requests.lock(connection, "R-00000001")
        assert old is not None
        requests.save(connection, old, old.turned(State.CANCELLED, at=NOON), NOON, Event("cancel", "UALICE00", old.id))
        for key in ("finished", "unfinished"):
            claim = inbox.put(connection, Message(Kind.ASK, key, "U", "T"), "one", NOON)
            assert claim is not None
            claims.finish(connection, claim, "one", None if key == "finished" else NOON)
        for words in ("sent", "unsent"):
            outbox.add_notice(connection, Notice(Way.DIRECT, "U", words), NOON)
        connection.execute(text("UPDATE notices SET due_at = NULL WHERE text = 'sent'"))
    kept = {"requests": 1, "cards": 1}
    for days, left in ((29, ["finished", "unfinished", "sent", "unsent"]), (31, ["unfinished", "unsent"])):
        clock.now = NOON + timedelta(days=days)
        do_due(tools)
        with tools.store.read() as connection:
            found = [*connection.execute(select(tables.inbox.c.key).order_by(tables.inbox.c.id)).scalars()]
            query = select(tables.notices.c.text).where(tables.notices.c.way == "direct").order_by(tables.notices.c.id)
            found += connection.execute(query).scalars()
            counts = {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in kept}
        assert found == left
        assert counts == kept
    assert events(tools.store)[:2] == ["asked", "cancel"]
    told = [line for line in caplog.messages if line.startswith("removed")]
    assert told == ["removed 2 messages and notices that were done with for 30 days"], "and of nothing, nothing"


def test_a_message_in_hand_stays(tools: Tools, clock: Clock) -> None:
    with tools.store.write() as connection:
        inbox.put(connection, Message(Kind.ASK, "in hand", "U", "T"), "one", NOON)
        connection.execute(update(tables.inbox).values(due_at=None))
    clock.now += timedelta(days=40)
    do_due(tools)
    with tools.store.read() as connection:
        assert connection.execute(select(tables.inbox.c.key)).scalars().all() == ["in hand"]
