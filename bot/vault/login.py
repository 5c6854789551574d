"""Whom the bot is to Vault: the ways to log in, as the environment names one. Logging in is left to `bot.vault`."""

from __future__ import annotations

from dataclasses import dataclass

from bot.redaction import Secret


@dataclass(frozen=True)
class VaultToken:
    """A standing token."""

    token: Secret


@dataclass(frozen=True)
class VaultAppRole:
    """AppRole: a role id and its secret id."""

    role_id: str
    secret_id: Secret


@dataclass(frozen=True)
class VaultKubernetes:
    """The service account of the pod, under this role."""

    role: str
    jwt_path: str = "/var/run/secrets/kubernetes.io/serviceaccount/token"


VaultIdentity = VaultToken | VaultAppRole | VaultKubernetes


@dataclass(frozen=True)
class TokenTerms:
    """How the token of a login lives.

    A batch token has no accessor and cannot be given back; one with `uses` left ends with the last of them. 0 is any
    number.
    """

    is_batch: bool
    uses: int
