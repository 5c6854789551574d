"""Stores messages: payloads from Slack before they are acknowledged, and work that the bot schedules for later.

The key of a row is Slack's id of the payload, so a redelivery does not create a second row.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter
from sqlalchemy import Connection, Select, Update, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from bot.domain.command import ResumeGroups, ShowList, ShowStatus
from bot.domain.request_record import Authenticity
from bot.store.database import cached_statement, clock
from bot.store.message_kinds import FAST_KINDS, SLOW_KINDS, Kind
from bot.store.queue import LEASE, Claim
from bot.store.state_keys import state_keys
from bot.store.tables import LONG_AGO, inbox

# Callers import the kinds from here, together with `Message`.
__all__ = ["FAST_KINDS", "SLOW_KINDS", "Kind", "Message"]


@dataclass(frozen=True)
class Message:
    """A command, click or form of a person, or work that the bot scheduled.

    A string field that does not apply is empty.
    """

    kind: Kind
    #: Slack's id of the payload: the `trigger_id` of a command or a click, the view id of a form, the `event_id` of an
    #: event. A message that the bot schedules has the key of the message that caused it, `/`, and a suffix.
    key: str
    #: The user id of the sender, or for `NOTIFY_APPROVER` the person to notify.
    person: str
    #: The workspace of the sender.
    team_id: str
    #: The channel of the command or the click.
    channel: str = ""
    #: The parsed command of `CREATE_REQUEST`, `CREATE_ONCE_PAUSED`, `LIST` and `STATUS`. A stored value is read as the
    #: first type that it fits: only a `ResumeGroups` has the fields that `ResumeGroups` requires, and so on.
    command: Annotated[ResumeGroups | ShowList | ShowStatus | None, Field(union_mode="left_to_right")] = None
    #: The request that the button or the deny form belongs to.
    request_id: str = ""
    #: The task group that a button belongs to (`WatchedGroup.key`).
    group_key: str = ""
    #: The `ts` of the message with the button.
    message_ts: str = ""
    #: Slack's URL for replies that only this person sees, valid for 30 minutes. Removed once the message is handled.
    response_url: str = ""
    #: The open view to fill.
    view_id: str = ""
    #: The scope that was selected on the card at the click.
    scope: str = ""
    #: The reason entered in the deny form.
    reason: str = ""
    #: Slack's id of one click or submission. It distinguishes a form that is submitted again from a redelivery.
    trigger_id: str = ""
    #: The app that a foreign payload came from.
    app_id: str = ""
    #: When the bot stored the message. Part of the signed body; None before it is stored, and in rows of earlier
    #: versions of the bot.
    received_at: datetime | None = field(default=None, compare=False)

    @property
    def record_key(self) -> str:
        """Identifies this message in the audit chain. A form that is submitted again is another message."""
        return self.trigger_id or self.key

    @property
    def group_id(self) -> str:
        """The id of the task group in `group_key`; empty if there is none."""
        return self.group_key.rpartition("/")[2]

    @property
    def origin_key(self) -> str:
        """Slack's id of the payload: of this message, or for a scheduled message of the message that caused it."""
        return self.key.partition("/")[0]


class StoredMessage(NamedTuple):
    """A row of the inbox: the message, when it was stored, its mark, and whether the bot wrote the message."""

    message: Message
    received_at: datetime
    mark: str | None
    authenticity: Authenticity


#: The mark of a message that had its effect, such as a vote or an answer. It must not have an effect again.
DECIDED = "decided"
#: The mark of a message that was stored too late. The sender saw an error message, so no worker handles it.
DISCARDED = "discarded"
#: A message with one of these marks has no further effect. A worker only finishes the row.
FINISHED_MARKS = frozenset({DECIDED, DISCARDED})

_MESSAGE = TypeAdapter(Message)
# Fields that have their own columns.
_COLUMNS = {"kind", "key", "person"}


def put(connection: Connection, message: Message, owner: str, now: datetime) -> Claim | None:
    """Stores a message and claims it for this process.

    Returns:
        The claim, or None if a message with this key exists: a redelivery, or a form submitted again.
    """
    values = _row(connection, message, now) | _claimed(connection, owner, now)
    added = connection.execute(_add_once(connection.dialect.name), values).scalar_one_or_none()
    return None if added is None else Claim(inbox.name, added, 0, message.kind, message.person)


@cached_statement
def _add_once(dialect: str) -> ReturningInsert[Any]:
    insert: sqlite.Insert | postgresql.Insert = (
        sqlite.insert(inbox) if dialect == "sqlite" else postgresql.insert(inbox)
    )
    return insert.on_conflict_do_nothing(index_elements=["key"]).returning(inbox.c.id)


def put_resubmitted(connection: Connection, message: Message, owner: str, now: datetime) -> Claim | None:
    """Stores a form again that was discarded, and claims it for this process.

    A form that was not discarded keeps its content, but takes the new `trigger_id`: a late discard of the earlier
    submission then no longer applies to it.

    Returns:
        The claim, or None if there is nothing to do: a redelivery, or a form that was accepted before.
    """
    number = connection.execute(select(inbox.c.id).where(inbox.c.key == message.key).with_for_update()).scalar_one()
    stored, _, mark, authenticity = get(connection, number)
    if stored.trigger_id == message.trigger_id:
        return None
    this_row = update(inbox).where(inbox.c.id == number)
    if mark != DISCARDED:
        # A row that the bot did not write is not signed.
        if authenticity is Authenticity.AUTHENTIC:
            kept = replace(stored, trigger_id=message.trigger_id)
            connection.execute(this_row.values(**_signed_body(connection, kept)))
        return None
    values = _row(connection, message, now) | _claimed(connection, owner, now)
    connection.execute(this_row.values(**values, mark=None))
    return Claim(inbox.name, number, 0, message.kind, message.person)


