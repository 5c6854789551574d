"""Decides when the daily digest of a project is due, and what it contains.

Pure. `bot.jobs.digest` reads the groups and requests, and `bot.ui.digest` has the text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from bot.domain.request import FOLLOWED_STATES, Request, State
from bot.domain.task_group import DELETED_STATUSES, FAILED_STATUSES, RUNNING_STATUSES, GroupStatus
from bot.domain.watched_group import Reading, WatchedGroup


@dataclass(frozen=True)
class DailyTime:
    """A time of day in a time zone."""

    hour: int
    minute: int
    zone: tzinfo

    def after(self, now: datetime) -> datetime:
        """The first of these times after `now`, in UTC.

        If clocks go forward past this time of day, the time is later by the same amount. If this time of day occurs
        twice because clocks go back, the first one counts.
        """
        today = now.astimezone(self.zone).date()
        days = (today + timedelta(days=number) for number in (-1, 0, 1, 2))
        times = (datetime(day.year, day.month, day.day, self.hour, self.minute, tzinfo=self.zone) for day in days)
        return next(at for at in (time.astimezone(UTC) for time in times) if at > now)

    def before(self, now: datetime) -> datetime:
        """The last of these times before or at `now`, in UTC."""
        at = self.after(now - timedelta(days=2))
        while (following := self.after(at)) <= now:
            at = following
        return at


@dataclass(frozen=True)
class Digest:
    """What happened in a project since the previous digest, and what is still running or waiting."""

    project: str
    since: datetime
    done: tuple[Reading, ...] = ()
    failed: tuple[Reading, ...] = ()
    paused: tuple[Reading, ...] = ()
    deleted: tuple[Reading, ...] = ()
    running: tuple[Reading, ...] = ()
    waiting: tuple[Request, ...] = ()  # requests that wait for approval

    @property
    def is_empty(self) -> bool:
        return not (self.done or self.failed or self.paused or self.deleted or self.running or self.waiting)


def digest_of(
    project: str,
    since: datetime,
    watched: Iterable[WatchedGroup],
    ended: Iterable[Request],
    open_requests: Iterable[Request],
) -> Digest:
    """Combines what the sweeps and the requests show about the groups of a project.

    Arguments:
        since: the time of the previous digest.
        watched: the groups that run, or that stopped since then.
        ended, open_requests: the requests that ended since then, and those that are open. They show groups that no
            sweep read, for example with `watch = "off"`.
    """
    groups: dict[str, Reading] = {}
    waiting: list[Request] = []
    for request in (*ended, *open_requests):
        if request.state is State.PENDING:
            waiting.append(request)
        elif request.last_seen is not None and request.state in _WITH_GROUP:
            groups[request.group_key] = Reading(request.group, request.last_seen.at, request.last_seen.movement)
    groups |= {one.key: one.reading for one in watched}
    return Digest(
        project,
        since,
        done=_with_status(groups.values(), {GroupStatus.COMPLETED}),
        failed=_with_status(groups.values(), FAILED_STATUSES),
        paused=_with_status(groups.values(), {GroupStatus.PAUSED}),
        deleted=_with_status(groups.values(), DELETED_STATUSES),
        running=_with_status(groups.values(), _RUNNING),
        waiting=tuple(waiting),
    )


# In these states, the group of a request is current, because the bot follows the group or followed it to its end.
_WITH_GROUP = FOLLOWED_STATES | {State.DONE, State.FAILED, State.PAUSED_AGAIN}
_RUNNING = RUNNING_STATUSES | {GroupStatus.PAUSING}


def _with_status(groups: Iterable[Reading], statuses: Collection[GroupStatus]) -> tuple[Reading, ...]:
    return tuple(one for one in groups if one.group.status in statuses)
