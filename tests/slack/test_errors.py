"""Each failure of a call to Slack raises its own error, with Slack's error code and nothing else of the answer."""

from __future__ import annotations

import json

import pytest

from bot.redaction import Secret
from bot.slack.errors import (
    Busy,
    ChannelArchived,
    Gone,
    NotInChannel,
    NotSlack,
    RateLimited,
    Refused,
    SlackError,
    Unavailable,
    Unreachable,
    translating_errors,
)
from bot.slack.transport import new_client
from tests.support.wire import BROKEN_ANSWERS, answering, ok


def refusal(status: int, error: str, headers: str = "") -> bytes:
    body = json.dumps({"ok": False, "error": error})
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return (head + body).encode()


def error_of(answer: bytes) -> SlackError:
    with answering(answer) as url, pytest.raises(SlackError) as raised, translating_errors():
        new_client(Secret("xoxb-1"), f"{url}/api/").auth_test()
    return raised.value


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refusal(200, "invalid_auth"), Refused, "invalid_auth"),
        (refusal(200, "invalid_blocks"), Refused, "invalid_blocks"),
        (refusal(200, "not_in_channel"), NotInChannel, "not_in_channel"),
        (refusal(200, "is_archived"), ChannelArchived, "is_archived"),
        (refusal(200, "message_not_found"), Gone, "message_not_found"),
        (refusal(429, "rate_limited"), RateLimited, "rate_limited"),
        (refusal(200, "internal_error"), Busy, "internal_error"),
        (refusal(503, "odd_error"), Busy, "odd_error"),
        (refusal(200, "<p>no</p>"), NotSlack, "HTTP 200"),
        (ok(b"<html>", "text/html").replace(b"200 OK", b"502 Bad Gateway"), Busy, "HTTP 502"),
        (BROKEN_ANSWERS["no JSON"], NotSlack, "HTTP 200"),
        (BROKEN_ANSWERS["no text"], NotSlack, "UnicodeDecodeError"),
        (BROKEN_ANSWERS["half a body"], Unreachable, "IncompleteRead"),
        (BROKEN_ANSWERS["no status line"], Unreachable, "BadStatusLine"),
        (BROKEN_ANSWERS["nothing"], Unreachable, "RemoteDisconnected"),
    ],
)
def test_each_failure_raises_its_kind_of_error_with_a_code(answer: bytes, kind: type[SlackError], code: str) -> None:
    error = error_of(answer)
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [("retry-after: 7\r\n", 7), ("Retry-After: 9999\r\n", 600), ("Retry-After: soon\r\n", None), ("", None)],
)
def test_a_rate_limit_says_how_long_to_wait(headers: str, seconds: int | None) -> None:
    error = error_of(refusal(429, "ratelimited", headers))
    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize("kind", [Unreachable, NotSlack, Busy, RateLimited])
def test_an_error_that_may_pass_says_what_is_wrong_and_what_to_do(kind: type[Unavailable]) -> None:
    assert kind.problem
    assert kind.fix
