"""A request on a KV engine of version 1, with a static token that may or may not create child tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.slack.ids import BOB, CAROL
from bot.sandbox.system import Sandbox
from bot.sandbox.vault import secrets_of
from tests.support.leaks import TOKENS, find_leaks
from tests.support.sandbox import (
    audit_rows,
    create_request,
    everything_shown,
    everything_stored,
    full_text,
    put_calls,
    wait_for_reply,
    wait_for_text,
)

READS = 'path "kv1/oms/*" {\n  capabilities = ["read"]\n}\n'
CHILDREN = 'path "auth/token/create" {\n  capabilities = ["update"]\n}\n'


@pytest.mark.parametrize(
    ("rights", "token"),
    [(READS + CHILDREN, "child token of 2 minutes"), (READS, "static token")],
    ids=["child", "static"],
)
def test_a_group_is_resumed_with_keys_of_kv_version_1_and_a_static_token(
    new_sandbox: Callable[..., Sandbox], rights: str, token: str
) -> None:
    sandbox = new_sandbox()
    root = sandbox.vault.as_root()
    for path, values in secrets_of(sandbox.oms.state.project).items():
        root.secrets.kv.v1.create_or_update_secret(path, dict(values), mount_point="kv1")
    root.sys.create_or_update_policy("kv1", rights)
    static = root.auth.token.create(policies=["kv1"], ttl="10m")["auth"]
    sandbox.extra_environment = {"VAULT_TOKEN": static["client_token"], "VAULT_ROLE_ID": "", "VAULT_SECRET_ID": ""}
    toml = sandbox.directory / "bot.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace('mount = "secret"', 'mount = "kv1"'), encoding="utf-8")
    sandbox.start_bot()

    card = create_request(sandbox)
    assert "kv1/oms/media/source" in full_text(card)
    assert "not checked" in full_text(card)
    reads = [call.path for call in sandbox.call_log.since() if "/kv1/oms/" in call.path]
    assert set(reads) <= {"/v1/kv1/oms/media/caller"}, "the preflight reads no source or destination key"
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "Resumed, moving")
    assert [call.status for call in put_calls(sandbox)] == [200]
    reads = [call.path for call in sandbox.call_log.since() if "/kv1/oms/" in call.path]
    assert reads[-2:] == ["/v1/kv1/oms/media/source", "/v1/kv1/oms/media/destination"]

    [opened] = audit_rows(sandbox, "vault.opened")
    assert opened["detail"]["token"] == token
    is_static = opened["detail"]["accessor"] == static["accessor"]
    assert is_static == (token == "static token")
    assert root.lookup_token(static["client_token"])["data"]["accessor"] == static["accessor"], (
        "the static token is not revoked"
    )
    if not is_static:
        with pytest.raises(Exception, match="invalid accessor"):
            root.lookup_token(opened["detail"]["accessor"], accessor=True)
    [sending] = audit_rows(sandbox, "put.sending")
    assert sending["detail"]["kv1/oms/media/source"] is None
    assert sending["detail"]["token given back"] is not is_static

    sandbox.people.type(BOB, f"status {NIGHTLY_IMAGES}")
    wait_for_reply(sandbox, BOB, "R-")
    assert sandbox.stop_bot() == 0
    places = everything_stored(sandbox) | {"Slack": everything_shown(sandbox)}
    assert find_leaks(places, tokens=(*TOKENS, static["client_token"])) == []
