"""The ways to log in to Vault, and the function that logs in.

Which identity is used for what is left to `bot.vault.client`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import hvac
import hvac.exceptions
import requests
import urllib3

from bot.net.session import new_session
from bot.redaction import Secret
from bot.vault.errors import VaultError, VaultErrorKind, login_error, translating_errors

TIMEOUT_SECONDS = 5.0
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


class TokenKind(StrEnum):
    """Where a token comes from. The values are written to the audit."""

    #: Issued by a login. The bot revokes it after use.
    LOGIN = "fresh login"
    #: Created with the static token, which may create tokens. The bot revokes it after use.
    CHILD = "child token of 2 minutes"
    #: The static token itself. The bot never revokes it.
    STATIC = "static token"


@dataclass(frozen=True)
class TokenTerms:
    """What limits a token.

    Arguments:
        is_batch: a batch token, which has no accessor and cannot be revoked.
        uses: the number of calls after which Vault revokes the token; 0 is no limit.
    """

    is_batch: bool
    uses: int


@dataclass(frozen=True)
class VaultServer:
    """A Vault server and how to reach it.

    Arguments:
        namespace: the namespace of every call; None for the root namespace, and for Vault without namespaces.
        ca: a PEM file of certificates to trust instead of those of the system.
    """

    address: str
    namespace: str | None = None
    ca: str | None = None
    # Shared by all clients, so that connections stay open. Tokens are headers of single calls and never in it.
    _session: requests.Session = field(default_factory=new_session, init=False)

    def __post_init__(self) -> None:
        self._session.verify = self.ca or True

    def client(self, token: str = "") -> Any:
        """A new hvac client that sends this token with each call."""
        return hvac.Client(
            url=self.address,
            token=token,
            namespace=self.namespace,
            timeout=urllib3.Timeout(TIMEOUT_SECONDS),
            allow_redirects=False,
            session=self._session,
            verify=self.ca or True,
        )


@dataclass(frozen=True)
class Login:
    """A token and the hvac client that uses it."""

    client: Any
    accessor: str
    kind: TokenKind
    terms: TokenTerms

    def close(self) -> bool:
        """Revokes the token, unless it is the static one; False when Vault did not revoke it.

        A token that was not revoked expires with its time to live.
        """
        try:
            if self.kind is not TokenKind.STATIC:
                with translating_errors("auth/token/revoke-self"):
                    self.client.auth.token.revoke_self()
        except VaultError:
            return False
        finally:
            self.client.token = ""
        return True


@translating_errors("login")
def log_in(server: VaultServer, identity: VaultIdentity) -> Login:
    """Logs in with an identity. A static token is looked up instead.

    Raises:
        VaultError: the login failed.
    """
    client = server.client()
    try:
        match identity:
            case VaultToken(token):
                client.token = token.reveal()
                found = client.auth.token.lookup_self()["data"]
                terms = TokenTerms(found["type"] == "batch", found["num_uses"])
                return Login(client, found["accessor"], TokenKind.STATIC, terms)
            case VaultAppRole(role_id, secret_id):
                answer = client.auth.approle.login(role_id, secret_id.reveal())
            case VaultKubernetes(role, jwt_path):
                answer = client.auth.kubernetes.login(role, _service_account_token(jwt_path))
    except hvac.exceptions.VaultError as error:
        raise login_error(error) from None
    found = answer["auth"]
    client.token = _checked_token(found["client_token"])
    terms = TokenTerms(found.get("token_type") == "batch", found.get("num_uses") or 0)
    return Login(client, found.get("accessor", ""), TokenKind.LOGIN, terms)


@translating_errors("auth/token/create")
def create_child(server: VaultServer, parent: Login) -> Login | None:
    """A token of 2 minutes with the rights of `parent`; None when its policy does not let it create tokens.

    Raises:
        VaultError: Vault failed.
    """
    try:
        answer = parent.client.auth.token.create(ttl=CHILD_TOKEN_TTL, explicit_max_ttl=CHILD_TOKEN_TTL, renewable=False)
    except hvac.exceptions.Forbidden:
        return None
    found = answer["auth"]
    client = server.client(_checked_token(found["client_token"]))
    return Login(client, found["accessor"], TokenKind.CHILD, TokenTerms(is_batch=False, uses=0))


def _service_account_token(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        raise VaultError(
            VaultErrorKind.LOGIN,
            "login",
            "The pod's service account token cannot be read.",
            "Mount it into the pod.",
        ) from None


def _checked_token(found: object) -> str:
    if not isinstance(found, str) or not found:
        raise TypeError("no token")
    return found
