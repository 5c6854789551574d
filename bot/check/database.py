"""Checks the database. It creates and changes nothing: `serve` does that."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from bot.check.finding import Finding
from bot.redaction import Secret
from bot.store.database import SchemaState, UnreadableDatabase, open_to_read, try_connection
from bot.store.url import connection_problem, parse_url, unwritable_path


def check_database(database_url: Secret) -> Finding:
    """Whether the database answers, whether `serve` can use its schema, and whether a SQLite file can be written."""
    url = parse_url(database_url.reveal())
    try:
        try_connection(url)
        with closing(open_to_read(database_url.reveal())) as store:
            store.ping()
    except UnreadableDatabase as error:
        return _unusual_schema(error.found, url)
    except SQLAlchemyError as error:
        return Finding(
            "database",
            f"can't be used ({connection_problem(error, url)})",
            "check DATABASE_URL",
        )
    return _if_writable(url, "exists and its schema is up to date")


def _unusual_schema(found: SchemaState, url: URL) -> Finding:
    match found:
        case SchemaState.NO_FILE:
            return _if_writable(url, "doesn't exist yet, serve will create it")
        case SchemaState.NOTHING:
            return _if_writable(url, "has no tables yet, serve will create them")
        case SchemaState.OLDER:
            return _if_writable(url, "has an older schema, serve will upgrade it")
        case SchemaState.NEWER:
            fix = "run the version of the bot that used it last, or a newer one"
            return Finding("database", "has a newer schema than this version of the bot", fix)


def _if_writable(url: URL, result: str) -> Finding:
    """A finding with this result, or with the problem if the bot may not write the SQLite file or its directory."""
    path = unwritable_path(url)
    if path is None:
        return Finding("database", result)
    problem = f"{path} doesn't exist or isn't writable"
    return Finding("database", problem, "correct DATABASE_URL or the permissions of that path")
