"""A MAC for each row that the bot acts on. Votes are no longer stored beside the audit chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # The rows that exist have no MAC, as if they were written with an unknown key.
    for table in ("inbox", "notices", "audit"):
        op.add_column(table, sa.Column("mac", sa.String(80)))
    op.drop_table("votes")
