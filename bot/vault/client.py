"""A Vault server and the bot's identities there.

Which paths are read, and when, is left to `bot.jobs`. Only the token of the main identity is kept between calls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Any, TypeVar

import hvac
import requests
import urllib3

from bot.domain.request import KeyCheck
from bot.net.proxy import Proxy
from bot.net.session import Route, ended_without_answer, new_session
from bot.net.tls import tls_context
from bot.redaction import Secret
from bot.vault.adapter import RepeatingAdapter
from bot.vault.errors import VaultError, VaultErrorKind
from bot.vault.login import (
    VaultAppRole,
    VaultCertificate,
    VaultIdentity,
    VaultToken,
    WrappedSecret,
    create_child,
    log_in,
    read_now,
)
from bot.vault.login_guard import LoginGuard
from bot.vault.renewal import renew_if_due
from bot.vault.session import Clients, KvSecret, VaultSession
from bot.vault.wrapping import unwrap_secret_id, wrapped_until

T = TypeVar("T")

TIMEOUT_SECONDS = 5.0


class Vault:
    """Logs in, and calls with the right identity. Threads share it.

    Arguments:
        identity: the main identity. It reads the bot's own access key at Huawei Cloud.
        release_identity: reads the source and destination keys; without it, the main identity reads them too.
        namespace: where the keys are; empty for the root namespace, and for Vault without namespaces.
        login_namespace: where both identities log in, which is above the namespace of the keys; None for the same.
        ca: a PEM file, or a directory of PEM files, to trust instead of the system's certificates.
        proxy: the proxy of every call; None for direct connections.
    """

    def __init__(
        self,
        address: str,
        identity: VaultIdentity,
        release_identity: VaultIdentity | None = None,
        *,
        namespace: str = "",
        login_namespace: str | None = None,
        ca: str | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._address = address
        self._namespace = namespace
        self._login_namespace = namespace if login_namespace is None else login_namespace
        self._route = Route(tls_context(only=ca), proxy)
        # Sent with every connection, because some servers require one.
        self._certificate = (identity.certificate, identity.key) if isinstance(identity, VaultCertificate) else None
        # Shared by all clients, so that connections stay open. Tokens are headers of single calls and never in it.
        self._http = self._new_http()
        self._identity = identity
        self._release_identity = release_identity
        self._lock = threading.Lock()
        self._main: VaultSession | None = None
        self._main_failed_at = float("-inf")
        self._main_failure: VaultError | None = None
        # By mount and role id.
        self._guards: dict[tuple[str, str], LoginGuard] = {}
        # The wrapping token that was unwrapped last, and the secret id that was in it.
        self._unwrapped: dict[tuple[str, str], tuple[Secret, Secret]] = {}
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

    def wrapped_until(self, identity: VaultIdentity) -> datetime | None:
        """When the wrapping token of an identity's secret id expires, without spending it; None if there is none.

        Raises:
            VaultError: the token is spent, or wraps something else (WRAPPING). Or Vault failed.
        """
        if not isinstance(identity, VaultAppRole) or not isinstance(identity.secret_id, WrappedSecret):
            return None
        token = read_now(identity.secret_id.token)
        return wrapped_until(self._new_client(self._http, self._login_namespace), identity, token)

    def renew_token(self) -> float | None:
        """Renews the main identity's static token if two thirds of its life are over.

        Returns how many seconds later to call this again; None if the main identity is not a static token.

        Raises:
            VaultError: the token can't be looked up or renewed.
        """
        if not isinstance(self._identity, VaultToken):
            return None
        return renew_if_due(self._log_in(self._identity))

    def open_release(self) -> VaultSession:
        """Logs in anew, to read source and destination keys. The caller closes the session.

        Raises:
            VaultError: the login failed.
        """
        identity = self._release_identity or self._identity
        session = self._log_in(identity)
        if isinstance(identity, VaultToken):
            session = create_child(self._new_clients(identity), session) or session
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
            return log_in(self._new_clients(identity), identity, self._kv_versions)
        stored = identity.secret_id.token if isinstance(identity.secret_id, WrappedSecret) else identity.secret_id
        used = self._unwrapped.get(_role(identity), (None,))[0] or read_now(stored)
        try:
            return self._log_in_to_role(identity, used)
        except VaultError as error:
            if error.kind is not VaultErrorKind.LOGIN or not _has_changed(stored, used):
                raise
        return self._log_in_to_role(identity, read_now(stored))

    def _log_in_to_role(self, identity: VaultAppRole, stored: Secret) -> VaultSession:
        """Logs in with a secret id. If `stored` is a wrapping token, its first login unwraps the secret id."""
        with self._guards.setdefault(_role(identity), LoginGuard()).login(stored):
            secret_id = self._unwrap(identity, stored) if isinstance(identity.secret_id, WrappedSecret) else stored
            return log_in(self._new_clients(identity), identity, self._kv_versions, secret_id)

    def _unwrap(self, identity: VaultAppRole, token: Secret) -> Secret:
        # The guard lets one login at a time use a token that has not led to a login yet.
        last = self._unwrapped.get(_role(identity))
        if last is None or last[0] != token:
            last = token, unwrap_secret_id(self._new_client(self._http, self._login_namespace), identity, token)
            self._unwrapped[_role(identity)] = last
        return last[1]

    def _new_http(self) -> requests.Session:
        session = new_session(self._route, is_repeated=ended_without_answer)
        session.cert = self._certificate
        return session

    def _new_clients(self, identity: VaultIdentity) -> Clients:
        # An open connection keeps its client certificate. The login needs the certificate that is in the file now.
        http = self._new_http() if isinstance(identity, VaultCertificate) else self._http
        keys = self._new_client(http, self._namespace)
        is_same = self._login_namespace == self._namespace
        return Clients(keys if is_same else self._new_client(http, self._login_namespace), keys)

    def _new_client(self, http: requests.Session, namespace: str) -> Any:
        return hvac.Client(
            url=self._address,
            token="",
            namespace=namespace or None,
            timeout=urllib3.Timeout(TIMEOUT_SECONDS),
            allow_redirects=False,
            session=http,
            adapter=RepeatingAdapter,
        )


def _role(identity: VaultAppRole) -> tuple[str, str]:
    return identity.mount, identity.role_id


def _has_changed(stored: Secret, used: Secret) -> bool:
    """Whether a file contains another secret now. A file that has been deleted contains no other."""
    try:
        return read_now(stored) != used
    except VaultError:
        return False
