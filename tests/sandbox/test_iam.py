"""The IAM stand-in logs in as IAM does, and OMS takes its tokens and no others."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from bot.sandbox import oms_state as ow
from bot.sandbox.oms_server import OmsStandIn
from bot.sandbox.oms_state import NIGHTLY_IMAGES
from tests.sandbox.oms import Clock, put, said

LOGIN: dict[str, Any] = {
    "auth": {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": ow.USER_NAME, "password": ow.PASSWORD, "domain": {"name": ow.DOMAIN}}},
        },
        "scope": {"project": {"name": ow.REGION}},
    }
}


def changed(place: str, value: object) -> dict[str, Any]:
    """The login with one member set to something else, or with None taken away."""
    login = deepcopy(LOGIN)
    *path, last = place.split(".")
    inner: Any = login
    for name in path:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return login


def log_in(oms: OmsStandIn, login: object = LOGIN, content_type: str = "application/json;charset=utf8") -> Any:
    body = login if isinstance(login, bytes) else json.dumps(login).encode()
    url = f"{oms.server.url}/v3/auth/tokens?nocatalog=true"
    return requests.post(url, data=body, headers={"Content-Type": content_type}, timeout=5)


def show(oms: OmsStandIn, token: str, **more: str) -> requests.Response:
    url = f"{oms.server.url}/v2/{ow.PROJECT_ID}/taskgroups/{NIGHTLY_IMAGES}"
    return requests.get(url, headers={"X-Auth-Token": token, **more}, timeout=5)


@pytest.mark.parametrize("project", [{"name": ow.REGION}, {"id": ow.PROJECT_ID}])
def test_a_login_gives_a_token_in_the_header_and_the_project_in_the_body(
    oms: OmsStandIn, project: dict[str, str], clock: Clock
) -> None:
    answer = log_in(oms, changed("auth.scope.project", project))
    assert answer.status_code == 201
    token, said_of_it = answer.headers["X-Subject-Token"], answer.json()["token"]
    assert token not in answer.text
    assert (said_of_it["project"]["id"], said_of_it["project"]["name"]) == (ow.PROJECT_ID, ow.REGION)
    assert "catalog" not in said_of_it
    ends_at = datetime.strptime(said_of_it["expires_at"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert timedelta(hours=23) < ends_at - clock() < timedelta(hours=25)
    assert show(oms, token).status_code == 200


def test_without_nocatalog_the_catalog_comes_too(oms: OmsStandIn) -> None:
    assert "catalog" in requests.post(f"{oms.server.url}/v3/auth/tokens", json=LOGIN, timeout=5).json()["token"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("auth.scope", None),
        ("auth.scope", {"domain": {"name": ow.DOMAIN}}),
        ("auth.scope", {"domain": {"name": ow.DOMAIN}, "project": {"name": ow.REGION}}),
        ("auth.identity.methods", ["hw_ak_sk"]),
        ("auth.identity.methods", "password"),
        ("auth.identity.password.user.domain", ow.DOMAIN),
        ("auth.identity.password.user.domain", None),
        ("auth.identity.password.user.password", ""),
        ("auth.identity.password.user.name", 7),
        ("auth.identity.more", "x"),
        ("auth", "x"),
    ],
)
def test_a_login_of_another_shape_is_a_bad_request(oms: OmsStandIn, place: str, value: object) -> None:
    answer = log_in(oms, changed(place, value))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["title"]) == (
        400,
        400,
        "Bad Request",
    )
    assert "X-Subject-Token" not in answer.headers


@pytest.mark.parametrize(
    ("body", "content_type"), [(b"{", "application/json"), (json.dumps(LOGIN).encode(), "text/plain")]
)
def test_a_login_that_is_not_json_is_a_bad_request(oms: OmsStandIn, body: bytes, content_type: str) -> None:
    assert log_in(oms, body, content_type).status_code == 400


@pytest.mark.parametrize("field", ["name", "password"])
def test_a_wrong_login_is_refused_in_iams_own_shape(oms: OmsStandIn, field: str) -> None:
    answer = log_in(oms, changed(f"auth.identity.password.user.{field}", "another"))
    assert answer.status_code == 401
    assert answer.json() == {
        "error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}
    }


def test_an_account_is_locked_after_five_wrong_passwords(oms: OmsStandIn, clock: Clock) -> None:
    wrong = changed("auth.identity.password.user.password", "another")
    assert [log_in(oms, wrong).json()["error"]["code"] for _ in range(6)] == [401] * 5 + ["IAM.0061"]
    assert log_in(oms).status_code == 401
    clock.ahead += timedelta(minutes=5)
    assert log_in(oms).status_code == 201


def test_a_project_that_is_not_there_gives_no_token(oms: OmsStandIn) -> None:
    for project in ({"name": "cn-north-1"}, {"id": "0" * 32}, {}):
        assert said(log_in(oms, changed("auth.scope.project", project)))[0] == "IAM.1109"


def test_the_ready_token_serves(oms: OmsStandIn) -> None:
    assert show(oms, ow.READY_TOKEN).status_code == 200


def test_a_token_that_ended_or_never_was_must_be_updated(oms: OmsStandIn, clock: Clock) -> None:
    oms.set_token_lifetime(timedelta(minutes=10))
    token = log_in(oms).headers["X-Subject-Token"]
    assert show(oms, token).status_code == 200
    clock.ahead += timedelta(minutes=10)
    for ended in (token, "made-up"):
        answer = show(oms, ended)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "APIG.0307")
        assert answer.json()["error_msg"] == "The token must be updated."
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert show(oms, ow.READY_TOKEN).status_code == 200


def test_tests_may_end_every_token_and_a_new_one_serves(oms: OmsStandIn) -> None:
    token = log_in(oms).headers["X-Subject-Token"]
    oms.expire_tokens()
    assert said(show(oms, token))[0] == said(show(oms, ow.READY_TOKEN))[0] == "APIG.0307"
    assert show(oms, log_in(oms).headers["X-Subject-Token"]).status_code == 200


def test_a_token_and_a_signature_at_once_are_refused(oms: OmsStandIn) -> None:
    answer = show(oms, ow.READY_TOKEN, Authorization="Bearer x")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIG.0301")
    assert "decrypt token fail" in answer.json()["error_msg"]


def test_a_project_is_found_by_its_region_and_by_no_other_name(oms: OmsStandIn) -> None:
    url = f"{oms.server.url}/v3/projects"
    headers = {"X-Auth-Token": ow.READY_TOKEN}
    found = requests.get(url, params={"name": ow.REGION}, headers=headers, timeout=5).json()["projects"]
    assert found == [{"id": ow.PROJECT_ID, "name": ow.REGION}]
    assert requests.get(url, params={"name": "cn-north-1"}, headers=headers, timeout=5).json()["projects"] == []
    assert requests.get(url, timeout=5).status_code == 401


def test_what_is_done_with_a_token_is_written_down_without_it(oms: OmsStandIn) -> None:
    token = log_in(oms).headers["X-Subject-Token"]
    show(oms, token)
    put(oms, NIGHTLY_IMAGES, "stop", b"")
    calls = oms._journal.since()
    assert [(call.service, call.status) for call in calls] == [("iam", 201), ("oms", 200), ("oms", 400)]
    assert not any(secret in repr(calls) for secret in (token, ow.PASSWORD))
