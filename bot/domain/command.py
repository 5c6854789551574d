"""Reads what somebody typed after the slash command. Pure; what cannot be right is one sentence for that person.

Only UUIDs and links to the console are ids, only known keys are `key=value`, and the rest is the reason.
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
    """Resume these groups. `project` is None where it was not said; `at` is hour and minute in the asker's zone."""

    group_ids: tuple[str, ...]
    reason: str
    project: str | None = None
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class ShowList:
    """Show the open requests and the groups that could be resumed."""


@dataclass(frozen=True)
class ShowStatus:
    """Show how it stands with a request or with a group."""

    request_id: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class Help:
    """Show how to use the command."""


@dataclass(frozen=True)
class OpenForm:
    """Nothing was typed: ask in a form."""


@dataclass(frozen=True)
class InvalidCommand:
    """What was typed cannot be right; `sentence` says why, and what to type."""

    sentence: str


Command = ResumeGroups | ShowList | ShowStatus | Help | OpenForm | InvalidCommand


def parse(text: str, command: str) -> Command:
    """What was typed, as a value.

    Arguments:
        text: everything after the command, as Slack sends it (links in angle brackets, `&`, `<`, `>` escaped).
        command: the command itself, for the sentences.
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
            return _status(words[1:], command)
        case _:
            return _ask(words, command)


def to_text(asked: ResumeGroups) -> str:
    """What would have to be typed to ask for just this: what `parse` reads as `asked`."""
    words = [*asked.group_ids]
    if asked.project is not None:
        words.append(f"project={asked.project}")
    if asked.at is not None:
        words.append(f"at={asked.at[0]:02}:{asked.at[1]:02}")
    return " ".join([*words, html.escape(asked.reason, quote=False)]).strip()


def _status(words: list[str], command: str) -> Command:
    if len(words) == 1:
        request_id, group_id = parse_request_id(words[0]), parse_typed_group_id(words[0])
        if request_id or group_id:
            return ShowStatus(request_id, group_id)
    return InvalidCommand(f"Type `{command} status ID`, with the id of one request (R-…) or of one task group.")


def _ask(words: list[str], command: str) -> Command:
    ids, rest = _leading_ids(words)
    if not ids:
        return InvalidCommand(_no_id(words[0], command))
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
            clock = _HOUR_MINUTE.fullmatch(key_value[2])
            if clock is None:
                return InvalidCommand("After `at=` comes a time of day such as `at=22:30`. Nothing was asked.")
            at = int(clock[1]), int(clock[2])
    if project == "":
        return InvalidCommand("After `project=` comes the name of a project. Nothing was asked.")
    stray = next((word for word in reason_words if not is_link(word) and parse_typed_group_ids(word)), None)
    if stray is not None:
        return InvalidCommand(
            f"Put all task group ids first, before the reason: `{inline_text(stray)}` comes after it. "
            "Nothing was asked."
        )
    reason = html.unescape(" ".join(reason_words))
    if len(reason) > MAX_REASON_CHARACTERS:
        return InvalidCommand(
            f"The reason has {len(reason):,} characters; {MAX_REASON_CHARACTERS} is the most. Nothing was asked."
        )
    return ResumeGroups(ids, reason, project, at)


def _leading_ids(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
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


def _no_id(word: str, command: str) -> str:
    if is_link(word):
        return "That is no link to one task group in the console. Copy its id (a UUID) there. Nothing was asked."
    if _LOOKS_LIKE_AN_ID.fullmatch(word):
        return (
            f"`{inline_text(word)}` is not a task group id: one looks like `00878453-3402-4a86-9e2a-5d5217cd35b2`. "
            "Nothing was asked."
        )
    return f"Begin with the id of a task group: `{command} GROUP_ID why you want it resumed`. Or type `{command} help`."


def inline_text(text: str, characters: int = 60) -> str:
    """Somebody's text as it may stand inside backticks in a message to them: short, and obeyed by nobody."""
    plain = html.unescape(text).replace("`", "'")
    cut = plain if len(plain) <= characters else plain[: characters - 1] + "…"
    return html.escape(cut, quote=False)