def _claimed(connection: Connection, owner: str, now: datetime) -> dict[str, object]:
    return {"due_at": now, "claimed_by": owner, "claimed_until": clock(connection) + LEASE, "tries": 0}


def put_for_later(connection: Connection, message: Message, received_at: datetime, due_at: datetime) -> bool:
    """Stores a message that any process handles once it is due; False if a message with this key exists."""
    values = _row(connection, message, received_at) | {"due_at": due_at}
    return connection.execute(_add_once(connection.dialect.name), values).scalar_one_or_none() is not None


def get(connection: Connection, number: int) -> StoredMessage:
    """The message in a row of the inbox."""
    row = connection.execute(_select_message(), {"of_id": number}).one()
    message = _MESSAGE.validate_python({**row.body, "kind": row.kind, "key": row.key, "person": row.person})
    authenticity = state_keys(connection).check(row.mac, *_signed_fields(row.key, row.kind, row.person, row.body))
    return StoredMessage(message, message.received_at or row.received_at, row.mark, authenticity)


@cached_statement
def _select_message() -> Select[Any]:
    return select(inbox).where(inbox.c.id == bindparam("of_id"))


def clear_response_url(connection: Connection, number: int, stored: StoredMessage) -> None:
    """Removes the response_url of a handled message, because it allows anyone to post in Slack.

    The row of a message that is not authentic has no MAC afterwards.

    Arguments:
        stored: the message that was handled. The row may have been changed since, so what it says is not signed.
    """
    cleared = _signed_body(connection, replace(stored.message, response_url=""))
    if stored.authenticity is not Authenticity.AUTHENTIC:
        cleared["mac"] = None
    connection.execute(update(inbox).where(inbox.c.id == number).values(**cleared))


def mark_once(connection: Connection, key: str, mark: str) -> bool:
    """Marks a message that has no mark; True if this call has set the mark."""
    marked = connection.execute(_mark_once(), {"of_key": key, "mark": mark})
    return marked.rowcount == 1


@cached_statement
def _mark_once() -> Update:
    return update(inbox).where(inbox.c.key == bindparam("of_key"), inbox.c.mark.is_(None))


def set_mark(connection: Connection, key: str, mark: str) -> None:
    """Replaces the mark of a message that is handled several times."""
    connection.execute(update(inbox).where(inbox.c.key == key).values(mark=mark))


def newest_due(connection: Connection, kind: Kind, limit: int) -> frozenset[str]:
    """The keys of the newest due message of this kind of each person, for the `limit` people with the newest ones."""
    newest = (
        select(func.max(inbox.c.id))
        .where(inbox.c.due_at > LONG_AGO, inbox.c.kind == kind.value)
        .group_by(inbox.c.person)
        .order_by(func.max(inbox.c.id).desc())
        .limit(limit)
    )
    return frozenset(connection.execute(select(inbox.c.key).where(inbox.c.id.in_(newest))).scalars())


def mark_of(connection: Connection, key: str) -> str | None:
    """The mark of a message."""
    found: str | None = connection.execute(select(inbox.c.mark).where(inbox.c.key == key)).scalar_one_or_none()
    return found


def mark_decided(connection: Connection, key: str) -> bool:
    """Marks a message as decided. Call it first in the transaction of its effect, so that the effect happens once.

    Returns:
        False if the message has a mark already. Then this transaction must change nothing.
    """
    return mark_once(connection, key, DECIDED)


def unmark_decided(connection: Connection, key: str) -> None:
    """Removes the mark that this transaction has set, because the message has no effect after all."""
    connection.execute(update(inbox).where(inbox.c.key == key, inbox.c.mark == DECIDED).values(mark=None))


def discard(connection: Connection, message: Message, owner: str) -> bool:
    """Discards a message after its sender saw that it was not stored, so that no worker handles it.

    Returns:
        False if another process has claimed it, if it has a mark, or if its form was submitted again.
    """
    query = select(inbox.c.body).where(inbox.c.key == message.key).with_for_update()
    body = connection.execute(query).scalar_one_or_none()
    if body is None or body.get("trigger_id", "") != message.trigger_id:
        return False
    this_row = (inbox.c.key == message.key, inbox.c.claimed_by == owner, inbox.c.mark.is_(None))
    body_without_url = _signed_body(connection, replace(message, response_url=""))
    discarded = connection.execute(
        update(inbox)
        .where(*this_row)
        .values(**body_without_url, mark=DISCARDED, due_at=None, claimed_by=None, claimed_until=None)
    )
    return discarded.rowcount == 1


def _row(connection: Connection, message: Message, now: datetime) -> dict[str, object]:
    return {
        "key": message.key,
        "kind": message.kind.value,
        "person": message.person,
        "received_at": now,
        **_signed_body(connection, replace(message, received_at=now)),
    }


def _signed_body(connection: Connection, message: Message) -> dict[str, object]:
    """The columns `body` and `mac`."""
    body: dict[str, object] = _MESSAGE.dump_python(message, mode="json", exclude=_COLUMNS, exclude_defaults=True)
    mac = state_keys(connection).sign(*_signed_fields(message.key, message.kind.value, message.person, body))
    return {"body": body, "mac": mac}


def _signed_fields(key: str, kind: str, person: str, body: object) -> tuple[object, ...]:
    """What the `mac` covers. The body contains the team and `Message.received_at`."""
    return inbox.name, key, kind, person, body
