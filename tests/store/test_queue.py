"""The job queues: claims, leases, retries, fairness, the order of thread lines, Slack's limits, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request, State
from bot.domain.slack_budget import EDITS, POSTS, RATES
from bot.store import inbox, outbox, queue, requests, slack_budget, tables
from bot.store.audit import Event
from bot.store.database import Store, open_store
from bot.store.inbox import Kind, Message
from bot.store.outbox import Card, Delivery, Notice
from bot.store.queue import Queue
from tests.support.postgres import Postgres
from tests.support.values import NOON, request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

CREATED = Event(AuditEvent.REQUEST_CREATED, "UALICE00", "R-00000001")


def add(store: Store, number: int = 1) -> None:
    with store.write() as connection:
        requests.add(connection, request(number=number), CREATED, NOON)


def test_a_due_row_is_claimed_once_and_again_after_its_lease_ended(store: Store) -> None:
    add(store)
    with store.write() as connection:
        assert len(queue.claim_due(connection, Queue(tables.cards), "one", NOON, 10)) == 1
    with store.write() as connection:
        assert queue.claim_due(connection, Queue(tables.cards), "two", NOON, 10) == []
        # Leases are measured by the database's clock, so this one is moved into the past.
        connection.execute(text("UPDATE cards SET claimed_until = '2020-01-01 00:00:00'"))
    with store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.cards), "two", NOON, 10)
        queue.finish(connection, replace(claim), "one", NOON)
    with store.write() as connection:
        assert queue.claim_due(connection, Queue(tables.cards), "three", NOON, 10) == [], (
            "a process that lost the claim cannot end it"
        )
        queue.postpone(connection, claim, "two", NOON + timedelta(seconds=5))
    with store.write() as connection:
        [again] = queue.claim_due(connection, Queue(tables.cards), "three", NOON + timedelta(seconds=5), 10)
    assert again.tries == 1


def test_the_row_due_longest_is_claimed_first_and_success_resets_its_tries(store: Store) -> None:
    with store.write() as connection:
        for minutes in (2, 1, 3):
            notice = Notice(Delivery.DIRECT, f"U{minutes}", str(minutes))
            outbox.add_notice(connection, notice, NOON + timedelta(minutes=minutes))
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


def test_only_active_claims_are_renewed(store: Store) -> None:
    add(store)
    other = replace(request(number=2), group=replace(request().group, group_id="other"))
    with store.write() as connection:
        requests.add(connection, other, CREATED, NOON)
    with store.write() as connection:
        active, dropped = queue.claim_due(connection, Queue(tables.cards), "one", NOON, 10)
        connection.execute(text("UPDATE cards SET claimed_until = '2020-01-01 00:00:00'"))
        queue.renew(connection, tables.cards, "one", [active])
    with store.write() as connection:
        assert not queue.claim_one(connection, tables.cards, active.key, "two")
        assert queue.claim_one(connection, tables.cards, dropped.key, "two")
        queue.renew(connection, tables.cards, "one", [active, dropped])
    with store.write() as connection:
        connection.execute(text("UPDATE cards SET claimed_until = '2020-01-01 00:00:00'"))
        queue.renew(connection, tables.cards, "one", [dropped])
        assert queue.claim_one(connection, tables.cards, dropped.key, "three"), "renewing does not restore a lost claim"
        queue.finish(connection, dropped, "one")
        assert not queue.claim_one(connection, tables.cards, dropped.key, "one"), "the claim of three still holds"


def test_a_row_is_not_claimed_twice_by_the_same_process(store: Store) -> None:
    add(store)
    with store.write() as connection:
        assert queue.claim_one(connection, tables.cards, "R-00000001", "one")
        assert not queue.claim_one(connection, tables.cards, "R-00000001", "one")


def test_no_row_is_claimed_by_two_of_many_workers(store: Store) -> None:
    with store.write() as connection:
        for number in range(40):
            # An answer has no budget.
            outbox.add_notice(connection, Notice(Delivery.EPHEMERAL, "", str(number)), NOON)
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


def test_claims_for_one_person_are_limited_and_other_people_do_not_wait(
    store: Store,
) -> None:
    limited = Queue(tables.inbox, frozenset({Kind.CREATE_REQUEST}), max_per_key=2)
    sent = [("UBOB0000", Kind.CREATE_REQUEST)] * 30 + [
        ("UCAROL00", Kind.APPROVE),
        ("UCAROL00", Kind.CREATE_REQUEST),
        ("UDAVE000", Kind.CREATE_REQUEST),
    ]
    for number, (person, kind) in enumerate(sent):
        with store.write() as connection:
            inbox.put_for_later(connection, Message(kind, str(number), person, "T"), NOON, NOON)
    with store.write() as connection:
        first = queue.claim_due(connection, limited, "one", NOON, 10)
        assert [claim.fairness_key for claim in first] == ["UBOB0000", "UBOB0000", "UCAROL00", "UDAVE000"]
        assert [claim.key for claim in first[:2]] == [1, 2], "the longest due first"
        assert queue.next_due(connection, NOON, [limited], first) == {}, "rows that cannot be claimed wake no worker"
        assert queue.claim_due(connection, limited, "one", NOON, 10, first) == []
        assert [one.fairness_key for one in queue.claim_due(connection, limited, "one", NOON, 10, first[1:])] == [
            "UBOB0000"
        ]
        queue.release_unchanged(connection, first[0], "one")
        assert [one.key for one in queue.claim_due(connection, limited, "one", NOON, 1)] == [1]


def line(request_id: str, text: str) -> Notice:
    return Notice(Delivery.THREAD, "", text, request_id)


def add_notices(store: Store, *notices: Notice) -> None:
    with store.write() as connection:
        for notice in notices:
            outbox.add_notice(connection, notice, NOON)


def claim_notices(store: Store, owner: str, now: datetime = NOON) -> dict[str, queue.Claim]:
    """Claims the notices that are due. Returns the claims by the text of the notice."""
    with store.write() as connection:
        found = queue.claim_due(connection, Queue(tables.notices), owner, now, 10)
        return {outbox.get_notice(connection, int(claim.key))[0].text: claim for claim in found}


def test_a_line_of_a_thread_waits_until_the_older_ones_are_sent(store: Store) -> None:
    add_notices(store, line("R-1", "approved"), line("R-1", "accepted"), line("R-2", "denied"))
    add_notices(store, Notice(Delivery.DIRECT, "U", "to one", "R-1"), Notice(Delivery.DIRECT, "U", "to another", "R-1"))
    first = claim_notices(store, "one")
    assert sorted(first) == ["approved", "denied", "to another", "to one"]
    assert claim_notices(store, "two") == {}, "the older one is claimed"
    with store.write() as connection:
        queue.postpone(connection, first["approved"], "one", NOON + timedelta(minutes=2))
    assert claim_notices(store, "two", NOON + timedelta(minutes=1)) == {}, "the older one is due later"
    with store.read() as connection:
        assert queue.next_due(connection, NOON, [Queue(tables.notices)]) == {
            Queue(tables.notices): NOON + timedelta(minutes=2)
        }
    again = claim_notices(store, "two", NOON + timedelta(minutes=2))
    assert list(again) == ["approved"]
    with store.write() as connection:
        queue.finish(connection, again["approved"], "two")
    assert list(claim_notices(store, "one")) == ["accepted"]


def test_a_line_claimed_by_a_dead_replica_is_sent_before_the_later_ones(store: Store) -> None:
    add_notices(store, line("R-1", "approved"), line("R-1", "accepted"))
    assert list(claim_notices(store, "dead")) == ["approved"]
    with store.write() as connection:
        connection.execute(text("UPDATE notices SET claimed_until = '2020-01-01 00:00:00' WHERE claimed_by = 'dead'"))
    assert list(claim_notices(store, "one")) == ["approved"]


def test_lines_of_a_thread_are_sent_in_order_although_sending_fails_at_times(postgres: Postgres) -> None:
    store = open_store(postgres.new_database())
    for number in range(12):
        add_notices(store, *(line(f"R-{thread}", f"{thread} {number}") for thread in range(4)))
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


def add_cards(store: Store, changes: dict[int, Request]) -> None:
    """Stores requests whose cards are posted, and these changes of them."""
    for number, changed in changes.items():
        old = replace(request(number=number), group=replace(request().group, group_id=str(number)))
        new = replace(changed, id=old.id, group=old.group)
        with store.write() as connection:
            requests.add(connection, replace(old, state=State.MOVING), CREATED, NOON)
            outbox.save_card(connection, Card(old.id, old.channel, f"1.{number}", None, old.version), None)
            requests.save(connection, replace(old, state=State.MOVING), new, NOON + timedelta(seconds=number))


def claim_cards(store: Store, owner: str, now: datetime) -> list[str | int]:
    with store.write() as connection:
        return [claim.key for claim in queue.claim_due(connection, Queue(tables.cards), owner, now, 20)]


def test_the_most_urgent_cards_are_claimed_first_and_progress_waits_for_its_turn(store: Store) -> None:
    ended = [State.DONE, State.FAILED, State.PAUSING, State.MOVING, State.DONE]
    add_cards(store, {number: request(state) for number, state in enumerate(ended)})
    now = NOON + timedelta(seconds=30)
    # Progress is not claimed together with the others, because it uses no burst.
    assert claim_cards(store, "one", now) == ["R-00000002", "R-00000001", "R-00000000", "R-00000004"]
    with store.read() as connection:
        next_due = queue.next_due(connection, NOON, [Queue(tables.cards)])[Queue(tables.cards)]
    assert next_due == now + 4 * RATES[EDITS].every
    assert claim_cards(store, "one", next_due - timedelta(milliseconds=1)) == []
    assert claim_cards(store, "one", next_due) == ["R-00000003"]


def test_a_change_that_is_not_shown_yet_keeps_its_urgency_and_its_turn(store: Store) -> None:
    add_cards(store, {1: request(State.FAILED), 2: request(State.MOVING), 3: request(State.MOVING)})
    later = NOON + timedelta(minutes=1)
    for request_id in ("R-00000001", "R-00000002"):
        with store.write() as connection:
            changed = requests.lock(connection, request_id)
            assert changed is not None
            requests.save(connection, changed, changed, later)
    claimed = [claim_cards(store, "one", later + number * RATES[EDITS].every) for number in range(3)]
    assert claimed == [["R-00000001"], ["R-00000002"], ["R-00000003"]]


def test_a_card_that_shows_everything_is_no_longer_urgent(store: Store) -> None:
    add_cards(store, {1: request(State.PAUSING), 2: request(State.MOVING)})
    with store.write() as connection:
        card = outbox.get_card(connection, "R-00000001")
        assert card is not None
        outbox.save_card(connection, replace(card, shown_version=2), None)
        pausing = requests.lock(connection, "R-00000001")
        assert pausing is not None
        requests.save(connection, pausing, pausing, NOON + timedelta(minutes=1))
    assert claim_cards(store, "one", NOON + timedelta(minutes=2)) == ["R-00000002"]


def test_replicas_share_the_budget_of_edits(store: Store) -> None:
    add_cards(store, {number: request(State.DONE) for number in range(30)})
    now, claimed = NOON + timedelta(minutes=1), []
    barrier = threading.Barrier(4)

    def claim(owner: str) -> None:
        barrier.wait()
        claimed.extend(claim_cards(store, owner, now))

    threads = [threading.Thread(target=claim, args=(f"o{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [f"R-{number:08d}" for number in range(RATES[EDITS].burst - 3)]


def test_the_posts_to_a_channel_wait_for_its_budget_and_other_notices_do_not(store: Store) -> None:
    add_cards(store, {number: request(State.MOVING) for number in (1, 2)})
    add_notices(store, *(Notice(Delivery.CHANNEL, "C0TEST0001", f"post {number}") for number in range(5)))
    add_notices(store, line("R-00000001", "line"), Notice(Delivery.EPHEMERAL, "", "answer"))
    add_notices(store, Notice(Delivery.DIRECT, "U", "direct"), Notice(Delivery.DUPLICATE, "C 1", "duplicate"))
    first = claim_notices(store, "one")
    assert sorted(first) == ["answer", "direct", "duplicate", "post 0", "post 1", "post 2", "post 3"]
    with store.read() as connection:
        assert queue.next_due(connection, NOON)[Queue(tables.notices)] == NOON + timedelta(seconds=1)
    with store.write() as connection:
        slack_budget.stop(connection, first["direct"].slack_call, NOON, 10)
    assert claim_notices(store, "one", NOON + timedelta(seconds=9)) == {}, "a refusal stops posts to all channels"
    assert list(claim_notices(store, "one", NOON + timedelta(seconds=15))) == ["post 4", "line"]


def test_a_refusal_that_does_not_say_how_long_stops_the_method_for_five_seconds(store: Store) -> None:
    with store.write() as connection:
        assert slack_budget.stop(connection, EDITS, NOON, None) == NOON + timedelta(seconds=5)
        assert not slack_budget.spend(connection, EDITS, NOON + timedelta(seconds=4))
        assert slack_budget.spend(connection, EDITS, NOON + timedelta(seconds=5))


def test_a_budget_from_a_clock_that_was_wrong_stops_nothing(store: Store) -> None:
    with store.write() as connection:
        assert slack_budget.spend(connection, EDITS, NOON + timedelta(hours=1))
        slack_budget.stop(connection, POSTS, NOON + timedelta(hours=1), 600)
    with store.write() as connection:
        assert slack_budget.spend(connection, EDITS, NOON)
        assert slack_budget.spend(connection, POSTS, NOON)
        slack_budget.stop(connection, POSTS, NOON, 600)
        assert not slack_budget.spend(connection, POSTS, NOON), "a wait that Slack asked for stays"
