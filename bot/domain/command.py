"""Parses the text of the slash command, and validates the values of the request form. Pure.

Task group ids are UUIDs or links to the console, `project=` and `at=` are the only keys, and the rest is the reason.
An invalid command becomes one sentence for the person who typed it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from bot.domain.ids import is_link, parse_request_id, parse_typed_group_id, parse_typed_group_ids

MAX_CHARACTERS = 2_000
MAX_GROUPS = 10
MAX_REASON_CHARACTERS = 500

_KEY_VALUE = re.compile(r"(project|at)=(\S*)", re.IGNORECASE)
_HOUR_MINUTE = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_LOOKS_LIKE_AN_ID = re.compile(r"[0-9a-fA-F-]{16,}.*|.*[/\\].*|.*\.\..*", re.ASCII)


@dataclass(frozen=True)
class ResumeGroups:
    """Create a request for each of these task groups.

    Attributes:
        group_ids: one to `MAX_GROUPS` different ids, in the order in which they were typed.
        reason: plain text, not escaped for Slack; empty if no reason was given.
        project: a project's name in bot.toml; None if no project was named.
        at: the hour and minute of the start, in the time zone of the requester; None to start once approved.
    """

    group_ids: tuple[str, ...]
    reason: str
    project: str | None = None
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class ShowList:
    """List the open requests and the task groups that can be resumed or retried."""


@dataclass(frozen=True)
class ShowStatus:
    """Show the status of one request or of one task group. One of the two ids is set."""

    request_id: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class Help:
    """Show how to use the command."""


@dataclass(frozen=True)
class OpenForm:
    """Open the request form. The command was typed without any text."""


@dataclass(frozen=True)
class InvalidCommand:
    """The command is invalid. `sentence` tells the person what is wrong and what to type instead."""

    sentence: str


Command = ResumeGroups | ShowList | ShowStatus | Help | OpenForm | InvalidCommand


def parse(text: str, command: str) -> Command:
    """Parses a slash command.

    Arguments:
        text: everything after the command, as Slack sends it: links in angle brackets, and `&`, `<`, `>` escaped.
        command: the name of the command, for the sentences.
    """
    if len(text) > MAX_CHARACTERS:
        return InvalidCommand(
            f"That is {len(text):,} characters; {MAX_CHARACTERS:,} is the most. Nothing was asked. Shorten the reason."
        )
    words = text.split()
    if not words:
        return OpenForm()
    match words[0].lower():
        case "help" if len(words) == 1:
            return Help()
        case "list" if len(words) == 1:
            return ShowList()
        case "status":
            return _parse_status(words[1:], command)
        case _:
            return _parse_resume(words, command)


def resume_groups(
    group_ids: tuple[str, ...], reason: str, project: str | None = None, at: str | None = None
) -> ResumeGroups | InvalidCommand:
    """Validates the values of a new request, from the command or from the form.

    Arguments:
        group_ids: ids as `bot.domain.ids` parses them.
        reason: plain text, not escaped for Slack.
        at: a time of day such as `22:30`.
    """
    if len(group_ids) > MAX_GROUPS:
        return InvalidCommand(
            f"Those are {len(group_ids)} task groups; {MAX_GROUPS} at a time is the most. Nothing was asked."
        )
    clock = _HOUR_MINUTE.fullmatch(at) if at is not None else None
    if at is not None and clock is None:
        return InvalidCommand("After `at=` comes a time of day such as `at=22:30`. Nothing was asked.")
    if project == "":
        return InvalidCommand("After `project=` comes the name of a project. Nothing was asked.")
    stray = next((word for word in reason.split() if not is_link(word) and parse_typed_group_ids(word)), None)
    if stray is not None:
        return InvalidCommand(
            f"Put all task group ids first, before the reason: `{inline_text(stray)}` comes after it. "
            "Nothing was asked."
        )
    if len(reason) > MAX_REASON_CHARACTERS:
        return InvalidCommand(
            f"The reason has {len(reason):,} characters; {MAX_REASON_CHARACTERS} is the most. Nothing was asked."
        )
    return ResumeGroups(group_ids, reason, project, (int(clock[1]), int(clock[2])) if clock else None)


def _parse_status(words: list[str], command: str) -> ShowStatus | InvalidCommand:
    if len(words) == 1:
        request_id, group_id = parse_request_id(words[0]), parse_typed_group_id(words[0])
        if request_id or group_id:
            return ShowStatus(request_id, group_id)
    return InvalidCommand(f"Type `{command} status ID`, with the id of one request (R-…) or of one task group.")


def _parse_resume(words: list[str], command: str) -> ResumeGroups | InvalidCommand:
    group_ids, rest = _leading_ids(words)
    if not group_ids:
        return InvalidCommand(_why_not_an_id(words[0], command))
    values: dict[str, str] = {}
    reason_words: list[str] = []
    for word in rest:
        key_value = _KEY_VALUE.fullmatch(word)
        if key_value is None:
            reason_words.append(word)
            continue
        key = key_value[1].lower()
        if key in values:
            return InvalidCommand(f"`{key}=` stands there twice, and only one can count. Nothing was asked.")
        values[key] = key_value[2]
    return resume_groups(group_ids, html.unescape(" ".join(reason_words)), values.get("project"), values.get("at"))


def _leading_ids(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The ids at the beginning, without repetitions, and the remaining words. There may be keys between the ids."""
    ids: dict[str, None] = {}
    rest: list[str] = []
    for index, word in enumerate(words):
        if _KEY_VALUE.fullmatch(word):
            rest.append(word)
            continue
        found = parse_typed_group_ids(word)
        if not found:
            rest.extend(words[index:])
            break
        ids.update(dict.fromkeys(found))
    return tuple(ids), rest


def _why_not_an_id(word: str, command: str) -> str:
    if is_link(word):
        return "That is no link to one task group in the console. Copy its id (a UUID) there. Nothing was asked."
    if _LOOKS_LIKE_AN_ID.fullmatch(word):
        return (
            f"`{inline_text(word)}` is not a task group id: one looks like `00878453-3402-4a86-9e2a-5d5217cd35b2`. "
            "Nothing was asked."
        )
    return f"Begin with the id of a task group: `{command} GROUP_ID why you want it resumed`. Or type `{command} help`."


def inline_text(text: str, characters: int = 60) -> str:
    """A person's text, truncated and escaped for use between backticks in a Slack message.

    Arguments:
        text: as typed or as Slack sends it. Escaped characters are unescaped first.
        characters: the maximum length, before escaping.
    """
    plain = html.unescape(text).replace("`", "'")
    shortened = plain if len(plain) <= characters else plain[: characters - 1] + "…"
    return html.escape(shortened, quote=False)
