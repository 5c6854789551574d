"""Calls Huawei Cloud as the bot: its own identity there, one for each project, held in memory and kept fresh.

Whether an identity may come is left to `bot.jobs.identity.guard`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import requests
from sqlalchemy import Connection

from bot.config.bot_toml import Project
from bot.huawei.error_catalogue import is_identity_rejected, is_token_expired
from bot.huawei.errors import Rejected, Service, Unanswered
from bot.huawei.iam import Iam, Token
from bot.huawei.oms import Oms
from bot.huawei.signing import AccessKey, AccessKeyAuth, Auth, PasswordUser, TokenAuth
from bot.jobs.identity.guard import Entry, Identity, IdentityGuard
from bot.net.session import new_session
from bot.store.database import Store
from bot.vault.client import Vault
from bot.vault.errors import VaultError, VaultErrorKind

T = TypeVar("T")

RENEW_BEFORE = timedelta(minutes=30)


@dataclass(frozen=True)
class _Held:
    """What is known of an identity: as read from Vault, and what Huawei Cloud added for this project."""

    identity: Identity
    token: Token | None = None
    renew_at: datetime | None = None
    project_id: str | None = None


@dataclass
class _Lane:
    """One project's way to Huawei Cloud. Those with the same identity share its guard."""

    guard: IdentityGuard
    session: requests.Session = field(default_factory=new_session)
    active_claims: _Held | None = None
    login: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class ReadyCall:
    """Whoever has it may send to OMS at once."""

    _oms: Oms
    _judged: Callable[[], AbstractContextManager[None]]

    def send(self, ask: Callable[[Oms], T]) -> T:
        """What `ask` has of OMS.

        Raises:
            OmsError: as `ask` raises it.
        """
        with self._judged():
            return ask(self._oms)


