"""Stores what Slack takes from the bot in one row, so that all replicas share it: the budget of calls, and charts.

What the budget allows is computed by `bot.domain.slack_budget`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from bot.domain.slack_budget import SlackBudget
from bot.store import tables

# How long a method is stopped if Slack names no time.
RETRY_AFTER_SECONDS = 5
# Longer than the longest wait for Slack and a whole burst after it.
MAX_AHEAD = timedelta(minutes=11)
# How long the bot sends no charts after Slack refused one.
NO_CHARTS_FOR = timedelta(days=1)


def load(connection: Connection, now: datetime) -> SlackBudget:
    """The budget as of the last call."""
    return _parsed(connection.execute(select(tables.slack_budget.c.full_at)).scalar_one(), now)


def lock(connection: Connection, now: datetime) -> SlackBudget:
    """The budget. No other transaction can change it until this one ends."""
    return _parsed(connection.execute(select(tables.slack_budget.c.full_at).with_for_update()).scalar_one(), now)


def save(connection: Connection, budget: SlackBudget) -> None:
    """Replaces the budget. The caller has locked it in the same transaction."""
    full_at = {call: at.isoformat() for call, at in budget.full_at.items()}
    connection.execute(update(tables.slack_budget).values(full_at=full_at))


def spend(connection: Connection, call: str, now: datetime) -> bool:
    """Spends the budget for one urgent call. Returns whether the call may be made now; if not, nothing is spent."""
    budget = lock(connection, now)
    if budget.available_at(call) > now:
        return False
    save(connection, budget.spend(call, now))
    return True


def stop(connection: Connection, call: str, now: datetime, retry_after_seconds: int | None) -> datetime:
    """Stops the method of a call for all replicas, after Slack refused the call because of a rate limit.

    Arguments:
        retry_after_seconds: as Slack said; None if it did not.

    Returns:
        When the call may be made again.
    """
    until = now + timedelta(seconds=retry_after_seconds or RETRY_AFTER_SECONDS)
    save(connection, lock(connection, now).stop(call, until))
    return until


def takes_charts(connection: Connection, now: datetime) -> bool:
    """Whether the workspace takes charts, as far as the bot knows."""
    refused_at = connection.execute(select(tables.slack_budget.c.chart_refused_at)).scalar_one()
    return refused_at is None or not timedelta() <= now - refused_at < NO_CHARTS_FOR


def refuse_charts(connection: Connection, now: datetime) -> None:
    """Stores that the workspace does not take charts."""
    connection.execute(update(tables.slack_budget).values(chart_refused_at=now))


def _parsed(full_at: dict[str, str], now: datetime) -> SlackBudget:
    """The stored budget, without times that a process whose clock was wrong stored: they would stop all calls."""
    times = {call: datetime.fromisoformat(at) for call, at in full_at.items()}
    return SlackBudget({call: at for call, at in times.items() if at <= now + MAX_AHEAD})
