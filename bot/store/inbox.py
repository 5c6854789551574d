"""What Slack sent, written down before it is acknowledged.

Slack's own key of a payload is the row's key, so that a redelivery is the same row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.store.database import clock
from bot.store.queue import LEASE, Claim
from bot.store.tables import inbox


class Kind(StrEnum):
    CREATE_REQUEST = "ask"
    CREATE_ONCE_PAUSED = "ask once paused"
    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"
    CHOOSE_SCOPE = "choose"
    RETRY = "retry"
    PAUSE = "pause"
    OPEN_DENY = "open deny form"
    OPEN_REQUEST = "open request form"
    HOME = "home"
    LIST = "list"
    STATUS = "status"
    FOREIGN_PAYLOAD = "forgery"
    # Not from Slack: left by the bot for itself.
    NOTIFY_APPROVERS = "tell approvers"
    NOTIFY_APPROVER = "tell approver"


# What may take long, for it looks at groups or people one after the other, and no decision waits for it.
SLOW_KINDS = frozenset(
    {
        Kind.CREATE_REQUEST,
        Kind.CREATE_ONCE_PAUSED,
        Kind.OPEN_REQUEST,
        Kind.HOME,
        Kind.LIST,
        Kind.STATUS,
        Kind.NOTIFY_APPROVERS,
        Kind.NOTIFY_APPROVER,
    }
)
FAST_KINDS = frozenset(Kind) - SLOW_KINDS


@dataclass(frozen=True)
class Message:
    """One thing that somebody typed, pressed or sent in.

    `response_url` answers only that person; it is good for 30 minutes, and is forgotten once the row is done.
    `request_id`, `channel` and `message_ts` say which button of which message it was, `scope` what that message
    showed as chosen, `view_id` which view waits to be filled. `press` is Slack's key of the press where that of the row
    is the form's, which may be pressed again. `app_id` says of what was refused for it whose it was.
    """

    kind: Kind
    key: str
    person: str
    team_id: str
    channel: str = ""
    text: str = ""
    request_id: str = ""
    message_ts: str = ""
    response_url: str = ""
    view_id: str = ""
    scope: str = ""
    press: str = ""
    app_id: str = ""

    @property
    def origin_key(self) -> str:
        """Slack's key of what somebody sent: that of the message itself, or of the one that it was written for."""
        return self.key.partition("/")[0]


DECIDED, DISCARDED = "decided", "not taken"
# With one of these marks a row only waits to be finished.
FINISHED_MARKS = frozenset({DECIDED, DISCARDED})


# Slack waits for this statement, and a decision for the next: built once, for that takes longer than to run one.
_PUT = {
    name: build(inbox).on_conflict_do_nothing(index_elements=["key"]).returning(inbox.c.id)
    for name, build in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_MARK = update(inbox).where(inbox.c.key == bindparam("of"), inbox.c.mark.is_(None))


def put(connection: Connection, message: Message, owner: str, now: datetime) -> Claim | None:
    """Writes a row, already claimed by this process, which will work on it at once.

    Returns:
        The claim, or None when the row is there already: a redelivery.
    """
    claimed = {"due_at": now, "claimed_by": owner, "claimed_until": clock(connection) + LEASE}
    added = connection.execute(_PUT[connection.dialect.name], _row(message, now) | claimed).scalar_one_or_none()
    return None if added is None else Claim(inbox.name, added, 0, message.kind, message.person)


def put_again(connection: Connection, message: Message, owner: str, now: datetime) -> Claim | None:
    """Writes a row anew that was not taken, if somebody pressed once more since; claimed by this process.

    A row that is taken stays as it is, but whoever wrote it for an earlier press can no longer write it off.

    Returns:
        The claim, or None when this process has nothing to do: a redelivery, or what is taken.
    """
    found = connection.execute(
        select(inbox.c.id, inbox.c.mark, inbox.c.body).where(inbox.c.key == message.key).with_for_update()
    ).one()
    if found.body.get("press", "") == message.press:
        return None
    mine = update(inbox).where(inbox.c.id == found.id)
    if found.mark != DISCARDED:
        connection.execute(mine.values(body=found.body | {"press": message.press}))
        return None
    claimed = {"due_at": now, "claimed_by": owner, "claimed_until": clock(connection) + LEASE, "tries": 0}
    connection.execute(mine.values(**_row(message, now), **claimed, mark=None))
    return Claim(inbox.name, found.id, 0, message.kind, message.person)


def put_for_later(connection: Connection, message: Message, now: datetime, due_at: datetime) -> bool:
    """Writes a row that is worked on later by whoever is free; False when it is there already."""
    values = _row(message, now) | {"due_at": due_at}
    return connection.execute(_PUT[connection.dialect.name], values).scalar_one_or_none() is not None


def _row(message: Message, now: datetime) -> dict[str, object]:
    return {
        "key": message.key,
        "kind": message.kind.value,
        "body": _body(message),
        "person": message.person,
        "received_at": now,
    }


def get(connection: Connection, number: int) -> tuple[Message, datetime]:
    """The message of a row, and when it came."""
    columns = (inbox.c.kind, inbox.c.key, inbox.c.body, inbox.c.received_at)
    row = connection.execute(select(*columns).where(inbox.c.id == number)).one()
    return Message(Kind(row.kind), row.key, **row.body), row.received_at


def forget_address(connection: Connection, number: int) -> None:
    """A message that is done with keeps no response_url: it is of some use to a thief, and of none to us."""
    body = connection.execute(select(inbox.c.body).where(inbox.c.id == number)).scalar_one()
    if body.get("response_url"):
        connection.execute(update(inbox).where(inbox.c.id == number).values(body=body | {"response_url": ""}))


def mark_once(connection: Connection, key: str, mark: str) -> bool:
    """Leaves a mark on a message; True for the first who leaves one."""
    added = connection.execute(_MARK, {"of": key, "mark": mark})
    return added.rowcount == 1


def mark_of(connection: Connection, key: str) -> str | None:
    """The mark that was left on a message."""
    found: str | None = connection.execute(select(inbox.c.mark).where(inbox.c.key == key)).scalar_one_or_none()
    return found


def mark_decided(connection: Connection, key: str) -> bool:
    """In the transaction of a decision, before all its other changes: one message decides once.

    Returns:
        False when it has decided already, or was not taken: then this transaction must decide nothing.
    """
    return mark_once(connection, key, DECIDED)


def unmark_decided(connection: Connection, key: str) -> None:
    """It was not decided after all: takes the mark of this very transaction back."""
    connection.execute(update(inbox).where(inbox.c.key == key, inbox.c.mark == DECIDED).values(mark=None))


def discard(connection: Connection, message: Message, owner: str) -> bool:
    """Whoever sent it was told "not taken": nobody works on it, and a redelivery is not taken either.

    Returns:
        False when somebody works on it already, has decided by it, or has pressed again since.
    """
    query = select(inbox.c.body).where(inbox.c.key == message.key).with_for_update()
    body = connection.execute(query).scalar_one_or_none()
    if body is None or body.get("press", "") != message.press:
        return False
    mine = (inbox.c.key == message.key, inbox.c.claimed_by == owner, inbox.c.mark.is_(None))
    values = {"mark": DISCARDED, "due_at": None, "claimed_by": None, "claimed_until": None}
    off = connection.execute(update(inbox).where(*mine).values(body=_body(replace(message, response_url="")), **values))
    return off.rowcount == 1


def _body(message: Message) -> dict[str, object]:
    return {name: value for name, value in vars(message).items() if name not in ("kind", "key")}