class Callers:
    """The bot's own calls, by project."""

    def __init__(
        self, vault: Vault, projects: Mapping[str, Project], store: Store, now: Callable[[], datetime]
    ) -> None:
        self._projects = projects
        self._now = now
        slots = {(project.vault.mount, project.vault.caller) for project in projects.values()}
        guards = {place: IdentityGuard(vault, *place, store, now) for place in slots}
        self._lanes = {
            name: _Lane(guards[project.vault.mount, project.vault.caller]) for name, project in projects.items()
        }

    def call(self, project: str, ask: Callable[[Oms], T], project_id: str | None = None) -> T:
        """What `ask` reads from the project's OMS; asked once more where the token was over.

        Arguments:
            project_id: the one that the identity must be of, where it is known from before.

        Raises:
            IdentitySuspended, VaultFault: nothing was sent.
            OmsError: as `ask` raises it, or as IAM answered.
        """
        try:
            return self.send(project, ask, project_id)
        except Rejected as refused:
            if not is_token_expired(refused.answer.code):
                raise
        return self.send(project, ask, project_id)

    def browse(self, project: str, ask: Callable[[Oms], T]) -> T:
        """As `call`, for what somebody looks through: however long it takes, it keeps nobody's start waiting."""
        with self._lanes[project].guard.browsing():
            return self.call(project, ask)

    def send(self, project: str, ask: Callable[[Oms], T], project_id: str | None = None) -> T:
        """As `call`, and never twice: for what changes something. A token that was over is renewed at the next."""
        with self.turn(project, project_id) as turn:
            return turn.send(ask)

    @contextmanager
    def turn(self, project: str, project_id: str | None = None) -> Iterator[ReadyCall]:
        """A place in the row, and an identity that is ready: what is sent now waits for nothing more.

        Raises:
            IdentitySuspended, VaultFault: there is no identity to come with.
            OmsError: as IAM answered.
        """
        lane = self._lanes[project]
        with lane.guard.enter() as entry:
            active_claims, auth = self._authenticated(project, entry)
            if project_id is not None and active_claims.project_id != project_id:
                raise VaultError(
                    VaultErrorKind.UNEXPECTED,
                    lane.guard.path,
                    f"The identity at {lane.guard.path} is of another Huawei Cloud project than before.",
                    "Set project_id, or write the former identity there.",
                )
            oms = Oms(self._projects[project].oms_address, active_claims.project_id or "", auth, lane.session)
            yield ReadyCall(oms, partial(self._judged, lane, entry))

    def project_id(self, project: str) -> str:
        """The project's id: as set, or as IAM tells it.

        Raises:
            IdentitySuspended, VaultFault, OmsError: it cannot be told.
        """
        known = self._projects[project].project_id
        if known is not None:
            return known
        with self._lanes[project].guard.enter() as entry:
            return self._authenticated(project, entry)[0].project_id or ""

    def retry_allowed_by_person(self, project: str) -> None:
        """Lets a resting identity be tried once more, unless that could lock it."""
        self._lanes[project].guard.retry_allowed_by_person()

    def wake(self, connection: Connection, project: str) -> None:
        """As `a_person_asks`, in the transaction of what goes on with it."""
        self._lanes[project].guard.wake(connection)

    def _authenticated(self, project: str, entry: Entry) -> tuple[_Held, Auth]:
        """Who we are and how to say so; the project's id is known from here on."""
        lane, settings = self._lanes[project], self._projects[project]
        with lane.login:
            active_claims = lane.active_claims
            if active_claims is None or active_claims.identity is not entry.identity:
                active_claims = _Held(entry.identity, project_id=settings.project_id)
            auth, ready = self._ready(settings, lane, active_claims, entry)
            lane.active_claims = ready
            return ready, auth

    def _ready(self, settings: Project, lane: _Lane, active_claims: _Held, entry: Entry) -> tuple[Auth, _Held]:
        iam = Iam(settings.iam_address, lane.session)
        credential = active_claims.identity.credential
        known = active_claims.project_id
        if isinstance(credential, AccessKey):
            if known is None:
                with self._judged(lane, entry):
                    known = iam.project_id(settings.region, AccessKeyAuth(credential, None, self._now))
            return AccessKeyAuth(credential, known, self._now), replace(active_claims, project_id=known)
        if isinstance(credential, PasswordUser):
            token = active_claims.token
            if token is None or active_claims.renew_at is None or self._now() >= active_claims.renew_at:
                begun = self._now()
                with self._judged(lane, entry):
                    token = iam.log_in(credential, settings.region, settings.project_id)
                renew_at = token.expires_at - min(RENEW_BEFORE, (token.expires_at - begun) / 4)
                active_claims = replace(active_claims, token=token, renew_at=renew_at)
            return TokenAuth(token.value), replace(active_claims, project_id=settings.project_id or token.project_id)
        if known is None:
            path = lane.guard.path
            raise VaultError(
                VaultErrorKind.UNEXPECTED, path, f"The token at {path} does not tell its project.", "Set project_id."
            )
        return TokenAuth(credential.value), active_claims

    @contextmanager
    def _judged(self, lane: _Lane, entry: Entry) -> Iterator[None]:
        """Tells the guard what an answer says of the identity: whoever is answered was let in."""
        try:
            yield
        except Rejected as refused:
            self._refused(lane, entry, refused)
            raise
        except Unanswered as unanswered:
            if unanswered.answer is None:
                lane.guard.unanswered(entry)
            raise
        lane.guard.accepted(entry)

    def _refused(self, lane: _Lane, entry: Entry, refused: Rejected) -> None:
        code = refused.answer.code
        if is_token_expired(code) and isinstance(entry.identity.credential, PasswordUser):
            with lane.login:
                if lane.active_claims is not None and lane.active_claims.identity is entry.identity:
                    lane.active_claims = replace(lane.active_claims, token=None)
            return
        if is_identity_rejected(code) or is_token_expired(code) or _is_refused_login(refused):
            lane.guard.refused(entry, code)
        elif code.startswith("OMS."):
            # The gateway, which looks at who comes, has let it through.
            lane.guard.accepted(entry)


def _is_refused_login(refused: Rejected) -> bool:
    """IAM names no code for a wrong password: its status tells (IAM API reference, POST /v3/auth/tokens)."""
    return refused.service is Service.IAM and refused.answer.http_status in (401, 403)
