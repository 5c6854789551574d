"""The ways to log in to Vault, and the functions that log in.

Which identity is used for what is left to `bot.vault.client`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import hvac.exceptions

from bot.redaction import FileSecret, Secret, UnreadableSecret
from bot.vault.errors import MAYBE_LOCKED, VaultError, VaultErrorKind, login_error, translating_errors
from bot.vault.session import Clients, TokenKind, VaultSession
from bot.vault.token import TokenLimits

CHILD_TOKEN_TTL = "2m"  # noqa: S105 (a duration)


@dataclass(frozen=True)
class VaultToken:
    """A static token that an administrator issued, or that another program writes to a file (VAULT_TOKEN)."""

    token: Secret


@dataclass(frozen=True)
class WrappedSecret:
    """A secret that Vault has wrapped. It is unwrapped with a token, and only once."""

    token: Secret


@dataclass(frozen=True)
class VaultAppRole:
    """The AppRole auth method: a role id and a secret id."""

    role_id: str
    secret_id: Secret | WrappedSecret
    mount: str = "approle"


@dataclass(frozen=True)
class VaultJwt:
    """The JWT auth method, or the Kubernetes auth method, which has the same login: a Vault role and a JWT."""

    role: str
    jwt: Secret
    mount: str = "jwt"


@dataclass(frozen=True)
class VaultCertificate:
    """The TLS certificate auth method: the paths of two PEM files, and a Vault role. Without one, Vault tries all."""

    certificate: str
    key: str
    role: str = ""
    mount: str = "cert"


VaultIdentity = VaultToken | VaultAppRole | VaultJwt | VaultCertificate


def read_now(secret: Secret) -> Secret:
    """A secret that is sent to Vault, as it is now.

    Raises:
        VaultError: its file can't be read, or contains something else (FILE).
    """
    try:
        found = secret.current()
        if isinstance(found, FileSecret) and not found.is_one_word:
            raise UnreadableSecret(found.variable, "contains a space or a character that is not ASCII")
    except UnreadableSecret as error:
        raise _unusable_file(str(error)) from None
    return found


def load_pair(certificate: str, key: str) -> None:
    """Loads a client certificate and its key as a connection does, without asking for a password on the terminal.

    Raises:
        OSError, ValueError: the files cannot be read or do not belong together, or the key is encrypted.
    """
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")


@translating_errors("login")
def log_in(
    clients: Clients, identity: VaultIdentity, kv_versions: dict[str, int], secret_id: Secret | None = None
) -> VaultSession:
    """Logs in with an identity. A static token is looked up instead.

    Arguments:
        kv_versions: as in `VaultSession`.
        secret_id: the current one of an AppRole.

    Raises:
        VaultError: the login failed.
    """
    try:
        match identity:
            case VaultToken(token):
                clients.use(read_now(token).reveal())
                found = clients.login.auth.token.lookup_self()["data"]
                limits = TokenLimits.of_lookup(found)
                return VaultSession(clients, found["accessor"], TokenKind.STATIC, kv_versions, limits)
            case VaultAppRole(role_id):
                body = {"role_id": role_id, "secret_id": secret_id.reveal() if secret_id else ""}
            case VaultJwt(role, jwt):
                body = {"role": role, "jwt": read_now(jwt).reveal()}
            case VaultCertificate(certificate, key, role):
                _check_pair(certificate, key)
                body = {"name": role} if role else {}
        found = clients.login.adapter.post(f"/v1/auth/{identity.mount}/login", json=body)["auth"]
    except hvac.exceptions.VaultError as error:
        raise _rejected(error, identity, clients.login.adapter.namespace) from None
    clients.use(found["client_token"])
    limits = TokenLimits.of_login(found)
    return VaultSession(clients, found.get("accessor", ""), TokenKind.LOGIN, kv_versions, limits)


@translating_errors("auth/token/create")
def create_child(clients: Clients, parent: VaultSession) -> VaultSession | None:
    """A token of 2 minutes with the rights of `parent`; None when its policy does not let it create tokens.

    Arguments:
        clients: get the new token.

    Raises:
        VaultError: Vault failed.
    """
    create = parent.clients.login.auth.token.create
    try:
        found = create(ttl=CHILD_TOKEN_TTL, explicit_max_ttl=CHILD_TOKEN_TTL, renewable=False)["auth"]
    except hvac.exceptions.Forbidden:
        return None
    clients.use(found["client_token"])
    limits = TokenLimits.of_login(found)
    return VaultSession(clients, found["accessor"], TokenKind.CHILD, parent.kv_versions, limits)


def _check_pair(certificate: str, key: str) -> None:
    try:
        load_pair(certificate, key)
    except (OSError, ValueError):
        problem = "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY can't be read or don't belong together"
        raise _unusable_file(problem, "Check both files, and the program that writes them.") from None


def _unusable_file(problem: str, next_step: str = "Check the program that writes this file.") -> VaultError:
    return VaultError(VaultErrorKind.FILE, "login", f"{problem}.", next_step)


def _rejected(error: hvac.exceptions.VaultError, identity: VaultIdentity, namespace: str | None) -> VaultError:
    """The `VaultError` for an exception during a login, which names where the bot tried to log in."""
    match identity:
        case VaultToken():
            return login_error(error, "with its token", "Check the token. It may have expired or been revoked.")
        case VaultAppRole():
            credential, more = "the role id, the secret id", "The secret id may have expired or been used up."
            if isinstance(error, hvac.exceptions.Forbidden):
                more = f"{more} {MAYBE_LOCKED}"
        case VaultJwt():
            credential, more = "the role, the JWT", "The JWT may have expired."
        case VaultCertificate():
            credential, more = "the role, the client certificate", "The certificate may have expired."
    place = f"at auth/{identity.mount}" + (f" in namespace {namespace}" if namespace else "")
    where = "the mount and the namespace" if namespace else "and the mount"
    return login_error(error, place, f"Check {credential}, {where}. {more}")
