"""DATABASE_URL: the forms that are understood, problems described without the password, and the mode of SQLite files.

Connecting is left to `bot.store.database`.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.redaction import Secret, scrub

log = logging.getLogger(__name__)

_REASON_CHARACTERS = 200

# `postgres://` is the older name, and `postgresql+psycopg://` the one of SQLAlchemy.
_POSTGRESQL = re.compile(r"(?:postgres|postgresql|postgresql\+psycopg)://(?P<rest>.*)", re.DOTALL)
_SEVERAL_HOSTS = re.compile(r"(?P<login>[^/?]*@)?(?P<hosts>[^@/?]*,[^@/?]*)(?P<rest>([/?].*)?)", re.DOTALL)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.%]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")
# libpq puts the address before the reason, and puts hints on further lines.
_ADDRESS = re.compile(r"^.*\bport \d+ failed: ")
_FAILURE = re.compile(r'server at "([^"]*)"[^,\n]*, port (\d+) failed: (.*)')


def parse_url(text: str) -> URL:
    """Reads DATABASE_URL.

    Of several hosts (`postgresql://USER@HOST1:PORT1,HOST2:PORT2/NAME`), libpq uses the first host that can be written.

    Raises:
        sqlalchemy.exc.ArgumentError, ValueError: it is no URL. The message may contain a part of the password.
    """
    matched = _POSTGRESQL.fullmatch(text)
    if matched is None:
        return make_url(text)
    several = _SEVERAL_HOSTS.fullmatch(matched["rest"])
    if several is None:
        return make_url(f"postgresql+psycopg://{matched['rest']}")
    hosts = [_HOST.fullmatch(host) for host in several["hosts"].split(",")]
    names = ",".join(host["name"].strip("[]") for host in hosts if host)
    ports = ",".join(host["port"] or "5432" for host in hosts if host)
    if not all(hosts):
        raise ValueError("not a list of hosts")
    url = make_url(f"postgresql+psycopg://{several['login'] or ''}{several['rest']}")
    return url.update_query_dict({"host": names, "port": ports})


def unwritable_path(url: URL) -> Path | None:
    """The SQLite file, or its directory, if the bot may not write there or it does not exist."""
    if url.get_backend_name() != "sqlite":
        return None
    file = Path(url.database or "").absolute()
    paths = (file.parent, file) if file.exists() else (file.parent,)
    return next((path for path in paths if not os.access(path, os.W_OK)), None)


def make_private(url: URL) -> Path | None:
    """Removes access of other users to the SQLite files. These contain response_urls, with which anyone can post.

    Returns:
        A file that others can access and that belongs to another user; None if there is none.
    """
    suffixes = ("", "-wal", "-shm", ".lock") if url.get_backend_name() == "sqlite" and url.database else ()
    for path in (Path(f"{url.database}{suffix}") for suffix in suffixes):
        if path.exists() and path.stat().st_mode & 0o077:
            try:
                path.chmod(path.stat().st_mode & 0o700)
            except PermissionError:
                return path
            log.warning("other users could access %s; now only the user of the bot can", path)
    return None


def connection_problem(error: SQLAlchemyError, url: URL) -> str:
    """The driver's reason without the password: `PostgreSQL at db, port 5432: Connection refused`."""
    message = str(error.orig) if isinstance(error, DBAPIError) else ""
    first_line = next(iter(message.splitlines()), "")
    if "host" in url.query and (failures := _FAILURE.findall(message)):
        parts = [f"{host}, port {port}: {cause}" for host, port, cause in sorted(set(failures))]
        first_line = f"PostgreSQL at {'; at '.join(parts)}"
    reason = " ".join(_ADDRESS.sub("", first_line).split())[:_REASON_CHARACTERS] or type(error).__name__
    if url.get_backend_name() == "postgresql" and url.host:
        reason = f"PostgreSQL at {url.host}, port {url.port or 5432}: {reason}"
    return scrub(reason, [Secret(url.password)] if url.password else ())
