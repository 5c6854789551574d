"""What the jobs share: the `Context`, replies to messages, and saving a request together with its thread line.

`bot.app` builds the context once, at the start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.config.bot_toml import Project
from bot.domain.report import REPORTED_STATES
from bot.domain.request import Request, State, Verb
from bot.domain.request_record import Authenticity
from bot.domain.schedule import REPORT_WAITS, causes_due_at
from bot.huawei.identity import Identity
from bot.jobs.active_claims import ActiveClaims
from bot.metrics import FOREIGN_ROWS, STATE_CHANGES
from bot.slack.errors import LookupFailed
from bot.slack.messenger import Messenger
from bot.slack.users import Users
from bot.store import inbox, outbox, requests
from bot.store.audit import Event, append_all
from bot.store.database import Store
from bot.store.inbox import Message
from bot.store.outbox import Delivery, Notice
from bot.ui import refusals
from bot.ui.thread import announcement_line, pause_failed, thread_line
from bot.vault.client import Vault

log = logging.getLogger(__name__)

# While the key is being replaced, another replica may know the key of a row.
WAIT_FOR_KEY, CHECK_KEY_EVERY = timedelta(minutes=1), timedelta(seconds=1)


@dataclass(frozen=True)
class Context:
    """The parts of the bot that jobs use, and its settings.

    Attributes:
        projects: the projects of bot.toml by name.
        command: the slash command, with its slash.
        identity: calls OMS with the bot's own identity of each project.
        people: looks up people and user groups in Slack.
        owner: identifies this process in the claims.
        active_claims: the claims that this process holds.
        now: returns the current time, in UTC.
        keep: how long ended requests and the history of groups are kept.
    """

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
    keep: timedelta


def reply_address(message: Message) -> tuple[Delivery, str]:
    """The delivery and the address of the notice that answers a message.

    With a response_url the reply is visible to its sender only, in the channel. Otherwise it is a direct message.
    """
    if message.response_url:
        return Delivery.EPHEMERAL, f"{message.response_url} {message.person}"
    return Delivery.DIRECT, message.person


def reply(
    context: Context, message: Message, text: str, *events: Event, group_key: str = "", verb: Verb | None = None
) -> None:
    """Stores the reply to a message as a notice, together with the audit events, and marks the message as decided.

    Does nothing if the message is decided or discarded already, so a message has one reply.

    Arguments:
        group_key: the task group (`WatchedGroup.key`) of the button below the reply; empty for no button.
        verb: what the button requests for the group; None for a button that pauses it.
    """
    delivery, address = reply_address(message)
    if group_key and delivery is Delivery.EPHEMERAL:
        address = " ".join(filter(None, (address, group_key, verb)))
    now = context.now()
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        outbox.add_notice(connection, Notice(delivery, address, text), now)
        if events:
            append_all(connection, events, now)


def lookup_text(context: Context, error: LookupFailed, if_passing: str, outcome: str = refusals.NOTHING_CHANGED) -> str:
    """The reply to a person after Slack did not return a person or the members of a user group.

    Arguments:
        if_passing: the reply if a later look-up may succeed although nobody changes the Slack app.
        outcome: otherwise, says what did not happen.
    """
    denial = context.people.denial_behind(error)
    if denial is None:
        return if_passing
    return refusals.slack_denied(denial.problem, denial.code, denial.fix, outcome)


def report_foreign_row(name: str, table: str, authenticity: Authenticity) -> None:
    """Logs and counts a row that has no effect because the bot did not write it, or with an unknown key."""
    FOREIGN_ROWS.labels(table, authenticity.value).inc()
    if authenticity is Authenticity.FORGED:
        log.error("%s has no effect: someone changed it in the database (outside this bot)", name)
    else:
        log.warning("%s has no effect: its key is unknown. Set STATE_KEY_FORMER to the former key of the bot", name)


def save_and_notify(connection: Connection, old: Request, new: Request, now: datetime, *events: Event) -> Request:
    """Saves a changed request, and adds its new thread line as a notice, or the report on a group that ran and ended.

    The line announces a change in the movement of the group. If there is none, it says which state the request has
    entered. For a request that stays in its state, there is a line about the state only if it has a new attempt, or if
    a first try to start its group failed.

    Raises:
        requests.Stale: the stored version is not that of `old`. The transaction must be rolled back.
    """
    saved = requests.save(connection, old, new, now, *events)
    movement, line = announcement_line(old, saved), None
    has_new_attempt = old.attempt is not None and new.attempt is not None and old.attempt.number != new.attempt.number
    is_held_up = new.state is State.APPROVED and old.problem is None and new.problem is not None
    if new.state is not old.state:
        STATE_CHANGES.labels(new.state.value).inc()
    if new.state is not old.state or has_new_attempt or is_held_up:
        is_failed_pause = old.state is State.PAUSING and saved.state in (State.ACCEPTED, State.MOVING)
        line = pause_failed(saved) if is_failed_pause else thread_line(saved)
    if saved.state in REPORTED_STATES and saved.state is not old.state:
        wait = REPORT_WAITS if causes_due_at(saved) is not None else timedelta()
        outbox.add_notice(connection, Notice(Delivery.REPORT, "", "", saved.id), now, wait)
    elif movement is not None:
        outbox.add_notice(connection, Notice(Delivery.MOVEMENT, "", movement, saved.id), now)
    elif line is not None:
        outbox.add_notice(connection, Notice(Delivery.THREAD, "", line, saved.id), now)
    return saved
