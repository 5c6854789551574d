"""Lets Alembic work on the connection that `bot.store.database` hands it."""

from __future__ import annotations

from alembic import context

from bot.store.tables import metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # Replicas that start together: one brings the schema up to date, the others wait for it.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7421553)")
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
