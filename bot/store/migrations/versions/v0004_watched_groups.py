"""Adds the groups that the sweeps saw, their samples, the sweeps, and the messages about groups nobody requested.

Also adds when Slack refused a chart.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "groups",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("project", sa.String(32), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("status_since", UtcDateTime, nullable=False),
        sa.Column("muted", sa.String(32)),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_index("groups_project", "groups", ["project", "status"])
    op.create_table(
        "samples",
        sa.Column("group_key", sa.String(255), primary_key=True),
        sa.Column("at", UtcDateTime, primary_key=True),
        sa.Column("complete_bytes", sa.BigInteger, nullable=False),
        sa.Column("total_bytes", sa.BigInteger, nullable=False),
        sa.Column("handled_objects", sa.BigInteger, nullable=False),
        sa.Column("failed_objects", sa.BigInteger, nullable=False),
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


def _queue_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("due_at", UtcDateTime),
        sa.Column("claimed_by", sa.String(64)),
        sa.Column("claimed_until", UtcDateTime),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    )
