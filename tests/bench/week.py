"""Runs a simulated week of task groups, and checks every message: `python -m tests.bench.week --seed 1`.

Prints each message that is untrue, missing or repeated, and exits with 1 if there is one.
"""

from __future__ import annotations

import sys

import click

from bot.sandbox.system import Sandbox
from tests.support.in_process import context_of
from tests.support.simulated_time import simulated_time
from tests.support.simulated_week import Week
from tests.support.week_oracle import problems_of, told_by_trouble
from tests.support.week_script import WEEK, write_script

GROUPS, MOMENTS, REQUESTS = 60, 50, 8


@click.command()
@click.option("--seed", default=1, help="Another seed makes another week.")
def main(seed: int) -> None:
    """Runs one week and prints its discrepancies."""
    sandbox = Sandbox().open()
    try:
        with context_of(sandbox) as real, simulated_time(sandbox, real) as (context, clock):
            week = Week(sandbox, context, clock, seed)
            write_script(week, GROUPS, MOMENTS, REQUESTS)
            week.run_until(week.start + WEEK)
    finally:
        sandbox.close()
    problems = problems_of(week)
    print(f"seed {seed}: {dict(told_by_trouble(week))}, {len(problems)} discrepancies", *problems, sep="\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
