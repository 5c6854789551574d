"""The bot's own identity as it stands in Vault: what nobody could have been given is refused before it is used."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bot.huawei.signing import AccessKey, IamToken, PasswordUser
from bot.jobs.identity.credential import read_credential
from bot.redaction import Secret
from bot.vault.client import KvSecret, Vault
from bot.vault.errors import VaultError
from bot.vault.login import VaultToken


class Holding(Vault):
    """A Vault that holds one secret."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__("http://127.0.0.1:1", VaultToken(Secret("leads-nowhere")))
        self._active_claims = {name: Secret(value) for name, value in values.items()}

    def read(self, mount: str, path: str) -> KvSecret:
        return KvSecret(3, self._active_claims)


def test_the_end_of_a_line_is_no_part_of_a_key() -> None:
    found = read_credential(Holding({"ak": "AK1\n", "sk": " SK1\r\n", "security_token": "T1\n"}), "secret", "caller")
    assert found == (3, AccessKey(Secret("AK1"), Secret("SK1"), Secret("T1")))
    assert read_credential(Holding({"token": "T2\n"}), "secret", "caller")[1] == IamToken(Secret("T2"))


def test_blanks_around_a_password_are_part_of_it() -> None:
    values = {"username": "bot\n", "password": " pass word \n", "domain": "acme\n"}
    assert read_credential(Holding(values), "secret", "caller")[1] == PasswordUser("bot", Secret(" pass word "), "acme")


@pytest.mark.parametrize("name", ["ak", "sk", "security_token", "token"])
@pytest.mark.parametrize("value", ["two words", "two\nlines", "Schlüssel", "\x7f"])
def test_what_is_in_no_key_is_refused_by_the_keys_name(name: str, value: str) -> None:
    values = {"ak": "AK1", "sk": "SK1", name: value}
    with pytest.raises(VaultError) as refused:
        read_credential(Holding(values), "secret", "caller")
    assert refused.value.sentence.startswith(f"{name} at secret/caller in Vault holds blanks")
    assert value not in refused.value.sentence


def test_an_empty_key_is_none() -> None:
    with pytest.raises(VaultError, match="holds no identity"):
        read_credential(Holding({"ak": "AK1", "sk": "\n"}), "secret", "caller")
