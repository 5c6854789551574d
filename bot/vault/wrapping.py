"""Exchanges a wrapping token for the secret id that is wrapped in it (response wrapping).

Vault does this once for each wrapping token. When that happens is left to `bot.vault.client`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import hvac.exceptions

from bot.redaction import Secret
from bot.vault.errors import VaultError, VaultErrorKind, translating_errors
from bot.vault.login import VaultAppRole

_NOT_VALID = (
    "Vault doesn't accept the wrapping token for the bot's secret id. The token has expired, the bot used it at an "
    "earlier start, or someone else used it."
)
_SPENT = (
    "If the bot never used it, treat the secret id as stolen. Destroy the secret id in Vault, and look in Vault's "
    "audit log for the person or program that unwrapped it. Otherwise set a new wrapping token, because each start of "
    "the bot needs its own."
)


@translating_errors("sys/wrapping/lookup")
def wrapped_until(client: Any, identity: VaultAppRole, token: Secret) -> datetime:
    """When a wrapping token expires. This does not spend it.

    Arguments:
        client: an hvac client without a token, in the namespace of the login.

    Raises:
        VaultError: the token is spent, or does not wrap a secret id of this auth method (WRAPPING). Or Vault failed.
    """
    try:
        found = client.adapter.post("/v1/sys/wrapping/lookup", json={"token": token.reveal()})["data"]
    except (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden):
        raise _rejected(_NOT_VALID, _SPENT) from None
    path = found["creation_path"]
    # A thief can wrap another secret id, or the same one again, to hide the theft. Only the path shows that.
    if not re.fullmatch(rf"auth/{re.escape(identity.mount)}/role/[^/]+/(custom-)?secret-id", path):
        raise _rejected(
            f"The wrapping token for the bot's secret id was created at {path}, not at "
            f"auth/{identity.mount}/role/ROLE/secret-id.",
            "Set the wrapping token that Vault returned for the secret id. If you did, someone has replaced it, so "
            "treat the secret id as stolen.",
        )
    return datetime.fromisoformat(found["creation_time"]) + timedelta(seconds=int(found["creation_ttl"]))


def unwrap_secret_id(client: Any, identity: VaultAppRole, token: Secret) -> Secret:
    """The secret id in a wrapping token. This spends the token.

    Arguments:
        client: an hvac client without a token, in the namespace of the login.

    Raises:
        VaultError: as `wrapped_until`.
    """
    wrapped_until(client, identity, token)
    with translating_errors("sys/wrapping/unwrap"):
        client.token = token.reveal()
        try:
            found = client.adapter.post("/v1/sys/wrapping/unwrap")["data"]["secret_id"]
        except (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden):
            raise _rejected(_NOT_VALID, _SPENT) from None
        finally:
            client.token = ""
        if not isinstance(found, str):
            raise TypeError("no secret id")
        return Secret(found)


def _rejected(sentence: str, next_step: str) -> VaultError:
    return VaultError(VaultErrorKind.WRAPPING, "login", sentence, next_step)
