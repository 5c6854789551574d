"""Breaks Slack, Vault, OMS and PostgreSQL at random while requests run: `python -m tests.bench.soak --minutes 10`.

Prints what was injected and measured. Exits with 1 if the bot broke a promise.
"""

from __future__ import annotations

import sys
from functools import partial

import click

from tests.soak.run import Soak


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long faults are injected.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same faults.")
@click.option("--requests", default=60, show_default=True, help="How many requests run meanwhile.")
@click.option("--log", type=click.Path(), help="Writes the log of the bots to this file.")
def main(minutes: float, seed: int, requests: int, log: str | None) -> None:
    report = Soak(seed, minutes * 60, requests, log, progress=partial(click.echo, err=True)).run()
    click.echo(report)
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
