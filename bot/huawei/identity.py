"""The bot's identity at Huawei Cloud: calls OMS with it, and logs in at IAM when that is needed.

Tokens and project ids are held in memory for each identity and project. Whether an identity may be used is decided by
its circuit breaker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from bot.domain.circuit_breaker import BreakerStep
from bot.huawei.circuit_breaker import BreakerRows, IdentityBreaker, Permit, allow_retry, is_refusal
from bot.huawei.credential import CredentialSource, LoadedCredential, ReadSecret
from bot.huawei.error_catalogue import is_token_expired
from bot.huawei.errors import Rejected, Suspended, UnusableIdentity
from bot.huawei.iam import Iam
from bot.huawei.oms import Oms
from bot.huawei.signing import AccessKey, AccessKeyAuth, Auth, Credential, IamToken, PasswordUser, TokenAuth
from bot.net.session import new_session

T = TypeVar("T")

RENEW_BEFORE = timedelta(minutes=30)
# How often a call looks whether the probe of another call, maybe in another replica, has ended.
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class HuaweiProject:
    """A project at Huawei Cloud, and where the bot's identity for it is in Vault.

    Attributes:
        project_id: None if it is to be asked of IAM.
        oms_address, iam_address: such as `https://oms.ap-southeast-3.myhuaweicloud.com`.
    """

    region: str
    project_id: str | None
    oms_address: str
    iam_address: str
    vault_mount: str
    vault_path: str


@dataclass
class _Access:
    """How calls to OMS in one project are authenticated. A token is used until `renew_at`."""

    credential: Credential
    auth: Auth
    project_id: str
    renew_at: datetime | None = None


@dataclass
class _Scope:
    """What IAM gave one identity for one project. `lock` is held while IAM is asked."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    access: _Access | None = None


@dataclass
class _Account:
    """One identity: its circuit breaker, and its scopes by IAM address and project."""

    breaker: IdentityBreaker
    scopes: dict[tuple[str, str], _Scope] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadyClient:
    """A client of OMS that is authenticated and may send at once."""

    _oms: Oms
    _observing: Callable[[], AbstractContextManager[None]]

    def send(self, ask: Callable[[Oms], T]) -> T:
        """What `ask` returns. To be called once.

        Raises:
            HuaweiError: as `ask` raises it.
        """
        with self._observing():
            return ask(self._oms)


