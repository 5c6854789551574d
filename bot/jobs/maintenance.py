"""What the bot does by itself once a day: tells the newest hash of the audit where it cannot be taken back, tidies up.

A chore and the time when it is due again are one transaction: of several replicas one does it, once.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from bot.jobs.context import Context
from bot.jobs.worker import Rescheduled, Result
from bot.store import audit, maintenance, outbox
from bot.store.audit import ANCHORED, BOT, Anchor, Event
from bot.store.maintenance import Task
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui.thread import audit_anchor

log = logging.getLogger(__name__)

# Slack sends nothing a second time after an hour, so the key of a message is of no more use. People ask "what did I
# type?" for some weeks; after that what came of it is in the requests and in the audit, and a second place that keeps
# what people typed is one too many.
KEEP_FINISHED_FOR = timedelta(days=30)
NOTHING_YET = Anchor(datetime.min.replace(tzinfo=UTC), 0)


def run_task(context: Context, claim: Claim) -> Result:
    """One chore that is due."""
    match Task(str(claim.key)):
        case Task.ANCHOR:
            _anchor(context, context.now())
        case Task.PURGE:
            _tidy(context, context.now())
    return Rescheduled()


def _anchor(context: Context, now: datetime) -> None:
    """Tells each project's channel the newest hash, if there was activity since the last time, once a day at most."""
    with context.store.read() as connection:
        head = audit.newest(connection)
        if head is None:
            raise LookupError("the row of audit_head was removed")
        last = audit.last_anchor(connection) or NOTHING_YET
        projects = context.projects if last.at.date() < now.astimezone(UTC).date() else {}
        news = {name: audit.count_of_project(connection, name, last.rows, head.seq) for name in projects}
    told = {name: rows for name, rows in news.items() if rows > 0}
    with context.store.write() as connection:
        if not maintenance.claim_task(connection, Task.ANCHOR, now, _next_midnight(now)):
            return
        for name, rows in told.items():
            text = audit_anchor(name, rows, head.seq, head.hash)
            outbox.add_notice(connection, Notice(Delivery.CHANNEL, context.projects[name].channel, text), now)
        if told:
            events = [
                Event(ANCHORED, BOT, None, {"project": name, "rows": head.seq, "head": head.hash}) for name in told
            ]
            audit.append_all(connection, events, now)
    log.info("audit: %d rows, newest hash %s", head.seq, head.hash)


def _tidy(context: Context, now: datetime) -> None:
    with context.store.write() as connection:
        if not maintenance.claim_task(connection, Task.PURGE, now, _next_midnight(now)):
            return
        removed = maintenance.remove_finished(connection, now - KEEP_FINISHED_FOR)
    if removed:
        log.info("removed %d messages and notices that were done with for %d days", removed, KEEP_FINISHED_FOR.days)


def _next_midnight(now: datetime) -> datetime:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)
