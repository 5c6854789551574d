"""Compares the cards of a simulated week, and their threads, with what was so in the groups of the requests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from bot.sandbox.slack.ids import ALICE, CAROL
from tests.support.simulated_week import MINUTE, STALL_AFTER, Amounts, Away, Change, Seen, Version, Week
from tests.support.week_numbers import (
    has_progress,
    has_standstill,
    percent,
    seconds,
    wrong_history,
    wrong_progress,
    wrong_rate,
    wrong_report,
    wrong_standstill,
)
from tests.support.week_times import BUDGET, due, time_text

_EVERYTHING = frozenset(Away)
_HEADLINES = (
    (re.compile(r" is done\b"), "done"),
    (re.compile(r"^Migration failed: "), "failed"),
    (re.compile(r"^Paused (again|outside this bot): "), "paused"),
    (re.compile(r"^Stalled for "), "stalled"),
    (re.compile(r"^(Resumed|Accepted by OMS|Pausing|Nothing has moved for)\b"), "running"),
    (re.compile(r"^(Resume|Approved|Asking OMS|Checking)\b"), "new"),
)
_ENDED = ("done", "failed", "paused")
_FAILED_SUB_TASKS = re.compile(r"\d+ sub-tasks? of .* failed\.")
_AS_OF = re.compile(r"(?:as of|updated) <!date\^(\d+)\^")
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
        yield from _numbers(week, group, versions)
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


def _numbers(week: Week, group: str, versions: list[Version]) -> Iterator[str]:
    """What cards show that is not what OMS had at the time that they name."""
    new, approved = week.changes[group][:2]
    before = _seen_at(week, group, new.at)
    checked = 0
    for one in versions:
        at, named = time_text(week, one.at), _AS_OF.search(one.text)
        read = [before] if named is None else week.readings[group].get(int(named[1]), [])
        if not read:
            yield f"{at} the card of {group} is as of a time at which nobody read the group"
            continue
        checked += named is not None and has_progress(one.text)
        # The bot may have read the group twice within this second.
        seen = next((seen for seen in read if not any(wrong_progress(one.text, seen))), read[-1])
        wrong = [*wrong_progress(one.text, seen), *wrong_history(one.text, before.amounts, seen.amounts)]
        stalled = [change.at for change in week.changes[group] if change.state == "stalled" and change.at <= one.at]
        if seen.speed:
            wrong += wrong_rate(one.text, seen, is_exact=not stalled)
        if stalled and named is not None:
            is_exact = not any(outage.start < one.at and outage.end > stalled[-1] for outage in week.outages)
            wrong += wrong_standstill(one.text, int(named[1]) - stalled[-1].timestamp(), is_exact=is_exact)
        elif has_standstill(one.text):
            wrong.append("that it stands still, and it does not")
        causes = re.findall(r"\*(\d+) of (\d+) failed sub-tasks\*", one.text)
        if causes and {sum(int(number) for number, _ in causes)} != {int(all_) for _, all_ in causes}:
            wrong.append(f"causes that do not add up: {causes}")
        for what, person, since in (("Requested", ALICE, new.at), ("approved", CAROL, approved.at)):
            times = re.findall(rf"{what} by <@{person}> <!date\^(\d+)\^", one.text)
            if times not in ([str(int(since.timestamp()))], []):
                wrong.append(f"another time than {time_text(week, since)}: {one.text!r}")
        yield from (f"{at} the card of {group} shows {what}" for what in wrong)
    if not checked:
        yield f"the card of {group} never shows progress"


def _thread(week: Week, ts: str, group: str, changes: list[Change], states: list[str]) -> Iterator[str]:
    lines = [one for one in week.versions if one.thread_ts == ts]
    repeated = {text: number for text, number in Counter(one.text for one in lines).items() if number > 1}
    yield from (f"the thread of {group} says {number} times {text!r}" for text, number in repeated.items())
    for one in lines:
        seen = next(
            seen for second, [*_, seen] in reversed(week.readings[group].items()) if second <= one.at.timestamp()
        )
        if one.text.startswith("Resumed") and seen.speed:
            rates = wrong_rate(one.text, seen, is_exact=True)
            yield from (f"{time_text(week, one.at)} {group}: {wrong}" for wrong in rates)
        yield from (f"{time_text(week, one.at)} {group}: {wrong}" for wrong in wrong_progress(one.text, seen))
    yield from _reports(week, group, [one for one in lines if "Newest audit hash" in one.text])
    yield from _stalls(week, group, lines, states)
    yield from _milestones(week, group, [one for one in lines if " % done: " in one.text])
    yield from _failed_sub_tasks(
        week, group, [one for one in lines if re.match(r"\d+ sub-tasks? of .* failed\.", one.text)]
    )


def _reports(week: Week, group: str, reports: list[Version]) -> Iterator[str]:
    ends = [change for change in week.changes[group] if change.state in _ENDED]
    if len(reports) != len(ends[:1]):
        yield f"{group} ended {len(ends)} times, and its thread has {len(reports)} reports"
    for one in reports if ends else ():
        at = time_text(week, one.at)
        if one.at > _shown_until(week, ends[0].at):
            yield f"{at} the report on {group} is late"
        before = _seen_at(week, group, week.changes[group][0].at)
        yield from (f"{at} {group}: {wrong}" for wrong in wrong_report(one.text, before.amounts, _end(week, group)))
        started = week.changes[group][1].at
        times = re.search(r"\*Time\*\n.*<!date\^(\d+)\^.*<!date\^(\d+)\^", one.text)
        is_right = (
            times is not None
            and int(times[1]) == int(started.timestamp())
            and int(ends[0].at.timestamp()) <= int(times[2]) <= one.at.timestamp()
        )
        if not is_right:
            yield f"{at} {group}: the times are wrong: {one.text!r}"
        people = (("Requested", ALICE), ("Approved", CAROL))
        if not all(f"*{what} by*\n<@{person}>" in one.text for what, person in people):
            yield f"{at} {group}: the people are wrong: {one.text!r}"


def _seen_at(week: Week, group: str, at: datetime) -> Seen:
    """What was so in a group at the first reading from a time on."""
    return next(seen for second, [seen, *_] in week.readings[group].items() if second >= int(at.timestamp()))


def _end(week: Week, group: str) -> Amounts:
    """How much of a group was migrated when its request ended."""
    ended = next(change for change in week.changes[group] if change.state in _ENDED)
    return _seen_at(week, group, ended.at).amounts


def _stalls(week: Week, group: str, lines: list[Version], states: list[str]) -> Iterator[str]:
    changes = week.changes[group]
    stalled = [one for one in lines if "has stalled" in one.text]
    again = [one for one in lines if re.search(r" (?:is moving|has moved) again at ", one.text)]
    for one in stalled:
        begins = [change.at for change in changes if change.state == "stalled" and change.at + STALL_AFTER <= one.at]
        said = re.search(r"has stalled at (\d+) %\. Nothing has moved since <!date\^(\d+)\^", one.text)
        if not begins or said is None:
            yield f"{time_text(week, one.at)} the thread of {group} says stalled, and it is not: {one.text!r}"
        elif int(said[1]) != percent(_seen_at(week, group, begins[-1]).amounts) or not (
            int(begins[-1].timestamp()) <= int(said[2]) <= (one.at - STALL_AFTER).timestamp()
        ):
            yield f"{time_text(week, one.at)} {group} stalled at {time_text(week, begins[-1])}: {one.text!r}"
    for one in again:
        stands = [change.at for change in changes if change.state == "stalled" and change.at <= one.at]
        said = re.search(r"(?:is moving|has moved) again at (\d+) %\. It was stalled for (.*)\.$", one.text)
        longest = (one.at - stands[-1]).total_seconds() + 60 if stands else 0
        share = percent(_seen_at(week, group, one.at).amounts)
        if said is None or int(said[1]) != share or not STALL_AFTER.total_seconds() <= seconds(said[2]) <= longest:
            at = time_text(week, one.at)
            yield f"{at} {group} stood still for {longest:.0f} s at most, at {share} %: {one.text!r}"
    turns = Counter(pairwise(states))
    if len(stalled) != sum(count for (before, now), count in turns.items() if before != "stalled" and now == "stalled"):
        yield f"the thread of {group} says {len(stalled)} times that it stalled, and its card another number"
    if len(again) != turns["stalled", "running"]:
        yield f"the thread of {group} says {len(again)} times that it moves again, and its card another number"


def _milestones(week: Week, group: str, lines: list[Version]) -> Iterator[str]:
    for before, now in pairwise(lines):
        if now.at - before.at < 60 * MINUTE:
            yield f"{time_text(week, now.at)} {group}: two milestones within an hour"


def _failed_sub_tasks(week: Week, group: str, lines: list[Version]) -> Iterator[str]:
    """The line about sub-tasks that failed while the others went on."""
    ends = [int(change.at.timestamp()) for change in week.changes[group] if change.state in _ENDED]
    failed = {
        seen.sub_tasks.failed
        for second, read in week.readings[group].items()
        for seen in read
        if seen.sub_tasks is not None and seen.speed and not any(end <= second for end in ends)
    } - {0}
    if len(lines) != len(failed):
        yield f"sub-tasks of {group} failed {len(failed)} times, and its thread says it {len(lines)} times"
    for one in lines:
        by_code = [int(number) for number in re.findall(r"• (\d+) with TRF\.", one.text)]
        if [int(one.text.split()[0]), sum(by_code)] != [max(failed, default=0)] * 2:
            yield f"{time_text(week, one.at)} {group} has {failed} failed sub-tasks: {one.text!r}"
