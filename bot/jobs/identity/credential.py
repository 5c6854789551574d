"""Reads what `vault.caller` names: an access key, a user name and password, or a ready token."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bot.huawei.signing import AccessKey, Credential, IamToken, PasswordUser
from bot.redaction import Secret
from bot.vault.client import Vault
from bot.vault.errors import VaultError, VaultErrorKind

# A signature made with anything else is refused, and some refusals lock the key for everybody.
ONE_WORD = ("ak", "sk", "security_token", "token")
KINDS = {AccessKey: "an access key", PasswordUser: "a user name and a password", IamToken: "a ready token"}


def read_credential(vault: Vault, mount: str, path: str) -> tuple[int | None, Credential]:
    """The version and the identity.

    White space around a value is none of it: `vault kv put x sk=@file` leaves the end of a line. Blanks around a
    password are.

    Raises:
        VaultFault: it cannot be read, is none, or has a key or token that nobody could have been given.
    """
    secret = vault.read(mount, path)
    values = {name: value.stripped("\r\n" if name == "password" else None) for name, value in secret.values.items()}
    for name in ONE_WORD:
        if values.get(name) and not values[name].is_one_word:
            raise VaultError(
                VaultErrorKind.UNEXPECTED,
                f"{mount}/{path}",
                f"{name} at {mount}/{path} in Vault holds blanks, or characters that are in no key or token.",
                "Write it there again.",
            )
    found = _identity_in(values)
    if found is None:
        raise VaultError(
            VaultErrorKind.MISSING,
            f"{mount}/{path}",
            f"{mount}/{path} in Vault holds no identity: neither ak and sk, nor username, password and domain, nor "
            "token.",
            "Write the bot's own identity at Huawei Cloud there.",
        )
    return secret.version, found


def digest(credential: Credential) -> str:
    """Tells an identity from others, and gives nothing of it away. A user with another password is the same one."""
    match credential:
        case AccessKey():
            words = ["access key", credential.ak.reveal()]
        case PasswordUser():
            words = ["user", credential.domain, credential.name]
        case IamToken():
            words = ["token", credential.value.reveal()]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _identity_in(values: Mapping[str, Secret]) -> Credential | None:
    """The identity that these values make; None where one of them is missing or empty."""

    def has(*names: str) -> bool:
        return all(values.get(name) for name in names)

    if has("ak", "sk"):
        return AccessKey(values["ak"], values["sk"], values.get("security_token") or None)
    if has("username", "password", "domain"):
        # The name and the account are no secrets, and are needed in plain for the login.
        return PasswordUser(values["username"].reveal(), values["password"], values["domain"].reveal())
    if has("token"):
        return IamToken(values["token"])
    return None
