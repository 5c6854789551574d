"""Measures a click, `list`, App Home and a sweep with many ended requests: `python -m tests.bench.many_requests [N]`.

Compares a database with 100 ended requests and one with 100,000, on SQLite and on PostgreSQL. Exits with 1 if one of
the four is more than 1.2 times slower with more requests.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

from pydantic import TypeAdapter
from sqlalchemy import insert, text

from bot.domain.command import ShowList
from bot.domain.request import Request, State
from bot.jobs.ask import app_home, queries
from bot.jobs.context import Context
from bot.jobs.watch.sweep import sweep_project
from bot.sandbox.slack.ids import BOB, CAROL, MIGRATIONS, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.store import queue, tables
from bot.store.inbox import Kind, Message
from bot.store.queue import Claim
from tests.support.in_process import context_of, create_request, press_button, store_message
from tests.support.postgres import Postgres

FEW, MANY = 100, 100_000
#: How many of the requests ended in the last 24 hours, so that App Home shows as many of both.
LATELY = 50
# Slack allows about 100 look-ups of people a minute, and each click makes some.
ROUNDS, LIMIT = 25, 1.2
_ADAPTER = TypeAdapter(Request)
_NUMBERS = itertools.count(1_000_000)


def add_ended(context: Context, sample: Request, count: int) -> None:
    """Stores this many ended requests. The last of them ended in the last day, the others before."""
    now = context.now()
    rows, cards = [], []
    for number in range(count):
        age = timedelta(minutes=number) if number < LATELY else timedelta(days=2, minutes=number)
        group = replace(sample.group, group_id=f"9d9d9d9d-0000-4000-8000-{number:012d}")
        ended = replace(sample, id=f"R-{number:08d}", group=group).with_state(State.DONE, at=now - age)
        rows.append(
            {
                "id": ended.id,
                "version": 1,
                "state": ended.state.value,
                "project": "media",
                "group_id": group.group_id,
                "requester": ended.requester,
                "created_at": now - age,
                "ended_at": ended.ended_at,
                "body": _ADAPTER.dump_python(ended, mode="json"),
            }
        )
        cards.append({"request_id": ended.id, "channel": ended.channel, "ts": f"1.{number}", "permalink": "https://x"})
        if len(rows) == 5_000 or number == count - 1:
            with context.store.write() as connection:
                connection.execute(insert(tables.requests), rows)
                connection.execute(insert(tables.cards), cards)
            rows, cards = [], []
    # So that no action pays for the rows that were just stored.
    context.store.erase_deleted()
    if not context.store.is_sqlite:
        # As autovacuum does it after so many changes. Without it, PostgreSQL does not know how few requests are recent.
        with context.store.write() as connection:
            connection.execute(text("ANALYZE"))


def click(sandbox: Sandbox, context: Context) -> float:
    """Denies a new request."""
    made, posted = create_request(sandbox, context, next(_NUMBERS))
    return _seconds(lambda: press_button(context, Kind.DENY, CAROL, made, posted, reason="no"))


def show_list(sandbox: Sandbox, context: Context) -> float:
    """Answers `list`, soon after a sweep."""
    message = Message(Kind.LIST, f"list {next(_NUMBERS)}", BOB, TEAM_ID, MIGRATIONS)
    store_message(context, message)
    return _seconds(lambda: queries.show_list(context, message, ShowList(1)))


def show_home(sandbox: Sandbox, context: Context) -> float:
    """Publishes App Home."""
    message = Message(Kind.HOME, f"home {next(_NUMBERS)}", CAROL, TEAM_ID)
    store_message(context, message)
    return _seconds(lambda: app_home.show_home(context, message, context.now()))


def sweep(sandbox: Sandbox, context: Context) -> float:
    """Sweeps the project once."""
    claim = Claim(tables.sweeps.name, "media", 0)
    with context.store.write() as connection:
        queue.claim_one(connection, tables.sweeps, "media", context.owner)
    taken = _seconds(lambda: sweep_project(context, claim))
    with context.store.write() as connection:
        queue.release(connection, claim, context.owner)
    return taken


def measure(name: str, new_url: Callable[[], str | None], many: int) -> bool:
    """Prints the median of each action with few and with many requests, measured in turns."""
    with ExitStack() as stack:
        places = []
        for count in (FEW, many):
            sandbox = Sandbox(database_url=new_url()).open()
            stack.callback(sandbox.close)
            context = stack.enter_context(context_of(sandbox))
            sample, _ = create_request(sandbox, context, next(_NUMBERS))
            add_ended(context, sample, count)
            places.append((sandbox, context))
        is_fast = True
        for action in (sweep, show_list, show_home, click):
            taken: list[list[float]] = [[], []]
            for _ in range(ROUNDS):
                for of_place, place in zip(taken, places, strict=True):
                    of_place.append(action(*place))
            few_ms, many_ms = (1_000 * statistics.median(of_place[ROUNDS // 10 :]) for of_place in taken)
            ratio = many_ms / few_ms
            is_fast &= ratio <= LIMIT
            print(f"{name}, {action.__name__}: {few_ms:.1f} ms with {FEW}, {many_ms:.1f} ms with {many:,}: {ratio:.2f}")
    return is_fast


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    postgres = Postgres().start()
    try:
        results = [measure("SQLite", lambda: None, many), measure("PostgreSQL", postgres.new_database, many)]
    finally:
        postgres.stop()
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
