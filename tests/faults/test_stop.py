"""SIGTERM ends a real `serve` with 0 within 10 s, whenever it comes and whatever hangs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import requests

from bot.sandbox.system import Sandbox
from tests.support.postgres import Postgres

SECONDS = 10.0


@pytest.fixture
def launch() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `serve` and does not wait for it to be ready."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(sandbox: Sandbox, stderr: int = subprocess.DEVNULL, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "bot", "serve"]
        environ = sandbox.environment() | environment
        process = subprocess.Popen(command, env=environ, cwd=sandbox.directory, stderr=stderr)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait(timeout=10)


def ends_well(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(number)
    assert process.wait(timeout=SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_it_still_asks_slack_who_it_is(
    new_sandbox: Callable[..., Sandbox], launch: Callable[..., subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        bot = launch(new_sandbox(), SLACK_API_URL=f"http://127.0.0.1:{port}/api/")
        mute.settimeout(20)
        connection, _ = mute.accept()
        ends_well(bot, number)
        connection.close()


def test_while_slack_asks_it_to_wait_before_it_connects(
    new_sandbox: Callable[..., Sandbox], launch: Callable[..., subprocess.Popen[bytes]]
) -> None:
    sandbox = new_sandbox()
    sandbox.slack.outage.answers["apps.connections.open"] = [429] * 60
    bot = launch(sandbox)
    sandbox.call_log.wait_for(lambda call: call.path == "apps.connections.open" and call.status == 429, 60)
    ends_well(bot)


def test_while_nobody_reads_what_it_logs(
    new_sandbox: Callable[..., Sandbox], launch: Callable[..., subprocess.Popen[bytes]]
) -> None:
    sandbox = new_sandbox()
    reading, writing = os.pipe()
    bot = launch(sandbox, stderr=writing)
    sandbox.wait_until(lambda: is_ready(sandbox), what="readiness")
    # A description of its own: the bot's end of the pipe still blocks, as it does in life.
    filling = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(filling, b"x")
    ends_well(bot)
    for handle in (filling, reading, writing):
        os.close(handle)


def test_while_its_database_hangs_and_the_probes_tell_so_in_time(new_sandbox: Callable[..., Sandbox]) -> None:
    server = Postgres().start()
    try:
        sandbox = new_sandbox(database_url=server.new_database())
        bot = sandbox.start_bot()
        ops = f"http://127.0.0.1:{sandbox.ops_port}"
        server.freeze()
        begun = time.monotonic()
        answers = [requests.get(f"{ops}/readyz", timeout=5) for _ in range(12)]
        assert time.monotonic() - begun < 8, "a question that hangs is waited for once"
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.text for answer in answers} == {"the database does not answer (it hangs)\n"}
        assert requests.get(f"{ops}/livez", timeout=5).text == "ok\n"
        server.thaw()
        sandbox.wait_until(lambda: is_ready(sandbox), what="readiness after the database came back")
        server.freeze()
        ends_well(bot)
    finally:
        server.thaw()
        server.stop()


def is_ready(sandbox: Sandbox) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{sandbox.ops_port}/readyz", timeout=5).status_code == 200
    except requests.exceptions.ConnectionError:
        return False
