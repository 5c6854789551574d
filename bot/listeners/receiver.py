"""The door: what Slack sends is written down here before it is acknowledged, or plainly not taken.

It checks that a payload is of this workspace and app. What is in it is left to the handlers.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bot.metrics import ACCEPTED, NOT_STORED
from bot.redaction import visible
from bot.store import inbox
from bot.store.audit import Event, append
from bot.store.database import Store
from bot.store.inbox import Kind, Message
from bot.store.queue import Claim

log = logging.getLogger(__name__)

WITHIN_SECONDS = 2.0
WRITERS = 8


@dataclass(frozen=True)
class OurApp:
    """The workspace and the app that this bot serves."""

    team_id: str
    app_id: str


class _Verdict:
    """Taken or not: said once, by whoever wrote the row or by whoever could wait no longer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken: bool | None = None

    def say(self, is_taken: bool) -> bool:
        """Says it, if nothing was said before; what holds."""
        with self._lock:
            if self._is_taken is None:
                self._is_taken = is_taken
            return self._is_taken

    @property
    def is_refused(self) -> bool:
        return self._is_taken is False


class Receiver:
    """Takes messages in.

    Arguments:
        hand_over: works on a row that was written down and claimed.
        within_seconds: how long a message may take to be written down.
    """

    def __init__(
        self,
        store: Store,
        ours: OurApp,
        owner: str,
        now: Callable[[], datetime],
        submit: Callable[[Claim], None],
        within_seconds: float = WITHIN_SECONDS,
    ) -> None:
        self._store = store
        self._ours = ours
        self._owner = owner
        self._now = now
        self._hand_over = submit
        self._within_seconds = within_seconds
        # A database that stands still holds whoever writes to it; Slack must be answered all the same.
        self._writers = ThreadPoolExecutor(WRITERS, "door")

    def is_ours(self, body: Mapping[str, Any]) -> bool:
        """Whether a payload is of this workspace and app."""
        return _id(body, "team") == self._ours.team_id and _id(body, "api_app") == self._ours.app_id

    def reject_foreign(self, body: Mapping[str, Any]) -> None:
        """Has the audit told that a payload was refused because it is not of this workspace and app, or not as made.

        Only ids are kept of it. One row, with the first who sent, tells of all that came from one workspace and app in
        one minute: for the inbox they are the same message again. There are as many of these as have this app, since
        Slack signs what it sends.
        """
        team, app = _id(body, "team"), _id(body, "api_app")
        key = f"not ours {team} {app} {self._now():%Y-%m-%dT%H:%M}"
        self.take(Message(Kind.FOREIGN_PAYLOAD, key, _id(body, "user"), team, app_id=app))

    def take(self, message: Message) -> bool:
        """Writes a message down; False when that was not done within 2 s. A redelivery is taken, once.

        What is written later than that is written off by whoever wrote it, and never worked on. A form that was not
        taken is taken when it is pressed again.
        """
        message = _storable(message)
        verdict = _Verdict()
        writing = self._writers.submit(self._write, message, verdict)
        try:
            writing.result(self._within_seconds)
        except TimeoutError:
            writing.cancel()
            log.warning("not taken: it was not written down within %g s", self._within_seconds)
        if not verdict.say(False):
            NOT_STORED.inc()
            return False
        claim = writing.result()
        if claim is not None:
            ACCEPTED.labels(message.kind.value).inc()
            # Here and not by the writer: the thread that acknowledges is the one that runs already.
            self._hand_over(claim)
        return True

    def _write(self, message: Message, verdict: _Verdict) -> Claim | None:
        """The claim on a row that was written in time."""
        try:
            with self._store.write() as connection:
                claim = inbox.put(connection, message, self._owner, self._now())
                if claim is None:
                    claim = inbox.put_again(connection, message, self._owner, self._now())
                if claim is None:
                    verdict.say(inbox.mark_of(connection, message.key) != inbox.DISCARDED)
                    return None
                if verdict.is_refused:
                    self._write_off(connection, message)
                    return None
            if verdict.say(True):
                return claim
            # The commit itself was what took so long.
            with self._store.write() as connection:
                self._write_off(connection, message)
        except Exception:
            log.exception("not taken: it could not be written down")
        return None

    def _write_off(self, connection: Connection, message: Message) -> None:
        if inbox.discard(connection, message, self._owner):
            event = Event("not taken", message.person, message.request_id or None, {"kind": message.kind.value})
            append(connection, event, self._now())


def _id(body: Mapping[str, Any], what: str) -> str:
    """The id of a team, user or app, wherever this kind of payload has it; `unknown` where it has none."""
    part = body.get(what)
    found = body.get(f"{what}_id") or (part.get("id") if isinstance(part, Mapping) else part)
    return found if isinstance(found, str) and re.fullmatch(r"[A-Z0-9]{1,20}", found) else "unknown"


def _storable(message: Message) -> Message:
    """The same without what no database takes: a row that cannot be worked on would be tried again and again."""
    return Message(message.kind, **{name: visible(text) for name, text in vars(message).items() if name != "kind"})
