"""The story with every other way that Vault is set up: KV version 1, a standing token that may make children or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.sandbox import oms_world as ow
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.sandbox.vault_paths import secrets_of
from tests.support.story import all_kept, all_seen, ask, audit, is_told, says, starts, whole

READS = 'path "kv1/oms/*" {\n  capabilities = ["read"]\n}\n'
CHILDREN = 'path "auth/token/create" {\n  capabilities = ["update"]\n}\n'


@pytest.mark.parametrize(
    ("rights", "token"),
    [(READS + CHILDREN, "child token of 2 minutes"), (READS, "standing token")],
    ids=["child", "standing"],
)
def test_on_kv_version_1_with_a_standing_token(new_town: Callable[..., Town], rights: str, token: str) -> None:
    town = new_town()
    root = town.vault.as_root()
    for path, values in secrets_of(town.world.place).items():
        root.secrets.kv.v1.create_or_update_secret(path, dict(values), mount_point="kv1")
    root.sys.create_or_update_policy("kv1", rights)
    standing = root.auth.token.create(policies=["kv1"], ttl="10m")["auth"]
    town.more_environment = {"VAULT_TOKEN": standing["client_token"], "VAULT_ROLE_ID": "", "VAULT_SECRET_ID": ""}
    toml = town.directory / "bot.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace('mount = "secret"', 'mount = "kv1"'), encoding="utf-8")
    town.start_bot()

    card = ask(town)
    assert "kv1/oms/media/source" in whole(card)
    assert "not checked" in whole(card)
    reads = [call.path for call in town.journal.since() if "/kv1/oms/" in call.path]
    assert set(reads) <= {"/v1/kv1/oms/media/caller"}, "a look reads none of the keys"
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "Resumed, moving")
    assert [call.status for call in starts(town)] == [200]
    reads = [call.path for call in town.journal.since() if "/kv1/oms/" in call.path]
    assert reads[-2:] == ["/v1/kv1/oms/media/source", "/v1/kv1/oms/media/destination"]

    [opened] = audit(town, "vault opened")
    assert opened["detail"]["token"] == token
    is_its_own = opened["detail"]["accessor"] == standing["accessor"]
    assert is_its_own == (token == "standing token")
    assert root.lookup_token(standing["client_token"])["data"]["accessor"] == standing["accessor"], "it stays"
    if not is_its_own:
        with pytest.raises(Exception, match="invalid accessor"):
            root.lookup_token(opened["detail"]["accessor"], accessor=True)
    [sending] = audit(town, "sending")
    assert sending["detail"]["kv1/oms/media/source"] is None
    assert sending["detail"]["token given back"] is not is_its_own

    town.people.type(w.BOB, f"status {NIGHTLY_IMAGES}")
    is_told(town, w.BOB, "R-")
    assert town.stop_bot() == 0
    text = all_seen(town) + all_kept(town)
    assert not [
        one for one in (ow.SECRET_KEY, ow.SOURCE_SK, ow.DESTINATION_SK, standing["client_token"]) if one in text
    ]
