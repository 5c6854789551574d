"""Stores messages before their payloads are acknowledged, and submits them to the worker.

The listeners parse payloads, and `bot.jobs` handles the stored messages.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue

from sqlalchemy import Connection

from bot.domain.audit_events import AuditEvent
from bot.listeners.payloads import MalformedPayload, Payload, to_foreign_message
from bot.metrics import ACCEPTED, NOT_STORED
from bot.store import inbox
from bot.store.audit import Event, append
from bot.store.database import Store
from bot.store.faults import DATABASE_FAILURES, failure_text
from bot.store.inbox import Message
from bot.store.queue import Claim

log = logging.getLogger(__name__)

STORE_WITHIN_SECONDS = 2.0
WRITER_THREADS = 8
DISCARD_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Accepted:
    """A message that is stored. `is_answered` is true for a redelivery that a worker has handled already."""

    is_answered: bool = False


class _Acceptance:
    """Whether a message is accepted. Set once.

    The thread that stores the message and the thread that waits for it can both set this. The first one wins.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_accepted: bool | None = None
        self.is_answered = False  # written only by the thread that stores the message, before it sets this

    def set_once(self, is_accepted: bool) -> bool:
        """Sets the value unless it is set already, and returns the value that was set first."""
        with self._lock:
            if self._is_accepted is None:
                self._is_accepted = is_accepted
            return self._is_accepted

    @property
    def is_rejected(self) -> bool:
        return self._is_accepted is False


class Receiver:
    """Stores messages in the inbox, and submits them to the worker.

    Arguments:
        owner: the name under which this process claims rows.
        submit: passes a stored and claimed row to the worker.
        within_seconds: the time limit for storing a message.
        writers: runs the writes to the database, so that a database that hangs does not delay the acknowledgement.
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        now: Callable[[], datetime],
        submit: Callable[[Claim], None],
        within_seconds: float = STORE_WITHIN_SECONDS,
        writers: Executor | None = None,
    ) -> None:
        self._store = store
        self._owner = owner
        self._now = now
        self._submit = submit
        self._within_seconds = within_seconds
        self._writers = writers or ThreadPoolExecutor(WRITER_THREADS, "inbox-writer")
        # Messages that were refused because a write failed, which may have stored them all the same.
        self._refused: SimpleQueue[Message] = SimpleQueue()
        threading.Thread(target=self._discard_refused, name="inbox-discard", daemon=True).start()

    def accept(self, message: Message | MalformedPayload) -> Accepted | None:
        """Stores a message. A redelivery of an accepted message is accepted, but not stored again.

        A message that is stored too late is discarded: no worker handles it. A form that was not accepted can be
        submitted again.

        Returns:
            None if the payload was malformed, or if the message was not stored within the time limit. Then the caller
            tells the person.
        """
        if isinstance(message, MalformedPayload):
            log.error("a payload was not accepted: it has no valid %s", ", ".join(message.missing))
            NOT_STORED.inc()
            return None
        acceptance = _Acceptance()
        write = self._writers.submit(self._write, message, acceptance)
        try:
            write.result(self._within_seconds)
        except TimeoutError:
            write.cancel()
            log.warning("a message was not accepted: it was not stored within %g s", self._within_seconds)
        if not acceptance.set_once(False):
            NOT_STORED.inc()
            return None
        claim = write.result()
        if claim is not None:
            ACCEPTED.labels(message.kind.value).inc()
            # Submitted by this thread instead of the writer, which saves a thread switch before the acknowledgement.
            self._submit(claim)
        return Accepted(acceptance.is_answered)

    def reject(self, body: Payload) -> None:
        """Records a payload that comes from another workspace or app, or from a form that the bot did not make.

        A worker writes it to the audit chain. All payloads that one workspace and app send within one minute are
        recorded once, with the person who sent the first one.
        """
        self.accept(to_foreign_message(body, self._now()))

    def _write(self, message: Message, acceptance: _Acceptance) -> Claim | None:
        """Stores a message. Returns its claim if it was stored in time and a worker has to handle it.

        A database connection that was lost is replaced, and the message is stored once more.
        """
        for is_last in (False, True):
            try:
                return self._put(message, acceptance)
            except DATABASE_FAILURES as error:
                if is_last or acceptance.is_rejected:
                    log.warning("a message was not accepted: it could not be stored: %s", failure_text(error))
                    break
            except Exception:
                log.exception("a message was not accepted: it could not be stored")
                return None
        acceptance.set_once(False)
        self._refused.put(message)
        return None

    def _put(self, message: Message, acceptance: _Acceptance) -> Claim | None:
        with self._store.write() as connection:
            claim = inbox.put(connection, message, self._owner, self._now())
            if claim is None:
                claim = inbox.put_resubmitted(connection, message, self._owner, self._now())
            if claim is None:
                mark = inbox.mark_of(connection, message.key)
                acceptance.is_answered = mark == inbox.DECIDED
                acceptance.set_once(mark != inbox.DISCARDED)
                return None
            if acceptance.is_rejected:
                self._discard(connection, message)
                return None
        if acceptance.set_once(True):
            return claim
        # The commit itself took too long.
        with self._store.write() as connection:
            self._discard(connection, message)
        return None

    def _discard_refused(self) -> None:
        """Discards each refused message as soon as the database can be written.

        If the database fails for longer than the lease of the row, another process may claim the row first.
        """
        while True:
            message = self._refused.get()
            while not self._is_discarded(message):
                time.sleep(DISCARD_EVERY_SECONDS)

    def _is_discarded(self, message: Message) -> bool:
        try:
            with self._store.write() as connection:
                self._discard(connection, message)
        except DATABASE_FAILURES:
            return False
        except Exception:
            log.exception("a message that was refused could not be discarded")
        return True

    def _discard(self, connection: Connection, message: Message) -> None:
        if inbox.discard(connection, message, self._owner):
            detail = {"kind": message.kind.value, "message": message.record_key}
            event = Event(AuditEvent.MESSAGE_DISCARDED, message.person, message.request_id or None, detail)
            append(connection, event, self._now())
