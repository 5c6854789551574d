"""What the bot does by itself once a day has rows; the head of the audit chain is guarded as the chain itself is."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcDateTime

revision = "0002"
down_revision = "0001"

# Due at once, whenever the bot first starts with this schema.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    chores = op.create_table(
        "chores",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("due_at", UtcDateTime),
        sa.Column("claimed_by", sa.String(64)),
        sa.Column("claimed_until", UtcDateTime),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    )
    op.bulk_insert(chores, [{"name": name, "due_at": LONG_AGO} for name in ("anchor", "tidy")])
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _guard_on_sqlite() -> None:
    # INSERT OR REPLACE deletes the row in its way, and no trigger for DELETE hears of it.
    _refuse("audit_refuses_replace", "INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)")
    _refuse("audit_head_refuses_insert", "INSERT ON audit_head")
    _refuse("audit_head_refuses_delete", "DELETE ON audit_head")
    _refuse("audit_head_refuses_return", "UPDATE ON audit_head WHEN NEW.seq < OLD.seq OR NEW.id <> OLD.id")


def _refuse(name: str, change: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {change} BEGIN SELECT RAISE(ABORT, 'the audit chain is only ever added to'); END"
    )


def _guard_on_postgresql() -> None:
    op.execute(
        "CREATE TRIGGER audit_head_refuses_change BEFORE INSERT OR DELETE OR TRUNCATE ON audit_head "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses_change()"
    )
    op.execute(
        "CREATE TRIGGER audit_head_refuses_return BEFORE UPDATE ON audit_head "
        "FOR EACH ROW WHEN (NEW.seq < OLD.seq OR NEW.id <> OLD.id) EXECUTE FUNCTION audit_refuses_change()"
    )
