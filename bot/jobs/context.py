"""What every step works with, put together once by `bot.app`; and the one way to write down a turn of events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.config.bot_toml import Project
from bot.domain.request import Request, State
from bot.huawei.identity import Identity
from bot.jobs.active_claims import ActiveClaims
from bot.metrics import STATE_CHANGES
from bot.slack.messenger import Messenger
from bot.slack.users import Users
from bot.store import inbox, outbox, requests
from bot.store.audit import Event, append_all
from bot.store.database import Store
from bot.store.inbox import Message
from bot.store.outbox import Delivery, Notice
from bot.ui.thread import pause_failed, thread_line
from bot.vault.client import Vault


@dataclass(frozen=True)
class Context:
    store: Store
    projects: Mapping[str, Project]
    command: str
    vault: Vault
    identity: Identity
    people: Users
    messenger: Messenger
    owner: str
    active_claims: ActiveClaims
    now: Callable[[], datetime]


def reply_address(message: Message) -> tuple[Delivery, str]:
    """How whoever typed or pressed is answered, and the address; a direct message where there is no other way."""
    if message.response_url:
        return Delivery.EPHEMERAL, f"{message.response_url} {message.person}"
    return Delivery.DIRECT, message.person


def reply(context: Context, message: Message, text: str, *events: Event) -> None:
    """The last word on a message, to whoever sent it, and the events with it: durable, and said once."""
    now = context.now()
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        outbox.add_notice(connection, Notice(*reply_address(message), text), now)
        if events:
            append_all(connection, events, now)


def save_and_notify(connection: Connection, old: Request, new: Request, now: datetime, *events: Event) -> Request:
    """Saves a change, and tells the thread of it when the request came to another state.

    Raises:
        requests.Stale: see there.
    """
    saved = requests.save(connection, old, new, now, *events)
    again = old.attempt is not None and new.attempt is not None and old.attempt.number != new.attempt.number
    if new.state is not old.state or again:
        STATE_CHANGES.labels(new.state.value).inc()
        line = (
            pause_failed(saved)
            if old.state is State.PAUSING and saved.state in (State.ACCEPTED, State.MOVING)
            else thread_line(saved)
        )
        if line is not None:
            outbox.add_notice(connection, Notice(Delivery.THREAD, "", line, saved.id), now)
    return saved
