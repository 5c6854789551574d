"""Two approvers at the same moment, 500 times over: one decision, one PUT, and both are told the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import select

from bot.request.model import Request, State
from bot.sandbox.ports import free_port
from bot.sandbox.slack import world as w
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from bot.store import requests, tables
from bot.store.audit import Verified, verify
from bot.store.inbox import Kind, Message
from bot.work import vote
from bot.work.tools import Tools
from tests.faults.test_clicks import at_once
from tests.support.inside import asked, taken, tools_of
from tests.support.postgres import Postgres
from tests.support.story import starts

ROUNDS, AT_ONCE = 500, 10
APPROVERS = (w.CAROL, w.DAVE)
DECIDED = "decided already"


@pytest.mark.timeout(300)
def test_from_two_threads_on_sqlite(new_town: Callable[..., Town], monkeypatch: pytest.MonkeyPatch) -> None:
    town = new_town()
    without_rate_limits(town, monkeypatch)
    with tools_of(town) as tools:
        for number in range(1, ROUNDS + 1):
            request, card = asked(town, tools, number)
            at_once(*[partial(vote.work, tools, press(tools, one, request, card)) for one in APPROVERS])
            both_heard_the_truth(tools, request)
        is_one_of_each(town, tools)


def without_rate_limits(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day's clicks in a minute are none of Slack's business here."""
    monkeypatch.setattr(town.slack.api, "_limit", lambda *_: None)


def press(tools: Tools, person: str, request: Request, card: Posted) -> Message:
    key = f"{request.id} {person}"
    message = Message(Kind.APPROVE, key, person, w.TEAM_ID, card.channel, request_id=request.id, message_ts=card.ts)
    taken(tools, message)
    return message


def both_heard_the_truth(tools: Tools, request: Request) -> None:
    """The thread names the one who decided, and the other is told who it was."""
    table = tables.notices.c
    with tools.store.read() as connection:
        decided = requests.get(connection, request.id)
        found = connection.execute(select(table.way, table.address, table.text).where(table.request_id == request.id))
        notices = found.all()
    assert decided is not None
    assert decided.state is State.ACCEPTED
    assert decided.decision is not None
    [winner] = decided.decision.people
    assert ("thread", "", f"Approved by <@{winner}>.") in notices
    [(loser, text)] = [(address, text) for way, address, text in notices if way == "direct"]
    assert {winner, loser} == set(APPROVERS)
    assert DECIDED in text
    assert f"<@{winner}>" in text


@pytest.mark.timeout(300)
def test_from_two_processes_on_postgresql(
    new_town: Callable[..., Town], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = new_town(database_url=postgres.new_database())
    without_rate_limits(town, monkeypatch)
    bots = [town.start_bot(), town.start_bot(ops_port=free_port())]
    town.wait_until(lambda: town.slack.connections == 2, what="two connections")
    with tools_of(town) as tools:
        for first in range(1, ROUNDS + 1, AT_ONCE):
            cards = [asked(town, tools, number)[1] for number in range(first, first + AT_ONCE)]
            heard, called = len(town.workspace.privates), len(town.journal.since())
            # The stand-in hands each payload to the other connection than the one before.
            at_once(*[partial(town.people.press, one, card, "approve") for card in cards for one in APPROVERS])
            over = partial(are_decided, town, heard, called)
            town.wait_until(over, what=f"a PUT and a refusal each, from round {first} on")
        for bot in bots:
            bot.terminate()
            assert bot.wait(15) == 0
        is_one_of_each(town, tools)
        winners = {who_won(town, tools, number) for number in range(1, ROUNDS + 1)}
    assert winners == set(APPROVERS), "each was the quicker one at times"


def who_won(town: Town, tools: Tools, number: int) -> str:
    """Who decided; the thread names them, and the other, and nobody else, was told that it was they."""
    request_id = f"R-{number:08d}"
    threads = select(tables.notices.c.text).where(
        tables.notices.c.request_id == request_id, tables.notices.c.way == "thread"
    )
    with tools.store.read() as connection:
        decided = requests.get(connection, request_id)
        in_thread = connection.execute(threads).scalars().all()
    assert decided is not None
    assert decided.decision is not None
    [winner] = decided.decision.people
    assert [text for text in in_thread if text.startswith("Approved by")] == [f"Approved by <@{winner}>."]
    [told] = [one for one in town.workspace.privates if request_id in one.text]
    assert {winner, told.person} == set(APPROVERS)
    assert DECIDED in told.text
    assert f"Approved by <@{winner}>" in told.text
    return winner


def are_decided(town: Town, heard: int, called: int) -> bool:
    """One of each two was told that it was decided, and OMS was called; `heard` and `called` is what came before."""
    told = [one for one in town.workspace.privates[heard:] if DECIDED in one.text]
    return len(told) == AT_ONCE == sum(call.method == "PUT" for call in town.journal.since(called))


def is_one_of_each(town: Town, tools: Tools) -> None:
    """One vote, one decision, one attempt, one refusal and one PUT for each request, in a chain that is whole."""
    with tools.store.read() as connection:
        events = Counter(connection.execute(select(tables.audit.c.event)).scalars())
        voted = Counter(connection.execute(select(tables.votes.c.request_id)).scalars())
        assert isinstance(verify(connection), Verified)
    once = ("approve", "attempt opened", "sending", "accepted", "refused")
    assert {what: events[what] for what in once} == dict.fromkeys(once, ROUNDS)
    puts = Counter(call.path for call in starts(town))
    for counted in (voted, puts):
        assert len(counted) == ROUNDS
        assert set(counted.values()) == {1}
