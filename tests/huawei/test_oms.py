"""Calls to OMS over real sockets: what they return, and which error says whether a call took effect."""

from __future__ import annotations

import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import quote

import pytest

from bot.domain.task_group import GroupStatus, TaskGroup
from bot.huawei import errors
from bot.huawei.errors import NotSent, Rejected, Throttled, Unanswered, Unreadable
from bot.huawei.http import Timeouts
from bot.huawei.oms import Oms
from bot.huawei.required_keys import DST_AK, DST_SK, SRC_AK, SRC_SK
from bot.huawei.signing import AccessKey, AccessKeyAuth, TokenAuth
from bot.huawei.wire import start_body
from bot.net.session import new_session
from bot.redaction import Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.credentials import (
    ACCESS_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    PROJECT_ID,
    SECRET_KEY,
    SOURCE_AK,
    SOURCE_SK,
)
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Drop, Raw
from bot.sandbox.huawei.group import PAUSED, Group
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import media_state
from tests.support.relay import Forgetting, relaying
from tests.support.wire import read_request, recording

KEYS = {
    SRC_AK: Secret(SOURCE_AK),
    SRC_SK: Secret(SOURCE_SK),
    DST_AK: Secret(DESTINATION_AK),
    DST_SK: Secret(DESTINATION_SK),
}


def utc_now() -> datetime:
    return datetime.now(UTC)


def client(url: str, secret_key: str = SECRET_KEY, read_seconds: float = 5) -> Oms:
    auth = AccessKeyAuth(AccessKey(Secret(ACCESS_KEY), Secret(secret_key)), PROJECT_ID, utc_now)
    return Oms(url, PROJECT_ID, auth, new_session(), Timeouts(1, read_seconds))


@pytest.fixture
def call_log() -> CallLog:
    return CallLog()


@pytest.fixture
def oms(call_log: CallLog) -> Iterator[OmsStandIn]:
    stand_in = OmsStandIn(media_state(utc_now), call_log)
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()


