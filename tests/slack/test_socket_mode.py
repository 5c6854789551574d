"""Socket Mode over real sockets that stall, break off, flood or keep silent. No payload is lost that had arrived."""

from __future__ import annotations

import itertools
import logging
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import Ack, App
from slack_bolt.authorization import AuthorizeResult
from websockets.frames import Opcode

from bot.net.proxy import Proxy
from bot.net.session import Route
from bot.net.tls import tls_context
from bot.redaction import Secret
from bot.slack import socket_mode, websocket
from bot.slack.errors import Denied, SlackError, Unavailable
from bot.slack.socket_mode import WORKERS, SocketTransport
from bot.slack.transport import new_app, new_client
from bot.slack.websocket import MAX_MESSAGE_BYTES
from tests.support.proxy import proxy_at, proxying
from tests.support.slack_socket import HELLO, Peer, RawSlack, command, frame, greet_and_serve, raw_slack
from tests.support.tls import trusted_by
from tests.support.wire import answer_of, answering, ok, recording

REFRESH = {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "applink-1"}}


@pytest.fixture
def slack() -> Iterator[RawSlack]:
    with raw_slack() as running:
        yield running


def app_with(listener: Callable[[Ack, dict[str, Any]], None], slack: RawSlack) -> App:
    authorization = AuthorizeResult(
        enterprise_id=None, team_id="T0TEST0001", bot_token="xoxb-1", bot_id="B1", bot_user_id="U1"
    )
    app = new_app(Secret("xoxb-1"), slack.api_url, None, authorization)
    app.command(re.compile(".*"))(listener)
    return app


def acknowledge(ack: Ack, body: dict[str, Any]) -> None:
    ack(f"seen {body['text']}")


def transport(
    slack: RawSlack,
    listener: Callable[[Ack, dict[str, Any]], None] = acknowledge,
    ping_seconds: float = 10.0,
    ca: Path | None = None,
    proxy: Proxy | None = None,
) -> SocketTransport:
    client = new_client(Secret("xapp-1"), slack.api_url)
    route = Route(tls_context(str(ca) if ca else None), proxy)
    return SocketTransport(app_with(listener, slack), client, route, ping_seconds)


@contextmanager
def started(slack: RawSlack, *arguments: Any, **settings: Any) -> Iterator[SocketTransport]:
    socket = transport(slack, *arguments, **settings)
    socket.start(threading.Event())
    try:
        yield socket
    finally:
        socket.stop()


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def wait_for_acks(slack: RawSlack, *ids: int) -> None:
    wait_until(lambda: set(map(str, ids)) <= set(slack.acks()), f"acknowledgements of {ids}")


def greet_and_keep_silent(peer: Peer) -> None:
    """Sends hello and no pongs."""
    peer.send(HELLO)
    peer.has_ended.wait(30)


def test_a_socket_is_connected_when_slack_has_said_hello(slack: RawSlack) -> None:
    with started(slack) as socket:
        assert socket.is_connected
        assert socket.problem is None
        slack.peers[0].send(command(1, "hello"))
        wait_for_acks(slack, 1)
    assert not socket.is_connected


@pytest.mark.parametrize(
    ("sent", "code"),
    [([], "TimeoutError"), ([command(1)], "no hello"), ([[]], "no JSON"), ([HELLO["type"]], "no JSON")],
)
def test_a_socket_without_hello_is_not_connected(
    slack: RawSlack, sent: list[object], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "OPEN_SECONDS", 0.5)

    def no_hello(peer: Peer) -> None:
        peer.send(*sent)
        peer.serve()

    slack.scripts = [no_hello]
    with pytest.raises(Unavailable) as raised:
        transport(slack).start(threading.Event())
    assert raised.value.code == code
    assert slack.peers[0].has_ended.wait(10)


def test_a_frame_that_stalls_for_6_seconds_is_handled_and_so_are_those_after_it(slack: RawSlack) -> None:
    def stall(peer: Peer) -> None:
        peer.send(HELLO)
        late = frame(command(1))
        peer.send_bytes(late[:40])
        time.sleep(6)
        peer.send_bytes(late[40:] + frame(command(2)) + frame(command(3)))
        peer.serve()

    slack.scripts = [stall]
    with started(slack) as socket:
        wait_for_acks(slack, 1, 2, 3)
        assert socket.is_connected
    assert len(slack.peers) == 1


