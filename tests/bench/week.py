"""Runs simulated weeks of task groups, and checks every message: `python -m tests.bench.week --seed 1 --groups 200`.

Prints each message that is untrue, missing or repeated, and exits with 1 if there is one.
"""

from __future__ import annotations

import sys
from time import monotonic, process_time

import click

from tests.support.week_oracle import problems_of, told_by_trouble
from tests.support.week_script import run_week


@click.command()
@click.option("--seed", default=1, help="Another seed makes another week.")
@click.option("--groups", default=200, help="How many groups there are.")
def main(seed: int, groups: int) -> None:
    """Runs one week and prints its discrepancies."""
    began, cpu = monotonic(), process_time()
    week = run_week(seed, groups)
    problems = problems_of(week)
    told = ", ".join(f"{number} {trouble}" for trouble, number in told_by_trouble(week).items())
    took = f"{monotonic() - began:.0f} s, {process_time() - cpu:.0f} s of them CPU"
    print(f"seed {seed}, {groups} groups: {told}; {len(problems)} discrepancies; {took}", *problems, sep="\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
