"""Each failure of a call to Slack raises its own error, with Slack's error code and nothing else of the answer."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from slack_sdk import WebClient

from bot.redaction import Secret
from bot.slack.errors import ChannelUnavailable, Denied, Gone, RateLimited, SlackError, Unavailable, translating_errors
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
        (refusal(200, "invalid_auth"), Denied, "invalid_auth"),
        (refusal(200, "token_revoked"), Denied, "token_revoked"),
        (refusal(200, "account_inactive"), Denied, "account_inactive"),
        (refusal(200, "not_authed"), Denied, "not_authed"),
        (refusal(200, "missing_scope"), Denied, "missing_scope"),
        (refusal(200, "invalid_blocks"), SlackError, "invalid_blocks"),
        (refusal(200, "not_in_channel"), ChannelUnavailable, "not_in_channel"),
        (refusal(200, "is_archived"), ChannelUnavailable, "is_archived"),
        (refusal(200, "message_not_found"), Gone, "message_not_found"),
        (refusal(429, "rate_limited"), RateLimited, "rate_limited"),
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


@pytest.mark.parametrize(
    ("answer", "code", "problem"),
    [
        (refusal(429, "ratelimited"), "ratelimited", "can't answer right now"),
        (refusal(200, "internal_error"), "internal_error", "can't answer right now"),
        (refusal(503, "odd_error"), "odd_error", "can't answer right now"),
        (refusal(200, "<p>no</p>"), "HTTP 200", "sent an answer that isn't from its API"),
        (ok(b"<html>", "text/html").replace(b"200 OK", b"502 Bad Gateway"), "HTTP 502", "can't answer right now"),
        (BROKEN_ANSWERS["no JSON"], "HTTP 200", "sent an answer that isn't from its API"),
        (BROKEN_ANSWERS["no text"], "UnicodeDecodeError", "sent an answer that isn't from its API"),
        (BROKEN_ANSWERS["half a body"], "IncompleteRead", "can't be reached"),
        (BROKEN_ANSWERS["no status line"], "BadStatusLine", "can't be reached"),
        (BROKEN_ANSWERS["nothing"], "RemoteDisconnected", "can't be reached"),
    ],
)
def test_an_error_that_may_pass_says_what_is_wrong_and_what_to_do(answer: bytes, code: str, problem: str) -> None:
    error = error_of(answer)
    assert isinstance(error, Unavailable)
    assert type(error) is (RateLimited if code == "ratelimited" else Unavailable)
    assert (error.code, error.problem) == (code, problem)
    assert "slack.com" in error.fix_for(WebClient.BASE_URL) or error.fix_for(WebClient.BASE_URL) == "try again later"
    assert "SLACK_API_URL" not in error.fix_for(WebClient.BASE_URL)


@pytest.mark.parametrize(
    ("needed", "problem"),
    [
        ("usergroups:read", "requires a scope that the app doesn't have: usergroups:read"),
        ("<b>", "requires a scope that the app doesn't have"),
        (None, "requires a scope that the app doesn't have"),
    ],
)
def test_a_missing_scope_is_named_as_slack_names_it(needed: str | None, problem: str) -> None:
    error = error_of(ok(json.dumps({"ok": False, "error": "missing_scope", "needed": needed}).encode()))
    assert isinstance(error, Denied)
    assert (error.problem, error.is_about_token) == (problem, False)
    assert error.fix == "add it under OAuth & Permissions of the Slack app, then reinstall the app"


def test_a_client_remembers_that_slack_refuses_its_token_until_it_accepts_it() -> None:
    seen: list[Denied | None] = []
    answers = [
        refusal(200, "token_revoked"),
        refusal(503, "odd_error"),
        refusal(200, "missing_scope"),
        ok(b'{"ok": true}'),
    ]
    for answer in answers:
        with answering(answer) as url:
            client = new_client(Secret("xoxb-1"), f"{url}/api/")
            client.denial = seen[-1] if seen else None
            with suppress(SlackError), translating_errors():
                client.auth_test()
        seen.append(client.denial)
    assert [denial.code if denial else None for denial in seen] == ["token_revoked", "token_revoked", None, None]
