"""Parses the text of the slash command, and validates the values of the request form. Pure.

Task group ids are UUIDs or links to the console, `project=` and `at=` are the only keys, and the rest is the reason.
The sentences about an invalid command are in `bot.ui.usage`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.ids import (
    is_link,
    parse_request_id,
    parse_typed_group_id,
    parse_typed_group_ids,
    without_decoration,
)
from bot.domain.likely_keys import likely_key
from bot.domain.task_group import GroupKind, TaskGroup

MAX_CHARACTERS = 2_000
MAX_GROUPS = 10
MAX_REASON_CHARACTERS = 500
MAX_NAME_CHARACTERS = 100

_KEY_VALUE = re.compile(r"(project|at)=(\S*)", re.IGNORECASE)
_HOUR_MINUTE = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_PAGE = re.compile(r"[1-9]\d{0,3}", re.ASCII)
_LOOKS_LIKE_AN_ID = re.compile(r"[0-9a-fA-F-]{16,}.*|.*[/\\].*|.*\.\..*", re.ASCII)


@dataclass(frozen=True)
class ResumeGroups:
    """Create a request for each of these task groups.

    Attributes:
        group_ids: one to `MAX_GROUPS` different ids, in the order in which they were typed.
        reason: plain text, not escaped for Slack; empty if no reason was given.
        project: a project's name in lower case, as all names in bot.toml are; None if no project was named.
        at: the hour and minute of the start, in the time zone of the requester; None to start once approved.
    """

    group_ids: tuple[str, ...]
    reason: str
    project: str | None = None
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class ShowList:
    """List the open requests and the task groups that run, or can be resumed or retried.

    Attributes:
        page: 1 for the first.
        only: only groups of this kind; None for all groups and the open requests.
        name: words that the group's name must contain, in lower case; empty for all.
    """

    page: int
    only: GroupKind | None = None
    name: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[GroupKind, ...]:
        """The kinds of groups to list, in this order."""
        return tuple(GroupKind) if self.only is None else (self.only,)

    def matches(self, group: TaskGroup) -> bool:
        """Whether the group's name has all words of `name`. The beginning of its id counts as well."""
        shown = group.description.lower()
        return all(word in shown or group.group_id.startswith(word) for word in self.name)


@dataclass(frozen=True)
class ShowStatus:
    """Show the status of one request or of one task group. One of the two ids or the name is set.

    Attributes:
        name: words that the group's name must contain, as in `ShowList`.
    """

    request_id: str | None = None
    group_id: str | None = None
    name: tuple[str, ...] = ()


@dataclass(frozen=True)
class Help:
    """Show how to use the command."""


@dataclass(frozen=True)
class OpenForm:
    """Open the request form. The command was typed without any text."""


class UsageError(StrEnum):
    """Why a command or a form is invalid. Each comment says what `InvalidCommand.typed` holds, if it holds anything."""

    #: The text has more than `MAX_CHARACTERS` characters: how many it has.
    TEXT_TOO_LONG = "text too long"
    #: There are more than `MAX_GROUPS` task groups: how many there are.
    TOO_MANY_GROUPS = "too many groups"
    #: The reason has more than `MAX_REASON_CHARACTERS` characters: how many it has.
    REASON_TOO_LONG = "reason too long"
    #: The command does not begin with the id of a task group.
    NO_GROUP_ID = "no group id"
    #: The command begins with a word that resembles an id: the word.
    NOT_A_GROUP_ID = "not a group id"
    #: The command begins with a link that is no link to one task group in the console.
    NOT_A_GROUP_LINK = "not a group link"
    #: There is a task group id in the reason: the id, as typed.
    GROUP_ID_IN_REASON = "group id in the reason"
    #: The value of `at=` is not a time of day.
    NOT_A_TIME = "not a time"
    #: `project=` has no value.
    NO_PROJECT_NAME = "no project name"
    #: A key was given twice: `project` or `at`.
    REPEATED_KEY = "repeated key"
    #: In the place of a key there are words that resemble one: the key and value that are probably meant.
    LIKELY_KEY = "likely key"
    #: `status` is followed by neither one id nor a name.
    NO_STATUS_ID = "no status id"
    #: `list` or `status` is followed by a name that is longer than `MAX_NAME_CHARACTERS`.
    NAME_TOO_LONG = "name too long"


@dataclass(frozen=True)
class InvalidCommand:
    """The command or the form is invalid, so no request is created."""

    error: UsageError
    typed: str = ""  # plain text, not escaped for Slack


Command = ResumeGroups | ShowList | ShowStatus | Help | OpenForm | InvalidCommand


def parse(text: str) -> Command:
    """Parses a slash command.

    Arguments:
        text: everything after the command, as Slack sends it: links in angle brackets, and `&`, `<`, `>` escaped.
    """
    if len(text) > MAX_CHARACTERS:
        return InvalidCommand(UsageError.TEXT_TOO_LONG, f"{len(text):,}")
    words = text.split()
    while words and not without_decoration(words[0]):
        words.pop(0)  # such as a byte order mark
    if not words:
        return OpenForm()
    match without_decoration(words[0]).lower():
        case "help" if len(words) == 1:
            return Help()
        case "list":
            return _parse_list([without_decoration(word).lower() for word in words[1:]])
        case "status":
            return _parse_status(words[1:])
        case _:
            return _parse_resume(words)


