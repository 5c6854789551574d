"""The bot's own access key at Huawei Cloud, one for each project, held in memory; and its rest after a refusal.

Five refused signatures lock a key for everybody: after one, nothing is signed with it until Vault has another
version of it, or a person asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import requests

from bot.config import Project
from bot.oms.auth import AccessKey, AccessKeyAuth
from bot.oms.catalogue import is_signature_refused
from bot.oms.client import Oms, new_session
from bot.oms.errors import Refused
from bot.vault import Vault
from bot.vault_faults import FaultKind, VaultFault

T = TypeVar("T")


class KeyRests(Exception):
    """The bot's access key was refused, and is not tried again by itself. `path` is where it is in Vault."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the access key at {path} was refused")
        self.path = path


@dataclass(frozen=True)
class _Held:
    version: int | None
    key: AccessKey
    rests: bool = False


class Callers:
    """Calls OMS as the bot."""

    def __init__(self, vault: Vault, projects: Mapping[str, Project], now: Callable[[], datetime]) -> None:
        self._vault = vault
        self._projects = projects
        self._now = now
        self._held: dict[str, _Held] = {}
        self._sessions: dict[str, requests.Session] = {}
        self._lock = threading.Lock()

    def call(self, project: str, ask: Callable[[Oms], T]) -> T:
        """What `ask` gets from the project's OMS.

        Raises:
            KeyRests: nothing was sent: the key was refused before.
            VaultFault: nothing was sent: the key cannot be read.
            OmsError: as `ask` raises it.
        """
        held = self._key(project)
        settings = self._projects[project]
        auth = AccessKeyAuth(held.key, settings.project_id, self._now)
        try:
            return ask(Oms(settings.oms_address, settings.project_id, auth, self._session(project)))
        except Refused as refused:
            if is_signature_refused(refused.answer.code):
                with self._lock:
                    if self._held.get(project) is held:
                        self._held[project] = _Held(held.version, held.key, rests=True)
            raise

    def a_person_asks(self, project: str) -> None:
        """Lets a resting key be read and tried once more."""
        with self._lock:
            held = self._held.get(project)
            if held is not None and held.rests:
                del self._held[project]

    def _session(self, project: str) -> requests.Session:
        with self._lock:
            return self._sessions.setdefault(project, new_session())

    def _key(self, project: str) -> _Held:
        with self._lock:
            held = self._held.get(project)
        if held is not None and not held.rests:
            return held
        vault = self._projects[project].vault
        if held is not None and held.version is not None:
            newest = self._vault.version(vault.mount, vault.caller)
            if newest in (None, held.version):
                raise KeyRests(f"{vault.mount}/{vault.caller}")
        fresh = self._read(vault.mount, vault.caller)
        if held is not None and (fresh.key.ak, fresh.key.sk) == (held.key.ak, held.key.sk):
            raise KeyRests(f"{vault.mount}/{vault.caller}")
        with self._lock:
            self._held[project] = fresh
        return fresh

    def _read(self, mount: str, path: str) -> _Held:
        secret = self._vault.read(mount, path)
        values = secret.values
        missing = [name for name in ("ak", "sk") if not values.get(name)]
        if missing:
            raise VaultFault(
                FaultKind.MISSING,
                f"{mount}/{path}",
                f"{mount}/{path} in Vault has no {' and no '.join(missing)}.",
                "Write the access key of the bot's IAM user there, as ak and sk.",
            )
        return _Held(secret.version, AccessKey(values["ak"], values["sk"], values.get("security_token")))
