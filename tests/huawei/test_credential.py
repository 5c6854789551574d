"""The bot's own credential as it is in Vault: what cannot be a key is refused before it is used."""

from __future__ import annotations

import pytest

from bot.huawei.credential import LoadedCredential, load_credential
from bot.huawei.errors import UnusableIdentity
from bot.huawei.signing import AccessKey, IamToken, PasswordUser
from bot.redaction import Secret
from bot.vault.session import KvSecret


def load(values: dict[str, str], path: str = "caller") -> LoadedCredential:
    secret = KvSecret(3, {name: Secret(value) for name, value in values.items()})
    return load_credential(lambda mount, path: secret, "secret", path)


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


def test_an_empty_key_is_missing() -> None:
    with pytest.raises(UnusableIdentity, match="has none of"):
        load({"ak": "AK1", "sk": "\n"})


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
