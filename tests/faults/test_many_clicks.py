"""Two approvers at the same moment, 500 times over: one decision, one PUT, and both are told the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import select

from bot.domain.request import Request, State
from bot.jobs.context import Context
from bot.jobs.decide import apply_action
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import CAROL, DAVE, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import requests, tables
from bot.store.audit import Verified, verify
from bot.store.inbox import Kind, Message
from tests.faults.test_clicks import at_once
from tests.support.in_process import context_of, create_request, store_message
from tests.support.postgres import Postgres
from tests.support.sandbox import put_calls

ROUNDS, AT_ONCE = 500, 10
APPROVERS = (CAROL, DAVE)
DECIDED = "decided already"


@pytest.mark.timeout(300)
def test_from_two_threads_on_sqlite(new_sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = new_sandbox()
    without_rate_limits(sandbox, monkeypatch)
    with context_of(sandbox) as context:
        for number in range(1, ROUNDS + 1):
            request, card = create_request(sandbox, context, number)
            at_once(
                *[partial(apply_action.handle_action, context, press(context, one, request, card)) for one in APPROVERS]
            )
            both_heard_the_truth(context, request)
        is_one_of_each(sandbox, context)


def without_rate_limits(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day's clicks in a minute are none of Slack's business here."""
    monkeypatch.setattr(sandbox.slack.api, "_limit", lambda *_: None)


def press(context: Context, person: str, request: Request, card: PostedMessage) -> Message:
    key = f"{request.id} {person}"
    message = Message(Kind.APPROVE, key, person, TEAM_ID, card.channel, request_id=request.id, message_ts=card.ts)
    store_message(context, message)
    return message


def both_heard_the_truth(context: Context, request: Request) -> None:
    """The thread names the one who decided, and the other is told who it was."""
    table = tables.notices.c
    with context.store.read() as connection:
        decided = requests.get(connection, request.id)
        found = connection.execute(
            select(table.delivery, table.address, table.text).where(table.request_id == request.id)
        )
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
    new_sandbox: Callable[..., Sandbox], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    without_rate_limits(sandbox, monkeypatch)
    bots = [sandbox.start_bot(), sandbox.start_bot(ops_port=free_port())]
    sandbox.wait_until(lambda: sandbox.slack.connections == 2, what="two connections")
    with context_of(sandbox) as context:
        for first in range(1, ROUNDS + 1, AT_ONCE):
            cards = [create_request(sandbox, context, number)[1] for number in range(first, first + AT_ONCE)]
            heard, called = len(sandbox.workspace.ephemerals), len(sandbox.call_log.since())
            # The stand-in hands each payload to the other connection than the one before.
            at_once(*[partial(sandbox.people.press, one, card, "approve") for card in cards for one in APPROVERS])
            over = partial(are_decided, sandbox, heard, called)
            sandbox.wait_until(over, what=f"a PUT and a refusal each, from round {first} on")
        for bot in bots:
            bot.terminate()
            assert bot.wait(15) == 0
        is_one_of_each(sandbox, context)
        winners = {who_won(sandbox, context, number) for number in range(1, ROUNDS + 1)}
    assert winners == set(APPROVERS), "each was the quicker one at times"


def who_won(sandbox: Sandbox, context: Context, number: int) -> str:
    """Who decided; the thread names them, and the other, and nobody else, was told that it was they."""
    request_id = f"R-{number:08d}"
    threads = select(tables.notices.c.text).where(
        tables.notices.c.request_id == request_id, tables.notices.c.delivery == "thread"
    )
    with context.store.read() as connection:
        decided = requests.get(connection, request_id)
        in_thread = connection.execute(threads).scalars().all()
    assert decided is not None
    assert decided.decision is not None
    [winner] = decided.decision.people
    assert [text for text in in_thread if text.startswith("Approved by")] == [f"Approved by <@{winner}>."]
    [told] = [one for one in sandbox.workspace.ephemerals if request_id in one.text]
    assert {winner, told.person} == set(APPROVERS)
    assert DECIDED in told.text
    assert f"Approved by <@{winner}>" in told.text
    return winner


def are_decided(sandbox: Sandbox, heard: int, called: int) -> bool:
    """One of each two was told that it was decided, and OMS was called; `heard` and `called` is what came before."""
    told = [one for one in sandbox.workspace.ephemerals[heard:] if DECIDED in one.text]
    return len(told) == AT_ONCE == sum(call.method == "PUT" for call in sandbox.call_log.since(called))


def is_one_of_each(sandbox: Sandbox, context: Context) -> None:
    """One vote, one decision, one attempt, one refusal and one PUT for each request, in a chain that is whole."""
    with context.store.read() as connection:
        events = Counter(connection.execute(select(tables.audit.c.event)).scalars())
        voted = Counter(connection.execute(select(tables.votes.c.request_id)).scalars())
        assert isinstance(verify(connection), Verified)
    once = ("vote.added", "attempt.opened", "put.sending", "put.accepted", "action.refused")
    assert {what: events[what] for what in once} == dict.fromkeys(once, ROUNDS)
    puts = Counter(call.path for call in put_calls(sandbox))
    for counted in (voted, puts):
        assert len(counted) == ROUNDS
        assert set(counted.values()) == {1}
