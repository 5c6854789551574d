"""A Vault server and the bot's identities there.

Which paths are read, and when, is left to `bot.jobs`. Only the token of the main identity is kept between calls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import hvac
import urllib3

from bot.domain.request import KeyCheck
from bot.net.proxy import Proxy
from bot.net.session import Route, ended_without_answer, new_session
from bot.net.tls import tls_context
from bot.vault.adapter import RepeatingAdapter
from bot.vault.errors import VaultError, VaultErrorKind
from bot.vault.login import VaultAppRole, VaultIdentity, VaultToken, create_child, log_in
from bot.vault.login_guard import LoginGuard
from bot.vault.session import KvSecret, VaultSession

T = TypeVar("T")

TIMEOUT_SECONDS = 5.0


class Vault:
    """Logs in, and calls with the right identity. Threads share it.

    Arguments:
        identity: the main identity. It reads the bot's own access key at Huawei Cloud.
        release_identity: reads the source and destination keys; without it, the main identity reads them too.
        namespace: the namespace of every call; None for the root namespace, and for Vault without namespaces.
        ca: a PEM file, or a directory of PEM files, to trust instead of the system's certificates.
        proxy: the proxy of every call; None for direct connections.
    """

    def __init__(
        self,
        address: str,
        identity: VaultIdentity,
        release_identity: VaultAppRole | None = None,
        *,
        namespace: str | None = None,
        ca: str | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._address = address
        self._namespace = namespace
        # Shared by all clients, so that connections stay open. Tokens are headers of single calls and never in it.
        self._http = new_session(Route(tls_context(only=ca), proxy), is_repeated=ended_without_answer)
        self._identity = identity
        self._release_identity = release_identity
        self._lock = threading.Lock()
        self._main: VaultSession | None = None
        self._main_failed_at = float("-inf")
        self._main_failure: VaultError | None = None
        self._guards: dict[str, LoginGuard] = {}
        self._kv_versions: dict[str, int] = {}

    def check(self, mount: str, path: str) -> KeyCheck:
        """As `VaultSession.check`, with the identity that reads source and destination keys."""
        if self._release_identity is None:
            return self._as_main(lambda session: session.check(mount, path))
        with closing(self.open_release()) as session:
            return session.check(mount, path)

    def read(self, mount: str, path: str) -> KvSecret:
        """As `VaultSession.read`, with the main identity: only for the bot's own access key."""
        return self._as_main(lambda session: session.read(mount, path))

    def try_login(self, identity: VaultIdentity) -> VaultSession:
        """Logs in, and revokes the token at once. The session describes the tokens that the identity gets.

        Raises:
            VaultError: the login failed.
        """
        with closing(self._log_in(identity)) as session:
            return session

    def open_release(self) -> VaultSession:
        """Logs in anew, to read source and destination keys. The caller closes the session.

        Raises:
            VaultError: the login failed.
        """
        identity = self._release_identity or self._identity
        session = self._log_in(identity)
        if isinstance(identity, VaultToken):
            session = create_child(self._new_client(), session) or session
        return session

    def _as_main(self, call: Callable[[VaultSession], T]) -> T:
        session = self._main
        if session is None:
            return call(self._main_session(replaces=None))
        try:
            return call(session)
        except VaultError as error:
            if error.kind is not VaultErrorKind.FORBIDDEN:
                raise
        # Vault answers an expired token and a missing right alike. Only a new token tells them apart.
        return call(self._main_session(replaces=session))

    def _main_session(self, replaces: VaultSession | None) -> VaultSession:
        """A session of the main identity other than `replaces`. One thread logs in, and the others share its result.

        Otherwise their waits would add up while Vault does not answer.
        """
        began = time.monotonic()
        with self._lock:
            if self._main is not None and self._main is not replaces:
                return self._main
            if self._main_failure is not None and self._main_failed_at > began:
                raise self._main_failure.copied()
            try:
                self._main = self._log_in(self._identity)
            except VaultError as error:
                self._main_failed_at, self._main_failure = time.monotonic(), error
                raise
            return self._main

    def _log_in(self, identity: VaultIdentity) -> VaultSession:
        if not isinstance(identity, VaultAppRole):
            return log_in(self._new_client(), identity, self._kv_versions)
        with self._guards.setdefault(identity.role_id, LoginGuard()).login(identity.secret_id):
            return log_in(self._new_client(), identity, self._kv_versions)

    def _new_client(self) -> Any:
        return hvac.Client(
            url=self._address,
            token="",
            namespace=self._namespace,
            timeout=urllib3.Timeout(TIMEOUT_SECONDS),
            allow_redirects=False,
            session=self._http,
            adapter=RepeatingAdapter,
        )
