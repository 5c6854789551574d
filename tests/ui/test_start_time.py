"""A card says when a request starts and until when an approval is valid, before anybody approves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.start_time import NoStart, StartProblem
from bot.ui.card import card
from bot.ui.formatting import local_time
from bot.ui.start_time import no_start, start_taken, start_terms
from bot.ui.usage import NO_REQUEST_CREATED
from tests.support.blocks import block_texts
from tests.support.values import NOON, request

HOUR = timedelta(hours=1)
VOTE_ENDS = request().expires_at


def test_a_card_says_what_an_approval_means_for_a_start_after_the_vote() -> None:
    start = VOTE_ENDS + 4 * HOUR
    made = request(start_at=start)
    terms = (
        f"If approved by {local_time(VOTE_ENDS)}, it starts {local_time(start)}. "
        f"The approval is valid until {local_time(start + HOUR)}."
    )
    assert start_terms(made) == terms
    assert terms in block_texts(card(made))


def test_a_card_says_what_an_approval_means_for_a_start_before_the_end_of_the_vote() -> None:
    start = NOON + HOUR
    made = request(start_at=start, expires_at=start + HOUR)
    assert start_terms(made) == (
        f"If approved by {local_time(start)}, it starts then. If approved later, it starts right away. "
        f"The approval is valid until {local_time(start + HOUR)}."
    )


def test_a_request_without_a_start_time_has_no_terms() -> None:
    assert start_terms(request()) == start_taken(request()) == ""


def test_the_reply_shows_which_of_two_equal_clock_times_was_taken() -> None:
    # In Berlin, 02:30 comes twice on 25 October 2026.
    typed_at = datetime(2026, 10, 25, 0, 40, tzinfo=UTC)
    second = typed_at + timedelta(minutes=50)
    made = request(created_at=typed_at, expires_at=second + HOUR, start_at=second)
    assert start_taken(made) == f"It starts {local_time(second)}, in 50 min, if it's approved by then."
    early_vote = request(start_at=VOTE_ENDS + HOUR)
    assert start_taken(early_vote).endswith(f"in 9 h, if it's approved by {local_time(VOTE_ENDS)}.")


@pytest.mark.parametrize("problem", StartProblem)
def test_every_refused_start_says_that_no_request_was_created(problem: StartProblem) -> None:
    assert no_start(NoStart(problem, NOON), "media", "02:30", "8h").endswith(NO_REQUEST_CREATED)


def test_a_skipped_time_is_refused_with_the_time_that_clocks_show_instead() -> None:
    assert no_start(NoStart(StartProblem.SKIPPED, NOON), "media", "02:30", "24h") == (
        "02:30 doesn't exist on that day because the clocks go forward. "
        f"Choose another start time, for example {local_time(NOON)}. No request was created."
    )
