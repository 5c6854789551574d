"""Adds the budget of calls to Slack, and how urgent the change of a card is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # 4 is the least urgent.
    op.add_column("cards", sa.Column("urgency", sa.Integer, nullable=False, server_default="4"))
    slack_budget = op.create_table(
        "slack_budget",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("full_at", sa.JSON, nullable=False),
    )
    op.bulk_insert(slack_budget, [{"id": 1, "full_at": {}}])
