"""Connections through an HTTP proxy: deadlines, idle and lost connections and certificates, as without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import requests

from bot.huawei.errors import NotSent, Service, Unanswered
from bot.huawei.http import Call, Timeouts, send
from bot.net.proxy import Proxy, ProxyError
from bot.net.session import Route, ended_without_answer, find_cause, new_session
from bot.net.tls import tls_context
from tests.net.test_session import serving
from tests.support.proxy import ConnectProxy, proxy_at, proxying
from tests.support.relay import Forgetting, relaying
from tests.support.tls import ROOT, chain_context, serving_tls, trusted_by
from tests.support.tls import serving as serving_with
from tests.support.wire import ENDLESS_ANSWERS, dripping, recording

EMPTY_200 = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHECK = "Check proxy under [network] in bot.toml, and that the proxy is running."


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with proxying() as running:
        yield running


def session_through(proxy: Proxy, ca: Path | None = None) -> requests.Session:
    return new_session(Route(tls_context(str(ca) if ca else None), proxy))


def put(url: str, proxy: Proxy, ca: Path | None = None, timeouts: Timeouts | None = None) -> int:
    call = Call(Service.OMS, "PUT", url, b"the keys")
    return send(session_through(proxy, ca), call, None, timeouts or Timeouts(5, 5)).status


def test_https_and_http_go_through_a_tunnel(proxy: ConnectProxy) -> None:
    with serving_with(chain_context(), ROOT, EMPTY_200) as served, recording(EMPTY_200) as (url, received):
        assert put(f"{served.url}/v2", proxy_at(proxy.port), ROOT) == 200
        assert put(f"{url}/v2", proxy_at(proxy.port)) == 200
    assert proxy.asked == [served.url.removeprefix("https://"), url.removeprefix("http://")]
    assert [request.split(b"\r\n")[0] for request in (*served.received, *received)] == [b"PUT /v2 HTTP/1.1"] * 2
    assert b"Proxy-Authorization" not in b"".join((*served.received, *received))


def test_a_proxy_that_reads_along_with_a_certificate_of_its_own_is_refused(proxy: ConnectProxy, tmp_path: Path) -> None:
    with serving_tls(tmp_path, EMPTY_200) as eavesdropper:
        proxy.leads_to = int(eavesdropper.url.rpartition(":")[2])
        with pytest.raises(NotSent, match="the TLS certificate is not trusted") as refused:
            put("https://127.0.0.1:9/v2", proxy_at(proxy.port), ROOT)
        assert eavesdropper.received == []
    assert refused.value.next_step == "Set ca under [network] in bot.toml to the CA certificate that signed it."


def test_the_certificate_must_name_the_server_and_not_the_proxy(proxy: ConnectProxy) -> None:
    with serving_with(chain_context(), ROOT, EMPTY_200) as served:
        proxy.leads_to = int(served.url.rpartition(":")[2])
        with pytest.raises(NotSent, match="the TLS certificate is not trusted"):
            put("https://127.0.0.2:9/v2", proxy_at(proxy.port), ROOT)
        assert served.received == []


def test_a_tunnel_that_was_idle_for_too_long_is_not_reused(proxy: ConnectProxy) -> None:
    # These are the real times: a firewall that forgets after 5 s, and the limit of 3 s.
    with (
        serving() as port,
        relaying(proxy.port, Forgetting.SILENT, idle_seconds=5) as silent,
        relaying(proxy.port, Forgetting.RESET, idle_seconds=5) as resetting,
    ):
        routes = [(relay, session_through(proxy_at(relay.port))) for relay in (silent, resetting)]
        url = f"http://127.0.0.1:{port}"
        for _, session in routes:
            assert session.put(url, timeout=2).ok
        for relay, _ in routes:
            relay.wait_until_forgotten()
        for relay, session in routes:
            assert session.put(url, timeout=2).ok
            assert session.put(url, timeout=2).ok
            assert relay.connections == 2, "a connection that was used just now is reused"


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_after_a_lost_tunnel_only_a_read_is_repeated(proxy: ConnectProxy, method: str) -> None:
    with serving() as port, relaying(proxy.port, Forgetting.RESET) as relay:
        session, url = session_through(proxy_at(relay.port)), f"http://127.0.0.1:{port}"
        assert session.get(url, timeout=5).ok
        relay.forget()
        if method == "GET":
            assert session.get(url, timeout=5).ok
        else:
            with pytest.raises(requests.ConnectionError):
                session.put(url, data=b"keys", timeout=5)
        assert relay.connections == (2 if method == "GET" else 1)


@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
def test_an_answer_that_never_ends_is_given_up(proxy: ConnectProxy, part: str, is_tls: bool, tmp_path: Path) -> None:
    context, ca = trusted_by(tmp_path) if is_tls else (None, None)
    began = time.monotonic()
    with (
        dripping(ENDLESS_ANSWERS[part], context=context) as url,
        pytest.raises(Unanswered, match="no answer in time"),
    ):
        put(url, proxy_at(proxy.port), ca, Timeouts(20, 0.3))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("status", "problem", "next_step"),
    [
        (
            403,
            "the proxy {proxy} doesn't allow connections to {server}, HTTP 403",
            "Ask the proxy's administrator to allow them.",
        ),
        (
            407,
            "the proxy {proxy} requires a username and password, HTTP 407",
            "Add the username to proxy under [network] in bot.toml, and set NETWORK_PROXY_PASSWORD.",
        ),
        (502, "the proxy {proxy} can't connect to {server}, HTTP 502", "Check that the proxy can reach {server}."),
    ],
)
def test_a_refused_connect_means_that_nothing_was_sent(
    proxy: ConnectProxy, status: int, problem: str, next_step: str
) -> None:
    proxy.answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    with recording(EMPTY_200) as (url, received), pytest.raises(NotSent) as not_sent:
        put(url, proxy_at(proxy.port))
    names = {"proxy": f"127.0.0.1:{proxy.port}", "server": url.removeprefix("http://")}
    assert str(not_sent.value) == problem.format(**names)
    assert not_sent.value.next_step == next_step.format(**names)
    assert (len(proxy.asked), received) == (1, [])


def test_a_proxy_gets_the_user_and_password_and_nobody_else_does(proxy: ConnectProxy) -> None:
    proxy.credentials = "bot:pä:ss word"
    with recording(EMPTY_200) as (url, received):
        assert put(url, proxy_at(proxy.port, "bot", "pä:ss word")) == 200
        with pytest.raises(NotSent) as rejected:
            put(url, proxy_at(proxy.port, "bot", "wr0ng-password"))
    address = f"127.0.0.1:{proxy.port}"
    assert str(rejected.value) == f"the proxy {address} rejects the bot's username and password, HTTP 407"
    assert (
        rejected.value.next_step
        == "Correct the username in proxy under [network] in bot.toml, and NETWORK_PROXY_PASSWORD."
    )
    assert "wr0ng-password" not in repr((rejected.value, proxy_at(1, "bot", "wr0ng-password")))
    assert len(received) == 1


def test_an_unreachable_proxy_is_named() -> None:
    with pytest.raises(NotSent) as not_sent:
        put("https://oms.example", proxy_at(9))
    assert str(not_sent.value) == "the proxy 127.0.0.1:9 can't be reached: connection refused"
    assert not_sent.value.next_step == CHECK


@contextmanager
def dripping_proxy() -> Iterator[int]:
    """Runs a proxy whose answer to CONNECT never ends. Yields its port."""
    with dripping(b"HTTP/1.1 200 OK\r\nX-Drops: ") as url:
        yield int(url.rpartition(":")[2])


@contextmanager
def silent_proxy() -> Iterator[int]:
    """Runs a proxy that does not answer. Yields its port."""
    with proxying() as proxy:
        proxy.answer = b""
        yield proxy.port


@pytest.mark.parametrize("running", [silent_proxy, dripping_proxy])
def test_a_proxy_that_does_not_answer_is_given_up(running: Callable[[], AbstractContextManager[int]]) -> None:
    began = time.monotonic()
    with running() as port, pytest.raises(NotSent) as not_sent:
        put("https://oms.example", proxy_at(port), timeouts=Timeouts(0.3, 20))
    assert str(not_sent.value) == f"the proxy 127.0.0.1:{port} doesn't answer"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "isn't an HTTP proxy"),
        (b"", "closed the connection instead of connecting to oms.example:443"),
    ],
)
def test_a_server_that_is_no_proxy_is_named(answer: bytes, problem: str) -> None:
    with recording(answer) as (url, _), pytest.raises(NotSent) as not_sent:
        put("https://oms.example", proxy_at(int(url.rpartition(":")[2])))
    assert str(not_sent.value) == f"the proxy {url.removeprefix('http://')} {problem}"


def test_a_refusal_of_the_proxy_is_not_repeated(proxy: ConnectProxy) -> None:
    proxy.answer = b"HTTP/1.1 503 No\r\n\r\n"
    session = new_session(Route(proxy=proxy_at(proxy.port)), is_repeated=ended_without_answer)
    with pytest.raises(requests.ConnectionError) as failed:
        session.get("https://vault.example", timeout=5)
    assert find_cause(failed.value, ProxyError) is not None
    assert len(proxy.asked) == 1
