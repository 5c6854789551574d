"""Builds tests/errors_gallery.md: what cards, replies and `check` say about an error of Huawei Cloud or Vault."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from bot.huawei.error_catalogue import CATALOGUE, meaning_of
from tests.gallery import source
from tests.gallery.page import listed
from tests.gallery.shown import Shown

INTRODUCTION = """\
# Every sentence about an error of Huawei Cloud or Vault

`.venv/bin/python -m tests.ui_gallery` writes this page. Cards, replies and `check` show these sentences.
Braces stand for values, `{retry}` for a sentence such as "Then press Retry." `…` stands for sentences shown before."""


def errors_page() -> str:
    """The whole page."""
    shown = Shown()
    sections = [
        INTRODUCTION,
        "## Error codes of Huawei Cloud",
        *_catalogue(),
        "## Vault and the bot's credentials",
        listed(shown.new(sentence) for _, found in source.templates(source.ERRORS) for sentence in found),
    ]
    return "\n\n".join(sections) + "\n"


def _catalogue() -> Iterator[str]:
    """The meanings of all codes, under their next step."""
    remedies: dict[tuple[str, str], dict[str, list[str]]] = {}
    for code in CATALOGUE:
        meaning = meaning_of(code, 400)
        sentences = remedies.setdefault((meaning.side.value, meaning.remedy), {})
        sentences.setdefault(meaning.sentence, []).append(code)
    for side, found in groupby(sorted(remedies), lambda key: key[0]):
        yield f"### Side: {side}"
        for key in found:
            lines = (f"{sentence} {_codes(codes)}" for sentence, codes in remedies[key].items())
            yield f"Next: {key[1]}\n\n{listed(lines)}"


def _codes(codes: list[str]) -> str:
    """`OMS.0151`, or the first code and how many more."""
    return codes[0] if len(codes) == 1 else f"{codes[0]} and {len(codes) - 1} more"
