"""Checks the audit chain: that no row was changed or removed, that the bot wrote each, and that each PUT was approved.

Writing the chain is left to `bot.store.audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from bot.domain.audit_events import AuditEvent
from bot.domain.request import OPEN_STATES
from bot.domain.request_record import VOTING_EVENTS, Authenticity, RequestRecord
from bot.store.audit import GENESIS_HASH, ROWS_AT_ONCE, AuditRow, Head, newest, row_hash, with_row
from bot.store.state_keys import StateKeys, state_keys
from bot.store.tables import audit


@dataclass(frozen=True)
class Verified:
    """The chain is intact.

    `matched_at` is the `seq` of the row with the expected hash: 0 for `GENESIS_HASH`, None if no hash was expected.
    `unknown_rows` is the number of rows without the MAC of a known key. It is not known who wrote them.
    """

    head: Head
    matched_at: int | None = None
    unknown_rows: int = 0


@dataclass(frozen=True)
class Broken:
    """The chain is broken: the first row that was changed or is missing, and a sentence about it.

    `seq` is None if the rows are consistent but none has the expected hash. Then the changed row is not known.
    """

    seq: int | None
    problem: str


def verify(
    connection: Connection, expected_hash: str | None = None, visit: Callable[[AuditRow], None] | None = None
) -> Verified | Broken:
    """Checks that no row was changed, moved or removed, and that each PUT had the approvals it needed.

    With the keys of the store, also checks that the bot wrote the rows. A PUT is checked only from the first row on
    that is known to be the bot's and says what people approve.

    A chain that was truncated, or rewritten from some row on, looks intact if the head was changed to match. Only a
    hash that was stored outside the database detects this. The bot token can edit the hashes in the channel.

    Arguments:
        connection: must have a consistent snapshot (`Store.read`), because the bot may be writing.
        expected_hash: a hash that the chain must contain, in lower case.
        visit: called with each row in order, before the row is checked, and also after the first wrong row. A second
            query could get other rows: from a damaged index, or from a row policy of PostgreSQL.
    """
    head, story = newest(connection), _Story(state_keys(connection))
    seq, digest, matched_at = 0, GENESIS_HASH, 0 if expected_hash == GENESIS_HASH else None
    problem: str | None = None
    try:
        for row in _driver_rows(connection):
            if visit is not None:
                visit(AuditRow(*row))
            problem = problem or _problem(row, seq, digest) or story.problem(row)
            if problem is None:
                seq, digest = row[0], row[7]
                if digest == expected_hash:
                    matched_at = seq
    except DBAPIError:
        if connection.dialect.name != "sqlite":
            raise
        # SQLite stores bytes that are not text, and fails when they are read.
        problem = problem or f"row {seq + 1} can't be read"
    if problem is not None:
        return Broken(seq + 1, problem)
    if head != Head(seq, digest):
        return _head_mismatch(head, seq)
    if expected_hash is not None and matched_at is None:
        return Broken(
            None,
            f"no row from 1 to {seq} has the hash {expected_hash}. Rows after {seq} were removed, or some rows were "
            "rewritten. Try earlier published hashes. Nothing has changed up to the newest one that is found",
        )
    return Verified(head, matched_at, story.unknown_rows)


class _Story:
    """The records of the requests, as far as the rows were read. Without a key, every row with a MAC counts."""

    def __init__(self, keys: StateKeys) -> None:
        self._keys = keys
        self._records: dict[str, RequestRecord] = {}
        self.unknown_rows = 0

    def problem(self, row: tuple[Any, ...]) -> str | None:
        """What is wrong with the next row, whose hash is right; None if nothing is."""
        seq, _, request_id, _, event, detail, _, digest, mac = row
        authenticity = self._keys.check(mac, audit.name, digest)
        if authenticity is Authenticity.FORGED:
            return f"row {seq} wasn't written by the bot"
        if authenticity is Authenticity.UNKNOWN_KEY:
            self.unknown_rows += 1
            if mac is not None and not self._keys.has_current:
                authenticity = Authenticity.AUTHENTIC
        try:
            if request_id is None or (event not in _STORY_EVENTS and '"state":' not in detail):
                return None
            record = with_row(self._records.get(request_id, RequestRecord()), row, authenticity)
        except (TypeError, ValueError, RecursionError):
            # Without a key, a row with any MAC counts. This one has a time or a detail that the bot does not write.
            return f"row {seq} wasn't written by the bot: its time or its detail can't be read"
        if record.state is not None and record.state not in OPEN_STATES:
            # Ended requests send nothing, so their records need no memory.
            record = RequestRecord(fingerprint=record.fingerprint, state=record.state, is_over=True)
        self._records[request_id] = record
        is_known = record.fingerprint != "" and not record.has_unknown_row
        if event == AuditEvent.PUT_SENDING and is_known and record.has_unapproved_put:
            return f"row {seq} sends {request_id} without the approvals it needs, or for the second time"
        return None


# Other events matter only if they name a state.
_STORY_EVENTS = VOTING_EVENTS | {
    AuditEvent.VOTE_ADDED,
    AuditEvent.VOTE_WITHDRAWN,
    AuditEvent.ATTEMPT_OPENED,
    AuditEvent.PUT_SENDING,
}


def _driver_rows(connection: Connection) -> Iterator[tuple[Any, ...]]:
    """Streams the rows in order as plain tuples of the driver, so that verifying a million rows takes only seconds."""
    driver: Any = connection.connection.driver_connection
    sql = str(select(audit).order_by(audit.c.seq))
    try:
        if connection.dialect.name == "sqlite":
            yield from driver.execute(sql)
            return
        with driver.cursor(name="audit") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            yield from cursor.execute(sql)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(sql, None, error) from error


def _problem(row: tuple[Any, ...], seq: int, digest: str) -> str | None:
    """What is wrong with the row that follows row `seq` with hash `digest`; None if it is intact."""
    if row[0] != seq + 1:
        # `!r`, because an SQLite file may contain any text as the number.
        return f"row {seq + 1} is missing, the next row is {row[0]!r}"
    if row[6] != digest:
        return f"row {seq + 1} doesn't follow row {seq}"
    try:
        is_intact = row_hash(*row[:7]) == row[7]
    except TypeError:
        is_intact = False
    return None if is_intact else f"row {seq + 1} was changed"


def _head_mismatch(head: Head | None, seq: int) -> Broken:
    """What is wrong if rows 1 to `seq` are consistent, but do not match the head."""
    if head is None:
        return Broken(seq + 1, f"the chain ends at row {seq}, and the record of the newest row was removed")
    if not isinstance(head.seq, int):
        return Broken(seq + 1, f"the chain ends at row {seq}, and the record of the newest row says {head.seq!r}")
    if head.seq > seq:
        return Broken(seq + 1, f"row {seq + 1} is missing, the chain should end at row {head.seq}")
    if head.seq < seq:
        return Broken(head.seq + 1, f"row {head.seq + 1} was inserted, row {head.seq} is the newest that the bot wrote")
    return Broken(seq, f"row {seq} was changed")
