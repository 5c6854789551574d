"""The processes of the sandbox end with it, and a client that disconnects does not disturb the stand-ins."""

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

from bot.sandbox.child_process import ChildProcess
from bot.sandbox.system import Sandbox


def wait_until(holds: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state_of(pid: int) -> tuple[str, int] | None:
    """The state and the parent of a process, from the kernel. None if there is no such process."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return state, int(parent)


def children_of(parent: int) -> dict[int, str]:
    """The command lines of the children of a process, by process id."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    children = [pid for pid in pids if (state_of(pid) or ("", 0))[1] == parent]
    return {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in children}


def is_alive(pid: int) -> bool:
    """Whether a process still runs. A zombie does not."""
    return (state_of(pid) or ("Z", 0))[0] != "Z"


@pytest.fixture
def sandbox() -> Iterator[subprocess.Popen[str]]:
    """A sandbox started as on a terminal, once its page is served."""
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


def test_the_bot_and_vault_end_when_the_sandbox_is_killed(sandbox: subprocess.Popen[str]) -> None:
    children = children_of(sandbox.pid)
    assert any("bot serve" in words for words in children.values())
    assert any("bao server" in words for words in children.values())
    sandbox.kill()
    sandbox.wait(timeout=10)
    wait_until(lambda: not any(is_alive(pid) for pid in children))


def test_all_child_processes_end_when_the_sandbox_is_stopped(sandbox: subprocess.Popen[str]) -> None:
    children = children_of(sandbox.pid)
    sandbox.terminate()
    assert sandbox.wait(timeout=10) == 0
    assert not any(is_alive(pid) for pid in children)


def test_the_console_shows_that_the_bot_has_ended_and_the_end_of_its_log(sandbox: subprocess.Popen[str]) -> None:
    bot = next(pid for pid, words in children_of(sandbox.pid).items() if "bot serve" in words)
    # The bot is ready a moment before it logs that.
    wait_until(lambda: bool(Path(f"/proc/{bot}/cwd/bot.log").read_text()))
    os.kill(bot, signal.SIGKILL)
    assert sandbox.stdout is not None
    assert sandbox.stdout.readline() == "The bot is not running (exit -9). The end of its log:\n"
    sandbox.terminate()
    rest = sandbox.stdout.read()
    assert re.match(r"\d{4}-|\{", rest), rest
    assert "not running" not in rest
    assert "Traceback" not in rest


def test_killing_a_child_process_ends_its_watcher() -> None:
    child = ChildProcess(["/bin/sleep", "60"], {}, subprocess.DEVNULL, subprocess.DEVNULL)
    watcher = max(pid for pid, words in children_of(os.getpid()).items() if words.startswith("/bin/sh"))
    child.kill()
    child.kill()
    assert child.process.returncode == -signal.SIGKILL
    assert not is_alive(watcher)


@pytest.mark.parametrize("is_reset", [True, False])
def test_a_client_that_disconnects_during_a_request_causes_no_error(
    new_sandbox: Callable[..., Sandbox], caplog: pytest.LogCaptureFixture, is_reset: bool
) -> None:
    sandbox = new_sandbox()
    for server in (sandbox.vault.server, sandbox.oms.server, sandbox.slack.server):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = "Host: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue"
            client.sendall(f"POST /api/chat.postMessage HTTP/1.1\r\n{head}\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 100"), "the server reads the request"
            client.sendall(b"{")
            if is_reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # This request is handled after the broken ones, on the same event loop.
    sandbox.people.type("U0ALICE001", "list")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