class Identity:
    """Calls Huawei Cloud as the bot. Threads share it.

    Arguments:
        projects: by their names.
        read_secret: reads a secret from Vault, given a mount and a path.
        read_error: what `read_secret` raises if Vault does not give it. Every method may raise it.
        rows: where circuit breakers are stored.
    """

    def __init__(
        self,
        projects: Mapping[str, HuaweiProject],
        read_secret: ReadSecret,
        read_error: type[Exception],
        rows: BreakerRows,
        now: Callable[[], datetime],
    ) -> None:
        self._projects = projects
        self._read_error = read_error
        self._rows = rows
        self._now = now
        places = {(project.vault_mount, project.vault_path) for project in projects.values()}
        sources = {place: CredentialSource(*place, read_secret, read_error, now) for place in places}
        self._sources = {name: sources[of.vault_mount, of.vault_path] for name, of in projects.items()}
        self._sessions = {name: new_session() for name in projects}
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    def call(self, project: str, ask: Callable[[Oms], T], project_id: str | None = None) -> T:
        """What `ask` reads from OMS. Asks once more if the token expired, or if Vault has another credential by now.

        Arguments:
            project_id: the project that the identity must belong to, if that is known.

        Raises:
            Suspended, UnusableIdentity: nothing was sent.
            HuaweiError: as `ask` raises it, or as IAM answered.
        """
        try:
            return self.send(project, ask, project_id)
        except Rejected as rejected:
            if not is_refusal(rejected):
                raise
            refusal = rejected
        try:
            return self.send(project, ask, project_id)
        except (Suspended, UnusableIdentity, self._read_error):
            # Nothing was sent, so that the refusal is the answer. An expired token was to be replaced: it says less.
            if is_token_expired(refusal.answer.code):
                raise
            raise refusal from None

    def send(self, project: str, ask: Callable[[Oms], T], project_id: str | None = None) -> T:
        """As `call`, but asks only once: for calls that change something."""
        with self.ready(project, project_id) as client:
            return client.send(ask)

    @contextmanager
    def ready(self, project: str, project_id: str | None = None) -> Iterator[ReadyClient]:
        """A client for one call. Reading Vault, waiting for a probe and logging in are done before it is given.

        Raises:
            Suspended, UnusableIdentity: there is no identity to call with.
            HuaweiError: as IAM answered.
        """
        while True:
            access = self._access(project)
            with self._permit(project) as permit:
                # Another credential may have come into use meanwhile.
                if permit.loaded.credential == access.credential:
                    yield self._client(project, access, permit, project_id)
                    return

    def project_id(self, project: str) -> str:
        """The project's id: as set, or as IAM tells it.

        Raises:
            Suspended, UnusableIdentity, HuaweiError: it cannot be told.
        """
        return self._projects[project].project_id or self._access(project).project_id

    def allow_retry(self, project: str, rows: BreakerRows | None = None) -> None:
        """A person asks for another try: a suspended identity may be used once, unless that could lock it.

        The credential is read from Vault again in any case: the person may have replaced it.

        Arguments:
            rows: the same rows within a transaction that the caller has open.
        """
        source = self._sources[project]
        source.expire()
        fingerprint = source.latest.fingerprint if source.latest else None
        allow_retry(rows or self._rows, source.path, fingerprint, self._now())

    def _client(self, name: str, access: _Access, permit: Permit, project_id: str | None) -> ReadyClient:
        path = permit.loaded.path
        if project_id is not None and access.project_id != project_id:
            raise UnusableIdentity(
                path,
                f"The identity at {path} is of another Huawei Cloud project than before.",
                "Set project_id, or write the former identity there.",
            )
        oms = Oms(self._projects[name].oms_address, access.project_id, access.auth, self._sessions[name])
        return ReadyClient(oms, partial(self._observing, access, permit))

    @contextmanager
    def _observing(self, access: _Access, permit: Permit) -> Iterator[None]:
        try:
            with self._account(permit.loaded).breaker.observing(permit):
                yield
        except Rejected as rejected:
            if access.renew_at is not None and is_refusal(rejected):
                access.renew_at = self._now()
            raise

    @contextmanager
    def _permit(self, name: str) -> Iterator[Permit]:
        """Permission for one call. Waits while the probe of another call is under way."""
        permit = self._new_permit(self._sources[name])
        try:
            yield permit
        finally:
            self._account(permit.loaded).breaker.give_back(permit)

    def _new_permit(self, source: CredentialSource) -> Permit:
        while True:
            began = self._now()
            loaded = source.current()
            match self._account(loaded).breaker.next_step(loaded):
                case BreakerStep.SEND:
                    return Permit(loaded)
                case BreakerStep.WAIT:
                    time.sleep(POLL_SECONDS)
                case _:
                    # It may have been replaced in Vault, and another replica may have used the new one already.
                    loaded = source.read_since(began)
                    permit = self._account(loaded).breaker.begin_probe(loaded)
                    if permit is not None:
                        return permit

    def _account(self, loaded: LoadedCredential) -> _Account:
        with self._lock:
            found = self._accounts.get(loaded.fingerprint)
            if found is None:
                # A credential that was replaced is not kept in memory.
                in_use = {source.latest.fingerprint for source in self._sources.values() if source.latest}
                self._accounts = {key: account for key, account in self._accounts.items() if key in in_use}
                found = _Account(IdentityBreaker(self._rows, loaded.fingerprint, self._now))
                self._accounts[loaded.fingerprint] = found
            return found

    def _access(self, name: str) -> _Access:
        """How calls in this project are authenticated. If IAM has to be asked, one thread at a time does so."""
        project, loaded = self._projects[name], self._sources[name].current()
        while True:
            key = (project.iam_address, project.project_id or project.region)
            scope = self._account(loaded).scopes.setdefault(key, _Scope())
            access = self._known_access(project, loaded, scope)
            if access is not None:
                return access
            with scope.lock:
                access = self._known_access(project, loaded, scope)
                if access is not None:
                    return access
                with self._permit(name) as permit:
                    if permit.loaded is loaded:
                        scope.access = self._ask_iam(name, permit)
                        return scope.access
                    loaded = permit.loaded

    def _known_access(self, project: HuaweiProject, loaded: LoadedCredential, scope: _Scope) -> _Access | None:
        """As `_access`; None if IAM has to be asked."""
        project_id = project.project_id
        match loaded.credential:
            case AccessKey() as key if project_id is not None:
                return _Access(key, AccessKeyAuth(key, project_id, self._now), project_id)
            case IamToken() as token if project_id is not None:
                return _Access(token, TokenAuth(token.value), project_id)
            case IamToken():
                sentence = f"The token at {loaded.path} does not tell its project."
                raise UnusableIdentity(loaded.path, sentence, "Set project_id.")
        access = scope.access
        if access is None or access.credential != loaded.credential:
            return None
        return access if access.renew_at is None or self._now() < access.renew_at else None

    def _ask_iam(self, name: str, permit: Permit) -> _Access:
        """Logs in, or asks for the id of the project."""
        project, credential = self._projects[name], permit.loaded.credential
        iam, began = Iam(project.iam_address, self._sessions[name]), self._now()
        with self._account(permit.loaded).breaker.observing(permit):
            match credential:
                case PasswordUser():
                    token = iam.log_in(credential, project.region, project.project_id)
                    renew_at = token.expires_at - min(RENEW_BEFORE, (token.expires_at - began) / 4)
                    project_id = project.project_id or token.project_id
                    return _Access(credential, TokenAuth(token.value), project_id, renew_at)
                case AccessKey():
                    project_id = iam.project_id(project.region, AccessKeyAuth(credential, None, self._now))
                    return _Access(credential, AccessKeyAuth(credential, project_id, self._now), project_id)
                case IamToken():
                    raise TypeError("a ready token is used as it is")
