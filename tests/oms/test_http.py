"""What is waited for has an end: a connection, the whole of an answer, and what Huawei Cloud asks to wait."""

from __future__ import annotations

import socket
import threading

import pytest

from bot.oms.errors import NotSent, Service, Throttled, Unanswered
from bot.oms.http import Call, Success, Timeouts, new_session, send
from tests.support.wire import answering, read_request


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


def test_an_answer_that_trickles_is_not_waited_for() -> None:
    hung_up = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            read_request(connection)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not hung_up.wait(0.05):
                    connection.sendall(b" " * 65536)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=trickle, daemon=True).start()
        with pytest.raises(Unanswered, match="in time"):
            call(f"http://127.0.0.1:{listener.getsockname()[1]}", read_seconds=0.2)
        hung_up.set()


@pytest.mark.parametrize(("sent", "seconds"), [("99999", 3600), ("1234567890", None), ("soon", None), ("-1", None)])
def test_nobody_waits_for_longer_than_an_hour(sent: str, seconds: int | None) -> None:
    answer = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {sent}\r\nContent-Length: 0\r\n\r\n"
    with answering(answer.encode()) as address, pytest.raises(Throttled) as throttled:
        call(address)
    assert throttled.value.retry_after_seconds == seconds
