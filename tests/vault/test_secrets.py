"""A secret is only called missing when it is missing, and values that are not text reach OMS, or are named before."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import hvac.exceptions
import pytest
import requests

from bot.redaction import JsonSecret, Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.vault import SandboxVault
from bot.vault.client import Vault
from bot.vault.errors import VaultError, VaultErrorKind
from bot.vault.login import VaultAppRole
from tests.support.wire import Wire, answer_of

SOURCE = "oms/media/source"


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(CallLog()).start()
    yield vault
    vault.stop()


def logged_in(server: SandboxVault, url: str = "", role: str = "bot") -> Vault:
    login = server.login(role)
    return Vault(url or server.url, VaultAppRole(login.role_id, Secret(login.secret_id)))


def write(server: SandboxVault, path: str, values: dict[str, Any]) -> None:
    server.as_root().secrets.kv.v2.create_or_update_secret(path, values, mount_point="secret")


def test_a_secret_that_is_deleted_later_is_there_until_then(server: SandboxVault) -> None:
    kv, vault = server.as_root().secrets.kv.v2, logged_in(server)
    kv.update_metadata("oms/media/later", delete_version_after="3h", mount_point="secret")
    write(server, "oms/media/later", {"ak": "a", "sk": "s"})
    version = kv.read_secret_metadata("oms/media/later", mount_point="secret")["data"]["versions"]["1"]
    assert version["deletion_time"]
    assert vault.check("secret", "oms/media/later").keys == ("ak", "sk")
    assert vault.read("secret", "oms/media/later").version == 1


def test_a_secret_whose_time_has_passed_is_missing(server: SandboxVault) -> None:
    kv, vault = server.as_root().secrets.kv.v2, logged_in(server)
    kv.update_metadata("oms/media/soon", delete_version_after="1s", mount_point="secret")
    write(server, "oms/media/soon", {"ak": "a", "sk": "s"})
    deadline = time.monotonic() + 20
    with suppress(VaultError):
        while time.monotonic() < deadline:
            vault.check("secret", "oms/media/soon")
    for call in (vault.check, vault.read):
        with pytest.raises(VaultError) as missing:
            call("secret", "oms/media/soon")
        assert missing.value.kind is VaultErrorKind.MISSING


def upgrade(root: Any, mount: str) -> None:
    """Upgrades a mount to version 2, and waits while Vault refuses calls to it ("Upgrading from non-versioned")."""
    root.sys.tune_mount_configuration(mount, options={"version": "2"})
    for _ in range(1000):
        try:
            root.adapter.get(f"/v1/{mount}/config")
        except (hvac.exceptions.InvalidRequest, hvac.exceptions.InvalidPath):
            threading.Event().wait(0.01)
        else:
            return
    raise TimeoutError("the mount is still upgrading")


@pytest.mark.parametrize("rights", ["old/*", "old/data/*"])
def test_the_upgrade_of_a_mount_to_version_2_is_noticed_without_a_restart(server: SandboxVault, rights: str) -> None:
    root, mount = server.as_root(), f"upgraded-{len(rights)}"
    root.sys.enable_secrets_engine("kv", path=mount, options={"version": "1"})
    root.secrets.kv.v1.create_or_update_secret(SOURCE, {"ak": "a", "sk": "s"}, mount_point=mount)

    def allow(path: str) -> None:
        root.sys.create_or_update_policy(mount, f'path "{path}" {{\n  capabilities = ["read"]\n}}')

    allow(f"{mount}/*")
    root.auth.approle.create_or_update_approle(mount, token_policies=[mount], token_type="service")
    vault = logged_in(server, role=mount)
    assert vault.check(mount, SOURCE).version is None
    assert vault.read(mount, SOURCE).version is None
    upgrade(root, mount)
    allow(rights.replace("old", mount))
    # Each of two reads the upgraded mount first: a check that did would tell the other of it.
    session = vault.open_release()
    assert session.read(mount, SOURCE).version == 1
    assert session.close()
    assert vault.read(mount, SOURCE).values["sk"].reveal() == "s"
    check = logged_in(server, role=mount).check(mount, SOURCE)
    assert check.version == (1 if rights == "old/*" else None)


def test_a_check_notices_the_upgrade_of_a_mount(server: SandboxVault) -> None:
    root = server.as_root()
    root.sys.enable_secrets_engine("kv", path="noticed", options={"version": "1"})
    root.secrets.kv.v1.create_or_update_secret(SOURCE, {"ak": "a", "sk": "s"}, mount_point="noticed")
    root.sys.create_or_update_policy("noticed", 'path "noticed/*" {\n  capabilities = ["read"]\n}')
    root.auth.approle.create_or_update_approle("noticed", token_policies=["noticed"], token_type="service")
    vault = logged_in(server, role="noticed")
    assert vault.check("noticed", SOURCE).keys is None
    upgrade(root, "noticed")
    check = vault.check("noticed", SOURCE)
    assert (check.version, check.keys) == (1, ("ak", "sk"))


NO_SUBKEYS = {
    "unsupported path": answer_of(404, b'{"errors": ["1 error occurred:\\n\\t* unsupported path\\n\\n"]}'),
    "unsupported operation": answer_of(405, b'{"errors": ["1 error occurred:\\n\\t* unsupported operation\\n\\n"]}'),
    "a warning": answer_of(404, b'{"errors": null, "warnings": ["Invalid path for a versioned K/V secrets engine."]}'),
}


@pytest.mark.parametrize("role", ["bot", "blind"])
@pytest.mark.parametrize("answer", NO_SUBKEYS)
def test_a_vault_that_cannot_list_keys_is_not_taken_for_a_missing_secret(
    server: SandboxVault, role: str, answer: str
) -> None:
    root = server.as_root()
    rights = "".join(f'path "secret/{part}/oms/*" {{\n  capabilities = ["read"]\n}}\n' for part in ("data", "subkeys"))
    root.sys.create_or_update_policy("blind", rights)
    root.auth.approle.create_or_update_approle("blind", token_policies=["blind"], token_type="service")
    wire = Wire(server.url)
    wire.only, wire.answers = b"/subkeys/", [NO_SUBKEYS[answer]] * 2
    check = logged_in(server, wire.url, role).check("secret", SOURCE)
    assert wire.answered, "the names of the keys were asked for"
    assert (check.version, check.keys) == (1 if role == "bot" else None, None)
    wire.answers = []
    if role == "blind":
        # Here the answer about the names is the only one that shows whether the secret is there.
        with pytest.raises(VaultError, match="has no secret at secret/oms/media/nothing"):
            logged_in(server, wire.url, role).check("secret", "oms/media/nothing")
    wire.cut()


@pytest.mark.parametrize("number", ["12345678", "-7", "1.5", "1e3", "1e21", "12345678901234567890"])
def test_a_number_is_read_as_the_text_that_vault_answers(server: SandboxVault, number: str) -> None:
    write(server, "oms/media/number", {"ak": "a", "sk": json.loads(number)})
    url = f"{server.url}/v1/secret/data/oms/media/number"
    answer = requests.get(url, headers={"X-Vault-Token": server.root_token}, timeout=5).text
    text = answer.partition('"sk":')[2].partition("}")[0].strip()
    assert float(text) == float(number)
    assert logged_in(server).check("secret", "oms/media/number").keys == ("ak", "sk")
    values = logged_in(server).read("secret", "oms/media/number").values
    assert values["sk"].reveal() == text
    assert not isinstance(values["sk"], JsonSecret)


ACCOUNT = {"type": "service_account", "project_id": "p", "key": {"id": 1.5}}


def test_an_object_is_seen_before_its_value_is_read_and_then_read_as_its_json(server: SandboxVault) -> None:
    write(server, "oms/media/google", {"json_auth_file": ACCOUNT, "flag": True, "list": ["x"], "none": None})
    check = logged_in(server).check("secret", "oms/media/google")
    assert (check.keys, check.objects) == (("flag", "json_auth_file", "list", "none"), ("json_auth_file",))
    values = logged_in(server).read("secret", "oms/media/google").values
    assert json.loads(values["json_auth_file"].reveal()) == ACCOUNT
    assert {name for name, value in values.items() if isinstance(value, JsonSecret)} == {
        "json_auth_file",
        "flag",
        "list",
    }
    assert "none" not in values
    assert "service_account" not in f"{values}{values['json_auth_file']!r}"
