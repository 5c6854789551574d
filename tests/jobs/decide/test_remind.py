"""A pending request is reminded of twice; the requester is told if it can no longer be approved."""

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
def place(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(settings="approvals = 2")
    with context_of(sandbox) as context:
        yield sandbox, context


def advance(context: Context, request: Request) -> Result:
    """Claims the request, takes its next step and releases it, as the worker does."""
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


def test_two_reminders_are_posted_and_the_card_is_not_updated(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    request, _ = create_request(*place)
    half, last = reminders_at(request)
    advance(context_at(context, half - timedelta(seconds=1)), request)
    assert notices(context) == []
    for _ in range(3):
        advance(context_at(context, half), request)
    [first] = notices(context)
    assert (first.delivery, first.request_id) == (Delivery.THREAD, request.id)
    assert f"Still waiting for 2 approvals from <@{CAROL}> or <!subteam^{APPROVERS_GROUP}>" in first.text
    for _ in range(3):
        advance(context_at(context, last), request)
    [_, second] = notices(context)
    assert second.text.startswith(f"<@{ALICE}>, your request isn't approved yet")
    assert "subteam" not in second.text, "the group is mentioned once"
    assert stored(context, request).version == request.version, "the card shows no reminders"
    advance(context_at(context, request.expires_at), request)
    assert stored(context, request).state is State.EXPIRED


def test_one_reminder_is_posted_if_the_first_was_missed(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    request, _ = create_request(*place)
    late = context_at(context, reminders_at(request)[1])
    advance(late, request)
    advance(late, request)
    assert len(notices(context)) == 1
    assert stored(context, request).reminders == 2


def test_a_reminder_that_another_worker_has_posted_is_not_posted_again(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    request, _ = create_request(*place)
    claim = queue.Claim(tables.requests.name, request.id, 0)
    half = context_at(context, reminders_at(request)[0])
    for _ in range(2):  # as by two replicas, of which one has lost its lease
        assert remind.remind(half, request, claim) == Rescheduled()
    assert len(notices(context)) == 1


def test_without_a_posted_card_there_is_no_reminder_and_the_requester_is_still_told(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    request, card = create_request(*place)
    with context.store.write() as connection:
        outbox.save_card(connection, outbox.Card(request.id, card.channel, None, None, 0), None)
    half, last = reminders_at(request)
    advance(context_at(context, half), request)
    assert notices(context) == []
    sandbox.workspace.users[DAVE]["deleted"] = True
    # Hours later, no answer of Slack is recent.
    client = new_client(Secret(BOT_TOKEN), sandbox.slack.api_url)
    context = replace(context, people=Users(client, TEAM_ID, lambda: 0.0))
    advance(context_at(context, last), request)
    [notice] = notices(context)
    assert (notice.delivery, notice.address) == (Delivery.DIRECT, ALICE)


def test_a_self_approval_without_a_reason_fills_no_slot(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    alone = Policy(("*",), ((ALICE,),), self_approval=True)
    assert slots_without_candidates(context, alone, alone, ALICE, "network is back") == ()
    assert slots_without_candidates(context, alone, alone, ALICE, "  ") == alone.slots


def test_the_requester_is_told_if_too_few_approvers_are_left(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    request, card = create_request(*place)
    sandbox.workspace.users[DAVE]["deleted"] = True
    advance(context_at(context, reminders_at(request)[0]), request)
    [notice] = notices(context)
    assert (notice.delivery, notice.address) == (Delivery.DIRECT, ALICE)
    assert "and nobody can give that." in notice.text
    assert "bot.toml" in notice.text
    send_notice(context, queue.Claim(tables.notices.name, 1, 0))
    [text] = sandbox.workspace.private_texts(ALICE)
    assert card.ts.replace(".", "") in text


def test_nobody_is_told_that_approvers_are_missing_while_lookups_fail(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    # Each lookup is 10 s after the one before, because failed lookups are cached for some seconds.
    seconds = itertools.count(step=10)
    client = new_client(Secret(BOT_TOKEN), sandbox.slack.api_url)
    people = Users(client, TEAM_ID, lambda: float(next(seconds)))
    context = replace(context, people=people)
    request, _ = create_request(*place)
    sandbox.slack.outage.status = 500
    assert isinstance(advance(context_at(context, reminders_at(request)[0]), request), Failed)
    assert notices(context) == []
    sandbox.slack.outage.status = None
    assert advance(context_at(context, reminders_at(request)[0]), request) == Rescheduled()
    assert len(notices(context)) == 1


def test_a_request_whose_plan_has_changed_becomes_void_at_a_reminder(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    request, _ = create_request(*place)
    without_project = replace(context, projects={})
    advance(context_at(without_project, reminders_at(request)[0]), request)
    assert stored(context, request).state is State.VOID


def test_a_notice_to_a_requester_who_has_left_is_given_up_and_recorded(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    request, _ = create_request(*place)
    del sandbox.workspace.users[ALICE]
    with context.store.write() as connection:
        outbox.add_notice(connection, Notice(Delivery.DIRECT, ALICE, "hello", request.id), context.now())
    with context.store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.notices), context.owner, context.now(), 1)
    assert send_notice(context, claim) == Rescheduled()
    with context.store.read() as connection:
        assert queue.next_due(connection, context.now(), [Queue(tables.notices)]) == {}
    with context.store.read() as connection:
        events = connection.execute(select(tables.audit.c.event)).scalars().all()
    assert "notice.not_sent" in events
