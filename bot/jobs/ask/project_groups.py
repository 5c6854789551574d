"""Reads the groups of projects for `list`: as the last sweep read them, or from OMS if no sweep is recent.

Listing from OMS is left to `listed_groups`, and the texts to `bot.ui.lists`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.domain.sweep_plan import STATUSES, Part
from bot.domain.task_group import STATUSES_OF_KIND, GroupKind
from bot.domain.watched_group import Reading
from bot.jobs.ask.listed_groups import ANSWER_SECONDS, NotListed, listed_groups
from bot.jobs.context import Context
from bot.store import groups, sweeps
from bot.ui.lists import GroupsOfProject

# How old the result of a sweep can be to be shown. Sweeps list failed groups only once a minute.
MAX_AGE: Mapping[Part, timedelta] = {Part.ACTIVE: timedelta(minutes=1), Part.FAILED: timedelta(minutes=2)}


def project_groups(
    context: Context, projects: Sequence[str], kinds: Sequence[GroupKind], answer_seconds: float = ANSWER_SECONDS
) -> Mapping[str, GroupsOfProject | NotListed]:
    """The groups of these kinds in each project.

    Arguments:
        answer_seconds: see `listed_groups`.
    """
    found: dict[str, GroupsOfProject | NotListed] = {}
    now = context.now()
    for name in projects:
        swept = _from_sweeps(context, name, kinds)
        if swept is not None:
            found[name] = swept
    for name, listing in listed_groups(
        context, [name for name in projects if name not in found], kinds, answer_seconds
    ).items():
        found[name] = (
            listing
            if isinstance(listing, NotListed)
            else GroupsOfProject(
                name,
                now,
                {kind: [Reading(group, now, None) for group in of_kind] for kind, of_kind in listing.of_kind.items()},
                listing.more,
                listing.unreadable,
            )
        )
    return {name: found[name] for name in projects}


def _from_sweeps(context: Context, project: str, kinds: Sequence[GroupKind]) -> GroupsOfProject | None:
    """The groups as the last sweeps read them; None if that was too long ago."""
    statuses = {status for kind in kinds for status in STATUSES_OF_KIND[kind]}
    with context.store.read() as connection:
        state = sweeps.get(connection, project)
        parts = [part for part in Part if STATUSES[part] & statuses]
        as_of = {part: state.listed_at.get(part) for part in parts}
        if not all(_is_recent(at, part, context.now()) for part, at in as_of.items()):
            return None
        watched = groups.of_project(connection, project, statuses)
    return GroupsOfProject(
        project,
        min(at for at in as_of.values() if at is not None),
        {
            kind: [one.reading for one in watched.values() if one.group.status in STATUSES_OF_KIND[kind]]
            for kind in kinds
        },
        unreadable=sum(state.unreadable.get(part, 0) for part in parts),
    )


def _is_recent(at: datetime | None, part: Part, now: datetime) -> bool:
    return at is not None and now - at <= MAX_AGE[part]
