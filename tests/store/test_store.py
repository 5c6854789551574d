"""What is committed stays, once, in order, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, insert, select, text

from bot.domain.command import ResumeGroups, ShowStatus
from bot.domain.request import Attempt, AttemptState, State, Vote
from bot.store import inbox, outbox, queue, requests, tables
from bot.store.audit import Event
from bot.store.database import DatabaseInUse, Store, open_store
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Queue
from bot.store.requests import AttemptChange
from tests.support.postgres import Postgres
from tests.support.values import NOON, request

pytestmark = pytest.mark.usefixtures("patient")

ASKED = Event("asked", "UALICE00", "R-00000001")


def add(store: Store, number: int = 1) -> None:
    with store.write() as connection:
        requests.add(connection, request(number=number), ASKED, NOON)


def test_a_redelivery_is_the_same_row(store: Store) -> None:
    message = Message(Kind.APPROVE, "trigger-1", "UALICE00", "T0TEST0001", request_id="R-00000001")
    with store.write() as connection:
        first = inbox.put(connection, message, "me", NOON)
    with store.write() as connection:
        assert inbox.put(connection, message, "me", NOON) is None
    assert first is not None
    with store.read() as connection:
        assert inbox.get(connection, int(first.key)) == (message, NOON, None)


GROUP, OTHER = request().group.group_id, "11878453-3402-4a86-9e2a-5d5217cd35b2"


@pytest.mark.parametrize(
    "command",
    [
        None,
        ResumeGroups((GROUP,), ""),
        ResumeGroups((GROUP, OTHER), 'a <b> & "c" ⇒', "media", (9, 5)),
        ResumeGroups((GROUP,), "at midnight", at=(0, 0)),
        ShowStatus(request_id="R-00000001"),
        ShowStatus(group_id=GROUP),
    ],
)
def test_a_command_is_read_as_it_was_stored(store: Store, command: ResumeGroups | ShowStatus | None) -> None:
    message = Message(Kind.CREATE_REQUEST, "trigger-1", "UALICE00", "T0TEST0001", command=command)
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        assert inbox.get(connection, int(claim.key)).message == message


def test_a_group_has_one_open_request(store: Store) -> None:
    add(store)
    with pytest.raises(requests.AlreadyOpen), store.write() as connection:
        requests.add(connection, request(number=2), ASKED, NOON)
    with store.write() as connection:
        old = requests.lock(connection, "R-00000001")
        assert old is not None
        requests.save(connection, old, old.with_state(State.CANCELLED, at=NOON), NOON)
    add(store, 2)
    elsewhere = replace(request(number=3), plan=replace(request().plan, project_id="1" * 32))
    with store.write() as connection:
        requests.add(connection, elsewhere, ASKED, NOON)
        assert requests.find_open(connection, elsewhere.group_key) == elsewhere


def test_only_what_is_open_is_listed_as_open_and_the_newest_of_a_group_comes_first(store: Store) -> None:
    states = (State.CANCELLED, State.DONE, State.PENDING)
    made = [request(state, number, created_at=NOON + timedelta(minutes=number)) for number, state in enumerate(states)]
    other = request(number=9, created_at=NOON - timedelta(minutes=1), group=replace(request().group, group_id="other"))
    with store.write() as connection:
        for one in (*made, other):
            requests.add(connection, one, ASKED, NOON)
    with store.read() as connection:
        assert requests.open_requests(connection, ["media"]) == [other, made[2]]
        assert requests.open_requests(connection, ["elsewhere"]) == []
        assert requests.of_group(connection, made[0].group.group_id) == made[::-1]


def test_a_change_makes_its_card_due_and_no_other(store: Store) -> None:
    add(store)
    other = replace(request(number=2), group=replace(request().group, group_id="other"))
    with store.write() as connection:
        requests.add(connection, other, ASKED, NOON)
        connection.execute(tables.cards.update().values(due_at=None))
        saved = requests.save(connection, other, other.with_state(State.CANCELLED, at=NOON), NOON)
    assert saved.version == other.version + 1
    with store.read() as connection:
        assert queue.next_due(connection)[Queue(tables.cards)] == NOON
        due = connection.execute(select(tables.cards.c.request_id).where(tables.cards.c.due_at.is_not(None)))
        assert due.scalars().all() == [other.id]


def test_one_vote_is_taken_out_and_all_others_stay(store: Store) -> None:
    add(store)
    with store.write() as connection:
        elsewhere = replace(request(number=2), plan=replace(request().plan, project_id="1" * 32))
        requests.add(connection, elsewhere, ASKED, NOON)
        for of, person in (("R-00000001", "UA"), ("R-00000001", "UB"), ("R-00000002", "UA")):
            requests.add_vote(connection, of, Vote(person, "T", NOON))
        requests.remove_vote(connection, "R-00000001", "UA")
        left = [[vote.person for vote in requests.votes_of(connection, of)] for of in ("R-00000001", "R-00000002")]
    assert left == [["UB"], ["UA"]]


def test_a_request_comes_back_as_it_was_written(store: Store) -> None:
    for number, state in enumerate(State, start=1):
        written = replace(request(state, number), group=replace(request().group, group_id=f"g{number}"))
        with store.write() as connection:
            requests.add(connection, written, ASKED, NOON)
        with store.read() as connection:
            assert requests.get(connection, written.id) == written


def test_who_comes_second_changes_nothing(store: Store) -> None:
    add(store)
    with store.read() as connection:
        old = requests.get(connection, "R-00000001")
    assert old is not None
    with store.write() as connection:
        requests.save(connection, old, old.with_state(State.CANCELLED, at=NOON), NOON)
    with pytest.raises(requests.Stale), store.write() as connection:
        requests.save(connection, old, old.with_state(State.DENIED, at=NOON), NOON)


def test_one_of_many_threads_turns_an_attempt(store: Store) -> None:
    add(store)
    with store.write() as connection:
        requests.open_attempt(connection, "R-00000001", 1, NOON)
    won: list[bool] = []
    barrier = threading.Barrier(8)

    def turn() -> None:
        barrier.wait()
        with store.write() as connection:
            won.append(
                requests.change_attempt(connection, "R-00000001", 1, AttemptState.READY, AttemptState.SENDING, NOON)
            )

    threads = [threading.Thread(target=turn) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_a_change_and_its_attempt_wait_for_each_other_in_one_order(store: Store) -> None:
    add(store)
    with store.write() as connection:
        requests.open_attempt(connection, "R-00000001", 1, NOON)
        asked = requests.lock(connection, "R-00000001")
        assert asked is not None
        approved = requests.save(connection, asked, replace(asked, attempt=Attempt(1, "UCAROL00", NOON)), NOON)
    ends: list[str] = []

    def send() -> None:
        turn = AttemptChange(AttemptState.READY, AttemptState.SENDING)
        try:
            with store.write() as connection:
                requests.save(connection, approved, approved.with_state(State.SENDING, at=NOON), NOON, attempt=turn)
            ends.append("sent")
        except requests.Stale:
            ends.append("stale")

    sender = threading.Thread(target=send)
    with store.write() as connection:
        current = requests.lock(connection, "R-00000001")
        assert current is not None
        sender.start()
        while not store.is_sqlite and not _somebody_waits(store):
            pass
        assert requests.change_attempt(connection, "R-00000001", 1, AttemptState.READY, AttemptState.SETTLED, NOON), (
            "whoever waits for the request has not locked its attempt"
        )
        requests.save(connection, current, current.with_state(State.CANCELLED, at=NOON), NOON)
    sender.join()
    assert ends == ["stale"]


def _somebody_waits(store: Store) -> bool:
    with store.read() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(connection.execute(text(query)).scalar())


def test_a_due_row_is_claimed_once_and_again_when_its_owner_falls_silent(store: Store) -> None:
    add(store)
    with store.write() as connection:
        assert len(queue.claim_due(connection, Queue(tables.cards), "one", NOON, 10)) == 1
    with store.write() as connection:
        assert queue.claim_due(connection, Queue(tables.cards), "two", NOON, 10) == []
        # The lease is on the database's clock: it is turned back instead of waited for.
        connection.execute(text("UPDATE cards SET claimed_until = '2020-01-01 00:00:00'"))
    with store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.cards), "two", NOON, 10)
        queue.finish(connection, replace(claim), "one", NOON)
    with store.write() as connection:
        assert queue.claim_due(connection, Queue(tables.cards), "three", NOON, 10) == [], (
            "who lost a claim cannot free it"
        )
        queue.postpone(connection, claim, "two", NOON + timedelta(seconds=5))
    with store.write() as connection:
        [again] = queue.claim_due(connection, Queue(tables.cards), "three", NOON + timedelta(seconds=5), 10)
    assert again.tries == 1


def test_what_is_due_longest_is_claimed_first_and_its_tries_end_with_its_work(store: Store) -> None:
    with store.write() as connection:
        for minutes in (2, 1, 3):
            outbox.add_notice(connection, Notice(Delivery.DIRECT, "U", str(minutes)), NOON + timedelta(minutes=minutes))
    late = NOON + timedelta(hours=1)
    with store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.notices), "one", late, 1)
        assert outbox.get_notice(connection, int(claim.key))[0].text == "1"
        queue.postpone(connection, claim, "one", NOON)
        [again] = queue.claim_due(connection, Queue(tables.notices), "one", late, 1)
        assert again == replace(claim, tries=1)
        queue.finish(connection, again, "one", NOON)
    with store.write() as connection:
        assert [claim.tries for claim in queue.claim_due(connection, Queue(tables.notices), "one", late, 9)] == [
            0,
            0,
            0,
        ]


def test_only_what_is_in_hand_is_renewed(store: Store) -> None:
    add(store)
    add_other = replace(request(number=2), group=replace(request().group, group_id="other"))
    with store.write() as connection:
        requests.add(connection, add_other, ASKED, NOON)
    with store.write() as connection:
        active_claims, dropped = queue.claim_due(connection, Queue(tables.cards), "one", NOON, 10)
        connection.execute(text("UPDATE cards SET claimed_until = '2020-01-01 00:00:00'"))
        queue.renew(connection, tables.cards, "one", [active_claims])
    with store.write() as connection:
        assert not queue.claim_one(connection, tables.cards, active_claims.key, "two")
        assert queue.claim_one(connection, tables.cards, dropped.key, "two")
        queue.renew(connection, tables.cards, "one", [active_claims, dropped])
    with store.write() as connection:
        connection.execute(text("UPDATE cards SET claimed_until = '2020-01-01 00:00:00'"))
        queue.renew(connection, tables.cards, "one", [dropped])
        assert queue.claim_one(connection, tables.cards, dropped.key, "three"), "what was lost stays lost"
        queue.finish(connection, dropped, "one")
        assert not queue.claim_one(connection, tables.cards, dropped.key, "one"), "three has it still"


def test_a_claim_holds_against_other_workers_of_the_same_process(store: Store) -> None:
    add(store)
    with store.write() as connection:
        assert queue.claim_one(connection, tables.cards, "R-00000001", "one")
        assert not queue.claim_one(connection, tables.cards, "R-00000001", "one")


def test_many_claimants_share_the_rows_without_taking_one_twice(store: Store) -> None:
    with store.write() as connection:
        for number in range(40):
            outbox.add_notice(connection, Notice(Delivery.DIRECT, "U", str(number)), NOON)
    taken: list[int | str] = []
    barrier = threading.Barrier(4)

    def take(owner: str) -> None:
        barrier.wait()
        while True:
            with store.write() as connection:
                found = queue.claim_due(connection, Queue(tables.notices), owner, NOON, 3)
            if not found:
                return
            taken.extend(claim.key for claim in found)

    threads = [threading.Thread(target=take, args=(f"o{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 40


def test_claims_for_one_person_are_limited_and_other_people_are_not_kept_waiting(
    store: Store,
) -> None:
    share = Queue(tables.inbox, frozenset({Kind.CREATE_REQUEST}), max_per_key=2)
    sent = [("UBOB0000", Kind.CREATE_REQUEST)] * 30 + [
        ("UCAROL00", Kind.APPROVE),
        ("UCAROL00", Kind.CREATE_REQUEST),
        ("UDAVE000", Kind.CREATE_REQUEST),
    ]
    for number, (person, kind) in enumerate(sent):
        with store.write() as connection:
            inbox.put_for_later(connection, Message(kind, str(number), person, "T"), NOON, NOON)
    with store.write() as connection:
        first = queue.claim_due(connection, share, "me", NOON, 10)
        assert [claim.fairness_key for claim in first] == ["UBOB0000", "UBOB0000", "UCAROL00", "UDAVE000"]
        assert [claim.key for claim in first[:2]] == [1, 2], "the longest due first"
        assert queue.next_due(connection, [share], first) == {}, "what cannot be claimed wakes nobody"
        assert queue.claim_due(connection, share, "me", NOON, 10, first) == []
        assert [one.fairness_key for one in queue.claim_due(connection, share, "me", NOON, 10, first[1:])] == [
            "UBOB0000"
        ]
        queue.release_unchanged(connection, first[0], "me")
        assert [one.key for one in queue.claim_due(connection, share, "me", NOON, 1)] == [1]


def line(request_id: str, text: str) -> Notice:
    return Notice(Delivery.THREAD, "", text, request_id)


def leave(store: Store, *notices: Notice) -> None:
    with store.write() as connection:
        for notice in notices:
            outbox.add_notice(connection, notice, NOON)


def claim_notices(store: Store, owner: str, now: datetime = NOON) -> dict[str, queue.Claim]:
    """What somebody then has, by its text."""
    with store.write() as connection:
        found = queue.claim_due(connection, Queue(tables.notices), owner, now, 10)
        return {outbox.get_notice(connection, int(claim.key))[0].text: claim for claim in found}


def test_a_line_of_a_thread_waits_until_the_older_ones_are_done_with(store: Store) -> None:
    leave(store, line("R-1", "approved"), line("R-1", "accepted"), line("R-2", "denied"))
    leave(store, Notice(Delivery.DIRECT, "U", "to one", "R-1"), Notice(Delivery.DIRECT, "U", "to another", "R-1"))
    first = claim_notices(store, "one")
    assert sorted(first) == ["approved", "denied", "to another", "to one"]
    assert claim_notices(store, "two") == {}, "the older one is in hand"
    with store.write() as connection:
        queue.postpone(connection, first["approved"], "one", NOON + timedelta(minutes=2))
    assert claim_notices(store, "two", NOON + timedelta(minutes=1)) == {}, "the older one waits"
    with store.read() as connection:
        # Nobody looks in vain before that.
        assert queue.next_due(connection, [Queue(tables.notices)]) == {
            Queue(tables.notices): NOON + timedelta(minutes=2)
        }
    again = claim_notices(store, "two", NOON + timedelta(minutes=2))
    assert list(again) == ["approved"]
    with store.write() as connection:
        queue.finish(connection, again["approved"], "two")
    assert list(claim_notices(store, "one")) == ["accepted"]


def test_a_line_that_a_dead_replica_had_in_hand_comes_before_the_later_ones(store: Store) -> None:
    leave(store, line("R-1", "approved"), line("R-1", "accepted"))
    assert list(claim_notices(store, "dead")) == ["approved"]
    with store.write() as connection:
        connection.execute(text("UPDATE notices SET claimed_until = '2020-01-01 00:00:00' WHERE claimed_by = 'dead'"))
    assert list(claim_notices(store, "one")) == ["approved"]


def test_of_many_claimants_whose_sending_fails_at_times_each_thread_reads_in_order(postgres: Postgres) -> None:
    store = open_store(postgres.new_database())
    for number in range(12):
        leave(store, *(line(f"R-{thread}", f"{thread} {number}") for thread in range(4)))
    sent: list[str] = []
    barrier = threading.Barrier(4)

    def send(owner: str) -> None:
        barrier.wait()
        while len(sent) < 48:
            for words, claim in claim_notices(store, owner).items():
                with store.write() as connection:
                    if claim.tries < int(words[-1]) % 3:
                        queue.postpone(connection, claim, owner, NOON)
                    else:
                        sent.append(words)
                        queue.finish(connection, claim, owner)

    threads = [threading.Thread(target=send, args=(f"o{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    for number in range(4):
        assert [words for words in sent if words[0] == str(number)] == [f"{number} {line}" for line in range(12)]


def test_sqlite_serves_one_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bot.sqlite'}"
    first = open_store(url)
    with pytest.raises(DatabaseInUse, match="another process"):
        open_store(url)
    first.close()
    open_store(url).close()


def test_a_handled_message_keeps_no_response_url(store: Store) -> None:
    message = Message(Kind.CREATE_REQUEST, "t", "U", "T", response_url="https://hooks.slack.com/commands/secret")
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        inbox.clear_response_url(connection, int(claim.key))
    with store.read() as connection:
        assert inbox.get(connection, int(claim.key)).message == replace(message, response_url="")


def test_a_message_decides_once_and_a_discarded_message_never_decides(store: Store) -> None:
    message = Message(Kind.CREATE_REQUEST, "t", "U", "T", response_url="https://hooks.slack.com/commands/secret")
    with store.write() as connection:
        claim = inbox.put(connection, message, "me", NOON)
        assert claim is not None
        assert not inbox.discard(connection, message, "somebody else"), "another process has claimed it"
        assert inbox.mark_decided(connection, "t")
        assert not inbox.mark_decided(connection, "t")
        assert not inbox.discard(connection, message, "me")
        inbox.unmark_decided(connection, "t")
        assert inbox.discard(connection, message, "me")
        inbox.unmark_decided(connection, "t")
        assert not inbox.mark_decided(connection, "t")
        assert inbox.mark_of(connection, "t") == inbox.DISCARDED
        assert inbox.get(connection, int(claim.key)).message == replace(message, response_url="")
        assert queue.claim_due(connection, Queue(tables.inbox), "me", NOON, 1) == []


def test_a_message_has_one_request_for_a_group_also_when_that_has_ended(store: Store) -> None:
    first, second = (request(number=number, origin_key="trigger-1") for number in (1, 2))
    with store.write() as connection:
        requests.add(connection, first, ASKED, NOON)
        requests.save(connection, first, first.with_state(State.DENIED, at=NOON), NOON)
    with pytest.raises(requests.AlreadyOpen), store.write() as connection:
        requests.add(connection, second, ASKED, NOON)
    with store.read() as connection:
        found = requests.find_by_origin(connection, "trigger-1", second.group.group_id)
    assert found is not None
    assert (found.id, found.state) == (first.id, State.DENIED)


def test_what_the_schema_before_had_not_written_apart_is_found_all_the_same(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    config = Config()
    config.set_main_option("script_location", str(resources.files("bot.store") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        message = "INSERT INTO inbox (key, kind, body, received_at, due_at) VALUES ('t', 'ask', :body, :now, :now)"
        connection.execute(text(message), {"body": '{"person": "UALICE00", "team_id": "T"}', "now": NOON})
        for number, hours in ((1, 0), (2, 1), (3, 2)):
            made = request(State.DENIED, number, origin_key="trigger-1" if number < 3 else "")
            row = insert(tables.requests).values(
                **{column: value for column, value in requests._row(made).items() if column != "open_key"},
                id=made.id,
                project="media",
                group_id=made.group.group_id,
                requester=made.requester,
                created_at=NOON + timedelta(hours=hours),
            )
            connection.execute(row)
    engine.dispose()
    store = open_store(database_url)
    try:
        with store.write() as connection:
            found = requests.find_by_origin(connection, "trigger-1", request().group.group_id)
            assert found is not None
            assert found.id == "R-00000002", "the newer of two that one message had made"
            assert connection.execute(text("SELECT person FROM inbox")).scalar() == "UALICE00"
    finally:
        store.close()
