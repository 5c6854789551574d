"""What is known of an identity is kept for each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.store import identities
from bot.store.database import Store
from bot.store.identities import IdentityState
from tests.support.values import NOON

PATH = "secret/caller"
REFUSED = IdentityState(PATH, "one", 3, "APIG.0301", 1, NOON, is_awake=False, is_in_use=False)


def put(store: Store, *found: IdentityState) -> None:
    with store.write() as connection:
        for rest in found:
            identities.lock(connection, rest)
            identities.put(connection, rest)


def got(store: Store, who: str) -> IdentityState | None:
    with store.read() as connection:
        return identities.get(connection, PATH, who)


def test_what_is_written_of_one_is_not_of_another(store: Store) -> None:
    other = replace(REFUSED, who="other", refusals=4)
    put(store, REFUSED, other)
    put(store, replace(REFUSED, refusals=2))
    found = got(store, "one")
    assert found is not None
    assert found.refusals == 2
    assert got(store, "other") == other
    assert got(store, "nobody") is None


def test_who_was_refused_is_woken_unless_close_to_the_lock(store: Store) -> None:
    close, long_ago = replace(REFUSED, who="close", refusals=4), replace(REFUSED, who="long ago", refusals=4)
    long_ago = replace(long_ago, refused_at=NOON - timedelta(minutes=6))
    put(store, REFUSED, close, long_ago, replace(REFUSED, who="in use", code="", refusals=0, is_in_use=True))
    with store.write() as connection:
        identities.wake(connection, PATH, 3, NOON - timedelta(minutes=5))
    awake = {who: rest.is_awake for who in ("one", "close", "long ago", "in use") if (rest := got(store, who))}
    assert awake == {"one": True, "close": False, "long ago": True, "in use": False}


def test_those_that_are_there_no_more_are_forgotten_once_their_refusals_count_no_more(store: Store) -> None:
    put(store, REFUSED, replace(REFUSED, who="before"), replace(REFUSED, who="just now", refused_at=NOON))
    put(store, replace(REFUSED, who="before", refused_at=NOON - timedelta(minutes=6)))
    with store.write() as connection:
        identities.forget_others(connection, PATH, "one", NOON - timedelta(minutes=5))
    assert [got(store, who) is None for who in ("one", "before", "just now")] == [False, True, False]
