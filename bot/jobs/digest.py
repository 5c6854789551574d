"""Posts the daily digest of each project to its channel: once even with several replicas, and once after an outage.

The row of this task in the table `maintenance` is due at the next digest time of any project. Earlier digests are done.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select

from bot.domain.digest import Digest, digest_of
from bot.domain.task_group import STATUSES_OF_KIND, GroupKind
from bot.jobs.context import Context
from bot.store import groups, outbox, queue, requests, tables
from bot.store.outbox import Delivery, Notice
from bot.ui.digest import digest_text

#: The name of the row.
TASK = "digest"
#: How many of the requests that ended since the last digest are read.
MAX_ENDED = 1_000
#: While no project in bot.toml has a digest, the task runs this often.
CHECK_AGAIN_AFTER = timedelta(days=1)


def schedule_digest(context: Context) -> None:
    """Makes the task due at the next digest time, because bot.toml may have changed while the bot was stopped.

    The database migration adds the row with a due time long ago, which must not cause digests of the past.
    """
    due_at = tables.maintenance.c.due_at
    next_at = _next_digest_at(context, context.now())
    is_wrong = or_(due_at > next_at, due_at <= tables.LONG_AGO)
    update = tables.maintenance.update().where(tables.maintenance.c.name == TASK, is_wrong)
    with context.store.write() as connection:
        connection.execute(update.values(due_at=next_at))


def post_digests(context: Context, now: datetime) -> None:
    """Posts the digests that have become due since the task last ran."""
    with context.store.read() as connection:
        due_at = connection.execute(
            select(tables.maintenance.c.due_at).where(tables.maintenance.c.name == TASK)
        ).scalar_one()
        found = [_digest(context, connection, name, due_at, now) for name in context.projects]
    digests = [digest for digest in found if digest is not None and not digest.is_empty]
    with context.store.write() as connection:
        if not queue.reschedule_due(connection, tables.maintenance, TASK, now, _next_digest_at(context, now)):
            return
        for digest in digests:
            text, channel = digest_text(digest, context.command), context.projects[digest.project].channel
            outbox.add_notice(connection, Notice(Delivery.CHANNEL, channel, text), now)


def _digest(context: Context, connection: Connection, project: str, due_at: datetime, now: datetime) -> Digest | None:
    """The digest of a project; None if no digest has become due since `due_at`.

    If several have become due, one digest covers the whole time.
    """
    daily = context.projects[project].digest_time
    if daily is None or daily.before(now) < due_at:
        return None
    since = daily.before(due_at - timedelta(microseconds=1))
    watched = [
        *groups.of_project(connection, project, STATUSES_OF_KIND[GroupKind.RUNNING]).values(),
        *groups.stopped_since(connection, [project], since),
    ]
    ended = requests.ended_since(connection, [project], since, MAX_ENDED)
    return digest_of(project, since, watched, reversed(ended), requests.open_requests(connection, [project]))


def _next_digest_at(context: Context, now: datetime) -> datetime:
    times = (project.digest_time for project in context.projects.values())
    return min((daily.after(now) for daily in times if daily is not None), default=now + CHECK_AGAIN_AFTER)