@pytest.fixture
def raw() -> Iterator[Callable[[bytes], str]]:
    """Starts a server that answers one request with the given bytes and closes. Returns its URL."""
    listeners: list[socket.socket] = []

    def serve(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                read_request(connection)
                connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for listener in listeners:
        listener.close()


def test_show_returns_the_group(oms: OmsStandIn) -> None:
    group = client(oms.server.url).show(NIGHTLY_IMAGES)
    assert (group.status, group.source.cloud_type, group.source.bucket) == (GroupStatus.PAUSED, "AWS", "photos-prod")
    assert (group.progress.complete_bytes, group.progress.total_objects) == (4_000_000_000, 1000)


def test_start_is_accepted_with_an_empty_answer(oms: OmsStandIn) -> None:
    accepted = client(oms.server.url).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert accepted.huawei_request_id
    assert oms.state.groups[NIGHTLY_IMAGES].starts == 1


def add_groups(oms: OmsStandIn, number_of_groups: int) -> None:
    for number in range(number_of_groups):
        group_id = f"2b2b2b2b-0000-4000-8000-{number:012d}"
        oms.state.groups[group_id] = Group(group_id, f"group {number}", PAUSED)


def test_all_pages_of_a_list_are_read_and_each_group_is_returned_once(oms: OmsStandIn) -> None:
    add_groups(oms, 250)
    listed = [group.group_id for group in client(oms.server.url).groups() if isinstance(group, TaskGroup)]
    assert sorted(listed) == sorted(oms.state.groups)
    paused = list(client(oms.server.url).groups(GroupStatus.PAUSED))
    assert paused
    assert all(isinstance(group, TaskGroup) and group.status is GroupStatus.PAUSED for group in paused)


def page_of_groups(oms: OmsStandIn, first: int, end: int, count: int | None) -> Raw:
    groups = [oms.state.show(f"2b2b2b2b-0000-4000-8000-{number:012d}") for number in range(first, end)]
    return Raw(body=json.dumps({"taskgroups": groups} | ({} if count is None else {"count": count})).encode())


@pytest.mark.parametrize(
    ("ends", "count", "calls"),
    [
        ((100, 200, 250), 100, 3),
        ((100, 200, 250), None, 3),
        ((100, 200, 200), 200, 3),
        ((50, 150, 250, 250), 300, 4),
        ((50,), 0, 1),
    ],
)
def test_a_list_ends_with_its_pages_even_if_its_count_is_wrong(
    oms: OmsStandIn, call_log: CallLog, ends: tuple[int, ...], count: int | None, calls: int
) -> None:
    add_groups(oms, 250)
    oms.faults.add("list", *[page_of_groups(oms, first, end, count) for first, end in pairwise((0, *ends))])
    assert len(list(client(oms.server.url).groups())) == ends[-1]
    assert len(call_log.since()) == calls


def test_an_unreadable_group_does_not_hide_the_others(oms: OmsStandIn) -> None:
    shown = oms.state.show(NIGHTLY_IMAGES)
    others = [{**shown, "group_id": f"2b2b2b2b-0000-4000-8000-{n:012d}", "status": n} for n in (3, 42)]
    oms.faults.add("list", Raw(body=json.dumps({"count": 4, "taskgroups": [*others, "no group", shown]}).encode()))
    listed = list(client(oms.server.url).groups())
    assert [group.group_id for group in listed if isinstance(group, TaskGroup)] == [
        "2b2b2b2b-0000-4000-8000-000000000003",
        NIGHTLY_IMAGES,
    ]
    assert [str(error) for error in listed if isinstance(error, Unreadable)] == [
        "OMS returned a task group with the undocumented status 42",
        "OMS returned a task group that the bot can't read (the answer)",
    ]


def page(count: object, *items: object) -> Raw:
    return Raw(body=json.dumps({"count": count, "taskgroups": items}).encode())


def test_short_pages_of_a_list_are_read_until_its_count_is_reached(oms: OmsStandIn) -> None:
    shown = oms.state.show(NIGHTLY_IMAGES)
    oms.faults.add("list", page(3, "no group"), page(3, shown), page(3, "no group"))
    listed = list(client(oms.server.url).groups())
    assert [isinstance(group, TaskGroup) for group in listed] == [False, True, False]
    oms.faults.add("list", page(None, shown), page(None, "no group"))
    assert len(list(client(oms.server.url).groups())) == 1, "without a count a short page is the last"


def test_a_list_without_an_end_is_an_error(oms: OmsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = oms.state.show(NIGHTLY_IMAGES)
    oms.faults.add("list", page(9, shown), page(9, shown))
    groups = client(oms.server.url).groups()
    assert isinstance(next(groups), TaskGroup)
    with pytest.raises(Unreadable, match="so the bot stopped after 1 task groups"):
        next(groups)
    monkeypatch.setattr("bot.huawei.oms.MAX_PAGES", 2)
    oms.faults.add("list", page(9, "a"), page(9, "b"))
    groups = client(oms.server.url).groups()
    assert [isinstance(next(groups), Unreadable) for _ in range(2)] == [True, True]
    with pytest.raises(Unreadable, match="more than 2 task groups"):
        next(groups)


@pytest.mark.parametrize("body", [b'{"count": NaN, "taskgroups": []}', b"[]", b'{"taskgroups": null}'])
def test_an_invalid_list_is_unreadable(oms: OmsStandIn, body: bytes) -> None:
    oms.faults.add("list", Raw(body=body))
    with pytest.raises(Unreadable):
        list(client(oms.server.url).groups())


def test_an_answer_with_another_group_is_unreadable(oms: OmsStandIn) -> None:
    other = {**oms.state.show(NIGHTLY_IMAGES), "group_id": "2b2b2b2b-0000-4000-8000-000000000001"}
    oms.faults.add("show", Raw(body=json.dumps(other).encode()))
    with pytest.raises(Unreadable, match="different task group"):
        client(oms.server.url).show(NIGHTLY_IMAGES)


@pytest.mark.parametrize("ak", ["ends in a line\n", "two\r\nlines", "Schlüssel", "键", "tab\there", "\x00"])
def test_a_credential_that_no_header_can_hold_is_not_sent_and_not_logged(
    oms: OmsStandIn, ak: str, caplog: pytest.LogCaptureFixture
) -> None:
    for auth in (
        AccessKeyAuth(AccessKey(Secret(ak), Secret("secret")), PROJECT_ID, utc_now),
        TokenAuth(Secret(ak)),
    ):
        with pytest.raises(NotSent) as not_sent:
            Oms(oms.server.url, PROJECT_ID, auth, new_session()).start(NIGHTLY_IMAGES, b"{}")
        shown = "".join(traceback.format_exception(not_sent.value)) + caplog.text
        assert "characters that cannot be sent" in shown
        assert ak.strip() not in shown.replace("\\n", "\n") or not ak.strip("\x00")
        assert repr(ak)[1:-1] not in shown
    assert oms.state.groups[NIGHTLY_IMAGES].starts == 0


def test_a_rejection_has_the_code_the_message_and_the_request_id(oms: OmsStandIn) -> None:
    oms.state.may_change_groups = False
    with pytest.raises(Rejected) as rejected:
        client(oms.server.url).start(NIGHTLY_IMAGES, start_body(KEYS))
    answer = rejected.value.answer
    assert (answer.http_status, answer.code, answer.message) == (403, "OMS.0072", "Insufficient permission.")
    assert answer.huawei_request_id


def test_a_wrong_secret_key_is_rejected_as_a_wrong_signature(oms: OmsStandIn) -> None:
    with pytest.raises(Rejected) as rejected:
        client(oms.server.url, "wrong").show(NIGHTLY_IMAGES)
    assert rejected.value.answer.code == "APIG.0301"


def test_429_is_throttled_with_the_seconds_to_wait(oms: OmsStandIn) -> None:
    oms.faults.add("start", Answer(429, "APIG.0308", retry_after=7), Answer(429, "APIG.0308"))
    for seconds in (7, None):
        with pytest.raises(Throttled) as throttled:
            client(oms.server.url).start(NIGHTLY_IMAGES, start_body(KEYS))
        assert throttled.value.retry_after_seconds == seconds


def test_a_5xx_or_a_broken_connection_is_unanswered(oms: OmsStandIn) -> None:
    oms.faults.add("start", Answer(500, "APIG.0601"), Answer(503, "APIG.0601"), Drop(done=False), Drop(done=True))
    for _ in range(4):
        with pytest.raises(Unanswered):
            client(oms.server.url).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert oms.state.groups[NIGHTLY_IMAGES].starts == 1


def test_an_invalid_address_or_refused_connection_is_not_sent() -> None:
    for url in ("http://127.0.0.1:9", "http://no-such-host.invalid", "http://[", "gopher://x", "http://*.x"):
        with pytest.raises(NotSent):
            client(url).start(NIGHTLY_IMAGES, start_body(KEYS))


def test_no_answer_in_time_is_unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Unanswered, match="in time"):
        client(f"http://127.0.0.1:{listener.getsockname()[1]}", read_seconds=0.2).start(NIGHTLY_IMAGES, b"{}")


def test_a_redirect_is_not_followed_with_the_keys(raw: Callable[[bytes], str], oms: OmsStandIn) -> None:
    url = raw(f"HTTP/1.1 307 Go\r\nLocation: {oms.server.url}/steal\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(Rejected) as rejected:
        client(url).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert rejected.value.answer.code == "HTTP 307"
    assert oms.state.groups[NIGHTLY_IMAGES].starts == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><h1>Bad gateway</h1></html>",
        b"{",
        b"[" * 100_000,
        b"null",
        b'{"status": 3}',
        b'{"group_id": "00878453-3402-4a86-9e2a-5d5217cd35b2", "status": 42}',
        b'{"group_id": "00878453-3402-4a86-9e2a-5d5217cd35b2", "status": "3"}',
        b'{"group_id": "00878453-3402-4a86-9e2a-5d5217cd35b2", "status": true}',
        b'{"group_id": "00878453-3402-4a86-9e2a-5d5217cd35b2", "status": NaN}',
        b'{"group_id": "<!channel>", "status": 3}',
    ],
)
def test_a_success_without_a_valid_group_is_unreadable(raw: Callable[[bytes], str], body: bytes) -> None:
    url = raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    with pytest.raises(Unreadable):
        client(url).show(NIGHTLY_IMAGES)


