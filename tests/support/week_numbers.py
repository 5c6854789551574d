"""Compares the numbers in a text of a simulated week with what was so.

Reads the numbers as a person does, and knows none of the code of the bot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.simulated_week import Amounts, Seen

_SIZE = r"([\d.]+) ([kMGTPE]?B)"
_PROGRESS = re.compile(
    r"\*?(?P<percent>\d+) %(?:\*     | done: )(?P<part>[\d.]+) of (?P<whole>[\d.]+) (?P<unit>[kMGTPE]?B)(?: · |, )"
    r"(?P<migrated>[\d,]+) of (?P<total>[\d,]+) objects(?:, (?P<failed>[\d,]+) failed)?"
)
_SUB_TASKS = re.compile(r"sub-tasks: (\d[\d,]* \w+(?:, \d[\d,]* \w+)*)")
_RATE = re.compile(
    rf"{_SIZE}/s(?: over the last [\da-z ]+?)?(?:(?: · |, )(?:about )?([\d.]+ (?:min|h|days)|less than a minute) left)?"
)
_RUNNING = re.compile(r"(\d+) sub-tasks are running")
_MOVED_BY_NOW = re.compile(rf"· {_SIZE} in [\da-z ]+ \({_SIZE} in all\)")
_DONE = re.compile(r"is done: ([\d,]+) of ([\d,]+) objects(?:, ([\d,]+) failed)?")
_STANDS = re.compile(r"(?:Stalled|nothing has moved) for ([\da-z ]+):")
_MOVED = re.compile(rf"\*Moved\*\n{_SIZE} in ([\d,]+) objects? this time, ([\d.]+) of ([\d.]+) ([kMGTPE]?B) in all")
_OBJECTS = re.compile(r"\*Objects\*\n([\d,]+) migrated, 0 skipped, ([\d,]+) failed, of ([\d,]+)")
_UNITS = {unit: 10.0 ** (3 * power) for power, unit in enumerate(("B", "kB", "MB", "GB", "TB", "PB", "EB"))}
_SECONDS = {"days": 86_400, "h": 3_600, "min": 60, "s": 1}


def has_progress(text: str) -> bool:
    return _PROGRESS.search(text) is not None


def has_standstill(text: str) -> bool:
    return _STANDS.search(text) is not None


def percent(amounts: Amounts) -> int:
    return 100 * amounts.complete_bytes // amounts.total_bytes


def wrong_progress(text: str, seen: Seen) -> Iterator[str]:
    """The percentages, sizes and counts in a text that are not those of the group, with those that are."""
    amounts, sub_tasks = seen.amounts, seen.sub_tasks
    for found in _PROGRESS.finditer(text):
        is_right = (
            int(found["percent"]) == percent(amounts)
            and _is_size(found["part"], found["unit"], amounts.complete_bytes)
            and _is_size(found["whole"], found["unit"], amounts.total_bytes)
            and _counts(found["migrated"], found["failed"] or "0", found["total"])
            == (amounts.migrated, amounts.failed, amounts.total)
        )
        if not is_right:
            yield f"{found[0]!r}, and it has {amounts}"
    if text.count(" %*") != sum(found[0].startswith("*") for found in _PROGRESS.finditer(text)):
        yield f"progress that is not understood: {text!r}"
    for running in _RUNNING.findall(text):
        if sub_tasks is not None and int(running) != sub_tasks.executing:
            yield f"{running} sub-tasks are running, and it has {sub_tasks}"
    for migrated, total, failed in _DONE.findall(text):
        if _counts(migrated, failed or "0", total) != (amounts.migrated, amounts.failed, amounts.total):
            yield f"{migrated} of {total} objects, and it has {amounts}"
    for counts in _SUB_TASKS.findall(text):
        shown = {state: int(number.replace(",", "")) for number, state in re.findall(r"(\d[\d,]*) (\w+)", counts)}
        if sub_tasks is not None:
            states = ("done", "running", "waiting", "paused", "failed")
            numbers = (sub_tasks.complete, sub_tasks.executing, sub_tasks.waiting, sub_tasks.paused, sub_tasks.failed)
            if shown != {state: number for state, number in zip(states, numbers, strict=True) if number}:
                yield f"{counts!r}, and it has {sub_tasks}"


def _rounding(left: float) -> float:
    """By how many seconds a time left is rounded at most."""
    steps = {20 * 60: 60, 3_600: 300, 10 * 3_600: 1_800, 48 * 3_600: 3_600}
    return next((step for longest, step in steps.items() if left < longest), 86_400) / 2


def wrong_rate(text: str, seen: Seen, *, is_exact: bool) -> Iterator[str]:
    """The rates and times left in a text that are not those of a moving group.

    Arguments:
        is_exact: whether the group has always had its speed. If not, the rate may be lower.
    """
    for amount, unit, left in _RATE.findall(text):
        shown, longest = float(amount) * _UNITS[unit], 1.05 * seen.speed
        if not (0.95 * seen.speed if is_exact else 0) <= shown <= longest:
            yield f"{amount} {unit}/s, and it moves at {seen.speed:,} B/s"
        expected = (seen.amounts.total_bytes - seen.amounts.complete_bytes) / seen.speed
        tolerance = 0.05 * expected + 60 + _rounding(expected)
        if left and not -tolerance <= seconds(left) - expected <= (tolerance if is_exact else float("inf")):
            yield f"{left} left, and it takes {expected:.0f} s"


def wrong_history(text: str, start: Amounts, end: Amounts) -> Iterator[str]:
    """What the last line of a card says that moved, if it is not what moved between these two."""
    for moved, unit, all_, unit_of_all in _MOVED_BY_NOW.findall(text):
        is_right = _is_size(moved, unit, end.complete_bytes - start.complete_bytes)
        if not is_right or not _is_size(all_, unit_of_all, end.complete_bytes):
            yield f"{moved} {unit}, {all_} {unit_of_all} in all, and it had {start} and has {end}"


def wrong_standstill(text: str, longest: float, *, is_exact: bool) -> Iterator[str]:
    """The time for which nothing moves, if it is not that of the group.

    Arguments:
        longest: the seconds since the group stalled.
        is_exact: whether the group was read all the time.
    """
    for shown in _STANDS.findall(text):
        if not (longest - 150 if is_exact else 0) <= seconds(shown) <= longest + 1:
            yield f"{shown}, and it stands still for {longest:.0f} s"


def wrong_report(text: str, start: Amounts, end: Amounts) -> Iterator[str]:
    """What a report says that moved, if it is not what moved between these two."""
    moved, objects = _MOVED.search(text), _OBJECTS.search(text)
    if moved is None or objects is None:
        yield f"it does not say what moved: {text!r}"
        return
    is_right = (
        _is_size(moved[1], moved[2], end.complete_bytes - start.complete_bytes)
        and _counts(moved[3]) == (end.migrated - start.migrated,)
        and _is_size(moved[4], moved[6], end.complete_bytes)
        and _is_size(moved[5], moved[6], end.total_bytes)
        and _counts(objects[1], objects[2], objects[3]) == (end.migrated, end.failed, end.total)
    )
    if not is_right:
        yield f"{moved[0]!r}, {objects[0]!r}, and it had {start} and has {end}"


def seconds(duration: str) -> int:
    """The seconds of `2 h 5 min`, `2.5 h` or `less than a minute`."""
    return round(sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+) (\w+)", duration)))


def _is_size(number: str, unit: str, size: int) -> bool:
    """Whether a size is shown with one digit after the point."""
    return abs(float(number) - size / _UNITS[unit]) <= 0.0501


def _counts(*numbers: str) -> tuple[int, ...]:
    return tuple(int(number.replace(",", "")) for number in numbers)
