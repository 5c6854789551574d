"""The daily digest reaches a project's channel once, at its local time, and not on a day without anything."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from bot.domain.audit_events import AuditEvent
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import WatchLimits, after_first_reading, after_next_reading
from bot.jobs import maintenance
from bot.jobs.digest import schedule_digest
from bot.jobs.maintenance import Task
from bot.sandbox.slack.checks import problems_of_blocks
from bot.sandbox.slack.server import SlackStandIn
from bot.store import groups, queue, requests, tables
from bot.store.audit import Event
from bot.store.database import Store
from bot.store.queue import Claim, Queue
from bot.ui.blocks import SECTION_CHARACTERS, section, slack_message
from tests.support.maintenance import maintenance_context
from tests.support.values import GROUP, NOON, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
#: 08:00 in Singapore.
EIGHT = datetime(2026, 3, 3, tzinfo=UTC)


class Bot:
    """A bot whose projects have a digest, with a simulated time."""

    def __init__(self, store: Store, slack: SlackStandIn) -> None:
        self.now = NOON
        made = maintenance_context(store, lambda: self.now, slack.api_url)
        self.context = replace(made, projects={"media": made.projects["media"]})
        self.set_digest("08:00 Asia/Singapore")

    def set_digest(self, digest: str | None) -> None:
        """Restarts the bot with this setting."""
        media = self.context.projects["media"].model_copy(update={"digest": digest})
        self.context = replace(self.context, projects={**self.context.projects, "media": media})
        schedule_digest(self.context)

    def run_at(self, now: datetime) -> list[str]:
        """Runs the task if it is due at this time. Returns all digests so far."""
        self.now = now
        with self.context.store.write() as connection:
            due = queue.claim_due(connection, Queue(tables.maintenance), self.context.owner, now, 10)
        for claim in due:
            if claim.key == Task.DIGEST:
                maintenance.run_task(self.context, claim)
            with self.context.store.write() as connection:
                queue.release(connection, claim, self.context.owner)
        return self.digests()

    def digests(self) -> list[str]:
        with self.context.store.read() as connection:
            return list(connection.execute(select(tables.notices.c.text).order_by(tables.notices.c.id)).scalars())

    def add_request(self) -> None:
        with self.context.store.write() as connection:
            event = Event(AuditEvent.REQUEST_CREATED, "UALICE00", "R-00000001")
            requests.add(connection, request(), event, self.now)


@pytest.fixture
def bot(store: Store, slack: SlackStandIn) -> Bot:
    return Bot(store, slack)


def test_the_digest_is_posted_at_its_time_and_not_before(bot: Bot) -> None:
    bot.add_request()
    assert bot.run_at(NOON) == [], "no digest of the time before the first start"
    assert bot.run_at(EIGHT - timedelta(seconds=1)) == []
    [text] = bot.run_at(EIGHT)
    assert text.startswith("*Digest for media since ")
    assert "*1 waiting for approval*\nR-00000001" in text
    assert bot.run_at(EIGHT + MINUTE) == [text]
    assert len(bot.run_at(EIGHT + DAY)) == 2


def test_the_digest_of_a_restart_after_its_time_is_posted_once(bot: Bot) -> None:
    bot.add_request()
    bot.set_digest("08:00 Asia/Singapore")
    bot.now = EIGHT + MINUTE
    bot.set_digest("08:00 Asia/Singapore")
    assert len(bot.run_at(EIGHT + MINUTE)) == 1
    bot.set_digest("08:00 Asia/Singapore")
    assert len(bot.run_at(EIGHT + 2 * MINUTE)) == 1


def test_after_some_days_away_there_is_one_digest_of_all_these_days(bot: Bot) -> None:
    bot.add_request()
    [text] = bot.run_at(EIGHT + DAY * 3 + MINUTE)
    assert f"^{int((EIGHT - DAY).timestamp())}^" in text, "since the time before the first one that was missed"
    assert bot.run_at(EIGHT + DAY * 3 + 2 * MINUTE) == [text]
    assert len(bot.run_at(EIGHT + DAY * 4)) == 2


def test_a_day_without_anything_has_no_digest(bot: Bot) -> None:
    assert bot.run_at(EIGHT) == []
    bot.add_request()
    assert len(bot.run_at(EIGHT + DAY)) == 1


def test_without_the_setting_there_is_no_digest(bot: Bot) -> None:
    bot.add_request()
    bot.set_digest(None)
    for days in range(3):
        assert bot.run_at(EIGHT + DAY * days) == []


@pytest.mark.parametrize("digest", ["07:30 Asia/Singapore", "08:30 Asia/Singapore"])
def test_a_changed_time_counts_from_the_restart_on(bot: Bot, digest: str) -> None:
    bot.add_request()
    bot.now = EIGHT - timedelta(hours=1)
    bot.set_digest(digest)
    at = EIGHT + timedelta(minutes=30 if digest.startswith("08") else -30)
    assert bot.run_at(at - MINUTE) == []
    assert len(bot.run_at(at)) == 1
    assert len(bot.run_at(at + timedelta(hours=12))) == 1


def test_one_of_many_replicas_posts_the_digest(bot: Bot) -> None:
    bot.add_request()
    bot.now = EIGHT
    barrier = threading.Barrier(6)

    def work(owner: str) -> None:
        barrier.wait()
        maintenance.run_task(replace(bot.context, owner=owner), Claim(tables.maintenance.name, Task.DIGEST.value, 0))

    threads = [threading.Thread(target=work, args=(f"o{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bot.digests()) == 1


def test_the_digest_counts_what_happened_since_the_last_one_and_fits_into_a_message(bot: Bot) -> None:
    limits, now = WatchLimits(), NOON
    group = replace(GROUP, status=GroupStatus.MONITORING)
    found = [
        after_first_reading(f"p/{number}", "media", replace(group, group_id=f"group {number}"), now, limits)
        for number in range(100)
    ]
    stopped = {
        range(30): GroupStatus.COMPLETED,
        range(30, 60): GroupStatus.MIGRATION_FAILED,
        range(60, 90): GroupStatus.PAUSED,
    }
    with bot.context.store.write() as connection:
        groups.save(connection, found)
        groups.add_samples(connection, found)
        for numbers, status in stopped.items():
            after = [
                after_next_reading(found[number], replace(found[number].group, status=status), now + MINUTE, limits)
                for number in numbers
            ]
            groups.save(connection, after)
    [text] = bot.run_at(EIGHT)
    for words in ("*30 failed", "*10 running", "*30 paused", "*30 done"):
        assert words in text
    assert len(text) <= SECTION_CHARACTERS
    assert text.endswith("\nType `/resume-taskgroup list` for all groups.")
    assert text.count("failed, ") > 5
    assert problems_of_blocks(list(slack_message(text, [section(text)]).blocks)) == []
    assert bot.run_at(EIGHT + DAY)[1].count("*10 running") == 1, "the day before listed groups that stopped"
