"""Runs the maintenance tasks: posts the newest hash of the audit chain and the digests, and deletes old rows.

The result of a task and its next due time are stored in one transaction, so that a task which several
replicas run takes effect only once.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bot.domain.audit_events import AuditEvent
from bot.jobs import digest
from bot.jobs.context import Context
from bot.jobs.worker import Rescheduled, Result
from bot.store import alerts, audit, groups, outbox, queue, requests, tables
from bot.store.audit import BOT, Anchor, Event
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui.thread import audit_anchor

log = logging.getLogger(__name__)

# Slack redelivers a payload for an hour at most. After that, the key of a message is not needed. For some weeks, the
# messages help to answer questions about what people typed. After that, the requests and the audit chain are enough.
KEEP_FINISHED_FOR = timedelta(days=30)
# How many requests one transaction deletes at most.
DELETED_AT_ONCE = 500
THIN_EVERY = timedelta(hours=1)
# Two days after a group stopped, its samples cannot be thinned any further.
THIN_FOR = timedelta(days=2)
NO_ANCHOR = Anchor(datetime.min.replace(tzinfo=UTC), 0)


class Task(StrEnum):
    """The rows of the table `maintenance`, which the migrations insert."""

    #: Posts the newest hash of the audit chain to each project's channel.
    ANCHOR = "anchor"
    #: Deletes old messages, notices and requests, and groups that no sweep has seen for a long time.
    PURGE = "purge"
    #: Deletes samples of the progress of groups that are not needed anymore. Runs each hour.
    THIN = "thin"
    #: Posts the daily digests.
    DIGEST = "digest"


def run_task(context: Context, claim: Claim) -> Result:
    """Runs the task of the claimed row."""
    match Task(str(claim.key)):
        case Task.ANCHOR:
            _anchor(context, context.now())
        case Task.PURGE:
            _purge(context, context.now())
        case Task.THIN:
            _thin(context, context.now())
        case Task.DIGEST:
            digest.post_digests(context, context.now())
    return Rescheduled()


def _anchor(context: Context, now: datetime) -> None:
    """Posts the newest hash to the channel of each project with new rows since the last anchor, once a day at most."""
    with context.store.read() as connection:
        head = audit.newest(connection)
        if head is None:
            raise LookupError("the row of audit_head was removed")
        last = audit.last_anchor(connection) or NO_ANCHOR
        projects = context.projects if last.at.date() < now.astimezone(UTC).date() else {}
        new_rows = {name: audit.count_of_project(connection, name, last.rows, head.seq) for name in projects}
    anchored = {name: rows for name, rows in new_rows.items() if rows > 0}
    with context.store.write() as connection:
        if not queue.reschedule_due(connection, tables.maintenance, Task.ANCHOR, now, _next_midnight(now)):
            return
        for name, rows in anchored.items():
            text = audit_anchor(name, rows, head.seq, head.hash)
            outbox.add_notice(connection, Notice(Delivery.CHANNEL, context.projects[name].channel, text), now)
        if anchored:
            events = [
                Event(AuditEvent.AUDIT_ANCHORED, BOT, None, {"project": name, "rows": head.seq, "head": head.hash})
                for name in anchored
            ]
            audit.append_all(connection, events, now)
    log.info("audit: %d rows, newest hash %s", head.seq, head.hash)


def _purge(context: Context, now: datetime) -> None:
    """Deletes finished messages and notices after a month, and ended requests and unseen groups after `keep`.

    The audit rows stay.
    """
    with context.store.write() as connection:
        if not queue.reschedule_due(connection, tables.maintenance, Task.PURGE, now, _next_midnight(now)):
            return
        deleted = queue.delete_finished(connection, now - KEEP_FINISHED_FOR)
    if deleted:
        log.info("deleted %d finished messages and notices older than %d days", deleted, KEEP_FINISHED_FOR.days)
    before = now - context.keep
    with context.store.write() as connection:
        deleted_groups = groups.delete_not_seen(connection, before)
        alerts.delete_old(connection, before)
    deleted_requests = 0
    while True:
        # Short transactions, so that other writers do not wait long.
        with context.store.write() as connection:
            some = requests.delete_ended(connection, before, DELETED_AT_ONCE)
        deleted_requests += some
        if some < DELETED_AT_ONCE:
            break
    if deleted_groups or deleted_requests:
        log.info(
            "deleted %d requests that ended, and %d groups last seen, more than %d days ago",
            deleted_requests,
            deleted_groups,
            context.keep.days,
        )


def _thin(context: Context, now: datetime) -> None:
    """Thins the samples of the groups that run or ran recently. Each group has a transaction of its own."""
    with context.store.write() as connection:
        if not queue.reschedule_due(connection, tables.maintenance, Task.THIN, now, now + THIN_EVERY):
            return
        keys = groups.keys_to_thin(connection, now - THIN_FOR)
    for key in keys:
        with context.store.write() as connection:
            groups.thin_samples(connection, key, now)


def _next_midnight(now: datetime) -> datetime:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)
