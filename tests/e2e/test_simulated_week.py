"""A simulated week of task groups: every message is true, none is missing, and none is repeated.

`python -m tests.bench.week --seed N` runs other weeks.
"""

from __future__ import annotations

import pytest

from tests.support.week_oracle import problems_of
from tests.support.week_script import run_week

SEED, GROUPS = 1, 200


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_week_of_groups_is_told_truthfully_completely_and_once() -> None:
    problems = problems_of(run_week(SEED, GROUPS))
    assert not problems, "\n".join([f"seed {SEED}, {GROUPS} groups:", *problems])
