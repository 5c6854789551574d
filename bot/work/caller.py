"""Calls Huawei Cloud as the bot: its own identity there, one for each project, held in memory and kept fresh.

Some refusals in a row lock an identity for everybody: after one, it is not used again until Vault has another
version of it, or a person asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import requests
from requests.auth import AuthBase

from bot.config import Project
from bot.oms.auth import AccessKey, AccessKeyAuth, Credential, PasswordUser, TokenAuth
from bot.oms.catalogue import is_identity_refused, is_token_over
from bot.oms.client import Oms
from bot.oms.errors import Refused, Service
from bot.oms.http import new_session
from bot.oms.iam import Iam, Token
from bot.store import rests
from bot.store.engine import Store
from bot.store.rests import Rest
from bot.vault import Vault
from bot.vault_faults import FaultKind, VaultFault
from bot.work.credential import read_credential

T = TypeVar("T")

# Five refused signatures lock an access key for five minutes (API Gateway FAQ). At most three calls are under way
# at once with one that may be refused, and a person's asking never brings the fifth.
CALLS_AT_ONCE = 3
LOCKS_AFTER = 5
LOCKED_FOR = timedelta(minutes=5)
RENEW_BEFORE = timedelta(minutes=30)


class KeyRests(Exception):
    """Nothing was sent: this identity was refused with `code`. `path` is where it is in Vault."""

    def __init__(self, path: str, code: str, *, is_close_to_lock: bool) -> None:
        super().__init__(f"the identity at {path} was refused")
        self.path = path
        self.code = code
        self.is_close_to_lock = is_close_to_lock


@dataclass(frozen=True)
class _Held:
    """What is known of an identity: as read from Vault, and what Huawei Cloud added."""

    version: int | None
    credential: Credential
    token: Token | None = None
    renew_at: datetime | None = None
    project_id: str | None = None


@dataclass
class _Lane:
    """One project's way to Huawei Cloud."""

    session: requests.Session = field(default_factory=new_session)
    held: _Held | None = None
    is_proven: bool = False
    first: threading.Lock = field(default_factory=threading.Lock)
    seats: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(CALLS_AT_ONCE))
    login: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class Turn:
    """Whoever has it may send to OMS at once."""

    _oms: Oms
    _accepted: Callable[[], None]
    _refused: Callable[[Refused], None]

    def send(self, ask: Callable[[Oms], T]) -> T:
        """What `ask` has of OMS.

        Raises:
            OmsError: as `ask` raises it.
        """
        try:
            answer = ask(self._oms)
        except Refused as refused:
            self._refused(refused)
            raise
        self._accepted()
        return answer


