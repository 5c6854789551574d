"""Nothing that the sandbox started outlives it, and what a killed bot leaves half said disturbs nobody."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.sandbox.child import Child
from bot.sandbox.system import Sandbox


def wait_until(holds: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state_of(pid: int) -> tuple[str, int] | None:
    """Its state and its parent, as the kernel says them."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return state, int(parent)


def children_of(parent: int) -> dict[int, str]:
    """The processes that it started: their ids and command lines."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    ours = [pid for pid in pids if (state_of(pid) or ("", 0))[1] == parent]
    return {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in ours}


def is_alive(pid: int) -> bool:
    """Whether it still runs: what nobody has waited for yet is gone all the same."""
    return (state_of(pid) or ("Z", 0))[0] != "Z"


@pytest.fixture
def sandbox() -> Iterator[subprocess.Popen[str]]:
    """A sandbox as it is started at a terminal; its page is up."""
    started = subprocess.Popen(
        [sys.executable, "-m", "bot", "sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert started.stdout is not None
    assert "The sandbox is at http://127.0.0.1:" in started.stdout.readline()
    started.stdout.readline()
    yield started
    started.kill()
    started.wait(timeout=10)
    started.stdout.close()


def test_a_sandbox_that_is_killed_leaves_neither_bot_nor_vault(sandbox: subprocess.Popen[str]) -> None:
    children = children_of(sandbox.pid)
    assert any("bot serve" in words for words in children.values())
    assert any("bao server" in words for words in children.values())
    sandbox.kill()
    sandbox.wait(timeout=10)
    wait_until(lambda: not any(is_alive(pid) for pid in children))


def test_a_sandbox_that_is_ended_leaves_nothing_either(sandbox: subprocess.Popen[str]) -> None:
    children = children_of(sandbox.pid)
    sandbox.terminate()
    assert sandbox.wait(timeout=10) == 0
    assert not any(is_alive(pid) for pid in children)


def test_a_bot_that_ends_is_told_on_the_console_with_the_end_of_its_log(sandbox: subprocess.Popen[str]) -> None:
    bot = next(pid for pid, words in children_of(sandbox.pid).items() if "bot serve" in words)
    # It serves a moment before it says so.
    wait_until(lambda: bool(Path(f"/proc/{bot}/cwd/bot.log").read_text()))
    os.kill(bot, signal.SIGKILL)
    assert sandbox.stdout is not None
    assert sandbox.stdout.readline() == "The bot is not running (exit -9). The end of its log:\n"
    sandbox.terminate()
    rest = sandbox.stdout.read()
    assert re.match(r"\d{4}-|\{", rest), rest
    assert "not running" not in rest
    assert "Traceback" not in rest


def test_what_has_ended_is_not_watched_any_more() -> None:
    child = Child(["/bin/sleep", "60"], {}, subprocess.DEVNULL, subprocess.DEVNULL)
    watcher = max(pid for pid, words in children_of(os.getpid()).items() if words.startswith("/bin/sh"))
    child.end()
    child.end()
    assert child.process.returncode == -signal.SIGKILL
    assert not is_alive(watcher)


@pytest.mark.parametrize("is_reset", [True, False])
def test_who_goes_away_in_the_middle_of_a_request_leaves_no_traceback(
    new_sandbox: Callable[..., Sandbox], caplog: pytest.LogCaptureFixture, is_reset: bool
) -> None:
    sandbox = new_sandbox()
    for server in (sandbox.vault.server, sandbox.oms.server, sandbox.slack.server):
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            head = "Host: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue"
            caller.sendall(f"POST /api/chat.postMessage HTTP/1.1\r\n{head}\r\n\r\n".encode())
            assert caller.recv(100).startswith(b"HTTP/1.1 100"), "it is being read"
            caller.sendall(b"{")
            if is_reset:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Served after what was cut off, on the same loop.
    sandbox.people.type("U0ALICE001", "list")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
