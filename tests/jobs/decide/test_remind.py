"""Whoever can still decide is reminded twice and then left alone; what can no longer be decided is said."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.domain.request import Policy, Request, State
from bot.domain.schedule import reminders_at
from bot.jobs import request_dispatcher
from bot.jobs.context import Context
from bot.jobs.current_settings import slots_without_candidates
from bot.jobs.decide import remind
from bot.jobs.notify.notices import send_notice
from bot.jobs.worker import Failed, Rescheduled, Result
from bot.redaction import Secret
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOT_TOKEN, CAROL, DAVE, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.slack.transport import new_client
from bot.slack.users import Users
from bot.store import outbox, queue, requests, tables
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Queue
from tests.support.in_process import context_at, context_of, create_request


@pytest.fixture
def inside(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(settings="approvals = 2")
    with context_of(sandbox) as context:
        yield sandbox, context


def work(context: Context, request: Request) -> Result:
    """One look at the request, as the loop takes it."""
    with context.store.write() as connection:
        assert queue.claim_one(connection, tables.requests, request.id, context.owner)
    claim = queue.Claim(tables.requests.name, request.id, 0)
    result = request_dispatcher.advance_request(context, claim)
    with context.store.write() as connection:
        queue.release(connection, claim, context.owner)
    return result


def stored(context: Context, request: Request) -> Request:
    with context.store.read() as connection:
        found = requests.get(connection, request.id)
    assert found is not None
    return found


def notices(context: Context) -> list[Notice]:
    with context.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id).order_by(tables.notices.c.id)).scalars().all()
        return [outbox.get_notice(connection, number)[0] for number in numbers]


def test_the_thread_is_reminded_twice_and_the_card_is_left_as_it_is(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    request, _ = create_request(*inside)
    half, last = reminders_at(request)
    work(context_at(context, half - timedelta(seconds=1)), request)
    assert notices(context) == []
    for _ in range(3):
        work(context_at(context, half), request)
    [first] = notices(context)
    assert (first.delivery, first.request_id) == (Delivery.THREAD, request.id)
    assert f"Still missing: 2 of <@{CAROL}>, <!subteam^{APPROVERS_GROUP}>" in first.text
    for _ in range(3):
        work(context_at(context, last), request)
    [_, second] = notices(context)
    assert second.text.startswith(f"<@{ALICE}>: this is still not decided")
    assert "subteam" not in second.text, "nobody is rung twice"
    assert stored(context, request).version == request.version, "no edit of a card that would read the same"
    work(context_at(context, request.expires_at), request)
    assert stored(context, request).state is State.EXPIRED


def test_who_slept_through_half_time_is_reminded_once(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    request, _ = create_request(*inside)
    late = context_at(context, reminders_at(request)[1])
    work(late, request)
    work(late, request)
    assert len(notices(context)) == 1
    assert stored(context, request).reminders == 2


def test_a_reminder_that_comes_too_late_is_none(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    request, _ = create_request(*inside)
    claim = queue.Claim(tables.requests.name, request.id, 0)
    half = context_at(context, reminders_at(request)[0])
    for _ in range(2):  # as two replicas may, of which one has lost its lease
        assert remind.remind(half, request, claim) == Rescheduled()
    assert len(notices(context)) == 1


def test_where_there_is_no_card_no_thread_is_reminded_and_the_requester_is_told_all_the_same(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    with context.store.write() as connection:
        outbox.save_card(connection, outbox.Card(request.id, card.channel, None, None, 0), None)
    half, last = reminders_at(request)
    work(context_at(context, half), request)
    assert notices(context) == []
    sandbox.workspace.users[DAVE]["deleted"] = True
    work(context_at(context, last), request)
    [notice] = notices(context)
    assert (notice.delivery, notice.address) == (Delivery.DIRECT, ALICE)


def test_who_must_approve_alone_and_gave_no_reason_is_no_quorum(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    alone = Policy(("*",), ((ALICE,),), self_approval=True)
    assert slots_without_candidates(context, alone, alone, ALICE, "network is back") == ()
    assert slots_without_candidates(context, alone, alone, ALICE, "  ") == alone.slots


def test_when_too_few_approvers_are_left_the_requester_is_told_instead(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    sandbox.workspace.users[DAVE]["deleted"] = True
    work(context_at(context, reminders_at(request)[0]), request)
    [notice] = notices(context)
    assert (notice.delivery, notice.address) == (Delivery.DIRECT, ALICE)
    assert "nobody is left" in notice.text
    assert "bot.toml" in notice.text
    send_notice(context, queue.Claim(tables.notices.name, 1, 0))
    [told] = sandbox.workspace.private_texts(ALICE)
    assert card.ts.replace(".", "") in told


def test_while_slack_cannot_be_asked_nobody_is_told_that_nobody_is_left(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    # As if some seconds had passed between one look and the next: a failure is remembered for so long.
    seconds = itertools.count(step=10)
    client = new_client(Secret(BOT_TOKEN), sandbox.slack.api_url)
    people = Users(client, TEAM_ID, [APPROVERS_GROUP], lambda: float(next(seconds)))
    context = replace(context, people=people)
    request, _ = create_request(*inside)
    sandbox.slack.outage.status = 500
    assert isinstance(work(context_at(context, reminders_at(request)[0]), request), Failed)
    assert notices(context) == []
    sandbox.slack.outage.status = None
    assert work(context_at(context, reminders_at(request)[0]), request) == Rescheduled()
    assert len(notices(context)) == 1


def test_a_reminder_of_what_is_no_longer_set_so_makes_it_void(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    request, _ = create_request(*inside)
    elsewhere = replace(context, projects={})
    work(context_at(elsewhere, reminders_at(request)[0]), request)
    assert stored(context, request).state is State.VOID


def test_what_cannot_be_told_to_a_requester_who_left_is_dropped_and_in_the_audit(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    request, _ = create_request(*inside)
    del sandbox.workspace.users[ALICE]
    with context.store.write() as connection:
        outbox.add_notice(connection, Notice(Delivery.DIRECT, ALICE, "hello", request.id), context.now())
    with context.store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.notices), context.owner, context.now(), 1)
    assert send_notice(context, claim) == Rescheduled()
    with context.store.read() as connection:
        assert queue.next_due(connection, [Queue(tables.notices)]) == {}
    with context.store.read() as connection:
        events = connection.execute(select(tables.audit.c.event)).scalars().all()
    assert "notice.not_sent" in events
