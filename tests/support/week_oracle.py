"""Says what the channel must have been told in a simulated week, and compares it with what it was told.

Knows the groups as they were at each sweep, and none of the code of the bot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.sandbox.huawei.group import (
    COMPLETED,
    DELETED,
    PAUSED,
    PAUSING,
    WAITING_FOR_DELETION,
    Condition,
)
from bot.sandbox.slack.ids import ALICE
from tests.support.simulated_week import MINUTE, Seen, Version, Week
from tests.support.week_cards import problems_of_cards
from tests.support.week_episodes import FAILED, RUNNING, Episode, episodes_of
from tests.support.week_numbers import has_progress, wrong_progress
from tests.support.week_slow import problems_of_slow_groups
from tests.support.week_times import AFTER_OUTAGE, BUDGET, due, time_text

#: What a message says about a group. The line after it has the progress, if the group is in trouble.
_LINE = re.compile(
    r"^\*\"(?P<name>[^\"]*)\"\* \(group `(?P<group>[0-9a-f-]{36})`\) (?P<says>.*)$(?P<progress>(?:\n.*→.*)?\n[░█].*$)?",
    re.MULTILINE,
)
_TIME = re.compile(r"<!date\^(\d+)\^")
_TROUBLES = {
    "was paused outside this bot, noticed": "paused",
    "failed": "failed",
    "has stalled": "stalled",
    "is slow": "slow",
}
_MUTED = re.compile(rf"Muted by <@{ALICE}> until <!date\^(\d+)\^")
#: What the title of a message says about trouble that is over, by the words of its line: what came later, or what was.
_TITLES_OF_OVER = {
    "later failed": "failed",
    "was later paused": "paused",
    "was deleted": "deleted",
    "is done": "done",
    "was paused outside this bot": "was paused outside this bot",
    "had failed": "had failed",
    "had stalled": "had stalled",
    "was slow": "was slow",
}
_OVER: Mapping[str, Callable[[Seen], bool]] = {
    "was moving again": lambda seen: seen.status in RUNNING and not seen.stands,
    "had moved again": lambda seen: seen.status in RUNNING and seen.stands,
    "its rate was above the limit again": lambda seen: seen.status in RUNNING and seen.condition is not Condition.SLOW,
    "was running again": lambda seen: seen.status in RUNNING,
    "later failed": lambda seen: seen.status in FAILED,
    "was later paused": lambda seen: seen.status in (PAUSED, PAUSING),
    "was deleted": lambda seen: seen.status in (DELETED, WAITING_FOR_DELETION),
    "is done": lambda seen: seen.status == COMPLETED,
}


@dataclass(frozen=True)
class Told:
    """What a message says about a group."""

    version: Version
    trouble: str  # empty if the trouble is over
    says: str
    progress: str  # empty if the message does not show it


def problems_of(week: Week) -> list[str]:
    """Everything that was told and was not so, told twice, or not told."""
    return [*_problems_of_alerts(week), *problems_of_cards(week)]


def told_by_trouble(week: Week) -> Mapping[str, int]:
    """How many times the channel must be told of each trouble but slow groups."""
    groups = {group for _, seen in week.sweeps for group in seen}
    counts = Counter(episode.trouble for group in groups for episode in episodes_of(week, group))
    return {trouble: counts[trouble] for trouble in ("paused", "failed", "stalled")}


def _problems_of_alerts(week: Week) -> Iterator[str]:
    versions = [one for one in week.versions if one.thread_ts is None and one.ts not in week.cards]
    told: dict[str, list[Told]] = {}
    for one in versions:
        yield from _untrue_lines(week, one)
        for line in _LINE.finditer(one.text):
            says, progress = line["says"], line["progress"] or ""
            told.setdefault(line["group"], []).append(Told(one, _trouble_told(says), says, progress))
    groups = {group for _, seen in week.sweeps for group in seen}
    expected = {group: list(episodes_of(week, group)) for group in groups}
    for group, lines in told.items():
        yield from _unexpected(week, group, lines, expected.get(group, []))
    for group in groups:
        lines_of_group = [(one.version, one.says, one.progress) for one in told.get(group, [])]
        yield from problems_of_slow_groups(week, group, lines_of_group)
    for episodes in expected.values():
        for episode in episodes:
            yield from _untold(week, episode, told.get(episode.group, []))
    yield from _not_summed_up(week, versions)
    yield from _mutes(week, versions)


def _mutes(week: Week, versions: list[Version]) -> Iterator[str]:
    """Mutes that their messages do not show, and mutes that nobody asked for."""
    ends = {(one.ts, str(int(one.end.timestamp()))) for one in week.mutes}
    for one in versions:
        unasked = [end for end in _MUTED.findall(one.text) if (one.ts, end) not in ends]
        if unasked or one.text.count("Muted by") != len(_MUTED.findall(one.text)):
            yield f"{time_text(week, one.at)} nobody muted this: {one.text!r}"
    for mute in week.mutes:
        until = due(week, mute.start, BUDGET)
        shown = [one for one in versions if one.ts == mute.ts and mute.start <= one.at <= until]
        if not any(str(int(mute.end.timestamp())) in _MUTED.findall(one.text) for one in shown):
            yield f"{time_text(week, mute.start)} the message does not say that {mute.group} is muted"


def _trouble_told(says: str) -> str:
    """The trouble that a line says the group is in; empty if the trouble is over."""
    return next((trouble for words, trouble in _TROUBLES.items() if says.startswith(words)), "")


def _title(lines: list[re.Match[str]]) -> str:
    """The title of a message with these lines."""
    titles = [_title_of_line(line["says"]) for line in lines]
    if len(lines) == 1:
        return f'{titles[0].capitalize()}: "{lines[0]["name"]}"'
    return f"Task groups in media: {', '.join(f'{count} {title}' for title, count in Counter(titles).items())}"


def _title_of_line(says: str) -> str:
    trouble = _trouble_told(says)
    if trouble:
        return "paused outside this bot" if trouble == "paused" else trouble
    return next((title for words, title in _TITLES_OF_OVER.items() if words in says), "")


def _seen_at(week: Week, group: str, at: datetime) -> Seen | None:
    """What the last sweep until a time saw."""
    return next((seen.get(group) for time, seen in reversed(week.sweeps) if time <= at), None)


def _is_so(trouble: str, seen: Seen | None) -> bool:
    """Whether a group is in this trouble, as far as its status shows."""
    if seen is None:
        return False
    match trouble:
        case "paused":
            return seen.status in (PAUSED, PAUSING)
        case "failed":
            return seen.status in FAILED
        case "stalled":
            return seen.status in (*RUNNING, PAUSING) and seen.stands
    return seen.status in (*RUNNING, PAUSING)


def _untrue_lines(week: Week, version: Version) -> Iterator[str]:
    lines = list(_LINE.finditer(version.text))
    if not lines:
        yield f"{time_text(week, version.at)} not understood: {version.text!r}"
    if lines and version.text.split("\n")[0] != _title(lines):
        yield f"{time_text(week, version.at)} the title is wrong: {version.text!r}"
    for line in lines:
        says, trouble = line["says"], _trouble_told(line["says"])
        if trouble:
            recent = [one for at, one in week.sweeps if version.at - MINUTE - BUDGET <= at <= version.at]
            seen = _seen_at(week, line["group"], version.at)
            is_so = any(_is_so(trouble, one) for one in (seen, *(one.get(line["group"]) for one in recent)))
        else:
            noticed = [int(found) for found in _TIME.findall(says)][:1]
            seen = next((one.get(line["group"]) for at, one in week.sweeps if [int(at.timestamp())] == noticed), None)
            check = next((check for words, check in _OVER.items() if f" and {words}" in says), None)
            is_so = seen is not None and check is not None and check(seen)
        if not is_so:
            yield f"{time_text(week, version.at)} untrue: {line[0]} ({seen})"


def _over_until(week: Week, episode: Episode) -> datetime | None:
    """Until when a message may still say that the trouble lasts."""
    if episode.over_at is None:
        return None
    # A group that failed and is deleted is in no list of the sweeps in between.
    within = MINUTE if episode.trouble == "failed" else timedelta(0)
    known_at = next((at for at, _ in week.sweeps if at >= episode.over_at + within), episode.over_at)
    return due(week, known_at, BUDGET)


def _is_during(week: Week, episode: Episode, one: Told) -> bool:
    """Whether a message tells the trouble of an episode, with its time, and while it lasts."""
    until = _over_until(week, episode)
    is_late = until is not None and one.version.at > until
    names = [int(time) for time in _TIME.findall(one.says)[:1]] == [int(episode.since.timestamp())]
    return one.trouble == episode.trouble and names and episode.told_at <= one.version.at and not is_late


def _unexpected(week: Week, group: str, lines: Iterable[Told], episodes: list[Episode]) -> Iterator[str]:
    for line in lines:
        if line.trouble in ("", "slow"):
            continue
        at = time_text(week, line.version.at)
        found = [one for one in episodes if _is_during(week, one, line)]
        if not found:
            yield f"{at} must not be told of {group}: {line.says}"
            continue
        seen = _seen_at(week, group, found[-1].told_at)
        if seen is not None:
            yield from (f"{at} {group} is shown with {wrong}" for wrong in wrong_progress(line.progress, seen))
        if line.progress and not has_progress(line.progress):
            yield f"{at} {group} the progress is not understood: {line.progress!r}"


def _untold(week: Week, episode: Episode, lines: list[Told]) -> Iterator[str]:
    told_until, over_until = due(week, episode.told_at, BUDGET), _over_until(week, episode)
    during = [line.version for line in lines if _is_during(week, episode, line)]
    over = time_text(week, episode.over_at)
    since = f"since {time_text(week, episode.since)}, over {over}"
    what = f"{time_text(week, episode.told_at)} {episode.trouble} {episode.group} ({since})"
    # What is over before Slack could show it is not told.
    is_optional = episode.over_at is not None and episode.over_at <= told_until
    messages = {version.ts for version in during}
    if not during and not is_optional:
        yield f"{what}: not told"
    if len(messages) > 1:
        yield f"{what}: told {len(messages)} times"
    if during and min(version.at for version in during) > told_until:
        yield f"{what}: told late, at {time_text(week, min(version.at for version in during))}"
    if over_until is None or episode.over_at is None:
        return
    for ts in messages:
        shown = [version for version in week.versions if version.ts == ts and version.at <= over_until]
        lines_of_group = [line["says"] for line in _LINE.finditer(shown[-1].text) if line["group"] == episode.group]
        if [_trouble_told(says) for says in lines_of_group] == [episode.trouble]:
            yield f"{what}: the message does not say that it is over: {lines_of_group}"


def _not_summed_up(week: Week, versions: list[Version]) -> Iterator[str]:
    """Messages that tell nothing new, and more than one message after an outage."""
    posted: dict[str, datetime] = {}
    for one in versions:
        is_new = one.ts not in posted
        if is_new and not any(_trouble_told(line["says"]) for line in _LINE.finditer(one.text)):
            yield f"{time_text(week, one.at)} a message without news: {one.text!r}"
        posted.setdefault(one.ts, one.at)
    for outage in week.outages:
        end = outage.end
        new = [ts for ts, at in posted.items() if end <= at <= end + AFTER_OUTAGE]
        if len(new) > 1:
            yield f"{time_text(week, end)} {len(new)} messages after {outage.away.name} was away"