@pytest.mark.parametrize("has_tls", [False, True])
def test_1000_frames_in_a_burst_are_all_acknowledged_in_order_with_few_threads(has_tls: bool, tmp_path: Path) -> None:
    began: list[int] = []
    threads: set[str] = set()

    def note(ack: Ack, body: dict[str, Any]) -> None:
        began.append(int(body["text"]))
        threads.add(threading.current_thread().name)
        ack()

    context, ca = trusted_by(tmp_path)
    with raw_slack(context if has_tls else None) as slack, started(slack, note, ca=ca):
        slack.peers[0].send(*(command(number, str(number)) for number in range(1000)))
        wait_for_acks(slack, *range(1000))
    assert sorted(began) == list(range(1000))
    # Each worker handles one payload at a time, so payloads begin nearly in the order of their arrival.
    assert all(place - number <= WORKERS * 10 for place, number in enumerate(began))
    assert len(threads) <= WORKERS


def test_a_silent_socket_is_closed_and_replaced(slack: RawSlack) -> None:
    slack.scripts = [greet_and_keep_silent]
    with started(slack, ping_seconds=0.3) as socket:
        before = time.monotonic()
        wait_until(lambda: not socket.is_connected, "a silent socket still counts as connected")
        assert time.monotonic() - before < 5, "three times the interval of pings"
        wait_until(lambda: socket.is_connected, "a new socket")
        slack.peers[1].send(command(1))
        wait_for_acks(slack, 1)


def test_a_silent_socket_is_closed_within_45_seconds() -> None:
    assert 3 * websocket.PING_SECONDS + websocket.CLOSE_SECONDS < 45


def test_a_socket_that_answers_pings_stays_open(slack: RawSlack) -> None:
    with started(slack, ping_seconds=0.1) as socket:
        assert not slack.peers[0].has_ended.wait(2)
        assert socket.is_connected
    assert len(slack.opened_at) == 1


def flood_and_read_nothing(peer: Peer) -> None:
    """Sends payloads whose acknowledgements fill the buffers of the connection."""
    peer.send(HELLO)
    for number in itertools.count():
        peer.send(command(number, "x" * 5000))


def test_a_peer_that_sends_but_reads_nothing_is_replaced(slack: RawSlack) -> None:
    slack.scripts = [flood_and_read_nothing]
    with started(slack, ping_seconds=0.3) as socket:
        wait_until(lambda: len(slack.peers) > 1, "a new socket")
        wait_until(lambda: socket.is_connected, "a new socket")


@pytest.mark.parametrize("end", [Peer.reset, Peer.end])
@pytest.mark.parametrize("sent", [0, 40])
def test_a_socket_that_breaks_off_is_replaced(slack: RawSlack, end: Callable[[Peer], None], sent: int) -> None:
    def break_off(peer: Peer) -> None:
        peer.send(HELLO)
        peer.send_bytes(frame(command(1))[:sent])
        connected.wait(10)
        end(peer)

    connected = threading.Event()
    slack.scripts = [break_off]
    with started(slack) as socket:
        connected.set()
        wait_until(lambda: len(slack.peers) > 1 and socket.is_connected, "a new socket")
        slack.peers[1].send(command(2))
        wait_for_acks(slack, 2)
    assert slack.acks() == ["2"]


def header(opcode: Opcode, length: int, *, is_last: bool = True) -> bytes:
    """The beginning of a frame that claims this length."""
    return struct.pack("!BBQ", opcode | (0x80 if is_last else 0), 127, length)


