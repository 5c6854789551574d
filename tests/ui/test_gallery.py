"""The page with every sentence that people see is complete and current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.domain.command import InvalidCommand, UsageError, parse
from bot.domain.policy import Refusal
from bot.domain.request import State
from bot.ui import refusals
from tests.gallery.calls import SPECIAL, VARIANTS, NoSample, call, functions, text_modules
from tests.gallery.page import TYPED
from tests.gallery.requests import REQUESTS
from tests.gallery.shown import Shown
from tests.ui_gallery import PAGES

SLACK_PAGE = next(path for path in PAGES if path.name == "ui_gallery.md")
MAX_WORDS = 7_750  # a quarter of an hour of reading


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_is_current(path: Path) -> None:
    command = ".venv/bin/python -m tests.ui_gallery"
    assert path.read_text(encoding="utf-8") == PAGES[path](), f"The page is out of date. Run: {command}"


def test_a_person_can_read_the_page_in_a_quarter_of_an_hour() -> None:
    assert len(SLACK_PAGE.read_text(encoding="utf-8").split()) < MAX_WORDS


def test_a_sentence_is_shown_once() -> None:
    shown = Shown()
    assert shown.new("Nothing was started. Press Retry.") == "Nothing was started. Press Retry."
    assert shown.new("OMS failed. Nothing was started.") == "OMS failed. …"
    assert shown.new("*Next:* Press Retry.") == ""


def test_every_usage_error_has_a_command() -> None:
    shown = {parsed.error for parsed in map(parse, TYPED) if isinstance(parsed, InvalidCommand)}
    assert shown == set(UsageError)


def test_every_state_has_a_card() -> None:
    shown = [request.state for request in REQUESTS.values()]
    assert list(dict.fromkeys(shown)) == list(State)


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_a_sentence(refusal: Refusal) -> None:
    assert call(refusals.refusal_text, refusal=refusal, **SPECIAL["refusals.refusal_text"])


def test_no_mention_or_date_is_left_as_slack_encodes_it() -> None:
    assert not re.findall(r"<[@#!]\w*|\x1e|\x1f", SLACK_PAGE.read_text(encoding="utf-8"))


def test_every_variant_belongs_to_a_function() -> None:
    names = {name for module in text_modules() for name, _ in functions(module)}
    assert {*SPECIAL, *VARIANTS} <= names


def test_a_function_with_an_unknown_parameter_needs_a_sample() -> None:
    def new_reply(colour_of_the_card: str) -> str:
        return colour_of_the_card

    with pytest.raises(NoSample, match="Add a sample for `colour_of_the_card`"):
        call(new_reply)
