"""Logging in at IAM, reading its tokens, and looking up a project."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.huawei.errors import Service, Unanswered, Unreadable
from bot.huawei.iam import MAX_TOKEN_CHARACTERS, Iam, login_body, read_token
from bot.huawei.signing import PasswordUser, TokenAuth
from bot.net.server import HttpServer
from bot.net.session import new_session
from bot.redaction import Secret
from tests.support.relay import Forgetting, relaying
from tests.support.wire import answering, ok, recording

BODY = {"token": {"expires_at": "2026-03-02T12:00:00.000000Z", "project": {"id": "abc"}}}
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "expires_at", ["2026-03-02T12:00:00.000000Z", "2026-03-02T12:00:00", "2026-03-02T20:00:00+08:00"]
)
def test_a_token_is_read_with_its_expiry_in_utc(expires_at: str) -> None:
    token = read_token("t" * MAX_TOKEN_CHARACTERS, {"token": BODY["token"] | {"expires_at": expires_at}})
    assert (token.expires_at, token.expires_at.tzinfo, token.project_id) == (NOON, UTC, "abc")


@pytest.mark.parametrize(
    ("header", "body"),
    [("", BODY), ("t" * (MAX_TOKEN_CHARACTERS + 1), BODY), ("t", {}), ("t", None), ("t", {"token": {"project": {}}})],
)
def test_an_invalid_token_is_unreadable(header: str, body: object) -> None:
    with pytest.raises(Unreadable) as unreadable:
        read_token(header, body)
    assert unreadable.value.service is Service.IAM


def test_a_login_is_for_the_given_project_or_the_regions_own() -> None:
    user = PasswordUser("bot", Secret("pässword"), "company")
    for project_id, project in (("abc", {"id": "abc"}), (None, {"name": "ap-southeast-3"})):
        auth = json.loads(login_body(user, "ap-southeast-3", project_id))["auth"]
        assert auth["scope"] == {"project": project}
        assert auth["identity"]["password"]["user"]["password"] == "pässword"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_project_of_a_region_is_returned_only_if_there_is_exactly_one(count: int) -> None:
    projects = [{"id": f"id-{number}"} for number in range(count)]
    auth = TokenAuth(Secret("t"))
    with answering(ok(json.dumps({"projects": projects}).encode())) as address:
        iam = Iam(address, new_session())
        if count == 1:
            assert iam.project_id("ap-southeast-3", auth) == "id-0"
        else:
            with pytest.raises(Unreadable, match=f"IAM has {count} projects named ap-southeast-3") as unreadable:
                iam.project_id("ap-southeast-3", auth)
            assert unreadable.value.next_step == "Set project_id in bot.toml."


def test_a_login_is_repeated_only_on_a_connection_that_went_stale() -> None:
    # On a new connection IAM may have refused it, and refused logins lock the user.
    user = PasswordUser("bot", Secret("password"), "company")
    server = HttpServer(_answer_logins, "127.0.0.1", 0, threads=2, max_body_bytes=1000)
    server.start()
    with relaying(server.port, Forgetting.RESET) as relay:
        iam = Iam(relay.url, new_session())
        assert iam.log_in(user, "ap-southeast-3", None).project_id == "abc"
        relay.forget()
        assert iam.log_in(user, "ap-southeast-3", None).project_id == "abc"
    server.stop()
    with recording(b"") as (address, requests), pytest.raises(Unanswered):
        Iam(address, new_session()).log_in(user, "ap-southeast-3", None)
    assert len(requests) == 1


def _answer_logins(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("201 Created", [("X-Subject-Token", "t"), ("Content-Type", "application/json")])
    return [json.dumps(BODY).encode()]
