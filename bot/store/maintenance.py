"""The rows of what the bot does by itself once a day: who does it today, and what goes when it tidies up.

What a chore is about is left to `bot.jobs.maintenance`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, update

from bot.store.tables import chores, inbox, notices


class Task(StrEnum):
    """The names of the rows, which the migrations made."""

    ANCHOR = "anchor"
    PURGE = "tidy"


def claim_task(connection: Connection, chore: Task, now: datetime, again_at: datetime) -> bool:
    """Takes a chore that is due and makes it due again; True for the one replica that is to do it."""
    taken = connection.execute(
        update(chores).where(chores.c.name == chore.value, chores.c.due_at <= now).values(due_at=again_at)
    )
    return taken.rowcount == 1


def remove_finished(connection: Connection, before: datetime) -> int:
    """Removes messages that were worked on and notices that were sent, if they came before; how many."""
    received = connection.execute(
        delete(inbox).where(inbox.c.due_at.is_(None), inbox.c.claimed_by.is_(None), inbox.c.received_at < before)
    )
    sent = connection.execute(
        delete(notices).where(notices.c.due_at.is_(None), notices.c.claimed_by.is_(None), notices.c.made_at < before)
    )
    return received.rowcount + sent.rowcount
