"""Until when a message of a simulated week must be shown, and times for the problems that are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.support.simulated_week import MINUTE, SECOND, Away, Week

#: Slack's budget may hold a message back for this time.
BUDGET = 10 * SECOND
#: After an outage, everything is shown within this time.
AFTER_OUTAGE = MINUTE
#: After OMS answered with 429, the next sweep may be this much later.
SLOWED_DOWN = 5 * MINUTE
_NEEDED_FOR_ALERTS = frozenset({Away.BOT, Away.SLACK})


def due(week: Week, at: datetime, within: timedelta, needed: frozenset[Away] = _NEEDED_FOR_ALERTS) -> datetime:
    """The latest time at which Slack must show a change.

    Arguments:
        at: when the change happened, or when the bot could know it.
        within: the time that the bot has while everything works.
        needed: what must work to show it.
    """
    end = at + within
    for one in sorted(week.outages, key=lambda one: one.start):
        if one.away in needed and one.start < end and one.end > at:
            wait = SLOWED_DOWN if one.away is Away.OMS_LIMITS else timedelta(0)
            end = max(end, one.end + AFTER_OUTAGE + wait)
    return end


def time_text(week: Week, at: datetime | None) -> str:
    if at is None:
        return "never"
    hours = (at - week.start).total_seconds() / 3600
    return f"{at.astimezone(UTC):%a %H:%M:%S} (+{hours:.3f} h)"
