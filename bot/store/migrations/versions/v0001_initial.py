"""The first schema. The database itself refuses to change or delete rows of the audit chain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from bot.store.tables import UtcDateTime

revision = "0001"
down_revision = None

# SQLite numbers rows by itself only if the key is an INTEGER.
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Maintenance is due at once, whenever the bot first starts.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
REFUSAL = "the audit chain is append-only"


def upgrade() -> None:
    create_queues()
    create_votes()
    create_circuit_breakers()
    create_audit()
    if op.get_bind().dialect.name == "sqlite":
        protect_audit_on_sqlite()
    else:
        protect_audit_on_postgresql()


def queue_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("due_at", UtcDateTime),
        sa.Column("claimed_by", sa.String(64)),
        sa.Column("claimed_until", UtcDateTime),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    )


def create_queues() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(255), nullable=False, unique=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("mark", sa.String(64)),
        *queue_columns(),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("project", sa.String(32), nullable=False),
        sa.Column("group_id", sa.String(64), nullable=False),
        sa.Column("requester", sa.String(32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("open_key", sa.String(255), unique=True),
        sa.Column("origin_key", sa.String(255)),
        sa.Column("body", sa.JSON, nullable=False),
        *queue_columns(),
    )
    op.create_index("requests_group", "requests", ["group_id", "created_at"])
    op.create_index("requests_origin", "requests", ["origin_key", "group_id"], unique=True)
    op.create_table(
        "cards",
        sa.Column("request_id", sa.String(16), sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("ts", sa.String(32)),
        sa.Column("permalink", sa.Text),
        sa.Column("shown_version", sa.Integer, nullable=False, server_default="0"),
        *queue_columns(),
    )
    op.create_table(
        "notices",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("request_id", sa.String(16)),
        sa.Column("delivery", sa.String(16), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        *queue_columns(),
    )
    for table in ("inbox", "requests", "cards", "notices"):
        op.create_index(f"{table}_due", table, ["due_at"])
    maintenance = op.create_table(
        "maintenance",
        sa.Column("name", sa.String(32), primary_key=True),
        *queue_columns(),
    )
    op.bulk_insert(maintenance, [{"name": name, "due_at": LONG_AGO} for name in ("anchor", "purge")])


def create_votes() -> None:
    op.create_table(
        "votes",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("request_id", sa.String(16), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("team_id", sa.String(32), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("request_id", "person"),
    )


def create_circuit_breakers() -> None:
    op.create_table(
        "circuit_breakers",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("refused_at", sa.JSON, nullable=False),
        sa.Column("probe_until", UtcDateTime),
    )


def create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(16)),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("audit_request", "audit", ["request_id"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])


def protect_audit_on_sqlite() -> None:
    for name, change in (
        ("audit_no_update", "UPDATE ON audit"),
        ("audit_no_delete", "DELETE ON audit"),
        # INSERT OR REPLACE deletes the conflicting row without firing the DELETE trigger.
        ("audit_no_replace", "INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)"),
        ("audit_head_no_insert", "INSERT ON audit_head"),
        ("audit_head_no_delete", "DELETE ON audit_head"),
        ("audit_head_no_return", "UPDATE ON audit_head WHEN NEW.seq < OLD.seq OR NEW.id <> OLD.id"),
    ):
        op.execute(f"CREATE TRIGGER {name} BEFORE {change} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")


def protect_audit_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    for name, change in (
        ("audit_no_change", "UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT"),
        ("audit_head_no_change", "INSERT OR DELETE OR TRUNCATE ON audit_head FOR EACH STATEMENT"),
        (
            "audit_head_no_return",
            "UPDATE ON audit_head FOR EACH ROW WHEN (NEW.seq < OLD.seq OR NEW.id <> OLD.id)",
        ),
    ):
        op.execute(f"CREATE TRIGGER {name} BEFORE {change} EXECUTE FUNCTION refuse_audit_change()")
