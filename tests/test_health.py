"""The probes tell what is so, and nobody waits for a part that hangs."""

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


def test_patience_is_over_after_its_time_and_begins_anew_with_each_return() -> None:
    now = 1000.0
    grace_period = GracePeriod(120.0, lambda: now)
    assert not grace_period.is_over(False)
    now += 120.0
    assert not grace_period.is_over(False)
    now += 0.1
    assert grace_period.is_over(False)
    assert not grace_period.is_over(True)
    assert not grace_period.is_over(False)


def test_time_in_which_nobody_asked_is_no_time_away() -> None:
    now = 1000.0
    grace_period = GracePeriod(120.0, lambda: now)
    assert not grace_period.is_over(True)
    now += 3600.0
    assert not grace_period.is_over(False)


def test_what_answers_is_well_and_what_raises_is_named() -> None:
    assert TimedProbe(lambda: None, 5.0).problem() is None

    def refuse() -> None:
        raise ConnectionRefusedError

    assert TimedProbe(refuse, 5.0).problem() == "ConnectionRefusedError"


def test_what_hangs_is_waited_for_once_and_is_well_again_when_it_answers() -> None:
    going_on, begun, asked = threading.Event(), threading.Event(), []

    def hang() -> None:
        asked.append(1)
        begun.set()
        going_on.wait(30)

    ping = TimedProbe(hang, 0.5)
    assert ping.problem() == "it hangs"
    assert begun.wait(20)
    began_at = time.monotonic()
    assert [ping.problem() for _ in range(20)] == ["it hangs"] * 20
    assert time.monotonic() - began_at < 5, "only the first waits"
    assert len(asked) == 1, "questions do not pile up"
    going_on.set()
    ping._asked.result(5)  # type: ignore[union-attr]
    assert ping.problem() is None


@pytest.fixture
def ops() -> Iterator[HealthServer]:
    server = HealthServer(0, lambda: None, lambda: "not yet", "127.0.0.1")
    server.start()
    yield server
    server.stop()


def test_each_probe_says_what_is_so(ops: HealthServer) -> None:
    assert ask(ops.port, b"GET /livez HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")
    assert b"not yet" in ask(ops.port, b"GET /readyz HTTP/1.0\r\n\r\n")
    assert b"python_info" in ask(ops.port, b"GET /metrics HTTP/1.0\r\n\r\n")
    assert ask(ops.port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 404 ")


def test_the_healthcheck_of_the_image_asks_the_bot_itself_whatever_proxies_there_are(ops: HealthServer) -> None:
    dockerfile = (Path(__file__).parent.parent / "Dockerfile").read_text(encoding="utf-8")
    _, _, command = dockerfile.partition("HEALTHCHECK ")[2].partition("CMD ")
    program, *arguments = json.loads(command.splitlines()[0])
    assert program == "python"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    here = proxies | {"OPS_PORT": str(ops.port)}
    # It gives up after 2 s, which a slow machine may take. One that asked the proxy would never be answered.
    assert 0 in (subprocess.run([sys.executable, *arguments], env=here).returncode for _ in range(3))
    assert subprocess.run([sys.executable, *arguments], env={"OPS_PORT": "9"}, capture_output=True).returncode == 1


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_however_many_keep_a_request_half_said_a_probe_is_answered(ops: HealthServer) -> None:
    half = [socket.create_connection(("127.0.0.1", ops.port), timeout=5) for _ in range(3 * MAX_WAITING)]
    for connection in half[::2]:
        connection.sendall(b"GET /livez HTTP/1.1\r\nX: ")
    assert b"200 OK" in ask(ops.port, b"GET /livez HTTP/1.0\r\n\r\n")
    half[0].settimeout(20)
    assert is_closed(half[0]), "the oldest gives way"
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
def test_nothing_but_to_look_is_taken_and_no_body_is_read(
    ops: HealthServer, request_line: bytes, status: bytes
) -> None:
    assert ask(ops.port, request_line + b"\r\n\r\n").split(b" ")[1] == status
