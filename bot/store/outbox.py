"""What people are still to be shown: cards that lag behind their request, and notices not yet sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, or_, select, update

from bot.store.tables import cards, notices

# As a bound of what is due at all: SQLite finds no row by an index because its column is not NULL.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# A decision waits for these. Built once: to build a statement takes longer than to run it.
_ADD_NOTICE = insert(notices)
_CARD = select(cards.c.request_id, cards.c.channel, cards.c.ts, cards.c.permalink, cards.c.shown_version).where(
    cards.c.request_id == bindparam("of")
)


class Delivery(StrEnum):
    """How a notice reaches people, and what its address is."""

    EPHEMERAL = "answer"  # only whoever typed or pressed; "response_url user"
    THREAD = "thread"  # under the card of its request; no address
    DIRECT = "direct"  # a direct message; user id
    CHANNEL = "channel"  # a message of its own in a channel; channel id
    DUPLICATE = "copy"  # marks a message that is not the card as a copy; "channel ts"


@dataclass(frozen=True)
class Notice:
    """One message of words alone, in mrkdwn."""

    delivery: Delivery
    address: str
    text: str
    request_id: str | None = None


@dataclass(frozen=True)
class Card:
    """Where a request's card is, and which version of the request it shows."""

    request_id: str
    channel: str
    ts: str | None
    permalink: str | None
    shown_version: int


def add_notice(connection: Connection, notice: Notice, now: datetime) -> None:
    """Stores a notice, due at once."""
    row = {
        "request_id": notice.request_id,
        "delivery": notice.delivery.value,
        "address": notice.address,
        "text": notice.text,
        "made_at": now,
        "due_at": now,
    }
    connection.execute(_ADD_NOTICE, row)


def is_next_in_thread() -> ColumnElement[bool]:
    """What holds of a notice that may be sent: of the lines of one thread, only the oldest that is not done with.

    Their numbers are in the order of what happened: whoever adds a line has locked the row of its request.
    """
    line = notices.alias("line")
    oldest = (
        select(func.min(line.c.id))
        .where(line.c.delivery == Delivery.THREAD.value, line.c.due_at > _LONG_AGO)
        .group_by(line.c.request_id)
    )
    return or_(notices.c.delivery != Delivery.THREAD.value, notices.c.id.in_(oldest))


def get_notice(connection: Connection, number: int) -> tuple[Notice, datetime]:
    """A notice, and when it was made."""
    row = connection.execute(select(notices).where(notices.c.id == number)).one()
    return Notice(Delivery(row.delivery), row.address, row.text, row.request_id), row.made_at


def forget_address(connection: Connection, number: int) -> None:
    """The response_url of an answer that is done with is of no more use to us, and still of some to a thief."""
    is_answer = notices.c.delivery == Delivery.EPHEMERAL.value
    connection.execute(update(notices).where(notices.c.id == number, is_answer).values(address=""))


def get_card(connection: Connection, request_id: str) -> Card | None:
    """The card of a request."""
    row = connection.execute(_CARD, {"of": request_id}).one_or_none()
    return None if row is None else Card(*row)


def lock_card(connection: Connection, request_id: str) -> None:
    """Nobody else changes the row of this card until this transaction ends."""
    connection.execute(select(cards.c.request_id).where(cards.c.request_id == request_id).with_for_update())


def save_card(connection: Connection, card: Card, due_at: datetime | None) -> None:
    """The card now is as given: where it is, the version that it shows, and when it is looked at again, if at all.

    One statement: PostgreSQL looks a second change of the row in a transaction up in its request, and waits for that.
    """
    connection.execute(
        update(cards)
        .where(cards.c.request_id == card.request_id)
        .values(ts=card.ts, permalink=card.permalink, shown_version=card.shown_version, due_at=due_at)
    )
