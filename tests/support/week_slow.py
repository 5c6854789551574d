"""Compares what the channel is told of slow groups in a simulated week with how fast they were.

The bot smooths the rate, so the times are less exact than those of other trouble.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bot.sandbox.huawei.group import MONITORING, Condition
from tests.support.simulated_week import MINUTE, STALL_AFTER, Seen, Version, Week
from tests.support.week_numbers import wrong_progress
from tests.support.week_times import BUDGET, due, time_text

#: A rate that is smoothed over 5 minutes shows another speed within this time, even if the group is rarely read.
SMOOTHED_FOR = 30 * MINUTE
#: Readings that are further apart do not show the rate.
BLIND = 10 * MINUTE
_SINCE = re.compile(r"^is slow\. Its rate has been below the limit .* since <!date\^(\d+)\^")


@dataclass(frozen=True)
class Span:
    """A time in which each sweep shows that a group is slow."""

    start: datetime
    end: datetime  # the first sweep that shows something else
    is_certain: bool  # whether the sweeps show it for so long that it must be told
    is_over: bool  # whether a sweep shows something else


def problems_of_slow_groups(week: Week, group: str, told: list[tuple[Version, str, str]]) -> Iterator[str]:
    """What was told of a group and was not so, told twice, or not told.

    Arguments:
        told: the messages about the group, each with what it says about it, and the progress that it shows.
    """
    spans = list(_spans(week, group))
    slow = [(version, found) for version, says, _ in told if (found := _SINCE.match(says))]
    for version, says, progress in told:
        if progress and (found := _SINCE.match(says)):
            yield from _wrong_progress(week, group, version, int(found[1]), progress)
    for version, found in slow:
        if not any(_fits(week, span, version, int(found[1])) for span in spans):
            yield f"{time_text(week, version.at)} {group} is told to be slow: {found[0]}"
    for span in spans:
        during = [version for version, found in slow if _fits(week, span, version, int(found[1]))]
        what = f"{group} is slow from {time_text(week, span.start)} to {time_text(week, span.end)}"
        posts = {version.ts for version in during}
        if len(posts) > 1:
            yield f"{what}: told {len(posts)} times"
        until = due(week, span.start, STALL_AFTER + SMOOTHED_FOR)
        is_muted = any(one.group == group and one.start < until and one.end > span.start for one in week.mutes)
        if span.is_certain and until < span.end and not is_muted and not any(one.at <= until for one in during):
            yield f"{what}: not told in time"
        for ts in posts if span.is_over else ():
            known_at = next((at for at, _ in week.sweeps if at >= span.end + SMOOTHED_FOR), span.end)
            last = [says for version, says, _ in told if version.ts == ts and version.at <= due(week, known_at, BUDGET)]
            if _SINCE.match(last[-1]):
                yield f"{what}: the message does not say that it is over"


def _wrong_progress(week: Week, group: str, version: Version, since: int, progress: str) -> Iterator[str]:
    """The progress in a message, if no sweep that may have told it shows the same."""
    told_from = since + STALL_AFTER.total_seconds() - 1
    seen = [all_[group] for at, all_ in week.sweeps if told_from <= at.timestamp() and at <= version.at]
    if all(any(wrong_progress(progress, one)) for one in seen):
        yield f"{time_text(week, version.at)} {group} is slow, and never had {progress!r}"


def _fits(week: Week, span: Span, version: Version, since: int) -> bool:
    """Whether a message is true of a span."""
    begins = span.start.timestamp() <= since <= (span.start + SMOOTHED_FOR).timestamp()
    return (
        begins
        and since + STALL_AFTER.total_seconds() <= version.at.timestamp() + 1
        and (version.at <= due(week, span.end, SMOOTHED_FOR))
    )


def _spans(week: Week, group: str) -> Iterator[Span]:
    start = last = seen_since = None
    is_certain = False
    for at, all_seen in week.sweeps:
        seen = all_seen.get(group)
        if seen is not None and _is_slow(seen):
            if start is None or last is None:
                start = seen_since = at
            elif at - last > BLIND:
                seen_since = at
            last = at
            is_certain |= seen_since is not None and at - seen_since >= STALL_AFTER + SMOOTHED_FOR
        elif start is not None:
            yield Span(start, at, is_certain, is_over=True)
            start = last = None
            is_certain = False
    if start is not None and last is not None:
        yield Span(start, last, is_certain, is_over=False)


def _is_slow(seen: Seen) -> bool:
    return seen.status == MONITORING and seen.condition is Condition.SLOW and not seen.is_followed
