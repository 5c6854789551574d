"""What every step works with, put together once by `bot.app`; and the one way to write down a turn of events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.config import Project
from bot.metrics import TURNS
from bot.request.model import Request, State
from bot.slack.answers import pause_failed, turn_of_events
from bot.slack.people import People
from bot.slack.posting import Posting
from bot.store import inbox, outbox, requests
from bot.store.audit import Event, append_all
from bot.store.engine import Store
from bot.store.inbox import Message
from bot.store.outbox import Notice, Way
from bot.store.requests import AttemptTurn
from bot.vault import Vault
from bot.work.caller import Callers
from bot.work.held import Held


@dataclass(frozen=True)
class Tools:
    store: Store
    projects: Mapping[str, Project]
    command: str
    vault: Vault
    callers: Callers
    people: People
    posting: Posting
    owner: str
    held: Held
    now: Callable[[], datetime]


def to_whom(message: Message) -> tuple[Way, str]:
    """How whoever typed or pressed is answered, and the address; a direct message where there is no other way."""
    if message.response_url:
        return Way.ANSWER, f"{message.response_url} {message.person}"
    return Way.DIRECT, message.person


def reply(tools: Tools, message: Message, text: str, *events: Event) -> None:
    """The last word on a message, to whoever sent it, and the events with it: durable, and said once."""
    now = tools.now()
    with tools.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        outbox.add_notice(connection, Notice(*to_whom(message), text), now)
        if events:
            append_all(connection, events, now)


def save_turn(
    connection: Connection,
    old: Request,
    new: Request,
    now: datetime,
    *events: Event,
    attempt: AttemptTurn | None = None,
) -> Request:
    """Saves a change, and tells the thread of it when the request came to another state.

    Arguments:
        attempt: as for `requests.save`.

    Raises:
        requests.Stale: see there.
    """
    saved = requests.save(connection, old, new, now, *events, attempt=attempt)
    again = old.attempt is not None and new.attempt is not None and old.attempt.number != new.attempt.number
    if new.state is not old.state or again:
        TURNS.labels(new.state.value).inc()
        line = (
            pause_failed(saved)
            if old.state is State.PAUSING and saved.state in (State.ACCEPTED, State.MOVING)
            else turn_of_events(saved)
        )
        if line is not None:
            outbox.add_notice(connection, Notice(Way.THREAD, "", line, saved.id), now)
    return saved
