"""Why a database cannot be reached or written, in words that hold no password. Opening it is left to `engine`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.redaction import Secret, scrub

REASON_CHARACTERS = 200
# libpq names the address before each reason, and asks questions on lines of their own.
_BEFORE_THE_REASON = re.compile(r"^.*\bport \d+ failed: ")


def unwritable_path(url: URL) -> Path | None:
    """Of SQLite, the file, or the directory where it writes beside it, that is not there or may not be written."""
    if url.get_backend_name() != "sqlite":
        return None
    file = Path(url.database or "").absolute()
    slots = (file.parent, file) if file.exists() else (file.parent,)
    return next((place for place in slots if not os.access(place, os.W_OK)), None)


def connection_problem(error: SQLAlchemyError, url: URL) -> str:
    """What the driver says: `PostgreSQL at db, port 5432: Connection refused`."""
    said = str(error.orig) if isinstance(error, DBAPIError) else ""
    first_line = next(iter(said.splitlines()), "")
    reason = " ".join(_BEFORE_THE_REASON.sub("", first_line).split())[:REASON_CHARACTERS] or type(error).__name__
    if url.get_backend_name() == "postgresql" and url.host:
        reason = f"PostgreSQL at {url.host}, port {url.port or 5432}: {reason}"
    return scrub(reason, [Secret(url.password)] if url.password else ())