def test_an_answer_that_is_too_large_is_unreadable(raw: Callable[[bytes], str]) -> None:
    url = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b" " * 5_000_000)
    with pytest.raises(Unreadable, match="more than"):
        client(url).show(NIGHTLY_IMAGES)


def test_netrc_and_proxies_of_the_environment_are_ignored(
    oms: OmsStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login eve password eve\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert client(oms.server.url).show(NIGHTLY_IMAGES).group_id == NIGHTLY_IMAGES


@pytest.mark.parametrize("key", [SOURCE_SK, DESTINATION_AK])
def test_the_text_of_an_answer_that_repeats_a_sent_key_is_withheld(raw: Callable[[bytes], str], key: str) -> None:
    body = json.dumps({"error_code": "OMS.0061", "error_msg": f"not {key}"}).encode()
    head = b"HTTP/1.1 %s\r\nX-Request-Id: " + key.encode() + b"\r\nContent-Length: %d\r\n\r\n"
    with pytest.raises(Rejected) as rejected:
        client(raw(head % (b"400 Bad Request", len(body)) + body)).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert rejected.value.answer == errors.Answer(400, "OMS.0061", "", "", None, repeats_key=True)
    with pytest.raises(Unanswered) as unanswered:
        client(raw(head % (b"502 Bad Gateway", len(body)) + body)).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert unanswered.value.answer == errors.Answer(502, "OMS.0061", "", "", None, repeats_key=True)
    accepted = client(raw(head % (b"200 OK", 0))).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert accepted.huawei_request_id is None


@pytest.mark.parametrize("key", [ACCESS_KEY, SECRET_KEY])
def test_the_key_of_the_bot_is_masked_in_the_text_of_an_answer(raw: Callable[[bytes], str], key: str) -> None:
    body = json.dumps({"error_code": "APIG.0301", "error_msg": f"not {key} {quote(key, safe='')}"}).encode()
    head = b"HTTP/1.1 401 Unauthorized\r\nX-Request-Id: " + key.encode() + b"\r\nContent-Length: %d\r\n\r\n"
    expected = errors.Answer(401, "APIG.0301", "not [hidden] [hidden]", "", None)
    with pytest.raises(Rejected) as rejected:
        client(raw(head % len(body) + body)).show(NIGHTLY_IMAGES)
    assert rejected.value.answer == expected
    with pytest.raises(Rejected) as rejected:
        client(raw(head.replace(key.encode(), b"7f3c") % len(body) + body)).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert (rejected.value.answer.code, rejected.value.answer.message) == ("APIG.0301", expected.message)


def test_the_request_id_of_an_accepted_call_is_short_and_holds_only_safe_characters(
    raw: Callable[[bytes], str],
) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Request-Id: <!channel> 7f3c" + b"0" * 500 + b"\r\nContent-Length: 0\r\n\r\n"
    accepted = client(raw(head)).start(NIGHTLY_IMAGES, start_body(KEYS))
    assert accepted.huawei_request_id == f"channel7f3c{'0' * 53}"


def test_reading_a_group_is_repeated_when_its_connection_was_reset(oms: OmsStandIn) -> None:
    with relaying(oms.server.port, Forgetting.RESET) as relay:
        behind = client(relay.url)
        behind.show(NIGHTLY_IMAGES)
        relay.forget()
        assert behind.show(NIGHTLY_IMAGES).group_id == NIGHTLY_IMAGES


def test_a_put_does_not_use_a_silently_dropped_connection(oms: OmsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands for the 3 s that a connection may be idle.
    monkeypatch.setattr("bot.net.session.MAX_IDLE_SECONDS", 0.0)
    with relaying(oms.server.port, Forgetting.SILENT) as relay:
        behind = client(relay.url)
        behind.show(NIGHTLY_IMAGES)
        relay.forget()
        assert behind.start(NIGHTLY_IMAGES, start_body(KEYS)).huawei_request_id


@pytest.mark.parametrize(
    "put",
    [
        lambda oms: oms.start(NIGHTLY_IMAGES, b"{}"),
        lambda oms: oms.retry(NIGHTLY_IMAGES, b"{}"),
        lambda oms: oms.stop(NIGHTLY_IMAGES),
    ],
)
def test_a_put_without_an_answer_reaches_the_socket_once(put: Callable[[Oms], object]) -> None:
    with recording(b"") as (url, requests), pytest.raises(Unanswered):
        put(client(url))
    assert [request.split(b" ", 1)[0] for request in requests] == [b"PUT"]
