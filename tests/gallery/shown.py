"""Finds the sentences of a line that the page has not shown yet, so that it shows each sentence once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.support.values import GROUP_ID

REPEATED = "…"
_END_OF_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z0-9\"@`*(#\[])")
# Parts that do not make another sentence: markers, error codes, mentions, names, ids, times.
_FORMATTING = re.compile(r"[*`]|:warning: ")
_MARKERS = re.compile(
    r"^((#|small:|field:|Next:|Approvals|Warning:|Notification:|Thread:|Status:|X,|X ·|[A-Z]+\.\d+:) )+"
)
_VALUES = re.compile(
    rf'"(nightly images|tax files)"|group {GROUP_ID}|group {GROUP_ID[:8]}|R-\d+|@(alice|bob|carol|dave)|'
    r"(today|tomorrow) at [\d:]*\d",
    re.IGNORECASE,
)


class Shown:
    """The sentences shown so far."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """`known` are sentences to count as shown."""
        self._known = set(map(_key, known))

    def new(self, line: str) -> str:
        """The line with `…` in place of the sentences shown before; empty if it has no new one."""
        parts: list[str] = []
        has_new = False
        separator = " · " if line.startswith("small: ") else " "
        for sentence in line.split(separator) if separator == " · " else _END_OF_SENTENCE.split(line):
            key = _key(sentence)
            if key in self._known:
                if parts[-1:] != [REPEATED]:
                    parts.append(REPEATED)
                continue
            self._known.add(key)
            has_new = True
            parts.append(sentence)
        return separator.join(parts) if has_new else ""


def _key(sentence: str) -> str:
    plain = _VALUES.sub("X", _FORMATTING.sub("", sentence.strip()))
    # A title has a colon in the text for notifications, and none above a field.
    return _MARKERS.sub("", plain).replace(": ", " ").rstrip(". ").lower()
