"""Calls Huawei Cloud as the bot: its own identity there, one for each project, held in memory and kept fresh.

Whether an identity may come is left to `bot.work.guard`.
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

from bot.config import Project
from bot.oms.auth import AccessKey, AccessKeyAuth, Auth, PasswordUser, TokenAuth
from bot.oms.catalogue import is_identity_refused, is_token_over
from bot.oms.client import Oms
from bot.oms.errors import Refused, Service, Unanswered
from bot.oms.iam import Iam, Token
from bot.session import new_session
from bot.store.engine import Store
from bot.vault import Vault
from bot.vault_faults import FaultKind, VaultFault
from bot.work.guard import Entry, Guard, Identity, KeyRests

__all__ = ["Callers", "KeyRests", "Turn"]

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

    guard: Guard
    session: requests.Session = field(default_factory=new_session)
    held: _Held | None = None
    login: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class Turn:
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
        places = {(project.vault.mount, project.vault.caller) for project in projects.values()}
        guards = {place: Guard(vault, *place, store, now) for place in places}
        self._lanes = {
            name: _Lane(guards[project.vault.mount, project.vault.caller]) for name, project in projects.items()
        }

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

    def browse(self, project: str, ask: Callable[[Oms], T]) -> T:
        """As `call`, for what somebody looks through: however long it takes, it keeps nobody's start waiting."""
        with self._lanes[project].guard.browsing():
            return self.call(project, ask)

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
        lane = self._lanes[project]
        with lane.guard.enter() as entry:
            held, auth = self._authenticated(project, entry)
            if project_id is not None and held.project_id != project_id:
                raise VaultFault(
                    FaultKind.UNEXPECTED,
                    lane.guard.path,
                    f"The identity at {lane.guard.path} is of another Huawei Cloud project than before.",
                    "Set project_id, or write the former identity there.",
                )
            oms = Oms(self._projects[project].oms_address, held.project_id or "", auth, lane.session)
            yield Turn(oms, partial(self._judged, lane, entry))

    def project_id(self, project: str) -> str:
        """The project's id: as set, or as IAM tells it.

        Raises:
            KeyRests, VaultFault, OmsError: it cannot be told.
        """
        known = self._projects[project].project_id
        if known is not None:
            return known
        with self._lanes[project].guard.enter() as entry:
            return self._authenticated(project, entry)[0].project_id or ""

    def a_person_asks(self, project: str) -> None:
        """Lets a resting identity be tried once more, unless that could lock it."""
        self._lanes[project].guard.a_person_asks()

    def wake(self, connection: Connection, project: str) -> None:
        """As `a_person_asks`, in the transaction of what goes on with it."""
        self._lanes[project].guard.wake(connection)

    def _authenticated(self, project: str, entry: Entry) -> tuple[_Held, Auth]:
        """Who we are and how to say so; the project's id is known from here on."""
        lane, settings = self._lanes[project], self._projects[project]
        with lane.login:
            held = lane.held
            if held is None or held.identity is not entry.identity:
                held = _Held(entry.identity, project_id=settings.project_id)
            auth, ready = self._ready(settings, lane, held, entry)
            lane.held = ready
            return ready, auth

    def _ready(self, settings: Project, lane: _Lane, held: _Held, entry: Entry) -> tuple[Auth, _Held]:
        iam = Iam(settings.iam_address, lane.session)
        credential = held.identity.credential
        known = held.project_id
        if isinstance(credential, AccessKey):
            if known is None:
                with self._judged(lane, entry):
                    known = iam.project_id(settings.region, AccessKeyAuth(credential, None, self._now))
            return AccessKeyAuth(credential, known, self._now), replace(held, project_id=known)
        if isinstance(credential, PasswordUser):
            token = held.token
            if token is None or held.renew_at is None or self._now() >= held.renew_at:
                begun = self._now()
                with self._judged(lane, entry):
                    token = iam.log_in(credential, settings.region, settings.project_id)
                renew_at = token.expires_at - min(RENEW_BEFORE, (token.expires_at - begun) / 4)
                held = replace(held, token=token, renew_at=renew_at)
            return TokenAuth(token.value), replace(held, project_id=settings.project_id or token.project_id)
        if known is None:
            path = lane.guard.path
            raise VaultFault(
                FaultKind.UNEXPECTED, path, f"The token at {path} does not tell its project.", "Set project_id."
            )
        return TokenAuth(credential.value), held

    @contextmanager
    def _judged(self, lane: _Lane, entry: Entry) -> Iterator[None]:
        """Tells the guard what an answer says of the identity: whoever is answered was let in."""
        try:
            yield
        except Refused as refused:
            self._refused(lane, entry, refused)
            raise
        except Unanswered as unanswered:
            if unanswered.answer is None:
                lane.guard.unanswered(entry)
            raise
        lane.guard.accepted(entry)

    def _refused(self, lane: _Lane, entry: Entry, refused: Refused) -> None:
        code = refused.answer.code
        if is_token_over(code) and isinstance(entry.identity.credential, PasswordUser):
            with lane.login:
                if lane.held is not None and lane.held.identity is entry.identity:
                    lane.held = replace(lane.held, token=None)
            return
        if is_identity_refused(code) or is_token_over(code) or _is_refused_login(refused):
            lane.guard.refused(entry, code)
        elif code.startswith("OMS."):
            # The gateway, which looks at who comes, has let it through.
            lane.guard.accepted(entry)


def _is_refused_login(refused: Refused) -> bool:
    """IAM names no code for a wrong password: its status tells (IAM API reference, POST /v3/auth/tokens)."""
    return refused.service is Service.IAM and refused.answer.http_status in (401, 403)
