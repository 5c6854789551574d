"""Slack is asked straight: nothing but the settings says where the token goes, and half an answer is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError

from bot.redaction import Secret
from bot.slack.messenger import Messenger, PostFailed, PostFailure
from bot.slack.transport import SocketTransport, new_app, new_client
from bot.ui.blocks import SlackMessage
from tests.support.wire import ENDLESS_ANSWERS, answering, dripping, ok, recording

TOKEN = Secret("xoxb-1")

Way = Callable[..., None]


def post(url: str, seconds: int = 10) -> None:
    Messenger(new_client(TOKEN, f"{url}/api/", seconds)).post("C0MIGRATIONS", SlackMessage("words", ()))


def answer(url: str, seconds: int = 10) -> None:
    Messenger(new_client(TOKEN, f"{url}/api/", seconds)).answer(f"{url}/answer", "words")


both_ways = pytest.mark.parametrize("way", [post, answer])


@both_ways
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_answer_that_points_elsewhere_is_not_followed(way: Way, status: int) -> None:
    with recording(ok(b'{"ok": true, "ts": "1.2"}')) as (elsewhere, asked):
        there = f"HTTP/1.1 {status} Go\r\nLocation: {elsewhere}/api/\r\nContent-Length: 0\r\n\r\n"
        with answering(there.encode()) as url, pytest.raises(PostFailed):
            way(url)
    assert asked == []


@both_ways
def test_a_proxy_of_the_environment_is_not_asked(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(ok(b'{"ok": true, "ts": "1.2"}')) as (slack, asked), recording(ok(b"{}")) as (proxy, caught):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        way(slack)
    assert (len(asked), caught) == (1, [])


def test_nor_is_it_for_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    who = AuthorizeResult(enterprise_id=None, team_id="T0TEST0001", bot_token="xoxb-1", bot_id="B1", bot_user_id="U1")
    opened = ok(b'{"ok": true, "url": "ws://127.0.0.1:9/link"}')
    with recording(opened) as (slack, asked), recording(ok(b"{}")) as (proxy, caught):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        transport = SocketTransport(new_app(TOKEN, f"{slack}/api/", None, who), Secret("xapp-1"))
        # Nobody listens there: slack_sdk writes that down, and tries again later.
        transport.start(threading.Event())
        transport.stop()
    assert asked
    assert caught == []


@both_ways
@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_that_drips_is_not_waited_for(way: Way, part: str) -> None:
    begun = time.monotonic()
    with dripping(ENDLESS_ANSWERS[part]) as url, pytest.raises(PostFailed) as fault:
        way(url, 1)
    assert fault.value.reason is PostFailure.UNREACHABLE
    assert time.monotonic() - begun < 10


@both_ways
def test_an_answer_larger_than_any_can_be_is_none(way: Way) -> None:
    body = b'{"ok": true, "ts": "1.2", "more": "' + b"0" * 5_000_000 + b'"}'
    with answering(ok(body)) as url, pytest.raises(PostFailed) as fault:
        way(url)
    assert fault.value.reason is PostFailure.UNREACHABLE


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_however_slack_writes_its_headers_they_are_found(name: str) -> None:
    refusal = f"HTTP/1.1 429 X\r\n{name}: 7\r\nContent-Type: text/html; charset=odd\r\nContent-Length: 2\r\n\r\n{{}}"
    with answering(refusal.encode()) as url, pytest.raises(SlackApiError) as refused:
        new_client(TOKEN, f"{url}/api/").auth_test()
    assert refused.value.response.headers["retry-after"] == "7"
