"""The budget of calls to Slack: never above Slack's limits, and urgent changes have a share of their own."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.card_urgency import Urgency
from bot.domain.slack_budget import CHANNEL_POSTS, EDITS, POSTS, RATES, SlackBudget, post_to
from tests.support.values import NOON

MINUTE = timedelta(minutes=1)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def spend_all(budget: SlackBudget, call: str, now: datetime, urgency: Urgency = Urgency.BUTTONS) -> list[datetime]:
    """Makes the call as often as it is allowed within a minute. Returns the times."""
    times = []
    while (at := max(budget.available_at(call, urgency), now)) < now + MINUTE:
        budget = budget.spend(call, at)
        times.append(at)
    return times


@pytest.mark.parametrize(("call", "most"), [(EDITS, 50), (POSTS, 300), (post_to("C1"), 65)])
def test_a_method_is_not_called_more_often_in_a_minute_than_slack_allows(call: str, most: int) -> None:
    times = spend_all(SlackBudget(), call, NOON)
    assert 0.85 * most <= len(times) <= most - 1


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(Urgency)), min_size=60, max_size=200))
def test_edits_of_any_urgency_stay_below_tier_3(edits: list[tuple[float, Urgency]]) -> None:
    budget, now = SlackBudget(), NOON
    made: list[datetime] = []
    for wait, urgency in edits:
        now += seconds(wait / 10)
        if budget.available_at(EDITS, urgency) <= now:
            budget = budget.spend(EDITS, now)
            made.append(now)
    for at in made:
        assert sum(timedelta() <= at - other < MINUTE for other in made) < 50


def test_a_burst_to_one_channel_is_smaller_than_what_slack_takes_and_leaves_other_channels_alone() -> None:
    times = spend_all(SlackBudget(), post_to("C1"), NOON)
    assert times[: CHANNEL_POSTS.burst + 1] == [NOON] * CHANNEL_POSTS.burst + [NOON + seconds(1)]
    budget = SlackBudget()
    for _ in range(CHANNEL_POSTS.burst):
        budget = budget.spend(post_to("C1"), NOON)
    assert budget.available_at(post_to("C1")) == NOON + seconds(1)
    assert budget.available_at(post_to("C2")) <= NOON
    assert budget.available_at("") <= NOON, "an answer has no budget"


def test_progress_uses_no_burst_so_that_decisions_are_shown_at_once() -> None:
    progress = spend_all(SlackBudget(), EDITS, NOON, Urgency.PROGRESS)
    assert progress[:3] == [NOON, NOON + RATES[EDITS].every, NOON + 2 * RATES[EDITS].every]
    budget = SlackBudget()
    for at in progress:
        budget = budget.spend(EDITS, at)
    decisions = spend_all(budget, EDITS, progress[-1])
    assert decisions.count(progress[-1]) == RATES[EDITS].burst - 1


def test_failures_and_ends_leave_a_part_of_the_burst_to_decisions() -> None:
    budget = SlackBudget()
    while budget.available_at(EDITS, Urgency.FAILURE) <= NOON:
        budget = budget.spend(EDITS, NOON)
    assert spend_all(budget, EDITS, NOON).count(NOON) == 3
    assert budget.available_at(EDITS, Urgency.PROGRESS) > budget.available_at(EDITS, Urgency.END) > NOON


def test_a_refusal_stops_the_whole_method_and_the_most_urgent_call_is_the_first_one_afterwards() -> None:
    budget = SlackBudget().stop(EDITS, NOON + seconds(30))
    assert budget.available_at(EDITS) == NOON + seconds(30)
    times = [budget.available_at(EDITS, urgency) for urgency in Urgency]
    assert times == sorted(times)
    assert times[-1] == NOON + seconds(30) + (RATES[EDITS].burst - 1) * RATES[EDITS].every
    budget = SlackBudget().stop(post_to("C1"), NOON + seconds(30))
    assert budget.available_at(post_to("C2")) == NOON + seconds(30)
    assert budget.available_at(EDITS) <= NOON


def test_a_shorter_stop_does_not_end_a_longer_one() -> None:
    budget = SlackBudget().stop(EDITS, NOON + seconds(30)).stop(EDITS, NOON + seconds(1))
    assert budget.available_at(EDITS) == NOON + seconds(30)


def test_what_is_available_again_is_forgotten() -> None:
    budget = SlackBudget()
    for number in range(1000):
        budget = budget.spend(post_to(f"C{number}"), NOON + number * seconds(1))
    assert len(budget.full_at) < 10
