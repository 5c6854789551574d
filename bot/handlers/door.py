"""The door: what Slack sends is written down here before it is acknowledged, or plainly not taken.

It checks that a payload is of this workspace and app. What is in it is left to the handlers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bot.metrics import NOT_TAKEN, TAKEN
from bot.store import inbox
from bot.store.claims import Claim
from bot.store.engine import Store
from bot.store.inbox import Message

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Home:
    """The workspace and the app that this bot serves."""

    team_id: str
    app_id: str


class Door:
    """Takes messages in.

    Arguments:
        hand_over: works on a row that was written down and claimed.
    """

    def __init__(
        self, store: Store, home: Home, owner: str, now: Callable[[], datetime], hand_over: Callable[[Claim], None]
    ) -> None:
        self._store = store
        self._home = home
        self._owner = owner
        self._now = now
        self._hand_over = hand_over

    def is_ours(self, body: Mapping[str, Any]) -> bool:
        """Whether a payload is of this workspace and app."""
        team = body.get("team_id") or (body.get("team") or {}).get("id")
        return team == self._home.team_id and body.get("api_app_id") == self._home.app_id

    def take(self, message: Message) -> bool:
        """Writes a message down; False when that cannot be done, within about 2 s. A redelivery is taken, once."""
        try:
            with self._store.write() as connection:
                claim = inbox.put(connection, message, self._owner, self._now())
        except SQLAlchemyError:
            NOT_TAKEN.inc()
            log.exception("not taken: the database does not take it")
            return False
        if claim is not None:
            TAKEN.labels(message.kind.value).inc()
            self._hand_over(claim)
        return True
