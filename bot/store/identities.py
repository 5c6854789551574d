"""What is known of the bot's identities at Huawei Cloud: accepted, refused, how often in a row.

One row for all processes and every restart. When an identity may be tried is left to `bot.jobs.identity.attempts`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.store.tables import rests


@dataclass(frozen=True)
class IdentityState:
    """An identity, where it is in Vault and which version of it was tried last (None on KV version 1).

    `who` is a digest that tells it from others, and is empty where that was not written down. `refusals` are those in
    a row, and the tries whose answer is not known; `refused_at` is when the last of them was counted. `code` is empty
    unless it was refused and has not been tried since. `is_awake` is set when a person asks for one more try,
    `is_in_use` from an acceptance to the next refusal.
    """

    path: str
    who: str
    version: int | None
    code: str
    refusals: int
    refused_at: datetime
    is_awake: bool
    is_in_use: bool


_COLUMNS = tuple(rests.c[name] for name in IdentityState.__dataclass_fields__)
# Every release asks it twice. Built once: to build a statement takes longer than to run it.
_GET = select(*_COLUMNS).where(rests.c.path == bindparam("of"), rests.c.who == bindparam("of_who"))
_LOCK = _GET.with_for_update()
_ADD = {
    name: build(rests).on_conflict_do_nothing()
    for name, build in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


def get(connection: Connection, path: str, who: str) -> IdentityState | None:
    row = connection.execute(_GET, {"of": path, "of_who": who}).one_or_none()
    return None if row is None else IdentityState(*row)


def lock(connection: Connection, new: IdentityState) -> IdentityState:
    """The row of this identity, which nobody else changes until the transaction ends: `new` where there was none."""
    if get(connection, new.path, new.who) is None:
        # A refusal from before it was written down whose it was may have been of this one.
        connection.execute(update(rests).where(rests.c.path == new.path, rests.c.who == "").values(who=new.who))
        connection.execute(_ADD[connection.dialect.name], asdict(new))
    return IdentityState(*connection.execute(_LOCK, {"of": new.path, "of_who": new.who}).one())


def put(connection: Connection, rest: IdentityState) -> None:
    """Writes a row that `lock` gave."""
    connection.execute(update(rests).where(rests.c.path == rest.path, rests.c.who == rest.who).values(**asdict(rest)))


def wake(connection: Connection, path: str, most_refusals: int, before: datetime) -> None:
    """Lets what was refused be tried once more: with up to `most_refusals`, or where the last is from `before`."""
    may_be_tried = or_(rests.c.refusals <= most_refusals, rests.c.refused_at <= before)
    connection.execute(
        update(rests).where(rests.c.path == path, rests.c.code != "", may_be_tried).values(is_awake=True)
    )


def has_refused(connection: Connection, path: str) -> bool:
    """Whether an identity there was refused and has not been tried since."""
    found = connection.execute(select(rests.c.path).where(rests.c.path == path, rests.c.code != "").limit(1))
    return found.one_or_none() is not None


def forget_others(connection: Connection, path: str, who: str, before: datetime) -> None:
    """Deletes what is known of others that were there, where nothing was counted since `before`."""
    connection.execute(delete(rests).where(rests.c.path == path, rests.c.who != who, rests.c.refused_at < before))
