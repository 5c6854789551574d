"""Every change of the audit chain is found at its row, also while a bot writes. The database itself refuses changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.audit_events import AuditEvent
from bot.store import audit, requests, tables
from bot.store.audit import GENESIS_HASH, AuditRow, Event, Head, append, append_all, row_hash, rows
from bot.store.database import Store, open_store
from bot.store.state_keys import state_keys
from bot.store.verification import Broken, Verified, verify
from tests.support.audit import drop_triggers
from tests.support.values import NOON, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

ROWS = 5
COLUMNS = ("seq", "at", "request_id", "actor", "event", "detail", "previous", "hash")


def chain(store: Store, rows: int = ROWS) -> None:
    with store.write() as connection:
        for number in range(rows):
            append(
                connection,
                Event(list(AuditEvent)[number % len(AuditEvent)], "UALICE00", f"R-{number:08d}", {"n": number}),
                NOON,
            )


def verified(store: Store, expected_hash: str | None = None) -> Verified | Broken:
    with store.read() as connection:
        return verify(connection, expected_hash)


def intact_chain(store: Store) -> Verified:
    found = verified(store)
    assert isinstance(found, Verified), found
    return found


def first_broken_row(store: Store) -> int:
    found = verified(store)
    assert isinstance(found, Broken), found
    assert found.seq is not None
    assert f"row {found.seq} " in found.problem
    return found.seq


@pytest.fixture
def owned(store: Store) -> Store:
    """A chain without the triggers that protect it, as the owner of the database can make it."""
    chain(store)
    drop_triggers(store)
    return store


def tamper(store: Store, *statements: str) -> None:
    with store.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def sign(connection: Connection, digest: str) -> str | None:
    return state_keys(connection).sign("audit", digest)


def rewrite(store: Store, change: Callable[[AuditRow], tuple[Any, ...]]) -> None:
    """Rewrites the whole chain with matching hashes, as somebody does who has the key."""
    with store.write() as connection:
        digest = GENESIS_HASH
        for row in list(rows(connection)):
            seq, at, request_id, actor, event, detail = change(row)
            previous, digest = digest, row_hash(seq, at, request_id, actor, event, detail, digest)
            connection.execute(
                update(tables.audit)
                .where(tables.audit.c.seq == seq)
                .values(actor=actor, detail=detail, previous=previous, hash=digest, mac=sign(connection, digest))
            )
        connection.execute(update(tables.audit_head).values(hash=digest))


# An intact chain


def test_an_empty_chain_is_intact(store: Store) -> None:
    assert intact_chain(store) == Verified(Head(0, GENESIS_HASH))
    assert verified(store, GENESIS_HASH) == Verified(Head(0, GENESIS_HASH), 0)


def test_the_row_with_the_expected_hash_is_named(store: Store) -> None:
    chain(store)
    expected = intact_chain(store).head
    assert expected.seq == ROWS
    chain(store)
    assert verified(store, expected.hash) == Verified(intact_chain(store).head, ROWS)
    assert verified(store, GENESIS_HASH) == Verified(intact_chain(store).head, 0)


def test_concurrent_writers_continue_one_chain(store: Store) -> None:
    threads = [threading.Thread(target=chain, args=(store, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert intact_chain(store).head.seq == 40


def test_verify_reads_a_snapshot_while_the_chain_grows(store: Store) -> None:
    chain(store)
    with store.read() as connection:
        before = verify(connection)
        chain(store)
        assert verify(connection) == before
    assert intact_chain(store).head.seq == 2 * ROWS


def test_the_chain_is_intact_at_every_moment_while_a_bot_writes(store: Store) -> None:
    chain(store, 50)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            chain(store, 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen: list[int] = []
        while len(seen) < 40 or seen[0] == seen[-1]:
            seen.append(intact_chain(store).head.seq)
    finally:
        stop.set()
        writer.join()
    assert seen == sorted(seen)


def test_an_event_with_half_a_surrogate_pair_is_stored(store: Store) -> None:
    with store.write() as connection:
        append(connection, Event(AuditEvent.REQUEST_CREATED, "UALICE00", None, {"reason": "caf\u00e9 \ud83d"}), NOON)
    with store.read() as connection:
        assert [row.detail for row in rows(connection)] == ['{"reason":"caf\u00e9 ?"}']
    assert intact_chain(store).head.seq == 1


# Changes that the database refuses


REFUSED = (
    "UPDATE audit SET actor = 'x' WHERE seq = 2",
    "DELETE FROM audit WHERE seq = 5",
    "DELETE FROM audit",
    "DELETE FROM audit_head",
    "UPDATE audit_head SET seq = 4",
    "UPDATE audit_head SET id = 2",
    "INSERT INTO audit_head VALUES (2, 9, 'x')",
)
REFUSED_BY = {
    "sqlite": (
        "INSERT OR REPLACE INTO audit VALUES (2, 'a', NULL, 'b', 'c', 'd', 'e', 'f', NULL)",
        "UPDATE OR REPLACE audit SET seq = 3 WHERE seq = 2",
        "REPLACE INTO audit_head VALUES (1, 4, 'x')",
    ),
    "postgresql": (
        "TRUNCATE audit",
        "TRUNCATE audit_head",
        "INSERT INTO audit SELECT * FROM audit WHERE seq = 2 ON CONFLICT (seq) DO UPDATE SET actor = 'x'",
    ),
}


def test_the_database_refuses_to_change_the_chain(store: Store) -> None:
    chain(store)
    before = intact_chain(store)
    for change in REFUSED + REFUSED_BY[store.engine.dialect.name]:
        with pytest.raises(SQLAlchemyError, match="append-only"):
            tamper(store, change)
    assert intact_chain(store) == before


# Changes by the owner of the database, without the triggers


@pytest.mark.parametrize("seq", [1, 3, ROWS])
@pytest.mark.parametrize("column", [column for column in COLUMNS if column != "seq"])
def test_a_change_of_any_column_is_found_at_its_row(owned: Store, column: str, seq: int) -> None:
    tamper(owned, f"UPDATE audit SET {column} = 'x' WHERE seq = {seq}")
    assert first_broken_row(owned) == seq


@pytest.mark.parametrize("seq", [1, 3, ROWS])
def test_a_changed_number_is_found_at_its_row(owned: Store, seq: int) -> None:
    tamper(owned, f"UPDATE audit SET seq = 99 WHERE seq = {seq}")
    assert first_broken_row(owned) == seq


@pytest.mark.parametrize("seq", [1, 3, ROWS])
def test_a_removed_row_is_found(owned: Store, seq: int) -> None:
    tamper(owned, f"DELETE FROM audit WHERE seq = {seq}")
    assert first_broken_row(owned) == seq


@pytest.mark.parametrize("seq", [1, 3, ROWS])
def test_a_removed_row_is_found_although_the_others_were_renumbered(owned: Store, seq: int) -> None:
    tamper(
        owned,
        f"DELETE FROM audit WHERE seq = {seq}",
        f"UPDATE audit SET seq = 1 - seq WHERE seq > {seq}",
        "UPDATE audit SET seq = -seq WHERE seq < 1",
    )
    assert first_broken_row(owned) == seq


@pytest.mark.parametrize("seq", [1, 3, ROWS + 1])
def test_an_inserted_row_is_found(owned: Store, seq: int) -> None:
    tamper(
        owned,
        f"UPDATE audit SET seq = -1 - seq WHERE seq >= {seq}",
        "UPDATE audit SET seq = -seq WHERE seq < 0",
        f"INSERT INTO audit VALUES ({seq}, 'a', NULL, 'b', 'c', '{{}}', 'e', 'f', NULL)",
        "UPDATE audit_head SET seq = seq + 1",
    )
    assert first_broken_row(owned) == seq


def test_an_inserted_row_that_continues_the_row_before_is_found_at_the_next(owned: Store) -> None:
    with owned.read() as connection:
        second = list(rows(connection))[1]
    digest = row_hash(3, "a", None, "b", "c", "{}", second.hash)
    tamper(
        owned,
        "UPDATE audit SET seq = -1 - seq WHERE seq >= 3",
        "UPDATE audit SET seq = -seq WHERE seq < 0",
        f"INSERT INTO audit VALUES (3, 'a', NULL, 'b', 'c', '{{}}', '{second.hash}', '{digest}', NULL)",
        "UPDATE audit_head SET seq = seq + 1",
    )
    assert first_broken_row(owned) == 4


def test_a_row_added_after_the_head_is_found(owned: Store) -> None:
    head = intact_chain(owned).head.hash
    digest = row_hash(ROWS + 1, "a", None, "b", "c", "{}", head)
    tamper(owned, f"INSERT INTO audit VALUES ({ROWS + 1}, 'a', NULL, 'b', 'c', '{{}}', '{head}', '{digest}', NULL)")
    assert first_broken_row(owned) == ROWS + 1


def test_a_rewritten_newest_row_is_found(owned: Store) -> None:
    with owned.read() as connection:
        newest = list(rows(connection))[-1]
    digest = row_hash(ROWS, newest.at, newest.request_id, "UEVE0000", newest.event, newest.detail, newest.previous)
    tamper(owned, f"UPDATE audit SET actor = 'UEVE0000', hash = '{digest}' WHERE seq = {ROWS}")
    assert first_broken_row(owned) == ROWS


def test_a_row_rewritten_with_its_hash_is_found_without_the_key_at_once_and_with_it_at_the_next(owned: Store) -> None:
    with owned.read() as connection:
        third = list(rows(connection))[2]
    digest = row_hash(3, third.at, third.request_id, "UEVE0000", third.event, third.detail, third.previous)
    tamper(owned, f"UPDATE audit SET actor = 'UEVE0000', hash = '{digest}' WHERE seq = 3")
    assert first_broken_row(owned) == 3
    with owned.read() as connection:
        mac = sign(connection, digest)
    tamper(owned, f"UPDATE audit SET mac = '{mac}' WHERE seq = 3")
    assert first_broken_row(owned) == 4


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 4), (4, ROWS)])
def test_swapped_rows_are_found_at_the_first(owned: Store, one: int, other: int) -> None:
    tamper(
        owned,
        f"UPDATE audit SET seq = -1 WHERE seq = {one}",
        f"UPDATE audit SET seq = {one} WHERE seq = {other}",
        f"UPDATE audit SET seq = {other} WHERE seq = -1",
    )
    assert first_broken_row(owned) == one


def test_a_removed_or_emptied_head_is_found(owned: Store) -> None:
    tamper(owned, "UPDATE audit_head SET hash = 'x'")
    assert first_broken_row(owned) == ROWS
    tamper(owned, "DELETE FROM audit_head")
    found = verified(owned)
    assert isinstance(found, Broken)
    assert "the record of the newest row was removed" in found.problem


@pytest.mark.parametrize("value", ["x'ff'", "CAST(x'ff' AS TEXT)"])
def test_bytes_that_are_not_text_are_found_at_their_row(tmp_path: Path, value: str) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")
    chain(store)
    drop_triggers(store)
    tamper(store, f"UPDATE audit SET actor = {value} WHERE seq = 3")
    assert first_broken_row(store) == 3
    store.close()


def test_only_an_expected_hash_shows_that_a_chain_was_rewritten(owned: Store) -> None:
    expected = intact_chain(owned).head.hash
    rewrite(owned, lambda row: (row.seq, row.at, row.request_id, "UEVE0000", row.event, row.detail))
    assert intact_chain(owned).head.seq == ROWS
    found = verified(owned, expected)
    assert isinstance(found, Broken)
    assert f"no row from 1 to {ROWS} has the hash {expected}" in found.problem


def test_a_chain_rewritten_from_some_row_on_still_has_the_hashes_before_it(owned: Store) -> None:
    with owned.read() as connection:
        hashes = [row.hash for row in rows(connection)]
    rewrite(
        owned,
        lambda row: (
            row.seq,
            row.at,
            row.request_id,
            "UEVE" if row.seq >= 3 else row.actor,
            row.event,
            row.detail,
        ),
    )
    assert verified(owned, hashes[1]) == Verified(intact_chain(owned).head, 2)
    assert isinstance(verified(owned, hashes[2]), Broken)


def test_only_an_expected_hash_shows_that_the_end_was_cut_off(owned: Store) -> None:
    expected = intact_chain(owned).head.hash
    with owned.read() as connection:
        kept = list(rows(connection))[2]
    tamper(owned, "DELETE FROM audit WHERE seq > 3", f"UPDATE audit_head SET seq = 3, hash = '{kept.hash}'")
    assert intact_chain(owned).head.seq == 3
    assert verified(owned, kept.hash) == Verified(Head(3, kept.hash), 3)
    found = verified(owned, expected)
    assert isinstance(found, Broken)
    assert "no row from 1 to 3 has the hash" in found.problem


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('audit') / 'bot.sqlite'}")
    chain(store, 8)
    drop_triggers(store)
    yield store
    store.close()


def _do(connection: Connection, change: tuple[Any, ...]) -> None:
    seqs = connection.exec_driver_sql("SELECT seq FROM audit ORDER BY seq").scalars().all()
    match change:
        case ("set", place, column, value):
            connection.exec_driver_sql(f"UPDATE audit SET {column} = ? WHERE seq = ?", (value, seqs[place % len(seqs)]))
        case ("remove", place) if len(seqs) > 1:
            connection.exec_driver_sql("DELETE FROM audit WHERE seq = ?", (seqs[place % len(seqs)],))
        case ("swap", place, other):
            one, two = seqs[place % len(seqs)], seqs[other % len(seqs)]
            if one != two:
                for before, after in ((one, -1), (two, one), (-1, two)):
                    connection.exec_driver_sql("UPDATE audit SET seq = ? WHERE seq = ?", (after, before))
        case ("copy", place, seq) if seq not in seqs:
            columns = ", ".join((*COLUMNS[1:], "mac"))
            connection.exec_driver_sql(
                f"INSERT INTO audit SELECT ?, {columns} FROM audit WHERE seq = ?", (seq, seqs[place % len(seqs)])
            )


PLACES = st.integers(0, 20)
WORDS = st.text('0aé"\\,', max_size=4)
CHANGES = st.one_of(
    st.tuples(st.just("set"), PLACES, st.sampled_from(COLUMNS[1:]), WORDS),
    st.tuples(st.just("remove"), PLACES),
    st.tuples(st.just("swap"), PLACES, PLACES),
    st.tuples(st.just("copy"), PLACES, PLACES),
)


@settings(max_examples=200)
@given(changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_any_tampering_is_found_at_the_first_changed_row(unguarded: Store, changes: list[tuple[Any, ...]]) -> None:
    with unguarded.engine.connect() as connection:
        before = list(rows(connection))
        for change in changes:
            _do(connection, change)
        after = list(rows(connection))
        found = verify(connection)
        connection.rollback()
    differing = [seq for seq, (old, new) in enumerate(zip_longest(before, after), start=1) if old != new]
    if differing:
        assert isinstance(found, Broken), changes
        assert found.seq == differing[0]
    else:
        assert isinstance(found, Verified)


# Reading the chain


def test_the_rows_of_a_project_are_those_of_its_requests_and_those_that_name_it(store: Store) -> None:
    with store.write() as connection:
        requests.add(connection, request(), Event(AuditEvent.REQUEST_CREATED, "UALICE00", "R-00000001"), NOON)
        events = [
            Event(AuditEvent.VOTE_ADDED, "UCAROL00", "R-00000001"),
            Event(AuditEvent.REQUEST_NOT_CREATED, "UALICE00", None, {"project": "media", "why": "x"}),
            Event(AuditEvent.REQUEST_NOT_CREATED, "UALICE00", None, {"project": "mediaX", "why": "x"}),
            Event(AuditEvent.REQUEST_NOT_CREATED, "UALICE00", None, {"why": 'because "project":"media" it is'}),
            Event(AuditEvent.ACTION_REFUSED, "UEVE0000", "R-NO000000", {"why": "no such request"}),
            Event(AuditEvent.AUDIT_ANCHORED, "bot", None, {"project": "media", "rows": 1, "head": "0"}),
        ]
        append_all(connection, events, NOON)
    with store.read() as connection:
        assert audit.count_of_project(connection, "media", 0, 7) == 3
        assert audit.count_of_project(connection, "media", 1, 2) == 1
        assert audit.count_of_project(connection, "medi_", 0, 7) == 0
        assert audit.count_of_project(connection, "photos", 0, 7) == 0


def test_the_last_anchor_is_the_newest(store: Store) -> None:
    with store.read() as connection:
        assert audit.last_anchor(connection) is None
    for days in (0, 1):
        with store.write() as connection:
            anchored = Event(
                AuditEvent.AUDIT_ANCHORED, "bot", None, {"project": "media", "rows": 10 + days, "head": "0"}
            )
            append(connection, anchored, NOON + timedelta(days=days))
    chain(store)
    with store.read() as connection:
        assert audit.last_anchor(connection) == audit.Anchor(NOON + timedelta(days=1), 11)


def test_the_rows_of_one_request_are_read_in_order(store: Store) -> None:
    chain(store)
    chain(store)
    with store.read() as connection:
        assert [row.seq for row in rows(connection, "R-00000002")] == [3, 8]
        assert [row.seq for row in rows(connection)] == list(range(1, 11))


def test_the_record_of_a_request_with_28_800_rows_is_read_in_a_second(store: Store) -> None:
    clicks = [
        Event(AuditEvent.ACTION_REFUSED, "UBOB0000", "R-00000001", {"message": f"click {number}"})
        for number in range(28_800)  # one person presses once a second for 8 hours
    ]
    with store.write() as connection:
        append_all(connection, clicks, NOON)
    with store.read() as connection:
        began = time.process_time()
        record = audit.record_of(connection, "R-00000001")
        took = time.process_time() - began
    assert len(record.messages) == len(clicks)
    # A copy of the messages for each row takes 6 s. The limit leaves room for a slow machine.
    assert took < 3
