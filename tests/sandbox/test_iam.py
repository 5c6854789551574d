"""The IAM stand-in issues tokens as IAM does, and OMS accepts only these."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from bot.sandbox.huawei.credentials import DOMAIN, PASSWORD, PREISSUED_TOKEN, PROJECT_ID, REGION, USER_NAME
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.oms_server import OmsStandIn
from tests.sandbox.oms import Clock, error_of, put

LOGIN: dict[str, Any] = {
    "auth": {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": USER_NAME, "password": PASSWORD, "domain": {"name": DOMAIN}}},
        },
        "scope": {"project": {"name": REGION}},
    }
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The login with another value at a dotted path; None removes it."""
    login = deepcopy(LOGIN)
    *parents, last = path.split(".")
    inner: Any = login
    for name in parents:
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
    url = f"{oms.server.url}/v2/{PROJECT_ID}/taskgroups/{NIGHTLY_IMAGES}"
    return requests.get(url, headers={"X-Auth-Token": token, **more}, timeout=5)


@pytest.mark.parametrize("project", [{"name": REGION}, {"id": PROJECT_ID}])
def test_a_login_returns_the_token_in_a_header_and_the_project_in_the_body(
    oms: OmsStandIn, project: dict[str, str], clock: Clock
) -> None:
    answer = log_in(oms, changed("auth.scope.project", project))
    assert answer.status_code == 201
    token, described = answer.headers["X-Subject-Token"], answer.json()["token"]
    assert token not in answer.text
    assert (described["project"]["id"], described["project"]["name"]) == (PROJECT_ID, REGION)
    assert "catalog" not in described
    expires_at = datetime.strptime(described["expires_at"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert timedelta(hours=23) < expires_at - clock() < timedelta(hours=25)
    assert show(oms, token).status_code == 200


def test_the_response_has_a_catalog_unless_nocatalog_is_given(oms: OmsStandIn) -> None:
    assert "catalog" in requests.post(f"{oms.server.url}/v3/auth/tokens", json=LOGIN, timeout=5).json()["token"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("auth.scope", None),
        ("auth.scope", {"domain": {"name": DOMAIN}}),
        ("auth.scope", {"domain": {"name": DOMAIN}, "project": {"name": REGION}}),
        ("auth.identity.methods", ["hw_ak_sk"]),
        ("auth.identity.methods", "password"),
        ("auth.identity.password.user.domain", DOMAIN),
        ("auth.identity.password.user.domain", None),
        ("auth.identity.password.user.password", ""),
        ("auth.identity.password.user.name", 7),
        ("auth.identity.more", "x"),
        ("auth", "x"),
    ],
)
def test_a_login_of_another_shape_is_a_bad_request(oms: OmsStandIn, path: str, value: object) -> None:
    answer = log_in(oms, changed(path, value))
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
def test_a_wrong_login_is_rejected_in_the_shape_of_iam(oms: OmsStandIn, field: str) -> None:
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


def test_a_login_for_an_unknown_project_is_rejected(oms: OmsStandIn) -> None:
    for project in ({"name": "cn-north-1"}, {"id": "0" * 32}, {}):
        assert error_of(log_in(oms, changed("auth.scope.project", project)))[0] == "IAM.1109"


def test_the_preissued_token_is_valid(oms: OmsStandIn) -> None:
    assert show(oms, PREISSUED_TOKEN).status_code == 200


def test_an_expired_or_unknown_token_is_rejected(oms: OmsStandIn, clock: Clock) -> None:
    oms.tokens.lifetime = timedelta(minutes=10)
    token = log_in(oms).headers["X-Subject-Token"]
    assert show(oms, token).status_code == 200
    clock.ahead += timedelta(minutes=10)
    for invalid in (token, "made-up"):
        answer = show(oms, invalid)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "APIG.0307")
        assert answer.json()["error_msg"] == "The token must be updated."
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert show(oms, PREISSUED_TOKEN).status_code == 200


def test_all_tokens_can_be_invalidated_at_once(oms: OmsStandIn) -> None:
    token = log_in(oms).headers["X-Subject-Token"]
    oms.tokens.expire_all()
    assert error_of(show(oms, token))[0] == error_of(show(oms, PREISSUED_TOKEN))[0] == "APIG.0307"
    assert show(oms, log_in(oms).headers["X-Subject-Token"]).status_code == 200


def test_a_call_with_a_token_and_a_signature_is_rejected(oms: OmsStandIn) -> None:
    answer = show(oms, PREISSUED_TOKEN, Authorization="Bearer x")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIG.0301")
    assert "decrypt token fail" in answer.json()["error_msg"]


def test_a_project_is_found_only_by_its_region(oms: OmsStandIn) -> None:
    url = f"{oms.server.url}/v3/projects"
    headers = {"X-Auth-Token": PREISSUED_TOKEN}
    found = requests.get(url, params={"name": REGION}, headers=headers, timeout=5).json()["projects"]
    assert found == [{"id": PROJECT_ID, "name": REGION}]
    assert requests.get(url, params={"name": "cn-north-1"}, headers=headers, timeout=5).json()["projects"] == []
    assert requests.get(url, timeout=5).status_code == 401


def test_the_call_log_has_no_tokens_and_passwords(oms: OmsStandIn) -> None:
    token = log_in(oms).headers["X-Subject-Token"]
    show(oms, token)
    put(oms, NIGHTLY_IMAGES, "stop", b"")
    calls = oms.call_log.since()
    assert [(call.service, call.status) for call in calls] == [("iam", 201), ("oms", 200), ("oms", 400)]
    assert not any(secret in repr(calls) for secret in (token, PASSWORD))
