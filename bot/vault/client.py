"""Talks to HashiCorp Vault: logs in, asks what is there without reading it, reads, gives the token back.

Which paths, and when they may be read, is left to `bot.jobs`. Nothing read here is kept, but the standing token.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import hvac
import hvac.exceptions
import requests
import urllib3

from bot.domain.request import KeyCheck
from bot.net.session import new_session
from bot.redaction import Secret
from bot.vault.errors import VaultError, VaultErrorKind, error_for, forbidden, login_error, missing, translating_errors
from bot.vault.login import TokenTerms, VaultAppRole, VaultIdentity, VaultKubernetes, VaultToken

TIMEOUT_SECONDS = 5.0
CHILD_TOKEN_TTL = "2m"  # noqa: S105 (a duration)

T = TypeVar("T")


@dataclass(frozen=True)
class KvSecret:
    """One secret as read: its version (None on KV version 1) and its values."""

    version: int | None
    values: Mapping[str, Secret]


class TokenKind(StrEnum):
    """Whose token a release is made with. The standing one cannot be given back."""

    LOGIN = "fresh login"
    CHILD = "child token of 2 minutes"
    STATIC = "static token"


class Vault:
    """One Vault, and who the bot is to it.

    Arguments:
        release_identity: may alone read the source and destination keys, where there is one.
        ca: a PEM file to trust instead of the system's.
    """

    def __init__(
        self,
        address: str,
        identity: VaultIdentity,
        release_identity: VaultAppRole | None = None,
        *,
        namespace: str | None = None,
        ca: str | None = None,
    ) -> None:
        self._address = address
        self._identity = identity
        self._release_identity = release_identity
        self._namespace = namespace
        self._ca = ca
        # One session keeps the connections open; tokens are in the headers of single requests, never in it.
        self._session = new_session()
        self._session.verify = ca or True
        self._lock = threading.Lock()
        self._standing: Any = None
        self._kv_versions: dict[str, int] = {}

    def check(self, mount: str, path: str) -> KeyCheck:
        """Whether the keys at this path could be read, and which are there: asked as whoever would read them.

        Raises:
            VaultFault: they could not, and why.
        """
        if self._release_identity is None:
            return self._standing_call(f"{mount}/{path}", lambda client: self._check(client, mount, path))
        session = self.open_release()
        try:
            return session.check(mount, path)
        finally:
            session.close()

    def read(self, mount: str, path: str) -> KvSecret:
        """The secret at this path, as the standing identity: for the bot's own access key, and nothing else.

        Raises:
            VaultFault: it cannot be read, and why.
        """
        return self._standing_call(f"{mount}/{path}", lambda client: self._read(client, mount, path))

    def token_terms(self, identity: VaultIdentity) -> TokenTerms:
        """How a token of this identity lives. One that the look itself made is given back.

        Raises:
            VaultFault: the login failed, and why.
        """
        client, accessor, terms = self._log_in(identity)
        kind = TokenKind.STATIC if isinstance(identity, VaultToken) else TokenKind.LOGIN
        ReleaseSession(self, client, accessor, kind).close()
        return terms

    def open_release(self) -> ReleaseSession:
        """Logs in anew, for one release of keys. Close it.

        Raises:
            VaultFault: the login failed, and why.
        """
        identity = self._release_identity or self._identity
        if isinstance(identity, VaultToken):
            return self._child_session(identity)
        client, accessor, _ = self._log_in(identity)
        return ReleaseSession(self, client, accessor, TokenKind.LOGIN)

    def _child_session(self, identity: VaultToken) -> ReleaseSession:
        parent, accessor, _ = self._log_in(identity)
        with translating_errors("auth/token/create"):
            try:
                made = parent.auth.token.create(ttl=CHILD_TOKEN_TTL, explicit_max_ttl=CHILD_TOKEN_TTL, renewable=False)
            except hvac.exceptions.Forbidden:
                return ReleaseSession(self, parent, accessor, TokenKind.STATIC)
            child = self._client()
            child.token = _token(made["auth"]["client_token"])
            return ReleaseSession(self, child, made["auth"]["accessor"], TokenKind.CHILD)

    def _client(self) -> Any:
        return hvac.Client(
            url=self._address,
            token="",
            namespace=self._namespace,
            timeout=urllib3.Timeout(TIMEOUT_SECONDS),
            allow_redirects=False,
            session=self._session,
            verify=self._ca or True,
        )

    @translating_errors("login")
    def _log_in(self, identity: VaultIdentity) -> tuple[Any, str, TokenTerms]:
        client = self._client()
        try:
            match identity:
                case VaultToken(token):
                    client.token = token.reveal()
                    found = client.auth.token.lookup_self()["data"]
                    return client, found["accessor"], TokenTerms(found["type"] == "batch", found["num_uses"])
                case VaultAppRole(role_id, secret_id):
                    answer = client.auth.approle.login(role_id, secret_id.reveal())
                case VaultKubernetes(role, jwt_path):
                    jwt = Path(jwt_path).read_text(encoding="utf-8").strip()
                    answer = client.auth.kubernetes.login(role, jwt)
        except OSError as error:
            if isinstance(error, requests.exceptions.RequestException):
                raise error_for(error, "login") from None
            raise VaultError(
                VaultErrorKind.LOGIN,
                "login",
                "The pod's service account token cannot be read.",
                "Mount it into the pod.",
            ) from None
        except hvac.exceptions.VaultError as error:
            raise login_error(error) from None
        found = answer["auth"]
        client.token = _token(found["client_token"])
        terms = TokenTerms(found.get("token_type") == "batch", found.get("num_uses") or 0)
        return client, found.get("accessor", ""), terms

    def _standing_call(self, path: str, ask: Callable[[Any], T]) -> T:
        with self._lock:
            fresh = self._standing is None
            if fresh:
                self._standing = self._log_in(self._identity)[0]
            client = self._standing
        try:
            with translating_errors(path):
                return ask(client)
        except VaultError as fault:
            if fresh or fault.kind is not VaultErrorKind.FORBIDDEN:
                raise
        # The token may have run out: one new login tells that from a missing right.
        with self._lock:
            client = self._standing = self._log_in(self._identity)[0]
        with translating_errors(path):
            return ask(client)

    def _kv_version(self, client: Any, mount: str) -> int:
        known = self._kv_versions.get(mount)
        if known is None:
            # sys/mounts is forbidden to a plain role; this one is not.
            found = _data(client.adapter.get(f"/v1/sys/internal/ui/mounts/{mount}"))
            if found["type"] not in ("kv", "generic"):
                raise TypeError("another secrets engine")
            known = self._kv_versions[mount] = int((found.get("options") or {}).get("version") or 1)
        return known

    def _check(self, client: Any, mount: str, path: str) -> KeyCheck:
        version = self._kv_version(client, mount)
        real_path = f"{mount}/data/{path}" if version == 2 else f"{mount}/{path}"
        answer = client.adapter.post("/v1/sys/capabilities-self", json={"paths": [real_path]})
        capabilities = set(_data(answer).get(real_path) or ())
        if not capabilities & {"read", "root"}:
            raise forbidden(f"{mount}/{path}")
        if version == 1:
            return KeyCheck(path, None, None)
        metadata = _optional(client, f"/v1/{mount}/metadata/{path}")
        current = int(metadata["current_version"]) if metadata else None
        if metadata is not None:
            newest = metadata["versions"].get(str(current)) or {}
            if not current or newest.get("deletion_time") or newest.get("destroyed"):
                raise missing(f"{mount}/{path}")
        subkeys = _optional(client, f"/v1/{mount}/subkeys/{path}")
        return KeyCheck(path, current, None if subkeys is None else tuple(sorted(subkeys.get("subkeys") or ())))

    def _read(self, client: Any, mount: str, path: str) -> KvSecret:
        if self._kv_version(client, mount) == 1:
            values, version = _data(client.adapter.get(f"/v1/{mount}/{path}")), None
        else:
            found = _data(client.adapter.get(f"/v1/{mount}/data/{path}"))
            values, version = found["data"] or {}, int(found["metadata"]["version"])
        return KvSecret(version, {name: Secret(value) for name, value in values.items() if isinstance(value, str)})


class ReleaseSession:
    """One login that reads the source and destination keys, and is given back."""

    def __init__(self, vault: Vault, client: Any, accessor: str, kind: TokenKind) -> None:
        self._vault = vault
        self._client = client
        self.accessor = accessor
        self.kind = kind

    def check(self, mount: str, path: str) -> KeyCheck:
        """As `Vault.check`."""
        with translating_errors(f"{mount}/{path}"):
            return self._vault._check(self._client, mount, path)

    def read(self, mount: str, path: str) -> KvSecret:
        """The secret at this path.

        Raises:
            VaultFault: it cannot be read, and why.
        """
        with translating_errors(f"{mount}/{path}"):
            return self._vault._read(self._client, mount, path)

    def close(self) -> bool:
        """Gives the token back; True when Vault took it, or when it is the standing one, which stays."""
        try:
            if self.kind is not TokenKind.STATIC:
                with translating_errors("auth/token/revoke-self"):
                    self._client.auth.token.revoke_self()
        except VaultError:
            # It ends by itself within minutes; that it was not given back stands in the audit.
            return False
        finally:
            self._client.token = ""
        return True


def _token(found: object) -> str:
    if not isinstance(found, str) or not found:
        raise TypeError("no token")
    return found


def _data(answer: Any) -> Any:
    return (answer if isinstance(answer, dict) else answer.json())["data"]


def _optional(client: Any, url: str) -> Any | None:
    """What the policy may not let us see; None when it does not."""
    try:
        return _data(client.adapter.get(url))
    except hvac.exceptions.Forbidden:
        return None
