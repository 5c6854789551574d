"""Creates the tables and upgrades older schemas, with Alembic."""

from __future__ import annotations

from importlib import resources

from sqlalchemy import Connection, Engine, inspect, text

NEWEST_SCHEMA = "0004"


def stored_schema(connection: Connection) -> str | None:
    """The revision of the schema in the database; None if the database has no tables of the bot."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    # Messages show it, so control characters are escaped.
    return None if found is None else str(found).encode("unicode_escape").decode()


def upgrade(engine: Engine, schema: str = NEWEST_SCHEMA) -> None:
    """Creates the tables of a schema, or upgrades an older one to it."""
    # Loading Alembic takes time, and most starts have nothing to upgrade.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files(__name__)))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # A migration, and waiting for a replica that runs it, may take any time.
            for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = 0"))
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
