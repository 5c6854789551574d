"""SIGTERM ends the bot with exit code 0 within 10 s, whatever it waits for."""

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
    """Starts `serve` without waiting until it is ready."""
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


def assert_ends(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(number)
    assert process.wait(timeout=SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_while_slack_does_not_answer_the_first_call(
    new_sandbox: Callable[..., Sandbox], launch: Callable[..., subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        bot = launch(new_sandbox(), SLACK_API_URL=f"http://127.0.0.1:{port}/api/")
        silent.settimeout(20)
        connection, _ = silent.accept()
        assert_ends(bot, number)
        connection.close()


def test_it_ends_while_slack_throttles_its_connection(
    new_sandbox: Callable[..., Sandbox], launch: Callable[..., subprocess.Popen[bytes]]
) -> None:
    sandbox = new_sandbox()
    sandbox.slack.outage.answers["apps.connections.open"] = [429] * 60
    bot = launch(sandbox)
    sandbox.call_log.wait_for(lambda call: call.path == "apps.connections.open" and call.status == 429, 60)
    assert_ends(bot)


def test_it_ends_while_nobody_reads_its_log(
    new_sandbox: Callable[..., Sandbox], launch: Callable[..., subprocess.Popen[bytes]]
) -> None:
    sandbox = new_sandbox()
    reading, writing = os.pipe()
    bot = launch(sandbox, stderr=writing)
    sandbox.wait_until(lambda: is_ready(sandbox), what="readiness")
    # Opened again, so that only this descriptor does not block. The bot's end of the pipe does, as in operation.
    filling = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(filling, b"x")
    assert_ends(bot)
    for handle in (filling, reading, writing):
        os.close(handle)


def test_it_ends_while_its_database_hangs_and_the_probes_answer_in_time(new_sandbox: Callable[..., Sandbox]) -> None:
    server = Postgres().start()
    try:
        sandbox = new_sandbox(database_url=server.new_database())
        bot = sandbox.start_bot()
        ops = f"http://127.0.0.1:{sandbox.ops_port}"
        server.freeze()
        begun = time.monotonic()
        answers = [requests.get(f"{ops}/readyz", timeout=5) for _ in range(12)]
        assert time.monotonic() - begun < 8, "only one probe waits for the database"
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.text for answer in answers} == {"the database does not answer (it hangs)\n"}
        assert requests.get(f"{ops}/livez", timeout=5).text == "ok\n"
        server.thaw()
        sandbox.wait_until(lambda: is_ready(sandbox), what="readiness after the database came back")
        server.freeze()
        assert_ends(bot)
    finally:
        server.thaw()
        server.stop()


def is_ready(sandbox: Sandbox) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{sandbox.ops_port}/readyz", timeout=5).status_code == 200
    except requests.exceptions.ConnectionError:
        return False
