"""Two approvals at the same moment, 500 times: one decision, one PUT, and the later approver is told."""

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
from bot.sandbox.slack.ids import APPROVERS_GROUP, CAROL, DAVE, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import requests, tables
from bot.store.inbox import Kind, Message
from bot.store.verification import Verified, verify
from tests.support.in_process import context_of, create_request, store_message
from tests.support.postgres import Postgres
from tests.support.sandbox import put_calls, run_concurrently

ROUNDS, AT_ONCE = 500, 10
APPROVERS = (CAROL, DAVE)
DECIDED = "already decided"


@pytest.mark.timeout(300)
@pytest.mark.long
def test_simultaneous_approvals_in_two_threads_on_sqlite_are_one_decision(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.slack.api.enforces_rate_limits = False
    with context_of(sandbox) as context:
        for number in range(1, ROUNDS + 1):
            request, card = create_request(sandbox, context, number)
            run_concurrently(
                *[
                    partial(apply_action.handle_action, context, store_approval(context, one, request, card))
                    for one in APPROVERS
                ]
            )
            assert_one_decided_and_the_other_was_told(context, request)
        assert_one_of_each(sandbox, context)


def store_approval(context: Context, person: str, request: Request, card: PostedMessage) -> Message:
    key = f"{request.id} {person}"
    message = Message(Kind.APPROVE, key, person, TEAM_ID, card.channel, request_id=request.id, message_ts=card.ts)
    store_message(context, message)
    return message


def assert_one_decided_and_the_other_was_told(context: Context, request: Request) -> None:
    """Asserts that the thread names one approver, and that the other is told that it was decided."""
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
    replies = {address: text for way, address, text in notices if way == "direct"}
    assert len([way for way, _, _ in notices if way == "direct"]) == len(replies) == 2
    assert "is recorded. No more are needed." in replies.pop(winner)
    [(loser, text)] = replies.items()
    assert {winner, loser} == set(APPROVERS)
    assert DECIDED in text
    assert f"<@{winner}>" in text


@pytest.mark.timeout(300)
@pytest.mark.long
def test_simultaneous_approvals_in_two_replicas_on_postgresql_are_one_decision(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    sandbox.slack.api.enforces_rate_limits = False
    approvers = add_approvers(sandbox)
    bots = [sandbox.start_bot(), sandbox.start_bot(ops_port=free_port())]
    sandbox.wait_until(lambda: sandbox.slack.connections == 2, what="two connections")
    with context_of(sandbox) as context:
        for first in range(1, ROUNDS + 1, AT_ONCE):
            cards = [create_request(sandbox, context, number)[1] for number in range(first, first + AT_ONCE)]
            pairs = approvers[first // AT_ONCE % len(approvers)]
            replies_before, calls_before = len(sandbox.workspace.ephemerals), len(sandbox.call_log.since())
            # The Slack stand-in delivers payloads to the replicas in turn.
            run_concurrently(*[partial(sandbox.people.press, one, card, "approve") for card in cards for one in pairs])
            is_over = partial(are_decided, sandbox, replies_before, calls_before)
            sandbox.wait_until(is_over, what=f"a PUT and a refusal for each card from round {first} on")
        for bot in bots:
            bot.terminate()
            assert bot.wait(15) == 0
        assert_one_of_each(sandbox, context)
        winners = [approver_of(sandbox, context, number) for number in range(1, ROUNDS + 1)]
    assert 0 < sum(winner in {first for first, _ in approvers} for winner in winners) < ROUNDS, (
        "both were faster at times"
    )


def add_approvers(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Pairs of new approvers: each person can send a limited number of payloads a minute."""
    pairs = [(f"U0FIRST{number:03d}", f"U0SECOND{number:02d}") for number in range(10)]
    for person in (one for pair in pairs for one in pair):
        sandbox.workspace.users[person] = sandbox.workspace.users[DAVE] | {"id": person, "name": person.lower()}
        sandbox.workspace.groups[APPROVERS_GROUP].append(person)
    return pairs


def approver_of(sandbox: Sandbox, context: Context, number: int) -> str:
    """The approver of a request, after asserting that the thread names them and that only the other one was told."""
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
    [reply] = [one for one in sandbox.workspace.ephemerals if request_id in one.text]
    assert winner != reply.person
    assert DECIDED in reply.text
    assert f"Approved by <@{winner}>" in reply.text
    return winner


def are_decided(sandbox: Sandbox, replies_before: int, calls_before: int) -> bool:
    """Whether every card of a round led to one PUT and one refusal."""
    refusals = [one for one in sandbox.workspace.ephemerals[replies_before:] if DECIDED in one.text]
    puts = [call for call in sandbox.call_log.since(calls_before) if call.method == "PUT"]
    return len(refusals) == len(puts) == AT_ONCE


def assert_one_of_each(sandbox: Sandbox, context: Context) -> None:
    """Asserts a whole audit chain with one vote, one decision, one refusal and one PUT for each request."""
    with context.store.read() as connection:
        events = Counter(connection.execute(select(tables.audit.c.event)).scalars())
        assert isinstance(verify(connection), Verified)
    once = ("vote.added", "attempt.opened", "put.sending", "put.accepted", "action.refused")
    assert {what: events[what] for what in once} == dict.fromkeys(once, ROUNDS)
    puts = Counter(call.path for call in put_calls(sandbox))
    assert len(puts) == ROUNDS
    assert set(puts.values()) == {1}
