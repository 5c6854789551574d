"""Recognizes words that were probably meant as `at=` or `project=`, such as `at 22:30`. Pure.

`bot.domain.command` asks only about words directly after an id or a key. Later, the same words belong to the reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from bot.domain.ids import without_decoration

# A start time takes at most this many words: `starting at : 10 pm`.
_MAX_WORDS = 5
_KEYWORDS = r"(?:start(?:s|ing)?|begin(?:s|ning)?|from|after|time|at)"
_START_TIME = re.compile(
    rf"""
    (?P<keyword> -*(?:{_KEYWORDS}(?![a-z])|@) (?:[\s_-]*(?:{_KEYWORDS}(?![a-z])|@))? )? (?P<sign>\s*[:=]+)? \s*
    (?P<hour>\d{{1,2}}) (?: [:.h] (?P<minute>\d{{2}}) (?:[:.]\d{{2}})? )? h? (?: \s? (?P<half>[ap])\.?m\.? )?
    (?=[\s,;.!?)-]|$)
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
# Words after which a bare number is an hour. After `after` and `start` it may count something else.
_HOUR_FOLLOWS = re.compile(r".*(?:at|@)", re.IGNORECASE)
_VALID_AT = re.compile(r"at=\d{1,2}:\d{2}(?=\s|$)", re.IGNORECASE)
_PROJECT = re.compile(r"-*proj(?:ect)?(?P<sign>\s*[:=]+\s*|\s+)(?P<name>[a-z0-9][a-z0-9_-]*)(?=[\s,;.!?]|$)", re.I)
_VALID_PROJECT = re.compile(r"project=\S", re.IGNORECASE)
# Words that follow `project` in a sentence: `project is late`.
_VERBS = frozenset({"is", "was", "has", "had", "needs", "must", "will", "can", "should", "and", "or", "for", "of"})


def likely_key(words: Sequence[str], given: Collection[str]) -> str | None:
    """The key and value that the first of these words probably mean, such as `at=22:30`. None if they mean none.

    Arguments:
        words: as typed, the first directly after an id or a key.
        given: the keys that were given before. A key that was given is not meant again.
    """
    text = " ".join(filter(None, map(_plain, words[:_MAX_WORDS])))
    if "at" not in given and not _VALID_AT.match(text):
        found = _START_TIME.match(text)
        time = _time_of_day(found) if found else None
        if time is not None:
            return f"at={time}"
    if "project" not in given and not _VALID_PROJECT.match(text):
        named = _PROJECT.match(text)
        if named and (named["sign"].strip() or named["name"].lower() not in _VERBS):
            return f"project={named['name'].lower()}"
    return None


def _plain(word: str) -> str:
    """The word without decoration. A word of punctuation, such as `=` or `:`, stays as it is."""
    return without_decoration(word) or word


def _time_of_day(found: re.Match[str]) -> str | None:
    """The time in 24 hours, or None if these words are part of a sentence. After a keyword it may be no valid time."""
    has_keyword = bool(found["keyword"] or found["sign"])
    is_bare_hour = found["sign"] or _HOUR_FOLLOWS.fullmatch(found["keyword"] or "")
    if not (found["half"] or found["minute"] or is_bare_hour):
        return None
    if not has_keyword and not found["half"] and ":" not in found[0]:
        return None  # a number such as 3.11, or a duration such as 3h30
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if found["half"] and 1 <= hour <= 12:
        hour = hour % 12 + (12 if found["half"].lower() == "p" else 0)
    is_valid = hour < 24 and minute < 60
    return f"{hour:02d}:{minute:02d}" if is_valid or has_keyword else None
