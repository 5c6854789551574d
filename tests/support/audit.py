"""What the owner of the database can do to the audit chain."""

from __future__ import annotations

from sqlalchemy import text

from bot.store.database import Store


def drop_triggers(store: Store) -> None:
    """Drops or disables the triggers that refuse changes of the audit chain."""
    with store.write() as connection:
        if store.is_sqlite:
            for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars():
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("audit", "audit_head"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
