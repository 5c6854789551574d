"""A refused identity is known by who it is, and not by the version in Vault alone: written again, it is the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # SQLite cannot change a primary key.
    op.rename_table("rests", "rests_before")
    op.create_table(
        "rests",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("who", sa.String(64), primary_key=True, server_default=""),
        sa.Column("version", sa.Integer),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("refusals", sa.Integer, nullable=False),
        sa.Column("refused_at", UtcDateTime, nullable=False),
        sa.Column("is_awake", sa.Boolean, nullable=False),
        sa.Column("is_in_use", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.execute(
        "INSERT INTO rests (path, version, code, refusals, refused_at, is_awake) "
        "SELECT path, version, code, refusals, refused_at, is_awake FROM rests_before"
    )
    op.drop_table("rests_before")
