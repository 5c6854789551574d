"""Whoever could have approved hears, once, that a requester approved alone; nobody else does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.jobs import inbox_dispatcher
from bot.jobs.context import Context
from bot.jobs.decide import self_approval
from bot.jobs.worker import Failed, Result
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, CAROL, DAVE, ERIN, FRANK, GRACE
from bot.sandbox.system import Sandbox
from bot.store import outbox, queue, tables
from bot.store.audit import rows
from bot.store.inbox import Kind
from bot.store.outbox import Delivery
from bot.store.queue import Claim, Queue
from tests.support.in_process import context_at, context_of, create_request, press_button


@pytest.fixture
def inside(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(settings="self_approval = true")
    # bob is asked by his id and as a member; erin is a guest, frank has left, grace is of another organisation.
    sandbox.workspace.groups[APPROVERS_GROUP] = [ALICE, BOB, DAVE, ERIN, FRANK, GRACE]
    with context_of(sandbox) as context:
        yield sandbox, context


def work_off(context: Context) -> list[Claim]:
    """What is due in the inbox is worked on until nothing is left but what failed; that."""
    context = context_at(context, context.now())
    failed: list[Claim] = []
    while True:
        with context.store.write() as connection:
            due = queue.claim_due(connection, Queue(tables.inbox), context.owner, context.now(), 10)
        if not due:
            return failed
        for claim in due:
            result: Result = inbox_dispatcher.handle_message(context, claim)
            with context.store.write() as connection:
                if isinstance(result, Failed):
                    failed.append(claim)
                    queue.postpone(connection, claim, context.owner, result.due_at)
                else:
                    queue.finish(connection, claim, context.owner)


def told(context: Context) -> list[str]:
    with context.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id)).scalars().all()
        notices = [outbox.get_notice(connection, number)[0] for number in numbers]
    return sorted(one.address for one in notices if one.delivery is Delivery.DIRECT and "Break-glass" in one.text)


def events(context: Context, what: str) -> list[dict[str, object]]:
    with context.store.read() as connection:
        return [json.loads(link.detail) for link in rows(connection) if link.event == what]


def approve_alone(sandbox: Sandbox, context: Context) -> None:
    made, posted = create_request(sandbox, context)
    assert press_button(context, Kind.APPROVE, ALICE, made, posted).decision is not None


def test_full_members_who_could_approve_are_told_and_guests_are_not(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    approve_alone(*inside)
    assert told(context) == [], "a vote waits for nobody to be looked up"
    assert work_off(context) == []
    assert told(context) == sorted([BOB, CAROL, DAVE])
    assert sorted(str(one["person"]) for one in events(context, "vote.self_approval_notified")) == told(context)
    assert len(events(context, "vote.self_approved")) == 1


def test_while_slack_tells_nothing_it_is_tried_again_and_nobody_is_told_twice(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    approve_alone(*inside)
    sandbox.slack.outage.answers["users.info"] = [500, 500]
    failed = work_off(context)
    assert len(failed) == 2
    assert told(context) == [DAVE]
    later = context_at(context, context.now() + timedelta(minutes=1))
    assert work_off(later) == []
    with context.store.write() as connection:
        # As when the bot is killed behind the last line of its work: every row is worked on once more.
        left = tables.inbox.c.kind.in_(self_approval.KINDS)
        connection.execute(tables.inbox.update().where(left).values(due_at=context.now()))
    assert work_off(later) == []
    assert told(context) == sorted([BOB, CAROL, DAVE])


def test_who_cannot_be_looked_up_for_a_day_is_given_up_and_that_is_in_the_audit(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    approve_alone(*inside)
    sandbox.slack.outage.answers["users.info"] = [500] * 50
    assert len(work_off(context)) == 6
    assert work_off(context_at(context, context.now() + self_approval.TELL_WITHIN)) == []
    assert told(context) == []
    assert {one["code"] for one in events(context, "notice.not_sent")} == {"Slack cannot be asked"}