# Frames without end, and what ends them.
ENDLESS = {
    "a frame that is too large": header(Opcode.TEXT, MAX_MESSAGE_BYTES + 1),
    "a message in frames that together are too large": b"".join(
        header(opcode, 200_000, is_last=False) + b" " * 200_000 for opcode in [Opcode.TEXT] + [Opcode.CONT] * 6
    ),
    "a frame that trickles": header(Opcode.TEXT, MAX_MESSAGE_BYTES),
    "no WebSocket": b"HTTP/1.1 200 OK\r\n\r\n",
    "text that is not UTF-8": b"\x81\x02\xff\xfe",
    "no JSON": b"\x81\x02{{",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_broken_frame_ends_its_socket_and_the_next_one_works(slack: RawSlack, what: str) -> None:
    def trickle(peer: Peer) -> None:
        peer.send(HELLO)
        peer.send_bytes(ENDLESS[what])
        while not peer.has_ended.wait(0.02):
            peer.send_bytes(b" ")

    slack.scripts = [trickle]
    with started(slack, ping_seconds=0.3) as socket:
        wait_until(lambda: len(slack.peers) > 1 and socket.is_connected, "a new socket")
        slack.peers[1].send(command(1))
        wait_for_acks(slack, 1)


def test_a_message_without_a_payload_is_ignored(slack: RawSlack) -> None:
    with started(slack) as socket:
        slack.peers[0].send({"type": "news"}, {"envelope_id": "1", "type": "slash_commands", "payload": 7}, command(2))
        wait_for_acks(slack, 2)
        assert socket.is_connected


def test_the_next_socket_is_opened_before_the_old_one_is_closed(
    slack: RawSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "RETIRE_SECONDS", 0.5)
    with started(slack) as socket:
        old = slack.peers[0]
        old.send(REFRESH, REFRESH | {"reason": "warning"})
        wait_until(lambda: len(slack.peers) == 2, "a second socket")
        assert not old.has_ended.is_set()
        assert socket.is_connected
        # Slack may still send payloads on the old socket, and acknowledgements go back on it.
        old.send(command(1))
        wait_until(lambda: old.acks == ["1"], "an acknowledgement on the old socket")
        assert old.has_ended.wait(10), "the old socket is closed some time later"
        assert socket.is_connected
        slack.peers[1].send(command(2))
        wait_for_acks(slack, 2)
    assert len(slack.opened_at) == 2


def test_the_old_socket_is_read_while_the_next_one_cannot_be_opened(
    slack: RawSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "RETIRE_SECONDS", 0.1)
    slack.answers = [answer_of(200, b'{"ok": true, "url": "%s"}' % slack.address.encode()), *[answer_of(500)] * 2]
    with started(slack) as socket:
        old = slack.peers[0]
        old.send(REFRESH)
        wait_until(lambda: len(slack.opened_at) == 3, "two failures")
        old.send(command(1))
        wait_for_acks(slack, 1)
        assert socket.is_connected
        wait_until(lambda: len(slack.peers) == 2, "a second socket")


def test_an_acknowledgement_goes_to_the_next_socket_if_its_own_has_ended(slack: RawSlack) -> None:
    replaced = threading.Event()

    def wait_and_acknowledge(ack: Ack, body: dict[str, Any]) -> None:
        assert replaced.wait(20)
        ack()

    with started(slack, wait_and_acknowledge) as socket:
        slack.peers[0].send(command(1), REFRESH)
        wait_until(lambda: len(slack.peers) == 2, "a second socket")
        slack.peers[0].end()
        wait_until(lambda: socket.is_connected and slack.peers[0].has_ended.is_set(), "the end of the old socket")
        replaced.set()
        wait_until(lambda: slack.peers[1].acks == ["1"], "the acknowledgement")


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        (
            "link_disabled",
            "Slack has Socket Mode turned off for this app (link_disabled). Turn it on under Socket Mode",
        ),
        ("too_many_websockets", "Slack already has ten Socket Mode connections of this app (too_many_websockets)."),
    ],
)
@pytest.mark.parametrize("is_greeted", [True, False])
def test_a_lasting_reason_is_named_once_and_retried_seldom(
    slack: RawSlack,
    reason: str,
    problem: str,
    is_greeted: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(socket_mode, "LASTING_SECONDS", 0.7)

    def disable(peer: Peer) -> None:
        peer.send(*([HELLO] if is_greeted else []), {"type": "disconnect", "reason": reason})
        peer.serve()

    slack.scripts = [greet_and_serve, disable, disable]
    with started(slack) as socket:
        slack.peers[0].send({"type": "disconnect", "reason": reason})
        wait_until(lambda: f"Slack is not connected. {problem}" in str(socket.problem), "the problem")
        wait_until(lambda: len(slack.peers) == 4 and socket.is_connected, "a socket that stays")
    waits = [after - before for before, after in itertools.pairwise(slack.opened_at)]
    assert min(waits) > 0.6
    named = [record for record in caplog.records if problem in record.getMessage()]
    assert [record.levelno for record in named] == [logging.ERROR]


def test_a_lasting_reason_at_the_start_is_raised(slack: RawSlack) -> None:
    slack.scripts = [lambda peer: peer.send({"type": "disconnect", "reason": "link_disabled"})]
    with pytest.raises(Denied, match="link_disabled"):
        transport(slack).start(threading.Event())


def test_the_waits_before_new_sockets_grow(slack: RawSlack) -> None:
    slack.scripts = [lambda peer: peer.send(HELLO)] * 4
    with started(slack):
        wait_until(lambda: len(slack.peers) == 5, "a socket that stays")
    waits = [after - before for before, after in itertools.pairwise(slack.opened_at)]
    assert waits[0] < 1
    assert 1 <= waits[1] < 2 <= waits[2] < 4 <= waits[3]


def test_the_waits_start_again_after_a_socket_was_open_for_long(
    slack: RawSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "STABLE_SECONDS", 1.5)
    slack.scripts = [lambda peer: peer.send(HELLO)] * 3
    with started(slack) as socket:
        wait_until(lambda: len(slack.peers) == 4 and socket.is_connected, "a socket that stays")
        assert not slack.peers[3].has_ended.wait(1.6)
        slack.peers[3].send(REFRESH)
        wait_until(lambda: len(slack.peers) == 5, "a socket at once", seconds=2)


def test_a_failed_attempt_is_named_once_and_followed_by_others(
    slack: RawSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.answers = [answer_of(200, b'{"ok": true, "url": "%s"}' % slack.address.encode()), *[answer_of(503)] * 2]
    with started(slack) as socket:
        slack.peers[0].end()
        wait_until(lambda: len(slack.peers) == 2 and socket.is_connected, "a new socket")
    named = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert named == ["Slack is not connected. Slack can't answer right now (HTTP 503). Try again later."]


NOT_FROM_SLACK = {
    "a list": b'["maintenance"]',
    "a text": b'"x"',
    "a number": b"1",
    "nested": b"[" * 100_000,
    "a long number": b'{"ok": ' + b"9" * 5_000 + b"}",
    "no port": b'{"ok": true, "url": "wss://127.0.0.1:99999/"}',
}


@pytest.mark.parametrize("answer", NOT_FROM_SLACK.values(), ids=list(NOT_FROM_SLACK))
def test_an_answer_that_is_not_slacks_is_an_error_and_another_socket_is_opened(slack: RawSlack, answer: bytes) -> None:
    slack.answers = [answer_of(200, answer)]
    with pytest.raises(Unavailable):
        transport(slack).start(threading.Event())
    slack.answers = [answer_of(200, b'{"ok": true, "url": "%s"}' % slack.address.encode()), answer_of(200, answer)]
    with started(slack) as socket:
        slack.peers[0].end()
        wait_until(lambda: len(slack.peers) == 2 and socket.is_connected, "a new socket")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("invalid_auth", "doesn't accept SLACK_APP_TOKEN"),
        ("missing_scope", "doesn't accept SLACK_APP_TOKEN"),
        ("too_many_websockets", "already has ten Socket Mode connections of this app"),
    ],
)
def test_a_refusal_at_the_start_is_named(slack: RawSlack, code: str, problem: str) -> None:
    slack.refuse(code)
    with pytest.raises(Denied) as raised:
        transport(slack).start(threading.Event())
    assert (raised.value.code, raised.value.problem) == (code, problem)


