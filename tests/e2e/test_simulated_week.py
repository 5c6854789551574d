"""A simulated week: every message that the bot posts or edits is true, none is missing, and none is told twice."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from bot.sandbox.system import Sandbox
from tests.support.in_process import context_of
from tests.support.simulated_time import simulated_time
from tests.support.simulated_week import Week
from tests.support.week_oracle import problems_of, told_by_trouble
from tests.support.week_script import WEEK, write_script

# WEEK_SEED makes another week, to look for what this one does not show.
SEED = int(os.environ.get("WEEK_SEED", "1"))
GROUPS, MOMENTS, REQUESTS = 60, 50, 8


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_week_of_groups_is_told_truthfully_completely_and_once(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with context_of(sandbox) as real, simulated_time(sandbox, real) as (context, clock):
        week = Week(sandbox, context, clock, SEED)
        write_script(week, GROUPS, MOMENTS, REQUESTS)
        week.run_until(week.start + WEEK)
    problems = problems_of(week)
    assert not problems, "\n".join([f"seed {SEED}:", *problems])
    assert min(told_by_trouble(week).values()) >= 5, "too little happened to prove anything"
