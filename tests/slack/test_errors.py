"""A refusal is told from silence, and in Slack's own word alone."""

from __future__ import annotations

import json

import pytest

from bot.redaction import Secret
from bot.slack.errors import BUSY, NOT_SLACK, SLACK_EXCEPTIONS, UNREACHABLE, NoAnswer, error_label, no_answer_reason
from bot.slack.transport import new_client
from tests.support.wire import BROKEN_ANSWERS, answering, ok

REFUSED = ok(json.dumps({"ok": False, "error": "invalid_auth"}).encode())
SLOW_DOWN = REFUSED.replace(b"200 OK", b"429 Too Many Requests").replace(b"invalid_auth", b"rate_limited")


def failure(answer: bytes) -> Exception:
    with answering(answer) as url, pytest.raises(SLACK_EXCEPTIONS) as raised:
        new_client(Secret("xoxb-1"), f"{url}/api/").auth_test()
    return raised.value


@pytest.mark.parametrize(
    ("answer", "silence", "code"),
    [
        (REFUSED, None, "invalid_auth"),
        (SLOW_DOWN, BUSY, "rate_limited"),
        (ok(b"<html>", "text/html").replace(b"200 OK", b"502 Bad Gateway"), BUSY, "HTTP 502"),
        (BROKEN_ANSWERS["no JSON"], NOT_SLACK, "HTTP 200"),
        (BROKEN_ANSWERS["no text"], NOT_SLACK, "UnicodeDecodeError"),
        (BROKEN_ANSWERS["half a body"], UNREACHABLE, "IncompleteRead"),
        (BROKEN_ANSWERS["no status line"], UNREACHABLE, "BadStatusLine"),
        (BROKEN_ANSWERS["nothing"], UNREACHABLE, "RemoteDisconnected"),
    ],
)
def test_a_refusal_is_told_from_silence(answer: bytes, silence: NoAnswer | None, code: str) -> None:
    error = failure(answer)
    assert no_answer_reason(error) == silence
    assert error_label(error) == code
