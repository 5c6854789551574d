"""Only payloads that Slack has signed reach the app over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from slack_bolt.authorization import AuthorizeResult

from bot.net.server import MAX_WAITING
from bot.redaction import Secret
from bot.slack.transport import MAX_BODY_BYTES, HttpTransport, new_app
from tests.support.wire import ask

SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@pytest.fixture
def http() -> Iterator[HttpTransport]:
    authorization = AuthorizeResult(
        enterprise_id=None, team_id="T0TEST0001", bot_token="xoxb-1", bot_id="B1", bot_user_id="U1"
    )
    secret = Secret(SIGNING_SECRET)
    built = HttpTransport(
        new_app(Secret("xoxb-1"), "http://127.0.0.1:9/", secret, authorization), secret, 0, "127.0.0.1"
    )
    built.start(threading.Event())
    yield built
    built.stop()


def post(http: HttpTransport, body: bytes, content_type: str, secret: str = SIGNING_SECRET) -> tuple[int, bytes]:
    timestamp = str(int(time.time()))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST /slack/events HTTP/1.0\r\nContent-Length: {len(body)}\r\nContent-Type: {content_type}\r\n"
        f"X-Slack-Request-Timestamp: {timestamp}\r\nX-Slack-Signature: v0={digest}\r\n\r\n"
    )
    answer = ask(http.port, head.encode() + body)
    return int(answer.split(b" ")[1]), answer.partition(b"\r\n\r\n")[2]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The log lines of the bot. waitress may log that it is busy."""
    return [record.getMessage() for record in caplog.records if not record.name.startswith("waitress")]


NO_PAYLOADS = [b"{", b"[" * 100_000, b"[1]", b"7", b"payload=%7B", b"payload=[1]", b"payload=null"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_path_that_load_balancers_call_by_default_is_answered_with_200(http: HttpTransport, method: str) -> None:
    assert ask(http.port, f"{method} / HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 200 OK\r\n")
    assert ask(http.port, f"{method} /other HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 404 ")
    assert ask(http.port, b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").startswith(b"HTTP/1.0 404 ")


@pytest.mark.parametrize("body", [*NO_PAYLOADS, b"\xff\xfe", b"", b"ssl_check=1", b'{"type": "url_verification"}'])
def test_an_unsigned_request_is_rejected_before_it_is_parsed(
    http: HttpTransport, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded", "application/json; charset=x"):
        assert post(http, body, content_type, "another secret") == (401, b"not signed by Slack\n")
    assert set(logged(caplog)) == {"rejected a request that Slack did not sign, at least not with SLACK_SIGNING_SECRET"}


@pytest.mark.parametrize("body", NO_PAYLOADS)
def test_a_signed_request_without_a_payload_logs_one_line(
    http: HttpTransport, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    content_type = "application/x-www-form-urlencoded" if body.startswith(b"payload") else "application/json; charset=x"
    assert post(http, body, content_type) == (400, b"no payload\n")
    assert logged(caplog) == ["rejected a signed request: its body is not a payload"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "block_actions", "user": true}',
        b'{"type": "block_actions", "channel": 7}',
        b'{"type": "block_actions", "authorizations": [[]]}',
    ],
)
def test_a_signed_payload_with_a_field_of_the_wrong_type_is_a_bad_request_and_is_not_logged(
    http: HttpTransport, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(http, body, "application/json") == (400, b"malformed payload\n")
    [line] = logged(caplog)
    assert line.startswith("rejected a signed request: its payload is malformed (")
    assert caplog.records[0].exc_info is None


def test_a_body_that_is_not_text_is_rejected_as_unsigned(http: HttpTransport) -> None:
    assert post(http, b"\xff\xfe", "application/json")[0] == 401


def test_a_signed_request_reaches_the_app(http: HttpTransport) -> None:
    body = b'{"type": "url_verification", "challenge": "words"}'
    status, answer = post(http, body, "application/json")
    assert (status, b"words" in answer) == (200, True)


def test_an_oversized_body_is_rejected(http: HttpTransport) -> None:
    head = f"POST /slack/events HTTP/1.0\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    assert b" 413 " in ask(http.port, head.encode())


def test_slack_is_answered_while_many_connections_send_half_a_request(http: HttpTransport) -> None:
    half = [socket.create_connection(("127.0.0.1", http.port), timeout=5) for _ in range(2 * MAX_WAITING)]
    for connection in half:
        connection.sendall(b"POST /slack/events HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
    assert post(http, b'{"type": "url_verification", "challenge": "words"}', "application/json")[0] == 200
    for connection in half:
        connection.close()