def test_it_connects_after_the_wait_that_slack_asks_for(slack: RawSlack) -> None:
    slack.answers = [answer_of(429, b'{"ok": false, "error": "ratelimited"}', Retry_After="0")]
    with started(slack) as socket:
        assert socket.is_connected
    assert len(slack.opened_at) == 2
    assert slack.opened_at[1] - slack.opened_at[0] >= 1, "0 is no reason to ask without a pause"


def test_a_new_socket_waits_as_long_as_slack_asks_for(slack: RawSlack) -> None:
    refused = answer_of(429, b'{"ok": false, "error": "ratelimited"}', Retry_After="2")
    slack.answers = [answer_of(200, b'{"ok": true, "url": "%s"}' % slack.address.encode()), refused]
    with started(slack) as socket:
        slack.peers[0].end()
        wait_until(lambda: len(slack.peers) == 2 and socket.is_connected, "a new socket")
    assert slack.opened_at[2] - slack.opened_at[1] >= 2


def test_a_shutdown_ends_the_wait_that_slack_asks_for(slack: RawSlack) -> None:
    slack.answers = [answer_of(429, b'{"ok": false, "error": "ratelimited"}', Retry_After="600")]
    socket, shutdown = transport(slack), threading.Event()
    starting = threading.Thread(target=socket.start, args=(shutdown,), daemon=True)
    starting.start()
    shutdown.set()
    starting.join(10)
    assert not starting.is_alive()
    socket.stop()
    assert not socket.is_connected


@pytest.mark.parametrize("script", [greet_and_serve, greet_and_keep_silent, flood_and_read_nothing])
def test_it_stops_within_a_second(slack: RawSlack, script: Callable[[Peer], None]) -> None:
    slack.scripts = [script]
    socket = transport(slack)
    socket.start(threading.Event())
    before = time.monotonic()
    socket.stop()
    assert time.monotonic() - before < 1.5


def test_no_socket_is_opened_after_a_stop(slack: RawSlack) -> None:
    socket = transport(slack)
    socket.start(threading.Event())
    slack.answers = [answer_of(503)] * 100
    slack.peers[0].end()
    wait_until(lambda: len(slack.opened_at) == 2, "a failure")
    socket.stop()
    assert not any(thread.name == "socket" and wait_for_end(thread) for thread in threading.enumerate())
    assert not socket.is_connected


