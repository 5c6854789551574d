"""Measures start, acknowledgement, Approve to PUT, and memory, each with a baseline: `python -m tests.bench.speed`.

Prints figures. Exits with 1 if one is above its limit.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psutil
import requests

from bot.sandbox.huawei.group import PAUSED, Group
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import ALICE, BOT_TOKEN, CAROL, MIGRATIONS, SIGNING_SECRET
from bot.sandbox.system import Sandbox
from bot.store.database import open_store
from tests.conftest import STATE_KEYS
from tests.e2e.test_http import command
from tests.support.sandbox import button_ids

ROUNDS, APPROVALS = 100, 15
DELAY_SECONDS = 0.02
# A default Bolt app that only acknowledges.
BASELINE_APP = """
import sys
from slack_bolt import App
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_sdk import WebClient
from waitress import serve
app = App(client=WebClient(token="{token}", base_url="{api}"), signing_secret="{secret}")
@app.command("/resume-taskgroup")
def only_ack(ack):
    ack()
serve(SlackRequestHandler(app), host="127.0.0.1", port={port}, threads=16)
"""


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"


def median_post(sandbox: Sandbox, url: str, wait_until_idle: Callable[[int], None]) -> float:
    """The median seconds from sending a signed command to its acknowledgement.

    Arguments:
        wait_until_idle: called after each command with its number, before the next one is sent.
    """
    times = []
    arguments = [sys.executable, "-m", "tests.bench.post", url]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as slack:
        assert slack.stdin is not None
        assert slack.stdout is not None
        for number in range(ROUNDS + 5):
            print(command(sandbox, "status R-00000000"), file=slack.stdin, flush=True)
            seconds = float(slack.stdout.readline())
            if number >= 5:
                times.append(seconds)
            wait_until_idle(number)
        slack.stdin.close()
    return statistics.median(times)


def measure_acks() -> bool:
    sandbox = Sandbox().open()
    port, baseline_port = free_port(), free_port()
    sandbox.extra_environment = {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": SIGNING_SECRET, "PORT": str(port)}
    baseline_app = subprocess.Popen(
        [
            sys.executable,
            "-c",
            BASELINE_APP.format(token=BOT_TOKEN, api=sandbox.slack.api_url, secret=SIGNING_SECRET, port=baseline_port),
        ],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        sandbox.start_bot()
        sandbox.wait_until(lambda: _listens(baseline_port), what="the baseline app")

        def wait_until_answered(number: int) -> None:
            # The bot has finished with one command before the next one comes.
            sandbox.wait_until(lambda: len(sandbox.workspace.private_texts(ALICE)) > number, what="the answer")

        # Otherwise the rate limit of the stand-in for users.info would be reached.
        sandbox.slack.api.reset_rate_limits()
        bot_seconds = median_post(sandbox, f"http://127.0.0.1:{port}/slack/events", wait_until_answered)
        baseline_seconds = median_post(sandbox, f"http://127.0.0.1:{baseline_port}/slack/events", lambda _: None)
    finally:
        baseline_app.kill()
        baseline_app.wait()
        sandbox.close()
    print(f"durable ack, median of {ROUNDS}:  bot {milliseconds(bot_seconds)}   ", end="")
    ratio = bot_seconds / baseline_seconds
    print(f"a default Bolt app that only acks {milliseconds(baseline_seconds)}   ratio {ratio:.2f} (limit 0.25)")
    return ratio <= 0.25


def _listens(port: int) -> bool:
    try:
        requests.get(f"http://127.0.0.1:{port}/", timeout=1)
    except requests.exceptions.RequestException:
        return False
    return True


def new_groups(sandbox: Sandbox, first: int) -> list[str]:
    ids = [f"3c3c3c3c-0000-4000-8000-{number:012d}" for number in range(first, first + APPROVALS)]
    for group_id in ids:
        sandbox.oms.state.groups[group_id] = Group(group_id, "measured", PAUSED, bytes_per_second=10_000_000_000)
    return ids


def approvals_to_puts(sandbox: Sandbox, first: int) -> list[float]:
    """The seconds from each last approval to its PUT at OMS."""
    times = []
    for group_id in new_groups(sandbox, first):
        sandbox.slack.api.reset_rate_limits()
        sandbox.people.type(ALICE, group_id)

        def is_posted(group_id: str = group_id) -> bool:
            return any(
                group_id in message.text and button_ids(message)
                for message in sandbox.workspace.messages_in(MIGRATIONS)
            )

        sandbox.wait_until(is_posted, what="the card")
        card = next(message for message in sandbox.workspace.messages_in(MIGRATIONS) if group_id in message.text)
        sandbox.wait_until(lambda: not _busy(sandbox), what="no more calls")
        approved_at = datetime.now(UTC)
        sandbox.people.press(CAROL, card, "approve")
        put = sandbox.call_log.wait_for(lambda call, g=group_id: call.path.endswith(f"{g}/start"))  # type: ignore[misc]
        times.append((put.at - approved_at).total_seconds())
        sandbox.wait_until(lambda card=card: " is done" in card.text, 20, "the end")  # type: ignore[misc]
    return times


def _busy(sandbox: Sandbox) -> bool:
    calls = sandbox.call_log.since()
    return bool(calls) and (datetime.now(UTC) - calls[-1].at).total_seconds() < 0.15


def bare_script(sandbox: Sandbox, first: int) -> list[float]:
    """The seconds from the start of each group to its PUT, in the baseline script `tests.bench.bare`."""
    login = sandbox.vault.login("bot")
    groups = new_groups(sandbox, first)
    sandbox.slack.api.reset_rate_limits()
    arguments = [
        sandbox.slack.api_url,
        sandbox.oms.server.url,
        sandbox.vault.url,
        login.role_id,
        login.secret_id,
        *groups,
    ]
    output = subprocess.run(
        [sys.executable, "-m", "tests.bench.bare", *arguments], capture_output=True, text=True, check=True
    ).stdout
    started = [datetime.fromisoformat(line) for line in output.split()]
    puts = [sandbox.call_log.wait_for(lambda call, g=g: call.path.endswith(f"{g}/start")) for g in groups]  # type: ignore[misc]
    return [(put.at - at).total_seconds() for put, at in zip(puts, started, strict=True)]


def measure_approvals() -> bool:
    passed = True
    for delay in (0.0, DELAY_SECONDS):
        sandbox = Sandbox().open()
        try:
            bot = sandbox.start_bot()
            sandbox.oms.delay_seconds = sandbox.vault.delay_seconds = sandbox.slack.delay_seconds = delay
            baseline_seconds = statistics.median(bare_script(sandbox, 1000))
            bot_seconds = statistics.median(approvals_to_puts(sandbox, 0))
            memory_bytes = psutil.Process(bot.pid).memory_info().rss
        finally:
            sandbox.close()
        print(f"last approval to PUT, median of {APPROVALS}, {milliseconds(delay)} in each outside call:  ", end="")
        print(f"bot {milliseconds(bot_seconds)}   bare script {milliseconds(baseline_seconds)}   ", end="")
        if delay:
            print(f"ratio {bot_seconds / baseline_seconds:.2f} (limit 1.15)")
            passed = passed and bot_seconds <= 1.15 * baseline_seconds
        else:
            print(f"{milliseconds(bot_seconds - baseline_seconds)} more (limit 10 ms)")
            passed = passed and bot_seconds - baseline_seconds <= 0.010
        print(f"serve, after these:  {memory_bytes / 1e6:.0f} MB (limit 100 MB)")
        passed = passed and memory_bytes < 100_000_000
    return passed


def measure_start() -> bool:
    sandbox = Sandbox().open()
    try:
        times, sizes = [], []
        for _ in range(5):
            started = time.perf_counter()
            bot = sandbox.start_bot()
            times.append(time.perf_counter() - started)
            sizes.append(psutil.Process(bot.pid).memory_info().rss)
            sandbox.stop_bot()
    finally:
        sandbox.close()
    print(f"serve, median of 5:  ready in {statistics.median(times):.2f} s (limit 2 s)   ", end="")
    print(f"{statistics.median(sizes) / 1e6:.0f} MB (limit 100 MB)")
    return statistics.median(times) <= 2 and statistics.median(sizes) < 100_000_000


def commit_seconds() -> float:
    """The median seconds of a commit on the disk of this machine, with the bot's settings of SQLite."""
    times = []
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(f"sqlite:///{directory}/bot.sqlite", keys=STATE_KEYS)
        with store.write() as connection:
            connection.exec_driver_sql("CREATE TABLE measured (number INTEGER)")
        for number in range(ROUNDS):
            started = time.perf_counter()
            with store.write() as connection:
                connection.exec_driver_sql("INSERT INTO measured VALUES (?)", (number,))
            times.append(time.perf_counter() - started)
        store.close()
    return statistics.median(times)


def main() -> None:
    print(f"{psutil.cpu_count()} cores, Python {sys.version.split()[0]}, ", end="")
    print(f"a commit takes {milliseconds(commit_seconds())} on this disk (from approval to PUT there are 6)")
    results = [measure_start(), measure_acks(), measure_approvals()]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
