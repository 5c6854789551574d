"""The tables, as SQLAlchemy sees them on SQLite and on PostgreSQL.

How they came to be is in `migrations`; what is read and written is in the modules beside this one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.engine import Dialect

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite keeps no zone: there it is written without one and comes back with it."""

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


# SQLite counts rows only in an INTEGER key.
_Number = BigInteger().with_variant(Integer, "sqlite")


def _due_columns() -> tuple[Column[Any], ...]:
    """What makes a row claimable: when it is due, who has it, and until when."""
    return (
        Column("due_at", UtcDateTime),
        Column("claimed_by", String(64)),
        Column("claimed_until", UtcDateTime),
        Column("tries", Integer, nullable=False, server_default="0"),
    )


inbox = Table(
    "inbox",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    Column("person", String(32), nullable=False, server_default=""),
    Column("received_at", UtcDateTime, nullable=False),
    Column("mark", String(64)),
    *_due_columns(),
    Index("inbox_due", "due_at"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", String(32), nullable=False),
    Column("project", String(32), nullable=False),
    Column("group_id", String(64), nullable=False),
    Column("requester", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The group while the request is open, NULL afterwards: so two open requests for one group cannot be.
    Column("open_key", String(255), unique=True),
    # The message that asked: it asks once for each group, also when that request has ended before it was answered.
    Column("origin_key", String(255)),
    Column("body", JSON, nullable=False),
    *_due_columns(),
    Index("requests_due", "due_at"),
    Index("requests_group", "group_id", "created_at"),
    Index("requests_origin", "origin_key", "group_id", unique=True),
)

votes = Table(
    "votes",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("request_id", String(16), nullable=False),
    Column("person", String(32), nullable=False),
    Column("team_id", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("request_id", "person"),
)

cards = Table(
    "cards",
    metadata,
    Column("request_id", String(16), primary_key=True),
    Column("channel", String(32), nullable=False),
    Column("ts", String(32)),
    Column("permalink", Text),
    Column("shown_version", Integer, nullable=False, server_default="0"),
    *_due_columns(),
    Index("cards_due", "due_at"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("request_id", String(16)),
    Column("delivery", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    *_due_columns(),
    Index("notices_due", "due_at"),
)

# What the bot does by itself, one row each, so that one of several replicas does it.
chores = Table(
    "chores",
    metadata,
    Column("name", String(32), primary_key=True),
    *_due_columns(),
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
    Index("audit_request", "request_id"),
)

rests = Table(
    "rests",
    metadata,
    Column("path", Text, primary_key=True),
    Column("who", String(64), primary_key=True, server_default=""),
    Column("version", Integer),
    Column("code", String(64), nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("refused_at", UtcDateTime, nullable=False),
    Column("is_awake", Boolean, nullable=False),
    Column("is_in_use", Boolean, nullable=False, server_default=false()),
)

# One row: the newest link of the chain. Its update is the lock that puts audit rows in order.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