def wait_for_end(thread: threading.Thread) -> bool:
    thread.join(10)
    return thread.is_alive()


def test_a_payload_in_work_is_acknowledged_before_the_socket_closes(slack: RawSlack) -> None:
    began, may_end = threading.Event(), threading.Event()

    def work(ack: Ack, body: dict[str, Any]) -> None:
        began.set()
        assert may_end.wait(20)
        ack()

    socket = transport(slack, work)
    socket.start(threading.Event())
    slack.peers[0].send(command(1))
    assert began.wait(20)
    threading.Timer(0.2, may_end.set).start()
    socket.stop()
    wait_for_acks(slack, 1)


def test_tls_is_spoken_and_verified_on_any_port(tmp_path: Path) -> None:
    context, ca = trusted_by(tmp_path)
    with raw_slack(context) as slack:
        with started(slack, ca=ca):
            slack.peers[0].send(command(1))
            wait_for_acks(slack, 1)
        with pytest.raises(Unavailable) as raised:
            transport(slack).start(threading.Event())
        assert raised.value.code == "SSLCertVerificationError"
        assert len(slack.peers) == 1


def test_tls_goes_through_a_proxy_and_is_verified_end_to_end(tmp_path: Path) -> None:
    context, ca = trusted_by(tmp_path)
    with raw_slack(context) as slack, proxying() as proxy:
        with started(slack, ca=ca, proxy=proxy_at(proxy.port)) as socket:
            slack.peers[0].send(command(1), REFRESH)
            wait_for_acks(slack, 1)
            wait_until(lambda: len(slack.peers) == 2 and socket.is_connected, "a second socket")
        assert proxy.asked == [f"127.0.0.1:{slack.port}"] * 2
        with pytest.raises(Unavailable) as raised:
            transport(slack, proxy=proxy_at(proxy.port)).start(threading.Event())
        assert raised.value.code == "SSLCertVerificationError"


def test_a_refusal_of_the_proxy_is_named(slack: RawSlack) -> None:
    with proxying() as proxy:
        proxy.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        with pytest.raises(Unavailable) as raised:
            transport(slack, proxy=proxy_at(proxy.port)).start(threading.Event())
    refusal = f"the proxy 127.0.0.1:{proxy.port} doesn't allow connections to 127.0.0.1:{slack.port}, "
    assert raised.value.problem.startswith(f"can't be reached, because {refusal}")
    assert slack.peers == []


@pytest.mark.parametrize(
    "address",
    ["ws://198.51.100.7/link", "http://127.0.0.1/link", "ws://127.0.0.1.example/link", "wss://[::1", "", "/link"],
)
def test_an_address_without_tls_outside_this_machine_is_refused(slack: RawSlack, address: str) -> None:
    slack.address = address
    with pytest.raises(Unavailable) as raised:
        transport(slack).start(threading.Event())
    assert (raised.value.code, raised.value.problem) == ("no wss address", "sent an answer that isn't from its API")


def test_a_redirect_is_not_followed(slack: RawSlack) -> None:
    redirect = f"HTTP/1.1 302 Go\r\nLocation: ws://127.0.0.1:{slack.port}/link\r\nContent-Length: 0\r\n\r\n"
    with answering(redirect.encode()) as url:
        slack.address = url.replace("http", "ws")
        with pytest.raises(SlackError):
            transport(slack).start(threading.Event())
    assert slack.peers == []


def test_proxies_of_the_environment_are_ignored(slack: RawSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(ok(b"{}")) as (proxy, proxied):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WSS_PROXY", "WS_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        with started(slack) as socket:
            assert socket.is_connected
    assert proxied == []


def test_no_payload_is_logged_at_any_level(slack: RawSlack, caplog: pytest.LogCaptureFixture) -> None:
    def fail(ack: Ack, body: dict[str, Any]) -> None:
        if body["text"] == "fail":
            raise ValueError(body["response_url"])
        ack()

    caplog.set_level(logging.DEBUG)
    with started(slack, fail) as socket:
        slack.peers[0].send(command(1), command(2, "fail"), {"type": "marked payload"}, {"payload": "marked payload"})
        wait_for_acks(slack, 1)
        slack.peers[0].send_bytes(frame("marked payload"))
        wait_until(lambda: len(slack.peers) == 2 and socket.is_connected, "a new socket")
    for mark in ("hooks.slack.com/commands/list", "T0TEST0001", "UALICE00", "marked payload", "xapp-1"):
        assert mark not in caplog.text
