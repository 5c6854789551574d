"""What is waited for has an end: a connection, the whole of an answer, and what Huawei Cloud asks to wait."""

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


def test_no_connection_in_time_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)  # whoever comes after these is not let in
        with pytest.raises(NotSent, match="no connection in time"):
            call(f"http://127.0.0.1:{address[1]}")
        for one in waiting:
            one.close()


@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_that_drips_is_not_waited_for_whichever_part_of_it(part: str) -> None:
    begun = time.monotonic()
    with dripping(ENDLESS_ANSWERS[part]) as address, pytest.raises(Unanswered, match="no answer in time"):
        call(address, read_seconds=0.3)
    assert time.monotonic() - begun < 10


def test_a_large_part_now_and_then_is_not_waited_for_either() -> None:
    with dripping(ENDLESS_ANSWERS["body"], b" " * 65536) as address, pytest.raises(Unanswered, match="in time"):
        call(address, read_seconds=0.2)


def test_what_nobody_takes_to_its_end_may_have_been_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        put = Call(Service.OMS, "PUT", f"http://127.0.0.1:{listener.getsockname()[1]}", bytes(20_000_000))
        with pytest.raises(Unanswered, match="no answer in time"):
            send(new_session(), put, None, Timeouts(0.2, 0.2))


@pytest.mark.parametrize(("sent", "seconds"), [("99999", 3600), ("1234567890", None), ("soon", None), ("-1", None)])
def test_nobody_waits_for_longer_than_an_hour(sent: str, seconds: int | None) -> None:
    answer = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {sent}\r\nContent-Length: 0\r\n\r\n"
    with answering(answer.encode()) as address, pytest.raises(Throttled) as throttled:
        call(address)
    assert throttled.value.retry_after_seconds == seconds
