"""The time limits of a call: the connection, the whole answer, and the delay that Huawei Cloud asks for."""

from __future__ import annotations

import socket
import time

import pytest

from bot.huawei.errors import NotSent, Service, Throttled, Unanswered
from bot.huawei.http import Call, Success, Timeouts, send
from bot.net.session import new_session
from tests.support.wire import ENDLESS_ANSWERS, answering, dripping


def call(address: str, read_seconds: float = 5) -> Success:
    return send(new_session(), Call(Service.OMS, "PUT", address, b"{}"), None, Timeouts(1, read_seconds))


def test_a_connection_that_is_not_accepted_in_time_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        # These fill the listener's backlog, so that the next connection is not accepted.
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(address)
        with pytest.raises(NotSent, match="no connection in time"):
            call(f"http://127.0.0.1:{address[1]}")
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_that_never_ends_is_given_up(part: str) -> None:
    begun = time.monotonic()
    with dripping(ENDLESS_ANSWERS[part]) as address, pytest.raises(Unanswered, match="no answer in time"):
        call(address, read_seconds=0.3)
    assert time.monotonic() - begun < 10


def test_an_answer_in_large_parts_that_never_ends_is_given_up() -> None:
    with dripping(ENDLESS_ANSWERS["body"], b" " * 65536) as address, pytest.raises(Unanswered, match="in time"):
        call(address, read_seconds=0.2)


def test_a_request_that_the_server_does_not_read_is_unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        put = Call(Service.OMS, "PUT", f"http://127.0.0.1:{listener.getsockname()[1]}", bytes(20_000_000))
        with pytest.raises(Unanswered, match="no answer in time"):
            send(new_session(), put, None, Timeouts(0.2, 0.2))


@pytest.mark.parametrize(("sent", "seconds"), [("99999", 3600), ("1234567890", None), ("soon", None), ("-1", None)])
def test_retry_after_is_limited_to_an_hour(sent: str, seconds: int | None) -> None:
    answer = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {sent}\r\nContent-Length: 0\r\n\r\n"
    with answering(answer.encode()) as address, pytest.raises(Throttled) as throttled:
        call(address)
    assert throttled.value.retry_after_seconds == seconds
