"""Everybody who could have approved is notified once of a self approval, and nobody else is."""

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
def place(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(settings="self_approval = true")
    # bob is named by id and is in the group. erin is a guest, frank has left, grace is of another organization.
    sandbox.workspace.groups[APPROVERS_GROUP] = [ALICE, BOB, DAVE, ERIN, FRANK, GRACE]
    with context_of(sandbox) as context:
        yield sandbox, context


def handle_due(context: Context) -> list[Claim]:
    """Handles the messages that are due until only failed ones are left, and returns the claims of these."""
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


def notified(context: Context) -> list[str]:
    with context.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id)).scalars().all()
        notices = [outbox.get_notice(connection, number)[0] for number in numbers]
    return sorted(
        notice.address for notice in notices if notice.delivery is Delivery.DIRECT and "Break-glass" in notice.text
    )


def details(context: Context, event: str) -> list[dict[str, object]]:
    with context.store.read() as connection:
        return [json.loads(link.detail) for link in rows(connection) if link.event == event]


def approve_alone(sandbox: Sandbox, context: Context) -> None:
    made, posted = create_request(sandbox, context)
    assert press_button(context, Kind.APPROVE, ALICE, made, posted).decision is not None


def test_full_members_who_could_approve_are_notified_and_guests_are_not(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    approve_alone(*place)
    assert notified(context) == [], "the vote waits for no lookup"
    assert handle_due(context) == []
    assert notified(context) == sorted([BOB, CAROL, DAVE])
    recorded = details(context, "vote.self_approval_notified")
    assert sorted(str(detail["person"]) for detail in recorded) == notified(context)
    assert len(details(context, "vote.self_approved")) == 1


def test_a_failed_lookup_is_tried_again_and_nobody_is_notified_twice(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    approve_alone(*place)
    sandbox.slack.outage.answers["users.info"] = [500] * 4  # each lookup is repeated once
    failed = handle_due(context)
    assert len(failed) == 2
    assert notified(context) == [DAVE]
    later = context_at(context, context.now() + timedelta(minutes=1))
    assert handle_due(later) == []
    with context.store.write() as connection:
        # As after a kill before the rows were finished: every message is handled again.
        is_notification = tables.inbox.c.kind.in_(self_approval.KINDS)
        connection.execute(tables.inbox.update().where(is_notification).values(due_at=context.now()))
    assert handle_due(later) == []
    assert notified(context) == sorted([BOB, CAROL, DAVE])


def test_a_person_who_cannot_be_looked_up_for_a_day_is_given_up_and_recorded(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    approve_alone(*place)
    sandbox.slack.outage.answers["users.info"] = [500] * 50
    assert len(handle_due(context)) == 6
    assert handle_due(context_at(context, context.now() + self_approval.NOTIFY_WITHIN)) == []
    assert notified(context) == []
    assert {detail["code"] for detail in details(context, "notice.not_sent")} == {"Slack cannot be asked"}
