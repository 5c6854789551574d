"""The probes report the state of the process, and a part that hangs delays them once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.health import GracePeriod, HealthServer, TimedProbe
from bot.net.server import MAX_WAITING
from tests.support.wire import ask


def test_a_grace_period_ends_after_its_time_and_restarts_with_each_recovery() -> None:
    now = 1000.0
    grace_period = GracePeriod(120.0, lambda: now)
    assert not grace_period.is_over(False)
    now += 120.0
    assert not grace_period.is_over(False)
    now += 0.1
    assert grace_period.is_over(False)
    assert not grace_period.is_over(True)
    assert not grace_period.is_over(False)


def test_time_without_checks_does_not_count_as_failing() -> None:
    now = 1000.0
    grace_period = GracePeriod(120.0, lambda: now)
    assert not grace_period.is_over(True)
    now += 3600.0
    assert not grace_period.is_over(False)


def test_a_probe_names_the_exception_of_its_call() -> None:
    assert TimedProbe(lambda: None, 5.0).problem() is None

    def refuse() -> None:
        raise ConnectionRefusedError

    assert TimedProbe(refuse, 5.0).problem() == "ConnectionRefusedError"


def test_a_call_that_hangs_is_waited_for_once_and_recovers() -> None:
    released, called, calls = threading.Event(), threading.Event(), []

    def hang() -> None:
        calls.append(1)
        called.set()
        released.wait(30)

    probe = TimedProbe(hang, 0.5)
    assert probe.problem() == "it hangs"
    assert called.wait(20)
    started_at = time.monotonic()
    assert [probe.problem() for _ in range(20)] == ["it hangs"] * 20
    assert time.monotonic() - started_at < 5, "only the first waits"
    assert len(calls) == 1, "calls do not pile up"
    released.set()
    deadline = time.monotonic() + 20
    while probe.problem() is not None:
        assert time.monotonic() < deadline, "the probe does not recover"


@pytest.fixture
def health() -> Iterator[HealthServer]:
    server = HealthServer(0, lambda: None, lambda: "not yet", address="127.0.0.1")
    server.start()
    yield server
    server.stop()


def test_each_path_reports_its_own_state(health: HealthServer) -> None:
    assert ask(health.port, b"GET /livez HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")
    assert b"not yet" in ask(health.port, b"GET /readyz HTTP/1.0\r\n\r\n")
    assert b"python_info" in ask(health.port, b"GET /metrics HTTP/1.0\r\n\r\n")
    assert ask(health.port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 404 ")


def test_the_healthcheck_of_the_image_ignores_proxies(health: HealthServer) -> None:
    dockerfile = (Path(__file__).parent.parent / "Dockerfile").read_text(encoding="utf-8")
    _, _, command = dockerfile.partition("HEALTHCHECK ")[2].partition("CMD ")
    program, *arguments = json.loads(command.splitlines()[0])
    assert program == "python"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    here = proxies | {"OPS_PORT": str(health.port)}
    # It gives up after 2 s, which a slow machine may need. Through the proxy it would never get an answer.
    assert 0 in (subprocess.run([sys.executable, *arguments], env=here).returncode for _ in range(3))
    assert subprocess.run([sys.executable, *arguments], env={"OPS_PORT": "9"}, capture_output=True).returncode == 1


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_probe_is_answered_while_many_connections_send_half_a_request(health: HealthServer) -> None:
    half = [socket.create_connection(("127.0.0.1", health.port), timeout=5) for _ in range(3 * MAX_WAITING)]
    for connection in half[::2]:
        connection.sendall(b"GET /livez HTTP/1.1\r\nX: ")
    assert b"200 OK" in ask(health.port, b"GET /livez HTTP/1.0\r\n\r\n")
    half[0].settimeout(20)
    assert is_closed(half[0]), "the oldest connection is closed"
    for connection in half:
        connection.close()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"POST /livez HTTP/1.0\r\nContent-Length: 900000000", b"413"),
        (b"POST /livez HTTP/1.0\r\nContent-Length: 1", b"413"),
        (b"POST /livez HTTP/1.0", b"405"),
        (b"DELETE /metrics HTTP/1.0", b"405"),
    ],
)
def test_only_get_without_a_body_is_accepted(health: HealthServer, request_line: bytes, status: bytes) -> None:
    assert ask(health.port, request_line + b"\r\n\r\n").split(b" ")[1] == status
