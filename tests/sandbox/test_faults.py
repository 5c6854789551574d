"""What can be made to go wrong on the way to OMS goes wrong in just that way, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
import requests

from bot.sandbox import oms_state as ow
from bot.sandbox.call_log import CallLog
from bot.sandbox.faults import Faults
from bot.sandbox.oms_server import Answer, Drop, Fault, Hold, Late, OmsStandIn, Raw
from bot.sandbox.oms_state import NIGHTLY_IMAGES, archive_state, media_state
from tests.sandbox.oms import FAILED, KEYS, Clock, put, said


def starts(oms: OmsStandIn) -> int:
    return oms.world.groups[NIGHTLY_IMAGES].starts


def start(oms: OmsStandIn) -> requests.Response:
    return put(oms, NIGHTLY_IMAGES, "start", KEYS)


def test_an_answer_is_given_once_as_it_is_and_nothing_is_done(oms: OmsStandIn) -> None:
    oms.fault("start", Answer(429, "APIGW.0308", "slow down", retry_after=7), Answer(400, "OMS.0064", "no", detail="x"))
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
def test_raw_bytes_come_as_they_are(oms: OmsStandIn, fault: Raw) -> None:
    oms.fault("start", fault)
    answer = start(oms)
    assert (answer.status_code, answer.content) == (fault.http_status, fault.body)
    assert fault.headers.items() <= answer.headers.items()
    assert starts(oms) == 0


def test_raw_bytes_may_hide_what_was_done(oms: OmsStandIn) -> None:
    oms.fault("start", Raw(200, b"<html>", done=True))
    assert start(oms).content == b"<html>"
    assert starts(oms) == 1


def test_an_answer_may_break_off_in_its_middle(oms: OmsStandIn) -> None:
    oms.fault("start", Raw(200, b"x" * 1000, cut_after=10))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        start(oms)


@pytest.mark.parametrize("done", [False, True])
def test_a_dropped_connection_or_a_late_answer_tells_nothing(oms: OmsStandIn, done: bool) -> None:
    oms.fault("start", Drop(done=done))
    with pytest.raises(requests.exceptions.ConnectionError):
        start(oms)
    assert starts(oms) == int(done)


@pytest.mark.parametrize("done", [False, True])
def test_no_answer_comes_before_the_caller_hangs_up(oms: OmsStandIn, done: bool) -> None:
    oms.fault("start", Late(done=done))
    url = f"{oms.server.url}/v2/{ow.PROJECT_ID}/taskgroups/{NIGHTLY_IMAGES}/start"
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.put(url, json=KEYS, headers={"X-Auth-Token": ow.READY_TOKEN}, timeout=1)
    oms._journal.wait_for(lambda call: True)
    assert [call.status for call in oms._journal.since()] == [0]
    assert starts(oms) == int(done)


def test_a_held_answer_comes_when_it_is_let_go(oms: OmsStandIn) -> None:
    hold = Hold(threading.Event(), threading.Event())
    oms.fault("start", hold)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(start(oms).status_code))
    asking.start()
    assert hold.reached.wait(5)
    assert (starts(oms), answers) == (1, [])
    hold.released.set()
    asking.join()
    assert answers == [200]


def test_who_is_not_let_in_meets_no_fault_but_the_gates(oms: OmsStandIn) -> None:
    oms.fault("show", Answer(503, "APIG.0601"))
    url = f"{oms.server.url}/v2/{ow.PROJECT_ID}/taskgroups/{NIGHTLY_IMAGES}"
    assert requests.get(url, timeout=5).json()["error_code"] == "APIG.0301"


@pytest.mark.parametrize(
    ("endpoint", "call"),
    [
        ("show", lambda url, headers: requests.get(f"{url}/{NIGHTLY_IMAGES}", headers=headers, timeout=5)),
        ("list", lambda url, headers: requests.get(url, headers=headers, timeout=5)),
        ("retry", lambda url, headers: requests.put(f"{url}/{FAILED}/retry", json={}, headers=headers, timeout=5)),
        ("stop", lambda url, headers: requests.put(f"{url}/{ow.an(2)}/stop", headers=headers, timeout=5)),
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
    oms.fault(endpoint, fault)
    assert oms.waiting(endpoint) == (fault,)
    answer = call(f"{oms.server.url}/v2/{ow.PROJECT_ID}/taskgroups", {"X-Auth-Token": ow.READY_TOKEN})
    assert (answer.status_code, said(answer)[0]) == (503, "APIG.0601")
    assert oms.waiting(endpoint) == ()


def test_faults_that_were_not_met_can_be_switched_off(oms: OmsStandIn) -> None:
    oms.fault("start", Drop(done=False))
    oms.fault("stop", Drop(done=False))
    oms.calm("start")
    assert start(oms).status_code == 200
    oms.calm()
    assert oms.waiting("stop") == ()


def test_faults_in_common_are_met_once_by_whoever_is_called_first(clock: Clock) -> None:
    common = Faults()
    media, archive = (OmsStandIn(world(clock), CallLog(), common=common) for world in (media_state, archive_state))
    common.add("start", Answer(503, "APIG.0601"))
    media.fault("start", Answer(429, "APIG.0308"))
    assert [stand_in._faults.take("start") for stand_in in (media, media, archive)] == [
        Answer(429, "APIG.0308"),
        Answer(503, "APIG.0601"),
        None,
    ]
    assert common.waiting("start") == ()


def test_no_two_refusals_have_the_same_request_id(oms: OmsStandIn) -> None:
    oms.fault("start", *[Answer(403, "OMS.0072")] * 3)
    assert len({start(oms).headers["X-Request-Id"] for _ in range(3)}) == 3
