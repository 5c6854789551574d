"""A running bot leaves no core dump, and neither another process nor a TLS key log gets at its secrets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.config.settings import example
from tests.support.settings import GOOD
from tests.support.tls import serving_tls

commands = pytest.mark.parametrize("command", ["serve", "check"])
# Root may read the memory of any process because of this capability. So root gives it up for these tests.
UNPRIVILEGED = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace") if os.geteuid() == 0 else ()


@contextmanager
def running(*arguments: str, cwd: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*UNPRIVILEGED, sys.executable, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def settings(directory: Path, slack_url: str) -> dict[str, str]:
    (directory / "bot.toml").write_text(example(), encoding="utf-8")
    return GOOD | {"SLACK_API_URL": f"{slack_url}/api/", "LISTEN": "127.0.0.1", "OPS_PORT": "0"}


def can_read_memory(pid: int) -> bool:
    """Whether another process of the same user can read the memory of a process."""
    reader = [*UNPRIVILEGED, sys.executable, "-c", f"open('/proc/{pid}/mem', 'rb')"]
    result = subprocess.run(reader, capture_output=True, text=True, check=False)
    assert result.returncode == 0 or "PermissionError" in result.stderr, result.stderr
    return result.returncode == 0


@commands
def test_a_running_bot_dumps_no_core_and_its_memory_is_unreadable_for_its_user(tmp_path: Path, command: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as slack:
        slack.settimeout(60)
        environment = settings(tmp_path, f"http://127.0.0.1:{slack.getsockname()[1]}")
        with running("-m", "bot", command, cwd=tmp_path, **environment) as bot:
            # The command waits for an answer of Slack.
            slack.accept()
            limits = Path(f"/proc/{bot.pid}/limits").read_text(encoding="ascii")
            assert "Max core file size 0 0 bytes" in " ".join(limits.split())
            assert not can_read_memory(bot.pid)
    with running("-c", "print(flush=True); input()", cwd=tmp_path) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert can_read_memory(other.pid)


@commands
def test_sslkeylogfile_gets_no_keys_of_tls_sessions(tmp_path: Path, command: str) -> None:
    key_log = tmp_path / "keys.log"
    with serving_tls(tmp_path, b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n") as server:
        environment = settings(tmp_path, server.url) | {
            "VAULT_ADDR": server.url,
            "VAULT_CACERT": str(server.ca),
            "SSLKEYLOGFILE": str(key_log),
        }
        with running("-m", "bot", command, cwd=tmp_path, **environment) as bot:
            output, _ = bot.communicate(timeout=60)
    assert bot.returncode == 1, output
    assert not key_log.exists()
    # serve ends when Slack does not answer; check also connects to Vault.
    assert bool(server.received) == (command == "check")
