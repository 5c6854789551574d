"""Parses the text that a person typed after the slash command. Pure.

Leading UUIDs and links to the console are task group ids. `project=` and `at=` are options. The rest is the reason.
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
    """`GROUP_ID …`: resume these task groups."""

    group_ids: tuple[str, ...]  # each once, in the order typed
    reason: str  # may be empty
    project: str | None = None  # None if `project=` was not typed
    at: tuple[int, int] | None = None  # hour and minute in the person's time zone; None if `at=` was not typed


@dataclass(frozen=True)
class ShowList:
    """`list`: show the open requests and the task groups that can be resumed."""


@dataclass(frozen=True)
class ShowStatus:
    """`status ID`: show one request, or one task group. Exactly one of the ids is set."""

    request_id: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class Help:
    """`help`: show how to use the command."""


@dataclass(frozen=True)
class OpenForm:
    """Nothing was typed: open the request form."""


@dataclass(frozen=True)
class InvalidCommand:
    """The text is no valid command."""

    sentence: str  # for the person: what is wrong, and what to type


Command = ResumeGroups | ShowList | ShowStatus | Help | OpenForm | InvalidCommand


def parse(text: str, command: str) -> Command:
    """Parses the text of a slash command.

    Arguments:
        text: the text after the command, as Slack sends it: links in angle brackets; `&`, `<` and `>` escaped.
        command: the name of the command, for the sentences of `InvalidCommand`.
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


def to_text(resume: ResumeGroups) -> str:
    """The text that `parse` parses to `resume`."""
    words = [*resume.group_ids]
    if resume.project is not None:
        words.append(f"project={resume.project}")
    if resume.at is not None:
        words.append(f"at={resume.at[0]:02}:{resume.at[1]:02}")
    return " ".join([*words, html.escape(resume.reason, quote=False)]).strip()


def _parse_status(words: list[str], command: str) -> Command:
    if len(words) == 1:
        request_id, group_id = parse_request_id(words[0]), parse_typed_group_id(words[0])
        if request_id or group_id:
            return ShowStatus(request_id, group_id)
    return InvalidCommand(f"Type `{command} status ID`, with the id of one request (R-…) or of one task group.")


def _parse_resume(words: list[str], command: str) -> Command:
    ids, rest = _split_leading_ids(words)
    if not ids:
        return InvalidCommand(_missing_id_sentence(words[0], command))
    if len(ids) > MAX_GROUPS:
        return InvalidCommand(
            f"Those are {len(ids)} task groups; {MAX_GROUPS} at a time is the most. Nothing was asked."
        )
    project: str | None = None
    at: tuple[int, int] | None = None
    reason_words: list[str] = []
    for word in rest:
        key_value = _KEY_VALUE.fullmatch(word)
        if key_value is None:
            reason_words.append(word)
            continue
        key = key_value[1].lower()
        if (project if key == "project" else at) is not None:
            return InvalidCommand(f"`{key}=` stands there twice, and only one can count. Nothing was asked.")
        if key == "project":
            project = key_value[2]
        else:
            time_of_day = _HOUR_MINUTE.fullmatch(key_value[2])
            if time_of_day is None:
                return InvalidCommand("After `at=` comes a time of day such as `at=22:30`. Nothing was asked.")
            at = int(time_of_day[1]), int(time_of_day[2])
    if project == "":
        return InvalidCommand("After `project=` comes the name of a project. Nothing was asked.")
    late_id = next((word for word in reason_words if not is_link(word) and parse_typed_group_ids(word)), None)
    if late_id is not None:
        return InvalidCommand(
            f"Put all task group ids first, before the reason: `{inline_text(late_id)}` comes after it. "
            "Nothing was asked."
        )
    reason = html.unescape(" ".join(reason_words))
    if len(reason) > MAX_REASON_CHARACTERS:
        return InvalidCommand(
            f"The reason has {len(reason):,} characters; {MAX_REASON_CHARACTERS} is the most. Nothing was asked."
        )
    return ResumeGroups(ids, reason, project, at)


def _split_leading_ids(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Splits off the leading task group ids. Options between the ids go to the rest."""
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


def _missing_id_sentence(word: str, command: str) -> str:
    if is_link(word):
        return "That is no link to one task group in the console. Copy its id (a UUID) there. Nothing was asked."
    if _LOOKS_LIKE_AN_ID.fullmatch(word):
        return (
            f"`{inline_text(word)}` is not a task group id: one looks like `00878453-3402-4a86-9e2a-5d5217cd35b2`. "
            "Nothing was asked."
        )
    return f"Begin with the id of a task group: `{command} GROUP_ID why you want it resumed`. Or type `{command} help`."


def inline_text(text: str, characters: int = 60) -> str:
    """A person's text for use between backticks in a Slack message: shortened, without mentions or formatting."""
    plain = html.unescape(text).replace("`", "'")
    shortened = plain if len(plain) <= characters else plain[: characters - 1] + "…"
    return html.escape(shortened, quote=False)
