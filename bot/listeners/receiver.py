"""Stores what Slack sends before it is acknowledged, and hands it to a worker.

What a payload means is left to the listeners, and what is done about it to `bot.jobs`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime

from sqlalchemy import Connection

from bot.domain.audit_events import AuditEvent
from bot.listeners.payloads import MalformedPayload, Payload, to_foreign_message
from bot.metrics import ACCEPTED, NOT_STORED
from bot.store import inbox
from bot.store.audit import Event, append
from bot.store.database import Store
from bot.store.inbox import Message
from bot.store.queue import Claim

log = logging.getLogger(__name__)

STORE_WITHIN_SECONDS = 2.0
WRITER_THREADS = 8


class _Verdict:
    """Whether a message is accepted.

    The thread that stores it and the thread that waits for it may both settle this, and the first of the two decides.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_accepted: bool | None = None

    def settle(self, is_accepted: bool) -> bool:
        """Sets the verdict if it is open, and gives the verdict that holds."""
        with self._lock:
            if self._is_accepted is None:
                self._is_accepted = is_accepted
            return self._is_accepted

    @property
    def is_rejected(self) -> bool:
        return self._is_accepted is False


class Receiver:
    """Stores messages in the inbox, and starts the work on them.

    Arguments:
        owner: the name under which this process claims rows.
        submit: starts work on a row that is stored and claimed.
        within_seconds: how long storing a message may take.
        writers: runs the writes to the database, so that a database that hangs does not delay the answer to Slack.
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

    def accept(self, message: Message | MalformedPayload) -> bool:
        """Stores a message. A redelivery of an accepted message is accepted, and not stored again.

        A message that is stored too late is discarded by the thread that stored it, and no worker handles it. A form
        that was not accepted can be submitted again.

        Returns:
            False if the payload was malformed, or if the message was not stored within the time given. The caller tells
            the person who sent it.
        """
        if isinstance(message, MalformedPayload):
            log.error("a payload was not accepted: it has no valid %s", ", ".join(message.missing))
            NOT_STORED.inc()
            return False
        verdict = _Verdict()
        writing = self._writers.submit(self._write, message, verdict)
        try:
            writing.result(self._within_seconds)
        except TimeoutError:
            writing.cancel()
            log.warning("a message was not accepted: it was not stored within %g s", self._within_seconds)
        if not verdict.settle(False):
            NOT_STORED.inc()
            return False
        claim = writing.result()
        if claim is not None:
            ACCEPTED.labels(message.kind.value).inc()
            # Submitted here and not by the writer, which saves a switch of threads before the acknowledgement.
            self._submit(claim)
        return True

    def reject(self, body: Payload) -> None:
        """Records a payload that does not come from this workspace and app, or not from a form that the bot made.

        A worker writes it to the audit chain. All payloads that one workspace and app send within one minute are
        recorded once, with the first person who sent one.
        """
        self.accept(to_foreign_message(body, self._now()))

    def _write(self, message: Message, verdict: _Verdict) -> Claim | None:
        """Stores a message, and gives the claim if it was stored in time and has to be worked on."""
        try:
            with self._store.write() as connection:
                claim = inbox.put(connection, message, self._owner, self._now())
                if claim is None:
                    claim = inbox.put_resubmitted(connection, message, self._owner, self._now())
                if claim is None:
                    verdict.settle(inbox.mark_of(connection, message.key) != inbox.DISCARDED)
                    return None
                if verdict.is_rejected:
                    self._discard(connection, message)
                    return None
            if verdict.settle(True):
                return claim
            # The commit itself took too long.
            with self._store.write() as connection:
                self._discard(connection, message)
        except Exception:
            log.exception("a message was not accepted: it could not be stored")
        return None

    def _discard(self, connection: Connection, message: Message) -> None:
        if inbox.discard(connection, message, self._owner):
            event = Event(
                AuditEvent.MESSAGE_DISCARDED, message.person, message.request_id or None, {"kind": message.kind.value}
            )
            append(connection, event, self._now())
