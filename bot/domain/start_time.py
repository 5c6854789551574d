"""Finds the start time that a person means by `at=22:30`, and when voting on such a request ends. Pure.

Times go in and out in UTC. Clocks that change in between (PEP 495) are taken into account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum

from bot.domain.request import START_WITHIN


class StartProblem(StrEnum):
    """Why there is no start time. The sentences for people are in `bot.ui.start_time`."""

    #: The project does not allow start times (`schedule_ahead = "0"`).
    NOT_ALLOWED = "not allowed"
    #: The next such time is later than the project allows: the latest time that it allows.
    TOO_LATE = "too late"
    #: The clocks go forward past that time: the time that they show instead.
    SKIPPED = "skipped"
    #: The time passed after the command was typed, and it is too late to start: the time.
    PASSED = "passed"


@dataclass(frozen=True)
class NoStart:
    """There is no start time. `at` is the time that the comment of the problem names; None if it names none."""

    problem: StartProblem
    at: datetime | None = None


def next_start(typed_at: datetime, zone: tzinfo, clock: tuple[int, int], limit: timedelta) -> datetime | NoStart:
    """The next time that a clock in a time zone shows an hour and a minute.

    When clocks go back, an hour comes twice. If its first 02:30 has passed, the second one is next.

    Arguments:
        typed_at: when the person typed the command.
        clock: hour and minute.
        limit: how far ahead the start may be, on the clock: `24h` is the same time of the next day. Zero allows none.
    """
    if not limit:
        return NoStart(StartProblem.NOT_ALLOWED)
    local = typed_at.astimezone(zone)
    for day in (local.date(), local.date() + timedelta(days=1)):
        shown = datetime.combine(day, time(*clock))
        found = _times_when_clocks_show(shown, zone)
        if not found and shown > local.replace(tzinfo=None):
            # With fold=0, the time counts as before the change, so the clocks then show a later one.
            return NoStart(StartProblem.SKIPPED, shown.replace(tzinfo=zone).astimezone(UTC))
        start = next((at for at in found if at > typed_at), None)
        if start is not None:
            latest = (local + limit).astimezone(UTC)
            return start if start <= latest else NoStart(StartProblem.TOO_LATE, latest)
    raise AssertionError("every clock time that is not skipped comes within two days")


def voting_ends(created_at: datetime, expiry: timedelta, start: datetime | None) -> datetime:
    """When the voting on a request ends: after its expiry, and not later than it could be started.

    Arguments:
        expiry: how long people can vote.
        start: the start time; None to start once approved.
    """
    return created_at + expiry if start is None else min(created_at + expiry, start + START_WITHIN)


def _times_when_clocks_show(shown: datetime, zone: tzinfo) -> list[datetime]:
    """The one or two times, in UTC, at which clocks show a date and time; none if they skip it."""
    candidates = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return sorted({at for at in candidates if at.astimezone(zone).replace(tzinfo=None, fold=0) == shown})
