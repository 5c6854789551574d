"""The ways to log in to Vault, and the functions that log in.

Which identity is used for what is left to `bot.vault.client`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac.exceptions

from bot.redaction import Secret
from bot.vault.errors import MAYBE_LOCKED, VaultError, VaultErrorKind, login_error, translating_errors
from bot.vault.session import TokenKind, VaultSession

CHILD_TOKEN_TTL = "2m"  # noqa: S105 (a duration)


@dataclass(frozen=True)
class VaultToken:
    """A static token that an administrator issued (VAULT_TOKEN)."""

    token: Secret


@dataclass(frozen=True)
class VaultAppRole:
    """The AppRole auth method: a role id and a secret id."""

    role_id: str
    secret_id: Secret


@dataclass(frozen=True)
class VaultKubernetes:
    """The Kubernetes auth method: a Vault role, and the pod's service account token, which is read at each login."""

    role: str
    jwt_path: str = "/var/run/secrets/kubernetes.io/serviceaccount/token"


VaultIdentity = VaultToken | VaultAppRole | VaultKubernetes


@translating_errors("login")
def log_in(client: Any, identity: VaultIdentity, kv_versions: dict[str, int]) -> VaultSession:
    """Logs in with an identity. A static token is looked up instead.

    Arguments:
        client: an hvac client without a token. It gets the one of the login.
        kv_versions: as in `VaultSession`.

    Raises:
        VaultError: the login failed.
    """
    try:
        match identity:
            case VaultToken(token):
                client.token = token.reveal()
                found = client.auth.token.lookup_self()["data"]
                is_batch, uses = found["type"] == "batch", found["num_uses"]
                return VaultSession(client, found["accessor"], TokenKind.STATIC, kv_versions, is_batch, uses)
            case VaultAppRole(role_id, secret_id):
                answer = client.auth.approle.login(role_id, secret_id.reveal())
            case VaultKubernetes(role, jwt_path):
                answer = client.auth.kubernetes.login(role, _service_account_token(jwt_path))
    except hvac.exceptions.VaultError as error:
        raise login_error(error, MAYBE_LOCKED if isinstance(identity, VaultAppRole) else "") from None
    found = answer["auth"]
    client.token = _checked_token(found["client_token"])
    is_batch, uses = found.get("token_type") == "batch", found.get("num_uses") or 0
    return VaultSession(client, found.get("accessor", ""), TokenKind.LOGIN, kv_versions, is_batch, uses)


@translating_errors("auth/token/create")
def create_child(client: Any, parent: VaultSession) -> VaultSession | None:
    """A token of 2 minutes with the rights of `parent`; None when its policy does not let it create tokens.

    Arguments:
        client: an hvac client without a token. It gets the new one.

    Raises:
        VaultError: Vault failed.
    """
    try:
        answer = parent.client.auth.token.create(ttl=CHILD_TOKEN_TTL, explicit_max_ttl=CHILD_TOKEN_TTL, renewable=False)
    except hvac.exceptions.Forbidden:
        return None
    found = answer["auth"]
    client.token = _checked_token(found["client_token"])
    return VaultSession(client, found["accessor"], TokenKind.CHILD, parent.kv_versions)


def _service_account_token(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        raise VaultError(
            VaultErrorKind.LOGIN,
            "login",
            "The bot can't read the pod's service account token.",
            "Mount the service account token into the pod.",
        ) from None


def _checked_token(found: object) -> str:
    if not isinstance(found, str) or not found:
        raise TypeError("no token")
    return found
