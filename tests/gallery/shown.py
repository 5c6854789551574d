"""Finds the sentences of a line that the page has not shown yet, so that it shows each sentence once."""

from __future__ import annotations

import re

from tests.support.values import GROUP_ID

REPEATED = "…"
_END_OF_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z\"@`*(#\[])")
# Parts that do not make another sentence: markers, error codes, names, ids, times.
_MARKERS = re.compile(r"^(#|small:|field:|Next:|Reason:|Warning:|Notification:|Thread:|Status:) |^[A-Z]+\.\d+: |[*`:]")
_VALUES = re.compile(
    rf'"(nightly images|tax files)"|group {GROUP_ID}|group {GROUP_ID[:8]}|R-\d+|(today|tomorrow) at [\d:]*\d'
    r"|@alice|@bob|@carol|@dave",
    re.IGNORECASE,
)


class Shown:
    """The sentences shown so far."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def new(self, line: str) -> str:
        """The line with `…` in place of the sentences shown before; empty if it has no new one."""
        parts: list[str] = []
        has_new = False
        for sentence in _END_OF_SENTENCE.split(line):
            key = _key(sentence)
            if key in self._known:
                if parts[-1:] != [REPEATED]:
                    parts.append(REPEATED)
                continue
            self._known.add(key)
            has_new = True
            parts.append(sentence)
        return " ".join(parts) if has_new else ""


def _key(sentence: str) -> str:
    plain = _MARKERS.sub("", _MARKERS.sub("", sentence.strip()))
    return _VALUES.sub("X", plain).rstrip(". ").lower()
