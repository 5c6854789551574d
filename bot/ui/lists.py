"""Fits the replies to `list` and `status` into Slack messages, page by page.

Pure. The lines of requests and groups are in `bot.ui.status` and `bot.ui.watched_group`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.command import ShowList
from bot.domain.request import Problem
from bot.domain.task_group import GroupKind, status_name
from bot.domain.watched_group import Reading
from bot.ui.blocks import TEXT_CHARACTERS
from bot.ui.formatting import escape_mrkdwn, inline_code, join_words, local_time
from bot.ui.problem_texts import details
from bot.ui.watched_group import group_line

# How many lines of open requests have the same precedence as failed groups.
FIRST_REQUESTS = 10
# The last line of a page, with the longest name that can be typed.
FOOTER_CHARACTERS = 250


@dataclass(frozen=True)
class Section:
    """A heading and its lines, as mrkdwn.

    Attributes:
        title: has the total of the lines; empty for no heading.
        lines: in the order in which they are shown. The last ones are left out if the message would be too long.
        precedence: how many of the first lines are never left out in favor of later lines, also of other sections.
        is_complete: whether there are no more than these lines.
        skipped: how many lines before these are on earlier pages.
    """

    title: str
    lines: tuple[str, ...]
    precedence: int
    is_complete: bool = True
    skipped: int = 0


@dataclass(frozen=True)
class GroupsOfProject:
    """The groups of a project that `list` shows.

    Attributes:
        as_of: when the oldest of these readings was made.
        of_kind: the groups as last read.
        more: the kinds of which OMS has more groups than were read.
        unreadable: how many other groups OMS listed in a form that the bot could not read.
        ended: groups that are done or deleted. They are shown only if their name is searched for.
    """

    project: str
    as_of: datetime
    of_kind: Mapping[GroupKind, Sequence[Reading]]
    more: Collection[GroupKind] = ()
    unreadable: int = 0
    ended: Sequence[Reading] = ()


def open_requests(lines: Sequence[str]) -> Section:
    """The open requests, one line each."""
    return Section(_counted(len(lines), "open request"), tuple(lines), FIRST_REQUESTS)


def requests_of_group(lines: Sequence[str]) -> Section:
    """The requests for one group, newest first, one line each."""
    order = ", newest first" if len(lines) > 1 else ""
    return Section(_counted(len(lines), "request") + " for this group" + order, tuple(lines), FIRST_REQUESTS)


def groups(found: GroupsOfProject, requests: Mapping[str, str], command: ShowList) -> Section:
    """The groups of a project that the command shows, failed groups first, and done and deleted groups last.

    Arguments:
        requests: the ids of the open requests, by the id of their group.
    """
    kinds = [kind for kind in GroupKind if kind in command.kinds]
    shown = {kind: [one for one in found.of_kind.get(kind, ()) if command.matches(one.group)] for kind in kinds}
    totals = [_total(len(shown[kind]), kind, is_complete=kind not in found.more) for kind in kinds]
    # The name of a group that cannot be read is not known.
    totals.append(f"{found.unreadable} unreadable" if found.unreadable and not command.name else "")
    ended = [one for one in found.ended if command.name and command.matches(one.group)]
    totals += [f"{count} {name}" for name, count in Counter(status_name(one.group.status) for one in ended).items()]
    lines = tuple(group_line(one, requests) for one in (*(one for kind in kinds for one in shown[kind]), *ended))
    total, as_of = ", ".join(filter(None, totals)), f"as of {local_time(found.as_of)}"
    name = inline_code(" ".join(command.name))
    if total:
        named = f" with {name} in the name" if command.name else ""
        title = f"Groups in {found.project}{named} {as_of}: {total}"
    else:
        named = f" has {name} in its name" if command.name else ""
        title = f"No {join_words(kinds, 'or')} group in {found.project}{named} {as_of}"
    return Section(title, lines, len(shown.get(GroupKind.FAILED, ())), not found.more)


def filters(typed: str) -> Section:
    """How to filter by status, in case the words that were typed are not a name.

    Arguments:
        typed: the slash command, with its slash.
    """
    commands = join_words((f"`{typed} list {kind}`" for kind in GroupKind), "or")
    return Section("", (f"To filter by status, type {commands}.",), 1)


def groups_not_listed(project: str, problem: Problem) -> Section:
    """Replaces `groups` for a project whose groups could not be listed."""
    code = f"{problem.code}: " if problem.code else ""
    line = f"{code}{escape_mrkdwn(problem.meaning)}{details(problem)}"
    return Section(f"Groups in {project}: the bot couldn't list them", (line,), 1)


def no_answer(project: str, seconds: float) -> Problem:
    """The problem of a project whose groups were not listed within this time."""
    meaning = f"OMS didn't list the groups in {project} within {seconds:g} s."
    return Problem("OMS", "", "", meaning, "Try again in a minute.")


def fit(sections: Sequence[Section], max_characters: int = TEXT_CHARACTERS) -> str:
    """The text of the sections, at most `max_characters` long.

    Each section gets one line in turn for as long as there is room, first the lines with precedence. If some of them do
    not fit, no other line is added. Sections whose headings do not fit are counted in a last line.
    """
    return _first_page(sections, max_characters)[0]


def page(sections: Sequence[Section], command: ShowList, typed: str, max_characters: int = TEXT_CHARACTERS) -> str:
    """The page of the sections that the command asks for, or the last one if there are fewer.

    Each page is filled as by `fit`, with what the pages before left out.

    Arguments:
        typed: the slash command, with its slash.
    """
    pages: list[str] = []
    left = sections
    while left or not pages:
        text, left = _first_page(left, max_characters - FOOTER_CHARACTERS)
        pages.append(text)
    if len(pages) == 1:
        missing = f"\nThere is no page {command.page}." if command.page > 1 else ""
        return fit(sections, max_characters - len(missing)) + missing
    number = min(command.page, len(pages))
    footer = f"Page {number} of {len(pages)}."
    if number < command.page:
        footer = f"There is no page {command.page}. {footer}"
    elif number < len(pages):
        footer += f" For the next page, type {inline_code(f'{typed} {_next_page(command, number + 1)}')}."
    return f"{pages[number - 1]}\n{footer}"


def _next_page(command: ShowList, number: int) -> str:
    words = ["list", command.only or "", *command.name, "page" if command.name else "", str(number)]
    return " ".join(filter(None, words))


def _first_page(sections: Sequence[Section], max_characters: int) -> tuple[str, Sequence[Section]]:
    """What fits of the sections, and the sections with the lines that are left. See `fit`."""
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
    remaining = [
        replace(
            section,
            lines=section.lines[number:],
            precedence=max(section.precedence - number, 0),
            skipped=section.skipped + number,
        )
        for section, number in zip(fitting, shown, strict=True)
        if number < len(section.lines)
    ]
    remaining += sections[len(fitting) :]
    if not any(shown) and len(remaining) == len(sections):
        remaining = []  # Not even one line fits into a page.
    return "\n".join(filter(None, [*texts, rest])), remaining


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
    first, last = section.skipped + 1, section.skipped + shown
    if not section.skipped and shown == len(section.lines) and section.is_complete:
        cut = ""
    elif not shown:
        cut = ", not shown for lack of space"
    elif section.skipped:
        cut = f", {first} to {last} are shown" if shown > 1 else f", number {first} is shown"
    else:
        cut = f", the first {shown} are shown" if shown > 1 else ", the first one is shown"
    return f"*{section.title}{cut}*"


def _counted(number: int, noun: str) -> str:
    if number == 0:
        return f"No {noun}s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _total(read: int, status: str, *, is_complete: bool) -> str:
    if not is_complete:
        return f"more than {read} {status}"
    return f"{read} {status}" if read else ""
