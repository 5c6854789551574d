"""Stores the state of the sweeps of each project. `bot.domain.sweep_plan` computes what a sweep lists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.sweep_plan import SweepState
from bot.store.tables import sweeps

_ADAPTER = TypeAdapter(SweepState)
_ADD = {
    name: build(sweeps).on_conflict_do_nothing()
    for name, build in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


def set_projects(connection: Connection, projects: Iterable[str], now: datetime) -> None:
    """Makes the sweeps of these projects due, and stops those of other projects."""
    names = sorted(projects)
    rows = [{"project": name, "body": _ADAPTER.dump_python(SweepState(), mode="json"), "due_at": now} for name in names]
    connection.execute(_ADD[connection.dialect.name], rows)
    connection.execute(update(sweeps).where(sweeps.c.project.not_in(names)).values(due_at=None))
    connection.execute(update(sweeps).where(sweeps.c.project.in_(names), sweeps.c.due_at.is_(None)).values(due_at=now))


def get(connection: Connection, project: str) -> SweepState:
    """What the sweeps of a project have done so far."""
    body = connection.execute(select(sweeps.c.body).where(sweeps.c.project == project)).scalar()
    return SweepState() if body is None else _ADAPTER.validate_python(body)


def save(connection: Connection, project: str, state: SweepState, owner: str) -> bool:
    """Replaces the state. If another process has claimed the sweep since, changes nothing and returns False."""
    values = {"body": _ADAPTER.dump_python(state, mode="json")}
    is_ours = (sweeps.c.project == project, sweeps.c.claimed_by == owner)
    return connection.execute(update(sweeps).where(*is_ours).values(values)).rowcount == 1


def make_due(connection: Connection, project: str, at: datetime) -> None:
    """Makes the next sweep of a project due at this time, unless it is due earlier."""
    connection.execute(update(sweeps).where(sweeps.c.project == project, sweeps.c.due_at > at).values(due_at=at))
