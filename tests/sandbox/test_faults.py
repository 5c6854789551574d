"""Each injected fault affects one call, in the way that it describes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
import requests

from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.credentials import PREISSUED_TOKEN, PROJECT_ID
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES, OLD_BACKUPS, VIDEO_MASTERS
from bot.sandbox.huawei.faults import Answer, Drop, Echo, Fault, Faults, Hold, NoAnswer, Raw
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import archive_state, media_state
from tests.sandbox.oms import KEYS, Clock, error_of, put


def starts(oms: OmsStandIn) -> int:
    return oms.state.groups[NIGHTLY_IMAGES].starts


def start(oms: OmsStandIn) -> requests.Response:
    return put(oms, NIGHTLY_IMAGES, "start", KEYS)


def test_an_error_answer_is_sent_once_and_the_call_is_not_carried_out(oms: OmsStandIn) -> None:
    oms.faults.add(
        "start", Answer(429, "APIGW.0308", "slow down", retry_after=7), Answer(400, "OMS.0064", "no", detail="x")
    )
    throttled, invalid = start(oms), start(oms)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "7")
    assert throttled.json() == {
        "error_code": "APIGW.0308",
        "error_msg": "slow down",
        "request_id": throttled.headers["X-Request-Id"],
    }
    assert invalid.json() == {"error_code": "OMS.0064", "error_msg": "no", "error_detail": "x"}
    assert starts(oms) == 0
    assert start(oms).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        Raw(502, b"<html><h1>Bad gateway</h1></html>", {"Content-Type": "text/html"}),
        Raw(200, b"{"),
        Raw(200, b""),
        Raw(413, b"", {"Retry-After": "5"}),
        Raw(400, json.dumps({"errorCode": "IAM.0061", "errorMsg": "locked"}).encode()),
        Raw(200, b" " * 5_000_000),
    ],
)
def test_raw_bytes_are_sent_unchanged(oms: OmsStandIn, fault: Raw) -> None:
    oms.faults.add("start", fault)
    answer = start(oms)
    assert (answer.status_code, answer.content) == (fault.http_status, fault.body)
    assert fault.headers.items() <= answer.headers.items()
    assert starts(oms) == 0


def test_an_answer_can_repeat_the_body_of_the_call(oms: OmsStandIn) -> None:
    oms.faults.add("start", Echo(lambda body: Raw(502, body[:40])))
    answer = start(oms)
    assert (answer.status_code, answer.content) == (502, json.dumps(KEYS).encode()[:40])
    assert starts(oms) == 0


def test_a_call_with_a_raw_answer_can_be_carried_out(oms: OmsStandIn) -> None:
    oms.faults.add("start", Raw(200, b"<html>", done=True))
    assert start(oms).content == b"<html>"
    assert starts(oms) == 1


def test_the_connection_can_break_in_the_middle_of_an_answer(oms: OmsStandIn) -> None:
    oms.faults.add("start", Raw(200, b"x" * 1000, cut_after=10))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        start(oms)


@pytest.mark.parametrize("done", [False, True])
def test_the_connection_breaks_before_or_after_the_call_is_carried_out(oms: OmsStandIn, done: bool) -> None:
    oms.faults.add("start", Drop(done=done))
    with pytest.raises(requests.exceptions.ConnectionError):
        start(oms)
    assert starts(oms) == int(done)


@pytest.mark.parametrize("done", [False, True])
def test_no_answer_is_sent_until_the_caller_closes_the_connection(oms: OmsStandIn, done: bool) -> None:
    oms.faults.add("start", NoAnswer(done=done))
    url = f"{oms.server.url}/v2/{PROJECT_ID}/taskgroups/{NIGHTLY_IMAGES}/start"
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.put(url, json=KEYS, headers={"X-Auth-Token": PREISSUED_TOKEN}, timeout=1)
    oms.call_log.wait_for(lambda call: True)
    assert [call.status for call in oms.call_log.since()] == [0]
    assert starts(oms) == int(done)


def test_a_held_answer_is_sent_once_it_is_released(oms: OmsStandIn) -> None:
    hold = Hold()
    oms.faults.add("start", hold)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(start(oms).status_code))
    asking.start()
    assert hold.reached.wait(5)
    assert (starts(oms), answers) == (1, [])
    hold.released.set()
    asking.join()
    assert answers == [200]


def test_an_unauthenticated_call_is_rejected_whatever_fault_is_pending(oms: OmsStandIn) -> None:
    oms.faults.add("show", Answer(503, "APIG.0601"))
    url = f"{oms.server.url}/v2/{PROJECT_ID}/taskgroups/{NIGHTLY_IMAGES}"
    assert requests.get(url, timeout=5).json()["error_code"] == "APIG.0301"


@pytest.mark.parametrize(
    ("endpoint", "call"),
    [
        ("show", lambda url, headers: requests.get(f"{url}/{NIGHTLY_IMAGES}", headers=headers, timeout=5)),
        ("list", lambda url, headers: requests.get(url, headers=headers, timeout=5)),
        ("retry", lambda url, headers: requests.put(f"{url}/{OLD_BACKUPS}/retry", json={}, headers=headers, timeout=5)),
        ("stop", lambda url, headers: requests.put(f"{url}/{VIDEO_MASTERS}/stop", headers=headers, timeout=5)),
        ("token", lambda url, _: requests.post(f"{url.split('/v2')[0]}/v3/auth/tokens", json={}, timeout=5)),
        (
            "projects",
            lambda url, headers: requests.get(f"{url.split('/v2')[0]}/v3/projects", headers=headers, timeout=5),
        ),
    ],
)
def test_every_endpoint_has_its_own_faults(
    oms: OmsStandIn, endpoint: str, call: Callable[[str, dict[str, str]], requests.Response]
) -> None:
    fault: Fault = Answer(503, "APIG.0601")
    oms.faults.add(endpoint, fault)
    assert oms.faults.pending(endpoint) == (fault,)
    answer = call(f"{oms.server.url}/v2/{PROJECT_ID}/taskgroups", {"X-Auth-Token": PREISSUED_TOKEN})
    assert (answer.status_code, error_of(answer)[0]) == (503, "APIG.0601")
    assert oms.faults.pending(endpoint) == ()


def test_pending_faults_can_be_removed(oms: OmsStandIn) -> None:
    oms.faults.add("start", Drop(done=False))
    oms.faults.add("stop", Drop(done=False))
    oms.faults.clear("start")
    assert start(oms).status_code == 200
    oms.faults.clear()
    assert oms.faults.pending("stop") == ()


def test_a_shared_fault_affects_one_call_to_any_of_the_servers(clock: Clock) -> None:
    shared = Faults()
    media = OmsStandIn(media_state(clock), CallLog(), shared_faults=shared)
    archive = OmsStandIn(archive_state(clock), CallLog(), shared_faults=shared)
    shared.add("start", Answer(503, "APIG.0601"))
    media.faults.add("start", Answer(429, "APIG.0308"))
    assert [stand_in.faults.take("start") for stand_in in (media, media, archive)] == [
        Answer(429, "APIG.0308"),
        Answer(503, "APIG.0601"),
        None,
    ]
    assert shared.pending("start") == ()


def test_each_rejection_has_its_own_request_id(oms: OmsStandIn) -> None:
    oms.faults.add("start", *[Answer(403, "OMS.0072")] * 3)
    assert len({start(oms).headers["X-Request-Id"] for _ in range(3)}) == 3
