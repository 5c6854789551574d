"""Identities at Huawei Cloud that were refused, so that no process and no restart tries one again by itself.

When one may be tried again is left to `bot.work.caller`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from bot.store.tables import rests


@dataclass(frozen=True)
class Rest:
    """A refused identity: where it is in Vault, which version (None on KV version 1), how often and when last.

    `is_awake` is set when a person asks for one more try.
    """

    path: str
    version: int | None
    code: str
    refusals: int
    refused_at: datetime
    is_awake: bool


def get(connection: Connection, path: str) -> Rest | None:
    columns = (rests.c.path, rests.c.version, rests.c.code, rests.c.refusals, rests.c.refused_at, rests.c.is_awake)
    row = connection.execute(select(*columns).where(rests.c.path == path)).one_or_none()
    return None if row is None else Rest(*row)


def refused(connection: Connection, path: str, version: int | None, code: str, now: datetime) -> None:
    """One more refusal of this version, or the first of a new one."""
    values = {"version": version, "code": code, "refused_at": now, "is_awake": False}
    same = update(rests).where(rests.c.path == path, rests.c.version.is_not_distinct_from(version))
    if connection.execute(same.values(refusals=rests.c.refusals + 1, **values)).rowcount == 0:
        end(connection, path)
        connection.execute(insert(rests).values(path=path, refusals=1, **values))


def wake(connection: Connection, path: str) -> None:
    """Lets it be tried once more."""
    connection.execute(update(rests).where(rests.c.path == path).values(is_awake=True))


def end(connection: Connection, path: str) -> None:
    """It was accepted, or there is another in its place."""
    connection.execute(delete(rests).where(rests.c.path == path))
