"""Fits the replies to `list` and `status` into one Slack message.

Pure. The lines of requests and groups are in `bot.ui.status` and `bot.ui.replies`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bot.domain.request import Problem
from bot.domain.task_group import TaskGroup
from bot.ui.blocks import TEXT_CHARACTERS
from bot.ui.formatting import escape_mrkdwn
from bot.ui.problem_texts import details
from bot.ui.replies import group_line

# How many lines of open requests have the same precedence as failed groups.
FIRST_REQUESTS = 10


@dataclass(frozen=True)
class Section:
    """A heading and its lines, as mrkdwn.

    Attributes:
        title: has the total of the lines; empty for no heading.
        lines: in the order in which they are shown. The last ones are left out if the message would be too long.
        precedence: how many of the first lines are never left out in favor of later lines, also of other sections.
        is_complete: whether there are no more than these lines.
    """

    title: str
    lines: tuple[str, ...]
    precedence: int
    is_complete: bool = True


def open_requests(lines: Sequence[str]) -> Section:
    """The open requests, one line each."""
    return Section(_counted(len(lines), "open request"), tuple(lines), FIRST_REQUESTS)


def requests_of_group(lines: Sequence[str]) -> Section:
    """The requests for one group, newest first, one line each."""
    order = ", newest first" if len(lines) > 1 else ""
    return Section(_counted(len(lines), "request") + " for this group" + order, tuple(lines), FIRST_REQUESTS)


def groups(
    project: str,
    failed: Sequence[TaskGroup],
    paused: Sequence[TaskGroup],
    requested: Collection[str],
    *,
    more_failed: bool = False,
    more_paused: bool = False,
    unreadable: int = 0,
) -> Section:
    """The groups of a project that can be resumed or retried, failed groups first.

    Arguments:
        requested: ids of the groups that have an open request.
        more_failed, more_paused: whether OMS has more of these groups than were read.
        unreadable: how many more groups OMS listed that the bot could not read.
    """
    totals = [
        _total(len(failed), "failed", is_complete=not more_failed),
        _total(len(paused), "paused", is_complete=not more_paused),
        f"{unreadable} unreadable" if unreadable else "",
    ]
    total = ", ".join(filter(None, totals)) or "none"
    lines = tuple(group_line(group, requested) for group in (*failed, *paused))
    return Section(_groups_of(project) + f": {total}", lines, len(failed), not (more_failed or more_paused))


def groups_not_listed(project: str, problem: Problem) -> Section:
    """In place of `groups`, for a project whose groups could not be listed."""
    code = f"{problem.code}: " if problem.code else ""
    line = f"{code}{escape_mrkdwn(problem.meaning)}{details(problem)}"
    return Section(_groups_of(project) + ": the bot couldn't list them", (line,), 1)


def no_answer(project: str, seconds: float) -> Problem:
    """The problem of a project whose groups were not listed within this time."""
    meaning = f"OMS didn't list the groups of {project} within {seconds:g} s."
    return Problem("OMS", "", "", meaning, "Try again in a minute.")


def fit(sections: Sequence[Section], max_characters: int = TEXT_CHARACTERS) -> str:
    """The text of the sections, at most `max_characters` long.

    Each section gets one line in turn for as long as there is room, first the lines with precedence. If some of them do
    not fit, no other line is added. Sections whose headings do not fit are counted in a last line.
    """
    fitting = _fitting_sections(sections, max_characters)
    rest = _rest(len(sections) - len(fitting))
    shown = [0] * len(fitting)
    left = max_characters - len(rest) - 1 - sum(_reserved(section) for section in fitting)
    for limits in (
        [min(section.precedence, len(section.lines)) for section in fitting],
        [len(section.lines) for section in fitting],
    ):
        turn = list(range(len(fitting)))
        while turn:
            for index in tuple(turn):
                line = fitting[index].lines[shown[index]] if shown[index] < limits[index] else None
                if line is None or len(line) + 1 > left:
                    turn.remove(index)
                else:
                    shown[index] += 1
                    left -= len(line) + 1
        if shown != limits:
            break
    texts: list[str] = []
    for section, number in zip(fitting, shown, strict=True):
        texts += [_heading(section, number), *section.lines[:number]]
    return "\n".join(filter(None, [*texts, rest]))


def _fitting_sections(sections: Sequence[Section], max_characters: int) -> Sequence[Section]:
    for number in range(len(sections), 0, -1):
        if sum(map(_reserved, sections[:number])) + len(_rest(len(sections) - number)) < max_characters:
            return sections[:number]
    return ()


def _reserved(section: Section) -> int:
    """The length of the longest heading, with its line break."""
    return len(_heading(section, 0)) + 1


def _rest(sections: int) -> str:
    return f"and {sections} more projects, not shown for lack of space" if sections else ""


def _heading(section: Section, shown: int) -> str:
    if not section.title:
        return ""
    if shown == len(section.lines) and section.is_complete:
        cut = ""
    elif shown > 1:
        cut = f", the first {shown} are shown"
    else:
        cut = ", the first one is shown" if shown else ", not shown for lack of space"
    return f"*{section.title}{cut}*"


def _counted(number: int, noun: str) -> str:
    if number == 0:
        return f"No {noun}s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _total(read: int, status: str, *, is_complete: bool) -> str:
    if not is_complete:
        return f"more than {read} {status}"
    return f"{read} {status}" if read else ""


def _groups_of(project: str) -> str:
    return f"Groups of {project} that can be resumed or retried"
