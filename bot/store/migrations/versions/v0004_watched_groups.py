"""Adds the groups that the bot watches, their samples, the sweeps, and the alerts about groups without a request.

Also adds indexes that keep lists and maintenance fast with many requests, and the time when Slack refused a chart.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcDateTime

revision = "0004"
down_revision = "0003"

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "groups",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("project", sa.String(32), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("status_since", UtcDateTime, nullable=False),
        sa.Column("paused_at", UtcDateTime),
        sa.Column("muted", sa.String(32)),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_index("groups_project", "groups", ["project", "status"])
    op.create_table(
        "samples",
        sa.Column("group_key", sa.String(255), primary_key=True),
        sa.Column("at", UtcDateTime, primary_key=True),
        sa.Column("complete_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sweeps",
        sa.Column("project", sa.String(32), primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
        *_queue_columns(),
    )
    op.create_table(
        "alerts",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("project", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("ts", sa.String(32)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("mac", sa.String(80)),
        *_queue_columns(),
    )
    op.create_index("alerts_due", "alerts", ["due_at"])
    op.add_column("slack_budget", sa.Column("chart_refused_at", UtcDateTime))
    add_end_of_requests()
    maintenance = sa.table("maintenance", sa.column("name", sa.String), sa.column("due_at", UtcDateTime))
    op.bulk_insert(maintenance, [{"name": name, "due_at": LONG_AGO} for name in ("digest", "thin")])


def add_end_of_requests() -> None:
    """Adds a column for `ended_at`, which until now only the JSON of a request has, and indexes for few requests."""
    op.add_column("requests", sa.Column("ended_at", UtcDateTime))
    requests = sa.table(
        "requests", sa.column("id", sa.String), sa.column("ended_at", UtcDateTime), sa.column("body", sa.JSON)
    )
    connection = op.get_bind()
    ended_at = requests.c.body["ended_at"].as_string()
    found = connection.execute(sa.select(requests.c.id, ended_at).where(ended_at.is_not(None))).all()
    if found:
        set_end = requests.update().where(requests.c.id == sa.bindparam("of_id")).values(ended_at=sa.bindparam("end"))
        connection.execute(set_end, [{"of_id": row[0], "end": datetime.fromisoformat(row[1])} for row in found])
    is_open = sa.text("open_key IS NOT NULL")
    columns = ["project", "created_at"]
    op.create_index("requests_open", "requests", columns, sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("requests_ended", "requests", ["ended_at"])


def _queue_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("due_at", UtcDateTime),
        sa.Column("claimed_by", sa.String(64)),
        sa.Column("claimed_until", UtcDateTime),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    )
