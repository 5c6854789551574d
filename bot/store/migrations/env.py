"""Runs Alembic on the connection that `bot.store.database` passes in."""

from __future__ import annotations

from alembic import context

from bot.store.tables import metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # Replicas may start together: one upgrades the schema, the others wait for it here.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7421553)")
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
