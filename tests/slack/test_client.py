"""Calls to Slack follow no redirect, end in time, and go through the proxy of the settings or through none."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import requests
from slack_sdk.errors import SlackApiError

from bot.net.session import Route
from bot.net.tls import tls_context
from bot.redaction import Secret
from bot.slack.errors import RateLimited, SlackError, Unavailable, translating_errors
from bot.slack.messenger import Messenger
from bot.slack.transport import new_client
from bot.slack.users import Users
from bot.ui.blocks import SlackMessage
from bot.ui.modals import loading
from tests.support.proxy import proxy_at, proxying
from tests.support.tls import ROOT, chain_context, serving
from tests.support.wire import ENDLESS_ANSWERS, answering, dripping, ok, recording

TOKEN = Secret("xoxb-1")

Call = Callable[..., None]


def post(url: str, seconds: int = 10, route: Route | None = None) -> None:
    Messenger(new_client(TOKEN, f"{url}/api/", seconds, route)).post("C0MIGRATIONS", SlackMessage("words", ()))


def answer(url: str, seconds: int = 10, route: Route | None = None) -> None:
    Messenger(new_client(TOKEN, f"{url}/api/", seconds, route)).answer(f"{url}/answer", "words")


both_calls = pytest.mark.parametrize("call", [post, answer])


@both_calls
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(call: Call, status: int) -> None:
    with recording(ok(b'{"ok": true, "ts": "1.2"}')) as (elsewhere, requests):
        there = f"HTTP/1.1 {status} Go\r\nLocation: {elsewhere}/api/\r\nContent-Length: 0\r\n\r\n"
        with answering(there.encode()) as url, pytest.raises(SlackError):
            call(url)
    assert requests == []


@both_calls
def test_web_api_calls_ignore_proxies_of_the_environment(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(ok(b'{"ok": true, "ts": "1.2"}')) as (slack, requests), recording(ok(b"{}")) as (proxy, proxied):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        call(slack)
    assert (len(requests), proxied) == (1, [])


@both_calls
@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_that_never_ends_is_cut_off_after_the_timeout(call: Call, part: str) -> None:
    started = time.monotonic()
    with dripping(ENDLESS_ANSWERS[part]) as url, pytest.raises(Unavailable) as raised:
        call(url, 1)
    assert raised.value.problem == "can't be reached"
    assert time.monotonic() - started < 10


@both_calls
def test_an_oversized_answer_is_an_error(call: Call) -> None:
    body = b'{"ok": true, "ts": "1.2", "more": "' + b"0" * 5_000_000 + b'"}'
    with answering(ok(body)) as url, pytest.raises(Unavailable) as raised:
        call(url)
    assert raised.value.problem == "can't be reached"


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_header_names_are_found_in_any_case(name: str) -> None:
    refusal = f"HTTP/1.1 429 X\r\n{name}: 7\r\nContent-Type: text/html; charset=odd\r\nContent-Length: 2\r\n\r\n{{}}"
    with answering(refusal.encode()) as url, pytest.raises(SlackApiError) as refused:
        new_client(TOKEN, f"{url}/api/").auth_test()
    assert refused.value.response.headers["retry-after"] == "7"


def test_after_a_rate_limit_no_call_of_the_method_is_made_until_slack_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = time.monotonic()
    body = b'{"ok": false, "error": "ratelimited"}'
    refusal = b"HTTP/1.1 429 X\r\nRetry-After: 30\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with recording(refusal) as (url, requests):
        client = new_client(TOKEN, f"{url}/api/")
        for seconds, sent in ((0, 1), (29, 1), (31, 2)):
            monkeypatch.setattr("bot.slack.client.monotonic", lambda seconds=seconds: started + seconds)
            with pytest.raises(RateLimited) as raised, translating_errors():
                client.users_info(user="U1")
            assert raised.value.retry_after_seconds in (30, 1)
            assert len(requests) == sent
        with pytest.raises(RateLimited), translating_errors():
            client.usergroups_users_list(usergroup="S1")
        assert len(requests) == 3, "another method is called"


def test_each_call_opens_its_own_connection() -> None:
    with recording(ok(b'{"ok": true}')) as (url, requests):
        client = new_client(TOKEN, f"{url}/api/")
        client.auth_test()
        client.auth_test()
    assert len(requests) == 2
    assert all(b"\r\nConnection: close\r\n" in request for request in requests)


def test_a_lookup_whose_connection_ends_without_an_answer_is_repeated_once() -> None:
    with recording(b"") as (url, received), pytest.raises(requests.ConnectionError):
        new_client(TOKEN, f"{url}/api/").users_info(user="U1")
    assert len(received) == 2


@both_calls
def test_a_post_whose_connection_ends_without_an_answer_is_not_repeated(call: Call) -> None:
    with recording(b"") as (url, requests), pytest.raises(Unavailable):
        call(url)
    assert len(requests) == 1


@both_calls
def test_a_call_goes_through_the_proxy_over_tls_to_slack(call: Call) -> None:
    with proxying() as proxy, serving(chain_context(), ROOT, ok(b'{"ok": true, "ts": "1.2"}')) as slack:
        call(slack.url, route=Route(tls_context(str(ROOT)), proxy_at(proxy.port)))
        assert proxy.asked == [slack.url.removeprefix("https://")]
        assert b"xoxb-1" in slack.received[0] or b"/answer" in slack.received[0]


@both_calls
def test_a_refusal_of_the_proxy_is_named_with_its_fix(call: Call) -> None:
    with proxying() as proxy, recording(b"") as (slack, received):
        proxy.credentials = "bot:secret"
        with pytest.raises(Unavailable) as refused:
            call(slack, route=Route(proxy=proxy_at(proxy.port, "bot", "wrong")))
    assert refused.value.problem == (
        f"can't be reached, because the proxy 127.0.0.1:{proxy.port} rejects the bot's username and password, HTTP 407"
    )
    assert refused.value.fix_for(slack) == (
        "correct the username in proxy under [network] in bot.toml, and NETWORK_PROXY_PASSWORD"
    )
    assert (received, len(proxy.asked)) == ([], 1)


@both_calls
@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_behind_the_proxy_that_never_ends_is_cut_off(call: Call, part: str) -> None:
    started = time.monotonic()
    with proxying() as proxy, dripping(ENDLESS_ANSWERS[part]) as url, pytest.raises(Unavailable):
        call(url, 1, Route(proxy=proxy_at(proxy.port)))
    assert time.monotonic() - started < 10


@both_calls
def test_an_untrusted_certificate_is_named_with_its_fix(call: Call) -> None:
    with serving(chain_context(), ROOT) as slack, pytest.raises(Unavailable) as refused:
        call(slack.url)
    assert refused.value.problem == "can't be reached, because the bot doesn't trust its TLS certificate"
    assert refused.value.fix_for(slack.url) == "set SSL_CERT_FILE to the CA certificate that signed it"
    assert slack.received == []


def open_view(url: str) -> None:
    Messenger(new_client(TOKEN, f"{url}/api/")).open_view("1", loading("words"))


def look_up(url: str) -> None:
    Users(new_client(TOKEN, f"{url}/api/"), "T1", lambda: 0.0).look_up("U1", [])


@pytest.mark.parametrize("body", [b"[1]", b"7", b'"words"', b"true", b"[" * 100_000, b"{}", b'{"ok": true}'])
@pytest.mark.parametrize("make_call", [post, open_view, look_up])
def test_an_answer_that_is_no_object_or_lacks_a_field_is_a_slack_error(body: bytes, make_call: Call) -> None:
    with answering(ok(body)) as url:
        with pytest.raises(SlackError):
            make_call(url)
        assert Messenger(new_client(TOKEN, f"{url}/api/")).permalink("C1", "1.2") is None
