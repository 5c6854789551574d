"""Checks and reads KV secrets in HashiCorp Vault with one token.

A check reads no value of a key. Getting the token is left to `bot.vault.login`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import hvac.exceptions

from bot.domain.request import KeyCheck
from bot.redaction import JsonSecret, Secret
from bot.vault.adapter import JsonFloat
from bot.vault.errors import VaultError, forbidden, missing, translating_errors
from bot.vault.token import TokenLimits


class TokenKind(StrEnum):
    """Where a token comes from. The values are written to the audit."""

    #: Issued by a login. The bot revokes it after use.
    LOGIN = "fresh login"
    #: Created with the static token, which may create tokens. The bot revokes it after use.
    CHILD = "child token of 2 minutes"
    #: The static token itself. The bot never revokes it.
    STATIC = "static token"


class KvSecret(NamedTuple):
    """A secret as read. `version` is None on KV version 1. A number is its JSON text, and a null is left out."""

    version: int | None
    values: Mapping[str, Secret]


@dataclass(frozen=True)
class Clients:
    """hvac clients without a token. A login gives both the same one.

    Arguments:
        login: in the namespace where the bot logs in. Makes the calls about the token itself.
        keys: in the namespace of the keys. It is the same client if the namespaces are the same.
    """

    login: Any
    keys: Any

    def use(self, token: object) -> None:
        """Sends a token with every call from now on.

        Raises:
            TypeError: Vault's answer has no token.
        """
        if not isinstance(token, str) or not token:
            raise TypeError("no token")
        self.login.token = self.keys.token = token

    def forget_token(self) -> None:
        self.login.token = self.keys.token = ""

    @property
    def keys_prefix(self) -> str:
        """The namespace of the keys as seen from that of the login, such as `team/`; empty if they are the same."""
        login, keys = (f"{client.adapter.namespace or ''}/".lstrip("/") for client in (self.login, self.keys))
        return keys.removeprefix(login)


@dataclass(frozen=True)
class VaultSession:
    """One token, and the calls that are made with it.

    Arguments:
        accessor: identifies the token without revealing it; empty for a batch token.
        kv_versions: the KV version of each mount seen so far. Sessions on one server share it.
    """

    clients: Clients
    accessor: str
    kind: TokenKind
    kv_versions: dict[str, int]
    limits: TokenLimits

    def check(self, mount: str, path: str) -> KeyCheck:
        """The version of a secret and the names of its keys, without reading a value.

        Both are None where the policy does not show them.

        Raises:
            VaultError: the token may not read the path (FORBIDDEN), nothing is there (MISSING), or Vault failed.
        """
        with translating_errors(f"{mount}/{path}"):
            version = self._find_kv_version(mount)
            self._check_capabilities(mount, path, version)
            if version == 1:
                return KeyCheck(path, None, None)
            current = self._current_version(mount, path)
            subkeys = self._subkeys(mount, path, is_there=current is not None)
            if subkeys is None:
                return KeyCheck(path, current, None)
            objects = tuple(sorted(name for name, value in subkeys.items() if value is not None))
            return KeyCheck(path, current, tuple(sorted(subkeys)), objects)

    def read(self, mount: str, path: str) -> KvSecret:
        """The newest version of a secret.

        Raises:
            VaultError: the token may not read the path (FORBIDDEN), nothing is there (MISSING), or Vault failed.
        """
        with translating_errors(f"{mount}/{path}"):
            known = self.kv_versions.get(mount)
            try:
                return self._read(mount, path, known or self._find_kv_version(mount))
            except (hvac.exceptions.Forbidden, hvac.exceptions.InvalidPath, hvac.exceptions.InvalidRequest):
                # The mount may have been upgraded to version 2, where secrets have another API path.
                if known is None or self._find_kv_version(mount) == known:
                    raise
            return self._read(mount, path, self.kv_versions[mount])

    def close(self) -> bool:
        """Revokes the token, unless it is the static one; False when Vault did not revoke it.

        A token that was not revoked expires with its time to live.
        """
        try:
            if self.kind is not TokenKind.STATIC:
                with translating_errors("auth/token/revoke-self"):
                    self.clients.login.auth.token.revoke_self()
        except VaultError:
            return False
        finally:
            self.clients.forget_token()
        return True

    def _find_kv_version(self, mount: str) -> int:
        # A token without further rights may read this path; it may not read sys/mounts.
        found = self._get(f"/v1/sys/internal/ui/mounts/{mount}")
        if found["type"] not in ("kv", "generic"):
            raise TypeError("another secrets engine")
        version = self.kv_versions[mount] = int((found.get("options") or {}).get("version") or 1)
        return version

    def _read(self, mount: str, path: str, kv_version: int) -> KvSecret:
        if kv_version == 1:
            values, version = self._get(f"/v1/{mount}/{path}"), None
        else:
            found = self._get(f"/v1/{mount}/data/{path}")
            values, version = found["data"] or {}, int(found["metadata"]["version"])
        return KvSecret(version, {name: _secret(value) for name, value in values.items() if value is not None})

    def _check_capabilities(self, mount: str, path: str, version: int) -> None:
        api_path = f"{mount}/data/{path}" if version == 2 else f"{mount}/{path}"
        # The default policy allows this call only in the namespace of the login. There, the path begins below it.
        api_path = f"{self.clients.keys_prefix}{api_path}"
        answer = self.clients.login.adapter.post("/v1/sys/capabilities-self", json={"paths": [api_path]})
        if not {"read", "root"} & set(_data(answer).get(api_path) or ()):
            raise forbidden(f"{mount}/{path}")

    def _current_version(self, mount: str, path: str) -> int | None:
        metadata = self._get_if_allowed(f"/v1/{mount}/metadata/{path}")
        if metadata is None:
            return None
        current = int(metadata["current_version"])
        newest = metadata["versions"].get(str(current)) or {}
        if not current or newest.get("destroyed") or _has_passed(newest.get("deletion_time")):
            raise missing(f"{mount}/{path}")
        return current

    def _subkeys(self, mount: str, path: str, *, is_there: bool) -> Mapping[str, Any] | None:
        """The names of the keys, each with None, or with a mapping if its value is an object.

        None where the policy does not show them, and on a Vault without this API path (before 1.10).

        Arguments:
            is_there: whether the secret is known to be there.
        """
        try:
            return self._get(f"/v1/{mount}/subkeys/{path}").get("subkeys") or {}
        except (hvac.exceptions.Forbidden, hvac.exceptions.UnsupportedOperation):
            return None
        except hvac.exceptions.InvalidPath as error:
            # A missing secret has neither errors nor warnings. They name an API path that Vault does not have.
            if is_there or error.errors or (error.json or {}).get("warnings"):
                return None
            raise

    def _get(self, url: str) -> Any:
        return _data(self.clients.keys.adapter.get(url))

    def _get_if_allowed(self, url: str) -> Any | None:
        try:
            return self._get(url)
        except hvac.exceptions.Forbidden:
            return None


def _data(answer: Any) -> Any:
    return (answer if isinstance(answer, dict) else answer.json())["data"]


def _has_passed(deletion_time: str | None) -> bool:
    """Whether a version is deleted. `delete_version_after` sets a time in the future, until which it can be read."""
    return bool(deletion_time) and datetime.fromisoformat(str(deletion_time)) <= datetime.now(UTC)


def _secret(value: object) -> Secret:
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, JsonFloat):
        return Secret(value.text)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return Secret(str(value)) if is_number else JsonSecret(json.dumps(value))
