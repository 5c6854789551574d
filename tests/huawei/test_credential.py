"""The bot's own credential as it is in Vault: what cannot be a key is refused before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.check.run import run_checks
from bot.config.settings import load as load_settings
from bot.huawei.credential import LoadedCredential, load_credential
from bot.huawei.errors import UnusableIdentity
from bot.huawei.signing import AccessKey, IamToken, PasswordUser
from bot.redaction import Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.system import Sandbox
from bot.sandbox.vault import SandboxVault
from bot.vault.client import Vault
from bot.vault.login import VaultAppRole
from bot.vault.session import KvSecret


def load(values: dict[str, str], path: str = "caller") -> LoadedCredential:
    secret = KvSecret(3, {name: Secret(value) for name, value in values.items()})
    return load_credential(lambda mount, path: secret, "secret", path)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(CallLog()).start()
    yield vault
    vault.stop()


def load_from_vault(server: SandboxVault, values: dict[str, Any]) -> LoadedCredential:
    """The credential that a real Vault server returns for these values."""
    server.write("oms/media/caller", values)
    login = server.login("bot")
    vault = Vault(server.url, VaultAppRole(login.role_id, Secret(login.secret_id)))
    return load_credential(vault.read, "secret", "oms/media/caller")


def test_the_end_of_a_line_is_no_part_of_a_key() -> None:
    found = load({"ak": "AK1\n", "sk": " SK1\r\n", "security_token": "T1\n"})
    assert (found.path, found.version) == ("secret/caller", 3)
    assert found.credential == AccessKey(Secret("AK1"), Secret("SK1"), Secret("T1"))
    assert load({"token": "T2\n"}).credential == IamToken(Secret("T2"))


def test_blanks_around_a_password_are_part_of_it() -> None:
    values = {"username": "bot\n", "password": " pass word \n", "domain": "acme\n"}
    assert load(values).credential == PasswordUser("bot", Secret(" pass word "), "acme")


@pytest.mark.parametrize("name", ["ak", "sk", "security_token", "token"])
@pytest.mark.parametrize("value", ["two words", "two\nlines", "Schlüssel", "\x7f"])
def test_a_value_that_can_be_no_key_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(UnusableIdentity) as refused:
        load({"ak": "AK1", "sk": "SK1", name: value})
    assert refused.value.sentence.startswith(f"{name} at secret/caller in Vault contains spaces")
    assert value not in refused.value.sentence


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("access key", "ak"),
        ("access key", "sk"),
        ("access key", "security_token"),
        ("password user", "username"),
        ("password user", "password"),
        ("password user", "domain"),
        ("token", "token"),
    ],
)
@pytest.mark.parametrize("value", [False, {"sk": "leaked"}, ["leaked"]])
def test_a_value_that_is_not_text_is_refused_by_its_name_and_path(
    server: SandboxVault, kind: str, name: str, value: object
) -> None:
    values = {
        "access key": {"ak": "AK1", "sk": "SK1"},
        "password user": {"username": "bot", "password": "p", "domain": "acme"},
        "token": {"token": "T1"},
    }[kind]
    with pytest.raises(UnusableIdentity) as refused:
        load_from_vault(server, {**values, name: value})
    assert refused.value.sentence == f"{name} at secret/oms/media/caller in Vault is a JSON value, not text."
    assert refused.value.next_step == f"Write {name} there as text."


def test_a_number_is_the_text_of_its_digits(server: SandboxVault) -> None:
    values = {"username": "bot", "password": 1234567890123456, "domain": 1.5}
    assert load_from_vault(server, values).credential == PasswordUser("bot", Secret("1234567890123456"), "1.5")
    assert load_from_vault(server, {"ak": 123, "sk": "SK1"}).credential == AccessKey(Secret("123"), Secret("SK1"), None)


@pytest.mark.parametrize("sk", [None, "", "\n"])
def test_an_empty_key_is_named_as_missing(server: SandboxVault, sk: str | None) -> None:
    with pytest.raises(UnusableIdentity) as refused:
        load_from_vault(server, {"ak": "AK1", "sk": sk})
    assert refused.value.sentence == "The secret at secret/oms/media/caller in Vault has ak, but no sk."
    assert refused.value.next_step == "Write sk there."


def test_a_secret_without_any_credential_is_refused() -> None:
    with pytest.raises(UnusableIdentity, match="has none of: ak and sk; username, password and domain; token"):
        load({"note": "see the wiki"})


def test_check_names_a_value_that_is_not_text(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.vault.write("oms/media/caller", {**CALLERS["access key"], "sk": True})
    [finding] = [one for one in run_checks(load_settings(sandbox.environment())) if one.subject.endswith("/caller")]
    assert str(finding) == (
        "FAIL  project media, Vault secret/oms/media/caller: sk at secret/oms/media/caller in Vault is a JSON value, "
        "not text. Fix: Write sk there as text"
    )


def test_a_fingerprint_identifies_the_identity_and_not_its_secrets() -> None:
    key, user = {"ak": "AK1", "sk": "SK1"}, {"username": "bot", "password": "p", "domain": "acme"}
    token = {"token": "T1"}
    same = [
        [load(key), load(key | {"sk": "SK2"}), load(key, "elsewhere"), load(key | {"security_token": "T"})],
        [load(user), load(user | {"password": "q"}), load(user, "elsewhere")],
        [load(token), load({"token": "T2"})],
        [load(key | {"ak": "AK2"})],
        [load(user | {"username": "other"})],
        [load(user | {"domain": "other"})],
        [load(token, "elsewhere")],
    ]
    fingerprints = [{one.fingerprint for one in of_one_identity} for of_one_identity in same]
    assert [len(found) for found in fingerprints] == [1] * len(same)
    assert len(set.union(*fingerprints)) == len(same)