class Callers:
    """The bot's own calls, by project."""

    def __init__(
        self, vault: Vault, projects: Mapping[str, Project], store: Store, now: Callable[[], datetime]
    ) -> None:
        self._vault = vault
        self._projects = projects
        self._store = store
        self._now = now
        self._lanes = {name: _Lane() for name in projects}

    def call(self, project: str, ask: Callable[[Oms], T], project_id: str | None = None) -> T:
        """What `ask` reads from the project's OMS; asked once more where the token was over.

        Arguments:
            project_id: the one that the identity must be of, where it is known from before.

        Raises:
            KeyRests, VaultFault: nothing was sent.
            OmsError: as `ask` raises it, or as IAM answered.
        """
        try:
            return self.send(project, ask, project_id)
        except Refused as refused:
            if not is_token_over(refused.answer.code):
                raise
        return self.send(project, ask, project_id)

    def send(self, project: str, ask: Callable[[Oms], T], project_id: str | None = None) -> T:
        """As `call`, and never twice: for what changes something. A token that was over is renewed at the next."""
        with self.turn(project, project_id) as turn:
            return turn.send(ask)

    @contextmanager
    def turn(self, project: str, project_id: str | None = None) -> Iterator[Turn]:
        """A place in the row, and an identity that is ready: what is sent now waits for nothing more.

        Raises:
            KeyRests, VaultFault: there is no identity to come with.
            OmsError: as IAM answered.
        """
        with self._turn(project) as lane:
            held, auth = self._authenticated(project, lane)
            if project_id is not None and held.project_id != project_id:
                raise VaultFault(
                    FaultKind.UNEXPECTED,
                    self._path(project),
                    f"The identity at {self._path(project)} is of another Huawei Cloud project than before.",
                    "Set project_id, or write the former identity there.",
                )
            oms = Oms(self._projects[project].oms_address, held.project_id or "", auth, lane.session)
            yield Turn(oms, partial(self._accepted, project, lane), partial(self._refused, project, lane, held))

    def project_id(self, project: str) -> str:
        """The project's id: as set, or as IAM tells it.

        Raises:
            KeyRests, VaultFault, OmsError: it cannot be told.
        """
        known = self._projects[project].project_id
        if known is not None:
            return known
        with self._turn(project) as lane:
            return self._authenticated(project, lane)[0].project_id or ""

    def a_person_asks(self, project: str) -> None:
        """Lets a resting identity be tried once more, unless that could lock it."""
        path = self._path(project)
        with self._store.read() as connection:
            rest = rests.get(connection, path)
        if rest is None or self._is_close_to_lock(rest):
            return
        with self._store.write() as connection:
            rests.wake(connection, path)

    @contextmanager
    def _turn(self, project: str) -> Iterator[_Lane]:
        """One at a time until the identity was accepted once, and a few at once from then on."""
        lane = self._lanes[project]
        if lane.is_proven:
            with lane.seats:
                yield lane
        else:
            with lane.first, lane.seats:
                yield lane

    def _authenticated(self, project: str, lane: _Lane) -> tuple[_Held, AuthBase]:
        """Who we are and how to say so; the project's id is known from here on."""
        settings = self._projects[project]
        with lane.login:
            held = self._identity(project, lane)
            try:
                auth, held = self._ready(settings, lane, held)
            except Refused as refused:
                self._refused(project, lane, held, refused)
                raise
            lane.held = held
            return held, auth

    def _ready(self, settings: Project, lane: _Lane, held: _Held) -> tuple[AuthBase, _Held]:
        iam = Iam(settings.iam_address, lane.session)
        credential = held.credential
        known = settings.project_id or held.project_id
        if isinstance(credential, AccessKey):
            known = known or iam.project_id(settings.region, AccessKeyAuth(credential, None, self._now))
            return AccessKeyAuth(credential, known, self._now), replace(held, project_id=known)
        if isinstance(credential, PasswordUser):
            token = held.token
            if token is None or held.renew_at is None or self._now() >= held.renew_at:
                begun = self._now()
                token = iam.log_in(credential, settings.region, settings.project_id)
                renew_at = token.expires_at - min(RENEW_BEFORE, (token.expires_at - begun) / 4)
                held = replace(held, token=token, renew_at=renew_at)
            return TokenAuth(token.value), replace(held, project_id=settings.project_id or token.project_id)
        if known is None:
            path = f"{settings.vault.mount}/{settings.vault.caller}"
            raise VaultFault(
                FaultKind.UNEXPECTED, path, f"The token at {path} does not tell its project.", "Set project_id."
            )
        return TokenAuth(credential.value), replace(held, project_id=known)

    def _identity(self, project: str, lane: _Lane) -> _Held:
        """The identity to come with.

        Raises:
            KeyRests: it was refused, and nothing has changed since.
        """
        path = self._path(project)
        with self._store.read() as connection:
            rest = rests.get(connection, path)
        held = lane.held
        if held is not None and rest is None:
            return held
        vault = self._projects[project].vault
        version, credential = read_credential(self._vault, vault.mount, vault.caller)
        if rest is not None and not rest.is_awake:
            unchanged = held is None or held.credential == credential if version is None else version == rest.version
            if unchanged:
                raise KeyRests(path, rest.code, is_close_to_lock=self._is_close_to_lock(rest))
        lane.is_proven = False
        lane.held = _Held(version, credential)
        return lane.held

    def _refused(self, project: str, lane: _Lane, held: _Held, refused: Refused) -> None:
        code = refused.answer.code
        if is_token_over(code) and isinstance(held.credential, PasswordUser):
            with lane.login:
                if lane.held is held:
                    lane.held = replace(held, token=None)
            return
        if is_identity_refused(code) or is_token_over(code) or _is_refused_login(refused):
            lane.is_proven = False
            with self._store.write() as connection:
                rests.refused(connection, self._path(project), held.version, code, self._now())

    def _accepted(self, project: str, lane: _Lane) -> None:
        if not lane.is_proven:
            with self._store.write() as connection:
                rests.end(connection, self._path(project))
            lane.is_proven = True

    def _is_close_to_lock(self, rest: Rest) -> bool:
        return rest.refusals >= LOCKS_AFTER - 1 and self._now() - rest.refused_at < LOCKED_FOR

    def _path(self, project: str) -> str:
        vault = self._projects[project].vault
        return f"{vault.mount}/{vault.caller}"


def _is_refused_login(refused: Refused) -> bool:
    """IAM names no code for a wrong password: its status tells (IAM API reference, POST /v3/auth/tokens)."""
    return refused.service is Service.IAM and refused.answer.http_status in (401, 403)
