"""Compares the cards of a simulated week, and their threads, with what was so in the groups of the requests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from tests.support.simulated_week import MINUTE, STALL_AFTER, Away, Change, Version, Week
from tests.support.week_times import BUDGET, due, time_text

_EVERYTHING = frozenset(Away)
_HEADLINES = (
    (re.compile(r" is done\b"), "done"),
    (re.compile(r"^Migration failed: "), "failed"),
    (re.compile(r"^Paused again: "), "paused"),
    (re.compile(r"^Stalled for "), "stalled"),
    (re.compile(r"^(Resumed|Accepted by OMS|Pausing)\b"), "running"),
    (re.compile(r"^(Resume|Approved|Asking OMS|Checking)\b"), "new"),
)
_ENDED = ("done", "failed", "paused")
_PERCENT = re.compile(r"\*(\d+) %\*     \S+ of (\S+ \S+) ")


def problems_of_cards(week: Week) -> Iterator[str]:
    for ts, group in week.cards.items():
        versions = [one for one in week.versions if one.ts == ts]
        changes = week.changes[group]
        states = [(one.at, _state_of(one)) for one in versions]
        yield from _untrue_states(week, group, states, changes)
        for index, change in enumerate(changes):
            until = changes[index + 1].at if index + 1 < len(changes) else None
            yield from _late_states(week, group, states, change, until)
        yield from _percentages(week, group, versions)
        yield from _thread(week, ts, group, changes, [state for _, state in states])


def _state_of(version: Version) -> str:
    headline = version.text.split("\n")[0]
    return next((state for pattern, state in _HEADLINES if pattern.search(headline)), headline)


def _shown_until(week: Week, at: datetime) -> datetime:
    """Until when a card shows what became so at a time."""
    return due(week, at, MINUTE + BUDGET, _EVERYTHING)


def _untrue_states(week: Week, group: str, states: list[tuple[datetime, str]], changes: list[Change]) -> Iterator[str]:
    for at, state in states:
        so_now = [one for one in changes if one.at <= at]
        recent = [
            one.state
            for index, one in enumerate(so_now)
            if index + 1 == len(so_now) or _shown_until(week, so_now[index + 1].at) >= at
        ]
        allowed = {*recent, "running"} if "stalled" in recent else set(recent)
        if "running" in recent:
            allowed.add("new")
        if state not in allowed:
            yield f"{time_text(week, at)} the card of {group} says {state}, and it is {recent}"
        stalled = [one for one in so_now if one.state == "stalled"]
        if state == "stalled" and (not stalled or at - stalled[-1].at < STALL_AFTER):
            yield f"{time_text(week, at)} the card of {group} says stalled too early"


def _late_states(
    week: Week, group: str, states: list[tuple[datetime, str]], change: Change, until: datetime | None
) -> Iterator[str]:
    if change.state == "new":
        return
    known_at = change.at + STALL_AFTER + MINUTE if change.state == "stalled" else change.at
    late = _shown_until(week, known_at)
    if change.state == "stalled" and any(one.start < late and one.end > change.at for one in week.outages):
        late += STALL_AFTER + 2 * MINUTE  # a blind hour is no stall
    if until is not None and until <= late:
        return
    if not any(change.at <= at <= late and state == change.state for at, state in states):
        shown = [f"{time_text(week, at)} {state}" for at, state in states if at >= change.at][:4]
        yield f"{time_text(week, change.at)} {group} is {change.state}, and its card does not say so in time: {shown}"


def _percentages(week: Week, group: str, versions: list[Version]) -> Iterator[str]:
    last: dict[str, int] = {}
    for one in versions:
        for share, total in _PERCENT.findall(one.text):
            if int(share) < last.get(total, 0) or int(share) > 100:
                yield f"{time_text(week, one.at)} {group}: {share} % of {total} after {last.get(total)} %"
            last[total] = int(share)


def _thread(week: Week, ts: str, group: str, changes: list[Change], states: list[str]) -> Iterator[str]:
    lines = [one for one in week.versions if one.thread_ts == ts]
    ends = [change for change in changes if change.state in _ENDED]
    reports = [one for one in lines if "Newest hash of the audit" in one.text]
    if len(reports) != len(ends[:1]):
        yield f"{group} ended {len(ends)} times, and its thread has {len(reports)} reports"
    for one in reports:
        if not ends or one.at > _shown_until(week, ends[0].at):
            yield f"{time_text(week, one.at)} the report on {group} is late"
    stalled = [one.at for one in lines if "has stalled" in one.text]
    again = [one.at for one in lines if "is moving again" in one.text]
    for at in stalled:
        if not any(one.state == "stalled" and at - one.at >= STALL_AFTER for one in changes):
            yield f"{time_text(week, at)} the thread of {group} says stalled, and it is not"
    turns = Counter(pairwise(states))
    if len(stalled) != sum(count for (before, now), count in turns.items() if before != "stalled" and now == "stalled"):
        yield f"the thread of {group} says {len(stalled)} times that it stalled, and its card another number"
    if len(again) != turns["stalled", "running"]:
        yield f"the thread of {group} says {len(again)} times that it moves again, and its card another number"
