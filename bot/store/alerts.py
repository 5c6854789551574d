"""Stores the alerts: messages to a project's channel about task groups without an open request.

`bot.domain.alert` decides what an alert says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, case, delete, insert, select, update

from bot.domain.alert import Alert, AlertItem, accepts, merged, muted, requested, updated
from bot.domain.request_record import Authenticity
from bot.domain.slack_budget import EDITS, post_to
from bot.store.state_keys import state_keys
from bot.store.tables import alerts

# How many of the newest alerts of a project are searched for those about a group.
MAX_SEARCHED = 100

_ITEMS = TypeAdapter(tuple[AlertItem, ...])


@dataclass(frozen=True)
class StoredAlert:
    """An alert, and where its message is in Slack. `ts` is None until posted."""

    number: int
    alert: Alert
    channel: str
    ts: str | None
    authenticity: Authenticity  # whether the bot wrote the row
    is_claimed: bool = False  # whether a worker posts or edits the message right now


def add_items(connection: Connection, project: str, channel: str, items: Sequence[AlertItem], now: datetime) -> None:
    """Adds items to the alerts of a project, and makes the messages of the changed alerts due.

    New trouble and other changes are added to the newest alert if no worker has begun to post it, or if it still
    accepts them. Otherwise they become a new alert. Trouble that is over is marked in the older alerts that show it.

    Arguments:
        items: what one sweep found.
    """
    if not items:
        return
    newest, numbers = _newest(connection, project, {item.key for item in items})
    to_add = [item for item in items if not item.is_over]
    for number in sorted({*numbers, *([] if newest is None else [newest])}):
        stored = lock(connection, number)
        if stored is None or stored.authenticity is not Authenticity.AUTHENTIC:
            continue
        changed = replace(stored, alert=updated(stored.alert, items))
        is_waiting = stored.ts is None and not stored.is_claimed
        if number == newest and to_add and (is_waiting or accepts(changed.alert, to_add, now)):
            current_channel = channel if stored.ts is None else stored.channel
            changed = replace(changed, alert=merged(changed.alert, to_add), channel=current_channel)
            to_add = []
        if changed != stored:
            save(connection, changed, now)
    if to_add:
        alert = Alert(project, tuple(to_add), now)
        connection.execute(insert(alerts).values(project=project, **_columns(connection, alert, channel, None, now)))


def lock(connection: Connection, number: int) -> StoredAlert | None:
    """The alert with this number; None if it was deleted. Locks it until the transaction ends."""
    query = select(alerts).where(alerts.c.id == number).with_for_update()
    return _parsed(connection, connection.execute(query).one_or_none())


def save(connection: Connection, stored: StoredAlert, due_at: datetime | None) -> None:
    """Replaces an alert. Its message is posted or edited at `due_at`; None if the message is current."""
    columns = _columns(connection, stored.alert, stored.channel, stored.ts, due_at)
    connection.execute(update(alerts).where(alerts.c.id == stored.number).values(columns))


def remove(connection: Connection, number: int) -> None:
    """Deletes an alert without items."""
    connection.execute(delete(alerts).where(alerts.c.id == number))


def delete_old(connection: Connection, before: datetime) -> None:
    """Deletes the alerts from before this time whose messages are current."""
    connection.execute(delete(alerts).where(alerts.c.created_at < before, alerts.c.due_at.is_(None)))


def mute(
    connection: Connection, channel: str, ts: str, key: str, person: str, until: datetime | None, now: datetime
) -> None:
    """Marks a group as muted in the alert of the message in which a person pressed Mute.

    Arguments:
        channel, ts: the channel and the `ts` of that message.
        until: when the mute ends; None for a group that is muted until it moves.
    """
    query = select(alerts.c.id).where(alerts.c.channel == channel, alerts.c.ts == ts)
    for number in connection.execute(query).scalars().all():
        stored = lock(connection, number)
        if stored is not None and stored.authenticity is Authenticity.AUTHENTIC:
            save(connection, replace(stored, alert=muted(stored.alert, key, person, until)), now)


def show_request(connection: Connection, project: str, key: str, request_id: str, person: str, now: datetime) -> None:
    """Shows a new request in the alerts about its group (`WatchedGroup.key`), instead of their buttons."""
    for number in _newest(connection, project, {key})[1]:
        stored = lock(connection, number)
        if stored is None or stored.authenticity is not Authenticity.AUTHENTIC:
            continue
        changed = requested(stored.alert, key, request_id, person)
        if changed != stored.alert:
            save(connection, replace(stored, alert=changed), now)


def _newest(connection: Connection, project: str, keys: Collection[str]) -> tuple[int | None, list[int]]:
    """Searches the `MAX_SEARCHED` newest alerts of a project.

    Returns:
        The number of the newest alert, None if there is none; and the numbers of all alerts about one of these groups.
    """
    query = select(alerts.c.id, alerts.c.body).where(alerts.c.project == project).order_by(alerts.c.id.desc())
    found = connection.execute(query.limit(MAX_SEARCHED)).all()
    numbers = [row.id for row in found if any(item["key"] in keys for item in row.body)]
    return (found[0].id if found else None), numbers


def call_for_alert() -> ColumnElement[str]:
    """The call to Slack that posts or edits an alert, under its name in `SlackBudget`."""
    return case((alerts.c.ts.is_(None), post_to("") + alerts.c.channel), else_=EDITS)


def _columns(
    connection: Connection, alert: Alert, channel: str, ts: str | None, due_at: datetime | None
) -> dict[str, object]:
    body: object = _ITEMS.dump_python(alert.items, mode="json")
    mac = state_keys(connection).sign(*_signed_fields(alert.project, alert.created_at, channel, ts, body))
    return {"channel": channel, "ts": ts, "created_at": alert.created_at, "body": body, "mac": mac, "due_at": due_at}


def _signed_fields(
    project: str, created_at: datetime, channel: str, ts: str | None, body: object
) -> tuple[object, ...]:
    return alerts.name, project, created_at.astimezone(UTC).isoformat(), channel, ts, body


def _parsed(connection: Connection, row: Row[tuple[object, ...]] | None) -> StoredAlert | None:
    if row is None:
        return None
    fields = _signed_fields(row.project, row.created_at, row.channel, row.ts, row.body)
    authenticity = state_keys(connection).check(row.mac, *fields)
    alert = Alert(row.project, _ITEMS.validate_python(row.body), row.created_at)
    return StoredAlert(row.id, alert, row.channel, row.ts, authenticity, is_claimed=row.claimed_by is not None)
