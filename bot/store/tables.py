"""The tables of the database, for SQLite and PostgreSQL.

`bot.store.migrations` creates them. The other modules of this package read and write them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.engine import Dialect

from bot.domain.card_urgency import Urgency

metadata = MetaData()
#: Before any due time. SQLite uses the index for `due_at > …`, but not for `due_at IS NOT NULL`.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite stores no time zone, so there it is removed on writing and added on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite generates keys only for INTEGER columns.
_Number = BigInteger().with_variant(Integer, "sqlite")


def _queue_columns() -> tuple[Column[Any], ...]:
    """The columns of a job queue.

    `due_at` is the time from which workers claim the row, NULL if there is nothing to do. `claimed_by` is the process
    that has the claim, and `claimed_until` the end of its lease. `tries` counts consecutive failures.
    """
    return (
        Column("due_at", UtcDateTime),
        Column("claimed_by", String(64)),
        Column("claimed_until", UtcDateTime),
        Column("tries", Integer, nullable=False, server_default="0"),
    )


def _mac_column() -> Column[Any]:
    """The `mac` of a row, see `bot.store.state_keys`. NULL if it was written without a key."""
    return Column("mac", String(80))


# Messages (`bot.store.inbox.Message`), one row for each payload from Slack or scheduled message.
inbox = Table(
    "inbox",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    Column("person", String(32), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("mark", String(64)),
    _mac_column(),
    *_queue_columns(),
    Index("inbox_due", "due_at"),
)

_IS_OPEN = text("open_key IS NOT NULL")

# `body` is the whole request as JSON; the other columns repeat the parts of it that queries need.
requests = Table(
    "requests",
    metadata,
    Column("id", String(16), primary_key=True),
    # Incremented by each change. Every change, and the PUT, depends on a compare-and-set of this column.
    Column("version", Integer, nullable=False),
    Column("state", String(32), nullable=False),
    Column("project", String(32), nullable=False),
    Column("group_id", String(64), nullable=False),
    Column("requester", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # `Request.group_key` while the request is open, then NULL: a group has one open request at most.
    Column("open_key", String(255), unique=True),
    # `Request.origin_key`: a message creates one request at most for each group, also if that request has ended.
    Column("origin_key", String(255)),
    # `Request.ended_at`.
    Column("ended_at", UtcDateTime),
    Column("body", JSON, nullable=False),
    *_queue_columns(),
    Index("requests_due", "due_at"),
    Index("requests_group", "group_id", "created_at"),
    Index("requests_origin", "origin_key", "group_id", unique=True),
    # For two queries: the open requests of a project, and the requests that ended since a given time.
    Index("requests_open", "project", "created_at", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
    Index("requests_ended", "ended_at"),
)

# Where the card of a request is in Slack, and which version of the request it shows.
cards = Table(
    "cards",
    metadata,
    Column("request_id", String(16), ForeignKey(requests.c.id), primary_key=True),
    Column("channel", String(32), nullable=False),
    Column("ts", String(32)),
    Column("permalink", Text),
    Column("shown_version", Integer, nullable=False, server_default="0"),
    # `Urgency` of the most urgent change that the card does not show yet.
    Column("urgency", Integer, nullable=False, server_default=str(int(Urgency.PROGRESS))),
    *_queue_columns(),
    Index("cards_due", "due_at"),
)

# Messages with text only, each sent to Slack once.
notices = Table(
    "notices",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("request_id", String(16)),
    Column("delivery", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    _mac_column(),
    *_queue_columns(),
    Index("notices_due", "due_at"),
)


# One row: how much of Slack's rate limits is spent (`SlackBudget.full_at`, with times in ISO 8601), and whether the
# workspace accepts charts.
slack_budget = Table(
    "slack_budget",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("full_at", JSON, nullable=False),
    # When Slack last refused a chart; NULL if it never did.
    Column("chart_refused_at", UtcDateTime),
)

# Task groups as the bot last read them (`WatchedGroup`), except those that had ended before the bot knew them.
groups = Table(
    "groups",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("project", String(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # When a reading first showed the current status.
    Column("status_since", UtcDateTime, nullable=False),
    # When a person paused the group with the bot, NULL once it runs again.
    Column("paused_at", UtcDateTime),
    # When the mute of the group ends: an ISO 8601 time, or "moves" for when it moves. NULL if it is not muted.
    Column("muted", String(32)),
    Column("body", JSON, nullable=False),
    Index("groups_project", "project", "status"),
)

# The progress of running groups, for the rate over time: one sample a minute, and fewer from longer ago.
samples = Table(
    "samples",
    metadata,
    Column("group_key", String(255), primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("complete_bytes", BigInteger, nullable=False),
)

# The sweeps of each project: what they have done so far (`bot.domain.sweep_plan.SweepState`).
sweeps = Table(
    "sweeps",
    metadata,
    Column("project", String(32), primary_key=True),
    Column("body", JSON, nullable=False),
    *_queue_columns(),
)

# Messages to a project's channel about task groups without an open request (`bot.domain.alert.Alert`).
alerts = Table(
    "alerts",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("project", String(32), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("ts", String(32)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("body", JSON, nullable=False),
    _mac_column(),
    *_queue_columns(),
    Index("alerts_due", "due_at"),
)

# Maintenance tasks (`bot.jobs.maintenance.Task`), one row each, which the migrations insert. One replica runs a task.
maintenance = Table(
    "maintenance",
    metadata,
    Column("name", String(32), primary_key=True),
    *_queue_columns(),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("request_id", String(16)),
    Column("actor", String(64), nullable=False),
    Column("event", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    _mac_column(),
    Index("audit_request", "request_id"),
)

# One row: `seq` and hash of the newest row of the chain. Writers lock it, so that they append one after the other.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

circuit_breakers = Table(
    "circuit_breakers",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("version", Integer),
    Column("state", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    # A list of times in ISO 8601.
    Column("refused_at", JSON, nullable=False),
    Column("probe_until", UtcDateTime),
)