def resume_groups(
    group_ids: tuple[str, ...], reason: str, project: str | None = None, at: str | None = None
) -> ResumeGroups | InvalidCommand:
    """Validates the values of a new request, from the command or from the form.

    Arguments:
        group_ids: ids as `bot.domain.ids` parses them.
        reason: plain text, not escaped for Slack.
        project: a project's name in any case.
        at: a time of day such as `22:30`.
    """
    if len(group_ids) > MAX_GROUPS:
        return InvalidCommand(UsageError.TOO_MANY_GROUPS, str(len(group_ids)))
    clock = _HOUR_MINUTE.fullmatch(at) if at is not None else None
    if at is not None and clock is None:
        return InvalidCommand(UsageError.NOT_A_TIME)
    if project == "":
        return InvalidCommand(UsageError.NO_PROJECT_NAME)
    stray = next((word for word in reason.split() if not is_link(word) and parse_typed_group_ids(word)), None)
    if stray is not None:
        return InvalidCommand(UsageError.GROUP_ID_IN_REASON, stray)
    if len(reason) > MAX_REASON_CHARACTERS:
        return InvalidCommand(UsageError.REASON_TOO_LONG, f"{len(reason):,}")
    hour_minute = (int(clock[1]), int(clock[2])) if clock else None
    return ResumeGroups(group_ids, reason, project and project.lower(), hour_minute)


def _parse_list(words: list[str]) -> ShowList | InvalidCommand:
    """Parses `list [failed | paused | running] [words of the name] [page N]`. Without a name, `N` alone is a page."""
    only = GroupKind(words.pop(0)) if words and words[0] in set(GroupKind) else None
    page = 1
    if words and _PAGE.fullmatch(words[-1]) and (len(words) == 1 or words[-2] == "page"):
        page = int(words.pop())
        words = words[:-1]  # without "page"
    name = _parse_name(words)
    return name if isinstance(name, InvalidCommand) else ShowList(page, only, name)


def _parse_status(words: list[str]) -> ShowStatus | InvalidCommand:
    if len(words) == 1:
        request_id, group_id = parse_request_id(words[0]), parse_typed_group_id(words[0])
        if request_id or group_id:
            return ShowStatus(request_id, group_id)
    shown = [without_decoration(word).lower() for word in words]
    name = _parse_name(shown)
    if not name or any(_LOOKS_LIKE_AN_ID.fullmatch(word) or word.startswith("r-") for word in shown):
        return InvalidCommand(UsageError.NO_STATUS_ID)
    return name if isinstance(name, InvalidCommand) else ShowStatus(name=name)


def _parse_name(words: Sequence[str]) -> tuple[str, ...] | InvalidCommand:
    """The words of a group's name, as `ShowList.name` has them."""
    name = tuple(html.unescape(word) for word in words if word)
    return name if sum(map(len, name)) <= MAX_NAME_CHARACTERS else InvalidCommand(UsageError.NAME_TOO_LONG)


def _parse_resume(words: Sequence[str]) -> ResumeGroups | InvalidCommand:
    """Parses ids and keys, then the reason. There may be more keys in the reason."""
    ids: dict[str, None] = {}
    values: dict[str, str] = {}
    reason: list[str] = []
    after_id_or_key = True
    for index, word in enumerate(words):
        if after_id_or_key:
            likely = likely_key(words[index:], values)
            if likely is not None:
                return _not_a_key(likely)
        key_value = _KEY_VALUE.fullmatch(without_decoration(word))
        if key_value is not None:
            key = key_value[1].lower()
            if key in values:
                return InvalidCommand(UsageError.REPEATED_KEY, key)
            values[key] = without_decoration(key_value[2])
            after_id_or_key = True
            continue
        found = parse_typed_group_ids(word) if not reason else ()
        if not found and not ids:
            return _not_an_id(word)
        ids.update(dict.fromkeys(found))
        after_id_or_key = bool(found)
        if not found:
            reason.append(word)
    if not ids:
        return InvalidCommand(UsageError.NO_GROUP_ID)
    return resume_groups(tuple(ids), html.unescape(" ".join(reason)), values.get("project"), values.get("at"))


def _not_a_key(likely: str) -> InvalidCommand:
    key, _, value = likely.partition("=")
    if key == "at" and not _HOUR_MINUTE.fullmatch(value):
        return InvalidCommand(UsageError.NOT_A_TIME)
    return InvalidCommand(UsageError.LIKELY_KEY, likely)


def _not_an_id(word: str) -> InvalidCommand:
    if is_link(word):
        return InvalidCommand(UsageError.NOT_A_GROUP_LINK)
    if _LOOKS_LIKE_AN_ID.fullmatch(without_decoration(word)):
        return InvalidCommand(UsageError.NOT_A_GROUP_ID, html.unescape(word))
    return InvalidCommand(UsageError.NO_GROUP_ID)
