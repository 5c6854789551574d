"""Compares what Slack shows with the rows of the bot and the groups in OMS, past all proxies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request, State
from bot.jobs.problems import failure_to_retry
from bot.sandbox.huawei.group import COMPLETED, CREATION_FAILED, MIGRATION_FAILED, PAUSED, Group
from bot.sandbox.slack.ids import MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import inbox, tables
from bot.store.database import open_to_read
from bot.ui.card import card as card_message
from tests.support.sandbox import button_ids

T = TypeVar("T")

_REQUEST = TypeAdapter(Request)
_STOPPED = frozenset({COMPLETED, CREATION_FAILED, MIGRATION_FAILED, PAUSED})
# While the database is broken, the soak reads it again until it answers.
_READ_WITHIN_SECONDS = 60.0


class MessageRow(NamedTuple):
    """A row of the inbox, as far as the soak needs it."""

    kind: str
    mark: str | None
    is_finished: bool


class RefusalRow(NamedTuple):
    """An audit row of a refusal: the event, and the reason."""

    event: str
    why: str


@dataclass(frozen=True)
class Shown:
    """A request and where its card is."""

    request: Request
    ts: str | None


class Truth:
    """Reads the database without a proxy. Every method can be called from any thread."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = open_to_read(sandbox.database_url)

    def close(self) -> None:
        self._store.close()

    def request(self, group_id: str) -> Request | None:
        """The first request for a group. A command that Slack delivers late, after a repetition, may make another."""
        first = (
            select(tables.requests.c.body)
            .where(tables.requests.c.group_id == group_id)
            .order_by(tables.requests.c.created_at)
            .limit(1)
        )
        body = self._read(lambda connection: connection.execute(first).scalar())
        return None if body is None else _REQUEST.validate_python(body)

    def posted(self, request: Request) -> PostedMessage | None:
        """The card of a request in Slack, once the bot knows where it is."""
        ts = self._read(
            lambda connection: connection.execute(
                select(tables.cards.c.ts).where(tables.cards.c.request_id == request.id)
            ).scalar()
        )
        return self._message(ts)

    def message(self, key: str) -> MessageRow | None:
        """The row of a command, a click or a form, by Slack's id of it."""
        table = tables.inbox.c
        query = select(table.kind, table.mark, table.due_at.is_(None)).where(table.key == key)
        row = self._read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else MessageRow(*row)

    def refusals(self, person: str) -> list[RefusalRow]:
        """All audit rows that say that something a person did had no effect."""
        table = tables.audit.c
        events = (AuditEvent.ACTION_REFUSED.value, AuditEvent.REQUEST_NOT_CREATED.value)
        query = select(table.event, table.detail).where(table.actor == person, table.event.in_(events))
        rows = self._read(lambda connection: connection.execute(query).all())
        return [RefusalRow(event, str(json.loads(detail).get("why"))) for event, detail in rows]

    def all_shown(self) -> list[Shown]:
        """All requests with their cards."""
        query = select(tables.requests.c.body, tables.cards.c.ts).join(
            tables.cards, tables.cards.c.request_id == tables.requests.c.id
        )
        rows = self._read(lambda connection: connection.execute(query).all())
        return [Shown(_REQUEST.validate_python(body), ts) for body, ts in rows]

    def unfinished(self, before: datetime) -> dict[str, str]:
        """What people sent before this time and no worker has finished: the kind of each message, by its key."""
        table = tables.inbox.c
        query = select(table.key, table.kind).where(table.received_at < before, table.due_at.is_not(None))
        rows = self._read(lambda connection: connection.execute(query).all())
        return {key: kind for key, kind in rows if "/" not in key}

    def unsent_notices(self) -> list[str]:
        """The texts of all notices that are not sent yet."""
        table = tables.notices.c
        query = select(table.text).where(table.due_at.is_not(None))
        return self._read(lambda connection: list(connection.execute(query).scalars()))

    def falsehood(self, shown: Shown, group: Group) -> str | None:
        """What is not true of a card at this moment; None if everything is."""
        posted = self._message(shown.ts)
        if posted is None:
            return "there is no card"
        wanted = card_message(shown.request, failure=failure_to_retry(shown.request))
        if posted.text != wanted.text:
            return f"the card says {posted.text!r} instead of {wanted.text!r}"
        if _without_new_ids(posted.blocks, wanted.blocks) != list(wanted.blocks):
            return f"the card has other blocks than {wanted.text!r}"
        return _delay(shown.request, group)

    def duplicates(self) -> list[PostedMessage]:
        """Messages with live buttons that are no request's card, because Slack's answer to the first post was lost."""
        known = {shown.ts for shown in self.all_shown()}
        messages = self._sandbox.workspace.messages_in(MIGRATIONS)
        return [one for one in messages if one.ts not in known and button_ids(one)]

    def discarded_or_absent(self, key: str) -> bool:
        """Whether a message that the person was told is not stored has no effect."""
        row = self.message(key)
        return row is None or row.mark == inbox.DISCARDED

    def _message(self, ts: str | None) -> PostedMessage | None:
        messages = self._sandbox.workspace.messages_in(MIGRATIONS)
        return next((one for one in messages if one.ts == ts), None)

    def _read(self, query: Callable[[Connection], T]) -> T:
        deadline = time.monotonic() + _READ_WITHIN_SECONDS
        while True:
            try:
                with self._store.read() as connection:
                    return query(connection)
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _without_new_ids(posted: Sequence[dict[str, Any]], wanted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks of a message without the block ids that Slack gave them."""
    if len(posted) != len(wanted):
        return []
    return [
        block if "block_id" in one else {name: value for name, value in block.items() if name != "block_id"}
        for block, one in zip(posted, wanted, strict=True)
    ]


def _delay(request: Request, group: Group) -> str | None:
    """What the request does not know or do yet, although nothing hinders it."""
    match request.state:
        case State.APPROVED if request.start_at is None or request.start_at <= datetime.now(UTC):
            return f"the request still waits: {request.problem.meaning if request.problem else 'no problem'}"
        case State.SENDING:
            return "the request is being sent"
        case State.ACCEPTED | State.MOVING | State.PAUSING:
            if request.problem is not None:
                return f"the card has a problem that has passed: {request.problem.meaning}"
            if group.status in _STOPPED and not group.pending_changes:
                return f"the card says {request.state}, and the group has status {group.status}"
    return None
