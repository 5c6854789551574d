"""Guards the bot's identity at one path in Vault, for every project, thread and process that comes with it.

Once refused it is not used again until Vault has another version of it, or a person asks; what counts is left to
`bot.jobs.identity.attempts`. Calls of a proven identity run a few at once and write nothing; other calls run one after
the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.huawei.signing import Credential
from bot.jobs.identity import attempts
from bot.jobs.identity.credential import digest, read_credential
from bot.store import identities
from bot.store.database import Store
from bot.store.identities import IdentityState
from bot.store.seats import seat
from bot.vault.client import Vault

MOST_BROWSING = attempts.CALLS_AT_ONCE - 1
FIRST, ANY = (0,), tuple(reversed(range(attempts.CALLS_AT_ONCE)))


class IdentitySuspended(Exception):
    """Nothing was sent: this identity was refused with `code`. `path` is where it is in Vault.

    Without a code it was tried as often as it may be, and no answer is known.
    """

    def __init__(self, path: str, code: str, *, is_close_to_lock: bool) -> None:
        super().__init__(f"the identity at {path} was refused")
        self.path = path
        self.code = code
        self.is_close_to_lock = is_close_to_lock


@dataclass(frozen=True)
class Identity:
    """What Vault holds: who the bot is to Huawei Cloud, and a digest that tells it from others."""

    version: int | None
    credential: Credential
    who: str


@dataclass
class Entry:
    """Whoever has it may come with this identity. Where that is a try, it `is_counted` until an answer is known."""

    identity: Identity
    is_counted: bool = False


class IdentityGuard:
    """The one way to an identity. Threads share it."""

    def __init__(self, vault: Vault, mount: str, path: str, store: Store, now: Callable[[], datetime]) -> None:
        self._vault = vault
        self._mount = mount
        self._path = path
        self._store = store
        self._now = now
        self._identity: Identity | None = None
        self._proven: Identity | None = None
        self._first = threading.Lock()
        self._seats = threading.Semaphore(attempts.CALLS_AT_ONCE)
        self._browsers = threading.Semaphore(MOST_BROWSING)

    @property
    def path(self) -> str:
        return f"{self._mount}/{self._path}"

    @contextmanager
    def enter(self) -> Iterator[Entry]:
        """Waits for a seat, and holds it while the block runs.

        Raises:
            IdentitySuspended, VaultFault: there is no identity to come with.
        """
        with ExitStack() as active_claims:
            entry = self._come(active_claims)
            active_claims.callback(self._end, entry)
            yield entry

    @contextmanager
    def browsing(self) -> Iterator[None]:
        """Held by whoever lists for people: all of them together leave a seat to what a migration waits for."""
        with self._browsers, seat(self._store, f"{self.path} browsing", range(MOST_BROWSING)):
            yield

    def accepted(self, entry: Entry) -> None:
        """An answer came that only somebody who was let in is given."""
        if not entry.is_counted:
            return
        identity = entry.identity
        with self._row(identity) as (connection, rest):
            identities.put(connection, attempts.accepted(rest, identity.version))
            identities.forget_others(connection, self.path, identity.who, self._now() - attempts.LOCKED_FOR)
        entry.is_counted = False
        self._proven = identity

    def refused(self, entry: Entry, code: str) -> None:
        """The identity itself was refused."""
        if self._proven is entry.identity:
            self._proven = None
        with self._row(entry.identity) as (connection, rest):
            identities.put(connection, attempts.refused(rest, code, self._now(), was_counted=entry.is_counted))
        entry.is_counted = False

    def unanswered(self, entry: Entry) -> None:
        """It was sent, and no answer came."""
        if entry.is_counted:
            with self._row(entry.identity) as (connection, rest):
                identities.put(connection, attempts.unanswered(rest))
            entry.is_counted = False

    def retry_allowed_by_person(self) -> None:
        """Lets it be tried once more where it rests, unless that could lock it. Vault is read anew in any case."""
        self._proven = None
        with self._store.read() as connection:
            has_refused = identities.has_refused(connection, self.path)
        if has_refused:
            with self._store.write() as connection:
                self.wake(connection)

    def wake(self, connection: Connection) -> None:
        """As `a_person_asks`, with the change that goes on with it."""
        self._proven = None
        identities.wake(connection, self.path, attempts.LOCKS_AFTER - 2, self._now() - attempts.LOCKED_FOR)

    def _come(self, active_claims: ExitStack) -> Entry:
        while True:
            self._sit(active_claims, ANY)
            identity = self._in_use()
            if identity is not None:
                return Entry(identity)
            active_claims.close()
            active_claims.enter_context(self._first)
            self._sit(active_claims, FIRST)
            if self._in_use() is None:
                return self._try()
            # Whoever tried it meanwhile was let in: whoever waits comes a few at once, no longer one after the other.
            active_claims.close()

    def _sit(self, active_claims: ExitStack, numbers: tuple[int, ...]) -> None:
        active_claims.enter_context(self._seats)
        active_claims.enter_context(seat(self._store, self.path, numbers))

    def _in_use(self) -> Identity | None:
        """The identity that this process saw accepted, unless it was refused since: to any process."""
        identity = self._proven
        if identity is None:
            return None
        with self._store.read() as connection:
            rest = identities.get(connection, self.path, identity.who)
        return identity if rest is not None and rest.is_in_use else None

    def _try(self) -> Entry:
        """Reads Vault anew, and counts the try before anything is sent."""
        version, credential = read_credential(self._vault, self._mount, self._path)
        before, identity = self._identity, Identity(version, credential, digest(credential))
        self._proven = None
        with self._row(identity) as (connection, rest):
            if version is None:
                is_changed = before is not None and before.credential != credential
            else:
                is_changed = version != rest.version
            now = self._now()
            if not attempts.may_be_tried(rest, now, is_changed=is_changed):
                raise IdentitySuspended(self.path, rest.code, is_close_to_lock=attempts.is_close_to_lock(rest, now))
            identities.put(connection, attempts.tried(rest, version, now))
        self._identity = identity
        return Entry(identity, is_counted=True)

    def _end(self, entry: Entry) -> None:
        if entry.is_counted:
            with self._row(entry.identity) as (connection, rest):
                identities.put(connection, attempts.given_back(rest))
            entry.is_counted = False

    @contextmanager
    def _row(self, identity: Identity) -> Iterator[tuple[Connection, IdentityState]]:
        with self._store.write() as connection:
            new = attempts.untried(self.path, identity.who, identity.version, self._now())
            yield connection, identities.lock(connection, new)
