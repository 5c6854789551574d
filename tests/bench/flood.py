"""Measures decisions while 100 groups move, within Slack's rate limits: `python -m tests.bench.flood [MINUTES]`.

Prints figures for one process on SQLite and for two replicas on PostgreSQL. Exits with 1 if one is above its limit.
"""

from __future__ import annotations

import statistics
import sys
import time

from bot.sandbox.huawei.group import MONITORING
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import CAROL
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from tests.jobs.notify.test_flood import create_moving
from tests.support.in_process import context_of, create_request
from tests.support.postgres import Postgres
from tests.support.sandbox import button_ids

MOVING_GROUPS, DECIDE_EVERY_SECONDS = 100, 10
LIMIT_SECONDS, LIMIT_REFUSED = 3.0, 0.01


def create_requests(sandbox: Sandbox, decisions: int) -> list[PostedMessage]:
    """Stores requests whose groups move, and requests to decide. Returns the cards of the latter."""
    with context_of(sandbox) as context:
        for number in range(MOVING_GROUPS):
            made, _ = create_moving(sandbox, context, number)
            group = sandbox.oms.state.groups[made.group.group_id]
            group.status, group.moved_at, group.bytes_per_second = MONITORING, context.now(), 100_000
        pending = [create_request(sandbox, context, MOVING_GROUPS + number)[1] for number in range(decisions)]
    for group in sandbox.oms.state.groups.values():
        group.bytes_per_second = 100_000
    return pending


def decide(sandbox: Sandbox, card: PostedMessage) -> float:
    """Approves a request. Returns the seconds until its card has no Approve button."""
    pressed_at = time.monotonic()
    sandbox.people.press(CAROL, card, "approve")
    sandbox.wait_until(lambda: "approve" not in button_ids(card), what="the decision on the card")
    return time.monotonic() - pressed_at


def measure(minutes: float, database_url: str | None, replicas: int) -> bool:
    sandbox = Sandbox(database_url=database_url).open()
    try:
        pending = create_requests(sandbox, int(minutes * 60 / DECIDE_EVERY_SECONDS))
        sandbox.start_bot()
        for _ in range(replicas - 1):
            sandbox.start_bot(ops_port=free_port())
        started_at, seconds = time.monotonic(), []
        for number, card in enumerate(pending):
            time.sleep(max(0.0, started_at + number * DECIDE_EVERY_SECONDS - time.monotonic()))
            seconds.append(decide(sandbox, card))
        time.sleep(DECIDE_EVERY_SECONDS)
        passed_minutes = (time.monotonic() - started_at) / 60
        live = sum("approve" in button_ids(card) for card in pending)
        calls = [call for call in sandbox.call_log.since() if call.service == "slack" and call.method == "POST"]
    finally:
        sandbox.close()
    refused, edits = (sum(call.status == 429 for call in calls), sum(call.path == "chat.update" for call in calls))
    print(f"{replicas} process(es), {MOVING_GROUPS} moving groups, {passed_minutes:.1f} minutes:  ", end="")
    print(f"{len(calls)} calls to Slack, {refused} refused (limit 1 %)   {edits / passed_minutes:.0f} edits a minute")
    print(f"{len(seconds)} decisions, from the click to the card:  ", end="")
    print(f"median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s (limit 3 s)   {live} still live")
    return refused <= LIMIT_REFUSED * len(calls) and max(seconds) <= LIMIT_SECONDS and live == 0


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    server = Postgres().start()
    try:
        results = [measure(minutes, None, 1), measure(minutes, server.new_database(), 2)]
    finally:
        server.stop()
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
