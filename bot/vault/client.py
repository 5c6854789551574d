"""Reads KV secrets from HashiCorp Vault, and checks which keys a path holds without reading their values.

Which paths are read, and when, is left to `bot.jobs`. Only the token of the main identity is kept between calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import hvac.exceptions

from bot.domain.request import KeyCheck
from bot.redaction import Secret
from bot.vault.errors import VaultError, VaultErrorKind, forbidden, missing, translating_errors
from bot.vault.login import (
    Login,
    TokenTerms,
    VaultAppRole,
    VaultIdentity,
    VaultServer,
    VaultToken,
    create_child,
    log_in,
)

T = TypeVar("T")


@dataclass(frozen=True)
class KvSecret:
    """A secret as read. `version` is None on KV version 1."""

    version: int | None
    values: Mapping[str, Secret]


class KvReader:
    """Checks and reads KV secrets with the token of one client.

    Arguments:
        client: an hvac client that is logged in.
        kv_versions: the KV version of each mount seen so far. Readers of one server share it.
    """

    def __init__(self, client: Any, kv_versions: dict[str, int]) -> None:
        self._client = client
        self._kv_versions = kv_versions

    def check(self, mount: str, path: str) -> KeyCheck:
        """The version of a secret and the names of its keys, without reading a value.

        Both are None where the policy does not show them.

        Raises:
            VaultError: the token may not read the path (FORBIDDEN), nothing is there (MISSING), or Vault failed.
        """
        with translating_errors(f"{mount}/{path}"):
            version = self._kv_version(mount)
            self._check_capabilities(mount, path, version)
            if version == 1:
                return KeyCheck(path, None, None)
            current = self._current_version(mount, path)
            subkeys = self._get_if_allowed(f"/v1/{mount}/subkeys/{path}")
            return KeyCheck(path, current, None if subkeys is None else tuple(sorted(subkeys.get("subkeys") or ())))

    def read(self, mount: str, path: str) -> KvSecret:
        """The newest version of a secret. Values that are not text are left out.

        Raises:
            VaultError: the token may not read the path (FORBIDDEN), nothing is there (MISSING), or Vault failed.
        """
        with translating_errors(f"{mount}/{path}"):
            if self._kv_version(mount) == 1:
                values, version = self._get(f"/v1/{mount}/{path}"), None
            else:
                found = self._get(f"/v1/{mount}/data/{path}")
                values, version = found["data"] or {}, int(found["metadata"]["version"])
            return KvSecret(version, {name: Secret(value) for name, value in values.items() if isinstance(value, str)})

    def _kv_version(self, mount: str) -> int:
        known = self._kv_versions.get(mount)
        if known is None:
            # A token without further rights may read this path; it may not read sys/mounts.
            found = self._get(f"/v1/sys/internal/ui/mounts/{mount}")
            if found["type"] not in ("kv", "generic"):
                raise TypeError("another secrets engine")
            known = self._kv_versions[mount] = int((found.get("options") or {}).get("version") or 1)
        return known

    def _check_capabilities(self, mount: str, path: str, version: int) -> None:
        api_path = f"{mount}/data/{path}" if version == 2 else f"{mount}/{path}"
        answer = self._client.adapter.post("/v1/sys/capabilities-self", json={"paths": [api_path]})
        if not {"read", "root"} & set(_data(answer).get(api_path) or ()):
            raise forbidden(f"{mount}/{path}")

    def _current_version(self, mount: str, path: str) -> int | None:
        metadata = self._get_if_allowed(f"/v1/{mount}/metadata/{path}")
        if metadata is None:
            return None
        current = int(metadata["current_version"])
        newest = metadata["versions"].get(str(current)) or {}
        if not current or newest.get("deletion_time") or newest.get("destroyed"):
            raise missing(f"{mount}/{path}")
        return current

    def _get(self, url: str) -> Any:
        return _data(self._client.adapter.get(url))

    def _get_if_allowed(self, url: str) -> Any | None:
        try:
            return self._get(url)
        except hvac.exceptions.Forbidden:
            return None


class ReleaseSession(KvReader):
    """Reads the source and destination keys with a token of its own, which `close` revokes."""

    def __init__(self, login: Login, kv_versions: dict[str, int]) -> None:
        super().__init__(login.client, kv_versions)
        self._login = login
        self.accessor = login.accessor
        self.kind = login.kind

    def close(self) -> bool:
        """Revokes the token, unless it is the static one; False when Vault did not revoke it."""
        return self._login.close()


class Vault:
    """A Vault server and the bot's identities there.

    Arguments:
        identity: the main identity. It reads the bot's own access key at Huawei Cloud.
        release_identity: reads the source and destination keys; without it, the main identity reads them too.
        namespace, ca: as in `VaultServer`.
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
        self._server = VaultServer(address, namespace, ca)
        self._identity = identity
        self._release_identity = release_identity
        self._lock = threading.Lock()
        self._main_login: Login | None = None
        self._kv_versions: dict[str, int] = {}

    def check(self, mount: str, path: str) -> KeyCheck:
        """As `KvReader.check`, with the identity that reads source and destination keys."""
        if self._release_identity is None:
            return self._as_main(lambda reader: reader.check(mount, path))
        with closing(self.open_release()) as session:
            return session.check(mount, path)

    def read(self, mount: str, path: str) -> KvSecret:
        """As `KvReader.read`, with the main identity: only for the bot's own access key."""
        return self._as_main(lambda reader: reader.read(mount, path))

    def token_terms(self, identity: VaultIdentity) -> TokenTerms:
        """The terms of the tokens that an identity gets. Logs in, and revokes the token at once.

        Raises:
            VaultError: the login failed.
        """
        with closing(log_in(self._server, identity)) as login:
            return login.terms

    def open_release(self) -> ReleaseSession:
        """Logs in anew, to read source and destination keys. The caller closes the session.

        Raises:
            VaultError: the login failed.
        """
        identity = self._release_identity or self._identity
        login = log_in(self._server, identity)
        if isinstance(identity, VaultToken):
            login = create_child(self._server, login) or login
        return ReleaseSession(login, self._kv_versions)

    def _as_main(self, call: Callable[[KvReader], T]) -> T:
        with self._lock:
            login = self._main_login
            is_new = login is None
            if login is None:
                login = self._main_login = log_in(self._server, self._identity)
        try:
            return call(KvReader(login.client, self._kv_versions))
        except VaultError as error:
            if is_new or error.kind is not VaultErrorKind.FORBIDDEN:
                raise
        # Vault answers an expired token and a missing right alike. Only a new token tells them apart.
        with self._lock:
            login = self._main_login = log_in(self._server, self._identity)
        return call(KvReader(login.client, self._kv_versions))


def _data(answer: Any) -> Any:
    return (answer if isinstance(answer, dict) else answer.json())["data"]
