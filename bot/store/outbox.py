"""Rows to show in Slack: cards to post or update, and notices to send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, delete, func, insert, or_, select, update

from bot.domain.card_urgency import Urgency
from bot.domain.request_record import Authenticity
from bot.domain.slack_budget import EDITS, post_to
from bot.store.database import cached_statement
from bot.store.state_keys import state_keys
from bot.store.tables import LONG_AGO, cards, notices


class Delivery(StrEnum):
    """How a notice is sent, and the format of its address."""

    #: A reply that only one person sees. The address is one of these:
    #: "response_url user_id" for a reply without a button,
    #: "response_url user_id group_key" for a reply with a button that pauses the task group,
    #: "response_url user_id group_key verb" for a reply with a button that opens the form to resume or retry it.
    EPHEMERAL = "ephemeral"
    #: A line in the thread of the request's card. No address.
    THREAD = "thread"
    #: As THREAD, for a line about how the group moves. A newer one takes its place if it is not sent yet, so that after
    #: an outage of Slack only the last one is sent.
    MOVEMENT = "movement"
    #: The report on a request that has ended, in the thread of its card. No address and no text: the report is made
    #: from the stored request when it is sent.
    REPORT = "report"
    #: A direct message. Address: the user id.
    DIRECT = "direct"
    #: A message in a channel, outside any thread. Address: the channel id.
    CHANNEL = "channel"
    #: Replaces the content of a duplicate card by a line of text. Address: "channel_id ts".
    DUPLICATE = "duplicate"


#: The deliveries to the thread of a card. They are sent in the order in which they were stored.
TO_THREAD = (Delivery.THREAD, Delivery.MOVEMENT, Delivery.REPORT)


@dataclass(frozen=True)
class Notice:
    """A message with text only, in mrkdwn. A report has no text."""

    delivery: Delivery
    address: str
    text: str
    request_id: str | None = None


@dataclass(frozen=True)
class Card:
    """Where the card of a request is in Slack, and which version of the request it shows. `ts` is None until posted."""

    request_id: str
    channel: str
    ts: str | None
    permalink: str | None
    shown_version: int


def add_notice(connection: Connection, notice: Notice, now: datetime, wait: timedelta = timedelta()) -> None:
    """Stores a notice that is due after this wait."""
    if notice.delivery is Delivery.MOVEMENT:
        is_older = (notices.c.request_id == notice.request_id, notices.c.delivery == notice.delivery.value)
        is_unsent = (notices.c.due_at.is_not(None), notices.c.claimed_by.is_(None))
        connection.execute(delete(notices).where(*is_older, *is_unsent))
    row = {
        "request_id": notice.request_id,
        "delivery": notice.delivery.value,
        "address": notice.address,
        "text": notice.text,
        "created_at": now,
        "mac": state_keys(connection).sign(*_signed_fields(notice, now)),
        "due_at": now + wait,
    }
    connection.execute(insert(notices), row)


def get_notice(connection: Connection, number: int) -> tuple[Notice, datetime, Authenticity]:
    """A notice, the time at which it was created, and whether the bot wrote it. Nobody signs a forgotten address."""
    row = connection.execute(select(notices).where(notices.c.id == number)).one()
    notice = Notice(Delivery(row.delivery), row.address, row.text, row.request_id)
    return notice, row.created_at, state_keys(connection).check(row.mac, *_signed_fields(notice, row.created_at))


def _signed_fields(notice: Notice, created_at: datetime) -> tuple[object, ...]:
    """What the `mac` covers. The time keeps an old notice from being sent again."""
    at = created_at.astimezone(UTC).isoformat()
    return notices.name, notice.request_id, notice.delivery, notice.address, notice.text, at


def is_next_in_thread() -> ColumnElement[bool]:
    """The condition for notices that can be sent now: of each thread, only the oldest unsent line.

    The ids of these lines are in the order of events, because adding a line locks the row of its request.
    """
    line = notices.alias("line")
    oldest = (
        select(func.min(line.c.id))
        .where(line.c.delivery.in_(TO_THREAD), line.c.due_at > LONG_AGO)
        .group_by(line.c.request_id)
    )
    return or_(notices.c.delivery.not_in(TO_THREAD), notices.c.id.in_(oldest))


def forget_address(connection: Connection, number: int) -> None:
    """Removes the response_url of a sent notice, because it allows anyone to post in Slack."""
    is_ephemeral = notices.c.delivery == Delivery.EPHEMERAL.value
    connection.execute(update(notices).where(notices.c.id == number, is_ephemeral).values(address=""))


def call_for_card() -> ColumnElement[str]:
    """The call to Slack that shows a card, as `SlackBudget` names it."""
    return case((cards.c.ts.is_(None), post_to("") + cards.c.channel), else_=EDITS)


def urgency_of_card() -> ColumnElement[int]:
    """The urgency of a card. Posting a card is urgent."""
    return case((cards.c.ts.is_(None), int(Urgency.BUTTONS)), else_=cards.c.urgency)


def call_for_notice() -> ColumnElement[str]:
    """The call to Slack that sends a notice, as `SlackBudget` names it. Empty for an answer, which has no budget."""
    of_card = select(cards.c.channel).where(cards.c.request_id == notices.c.request_id).scalar_subquery()
    channel = case(
        (notices.c.delivery.in_(TO_THREAD), of_card),
        (notices.c.delivery.in_((Delivery.DIRECT, Delivery.CHANNEL)), notices.c.address),
    )
    post = func.coalesce(post_to("") + channel, "")
    return case((notices.c.delivery == Delivery.DUPLICATE.value, EDITS), else_=post)


def get_card(connection: Connection, request_id: str) -> Card | None:
    """The card of a request."""
    row = connection.execute(_select_card(), {"of_request": request_id}).one_or_none()
    return None if row is None else Card(*row)


@cached_statement
def _select_card() -> Select[Any]:
    columns = (cards.c.request_id, cards.c.channel, cards.c.ts, cards.c.permalink, cards.c.shown_version)
    return select(*columns).where(cards.c.request_id == bindparam("of_request"))


def lock_card(connection: Connection, request_id: str) -> None:
    """Locks the card of a request. Until this transaction ends, no other one can change it."""
    connection.execute(select(cards.c.request_id).where(cards.c.request_id == request_id).with_for_update())


def save_card(connection: Connection, card: Card, due_at: datetime | None) -> None:
    """Replaces the card of a request. It is due again at `due_at`; with None it shows everything, and is not due.

    All columns are set in one statement: when a transaction updates a row for the second time, PostgreSQL checks its
    foreign key again, and waits for the transaction that has locked the request.
    """
    columns = {"ts": card.ts, "permalink": card.permalink, "shown_version": card.shown_version, "due_at": due_at}
    if due_at is None:
        columns["urgency"] = int(Urgency.PROGRESS)
    connection.execute(update(cards).where(cards.c.request_id == card.request_id).values(columns))
