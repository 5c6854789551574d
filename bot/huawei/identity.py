"""The bot's identity at Huawei Cloud: calls OMS with it, and logs in at IAM when that is needed.

Tokens and project ids are held in memory for each identity and project. Whether an identity may be used is decided by
its circuit breaker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
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
from bot.net.session import Route, new_session

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


# The fingerprint of an identity, the address of IAM, and the project: what a login and a project id belong to.
_Scope = tuple[str, str, str]


class Identity:
    """Calls Huawei Cloud as the bot. Threads share it.

    Arguments:
        projects: by their names.
        read_secret: reads a secret from Vault, given a mount and a path.
        read_error: what `read_secret` raises if Vault does not give it. Every method may raise it.
        rows: where circuit breakers are stored.
        route: how IAM and OMS are reached; None for direct connections that trust the system's certificates.
    """

    def __init__(
        self,
        projects: Mapping[str, HuaweiProject],
        read_secret: ReadSecret,
        read_error: type[Exception],
        rows: BreakerRows,
        now: Callable[[], datetime],
        route: Route | None = None,
    ) -> None:
        self._projects = projects
        self._read_error = read_error
        self._rows = rows
        self._now = now
        paths = {(project.vault_mount, project.vault_path) for project in projects.values()}
        sources = {path: CredentialSource(*path, read_secret, read_error, now) for path in paths}
        self._sources = {name: sources[of.vault_mount, of.vault_path] for name, of in projects.items()}
        route = route or Route()
        self._sessions = {name: new_session(route) for name in projects}
        self._breakers: dict[tuple[str, str], IdentityBreaker] = {}
        self._accesses: dict[_Scope, _Access] = {}
        # By fingerprint. Held while IAM is asked.
        self._iam_locks: dict[str, threading.Lock] = {}
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
        with self.ready(project, project_id) as oms:
            return ask(oms)

    @contextmanager
    def ready(self, project: str, project_id: str | None = None) -> Iterator[Oms]:
        """Permission for one call. Reading Vault, waiting for a probe and logging in are done before it is given.

        Raises:
            Suspended, UnusableIdentity: there is no identity to call with.
            HuaweiError: as IAM answered.
        """
        while True:
            access = self._access(project)
            with self._permit(project) as permit:
                # Another credential may have come into use meanwhile.
                if permit.loaded.credential == access.credential:
                    yield self._oms(project, access, permit, project_id)
                    return

    def project_id(self, project: str) -> str:
        """The project's id: as set, or as IAM tells it.

        Raises:
            Suspended, UnusableIdentity, HuaweiError: it cannot be told.
        """
        return self._projects[project].project_id or self._access(project).project_id

    def allow_retry(self, project: str, rows: BreakerRows | None = None, asked_at: datetime | None = None) -> None:
        """A person asks for another try: a suspended identity may be used once, unless that could lock it.

        The credential is read from Vault again in any case: the person may have replaced it.

        Arguments:
            rows: the same rows within a transaction that the caller has open.
            asked_at: when the person asked; None for now. A call that was refused since has used the permission up, so
                this may be called again for the same person's request.
        """
        source, now = self._sources[project], self._now()
        source.expire()
        allow_retry(rows or self._rows, source.path, now, asked_at or now)

    def _oms(self, name: str, access: _Access, permit: Permit, project_id: str | None) -> Oms:
        path = permit.loaded.path
        if project_id is not None and access.project_id != project_id:
            raise UnusableIdentity(
                path,
                f"The credentials at {path} in Vault now belong to a different Huawei Cloud project.",
                "Set project_id in bot.toml, or write the previous credentials there.",
            )
        address, observing = self._projects[name].oms_address, partial(self._observing, access, permit)
        return Oms(address, access.project_id, access.auth, self._sessions[name], observing=observing)

    @contextmanager
    def _observing(self, access: _Access, permit: Permit) -> Iterator[None]:
        try:
            with permit.observing():
                yield
        except Rejected as rejected:
            if access.renew_at is not None and is_refusal(rejected):
                access.renew_at = self._now()
            raise

    def _permit(self, name: str) -> closing[Permit]:
        """Permission for one call. Waits while the probe of another call is under way."""
        source = self._sources[name]
        while True:
            began = self._now()
            loaded = source.current()
            breaker = self._breaker(loaded)
            match breaker.next_step(loaded):
                case BreakerStep.SEND:
                    return closing(Permit(breaker, loaded))
                case BreakerStep.WAIT:
                    time.sleep(POLL_SECONDS)
                case _:
                    # It may have been replaced in Vault, and another replica may have used the new one already.
                    loaded = source.read_since(began)
                    permit = self._breaker(loaded).begin_probe(loaded)
                    if permit is not None:
                        return closing(permit)

    def _breaker(self, loaded: LoadedCredential) -> IdentityBreaker:
        with self._lock:
            key = (loaded.fingerprint, loaded.path)
            found = self._breakers.get(key)
            if found is None:
                found = self._breakers[key] = IdentityBreaker(self._rows, loaded.fingerprint, self._now)
                self._forget_replaced()
            return found

    def _forget_replaced(self) -> None:
        """Keeps no credential in memory that was replaced."""
        in_use = {(loaded.fingerprint, loaded.path) for source in self._sources.values() if (loaded := source.latest)}
        for key in self._breakers.keys() - in_use:
            del self._breakers[key]
        fingerprints = {fingerprint for fingerprint, _ in in_use}
        for scope in [scope for scope in list(self._accesses) if scope[0] not in fingerprints]:
            self._accesses.pop(scope, None)

    def _access(self, name: str) -> _Access:
        """How calls in this project are authenticated. Logs in if needed, one login at a time for each identity.

        After a refused login the circuit breaker is open, so the threads that waited do not send another.
        """
        project, loaded = self._projects[name], self._sources[name].current()
        while True:
            scope = (loaded.fingerprint, project.iam_address, project.project_id or project.region)
            access = self._known_access(project, loaded, scope)
            if access is not None:
                return access
            with self._iam_locks.setdefault(loaded.fingerprint, threading.Lock()):
                access = self._known_access(project, loaded, scope)
                if access is not None:
                    return access
                with self._permit(name) as permit:
                    if permit.loaded is loaded:
                        access = self._accesses[scope] = self._ask_iam(name, permit)
                        return access
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
                sentence = f"The token at {loaded.path} in Vault doesn't say which project it belongs to."
                raise UnusableIdentity(loaded.path, sentence, "Set project_id in bot.toml.")
        access = self._accesses.get(scope)
        if access is None or access.credential != loaded.credential:
            return None
        return access if access.renew_at is None or self._now() < access.renew_at else None

    def _ask_iam(self, name: str, permit: Permit) -> _Access:
        """Logs in, or asks for the id of the project."""
        project, credential = self._projects[name], permit.loaded.credential
        iam, began = Iam(project.iam_address, self._sessions[name]), self._now()
        with permit.observing():
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
