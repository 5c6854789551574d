"""Whoever could have approved hears, once, that a requester approved alone; nobody else does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.store import claims, outbox, tables
from bot.store.audit import links
from bot.store.claims import Claim, Share
from bot.store.inbox import Kind
from bot.store.outbox import Way
from bot.work import break_glass, intake
from bot.work.loop import Failed, Result
from bot.work.tools import Tools
from tests.support.inside import asked, at, press, tools_of


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town(settings="self_approval = true")
    # bob is asked by his id and as a member; erin is a guest, frank has left, grace is of another organisation.
    town.workspace.groups[w.APPROVERS_GROUP] = [w.ALICE, w.BOB, w.DAVE, w.ERIN, w.FRANK, w.GRACE]
    with tools_of(town) as tools:
        yield town, tools


def work_off(tools: Tools) -> list[Claim]:
    """What is due in the inbox is worked on until nothing is left but what failed; that."""
    tools = at(tools, tools.now())
    failed: list[Claim] = []
    while True:
        with tools.store.write() as connection:
            due = claims.claim_due(connection, Share(tables.inbox), tools.owner, tools.now(), 10)
        if not due:
            return failed
        for claim in due:
            result: Result = intake.work(tools, claim)
            with tools.store.write() as connection:
                if isinstance(result, Failed):
                    failed.append(claim)
                    claims.postpone(connection, claim, tools.owner, result.due_at)
                else:
                    claims.finish(connection, claim, tools.owner)


def told(tools: Tools) -> list[str]:
    with tools.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id)).scalars().all()
        notices = [outbox.get_notice(connection, number)[0] for number in numbers]
    return sorted(one.address for one in notices if one.way is Way.DIRECT and "Break-glass" in one.text)


def events(tools: Tools, what: str) -> list[dict[str, object]]:
    with tools.store.read() as connection:
        return [json.loads(link.detail) for link in links(connection) if link.event == what]


def approve_alone(town: Town, tools: Tools) -> None:
    made, posted = asked(town, tools)
    assert press(tools, Kind.APPROVE, w.ALICE, made, posted).decision is not None


def test_full_members_who_could_approve_are_told_and_guests_are_not(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    approve_alone(*inside)
    assert told(tools) == [], "a vote waits for nobody to be looked up"
    assert work_off(tools) == []
    assert told(tools) == sorted([w.BOB, w.CAROL, w.DAVE])
    assert sorted(str(one["person"]) for one in events(tools, "told of self approval")) == told(tools)
    assert len(events(tools, "self approval")) == 1


def test_while_slack_tells_nothing_it_is_tried_again_and_nobody_is_told_twice(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    approve_alone(*inside)
    town.slack.outage.answers["users.info"] = [500, 500]
    failed = work_off(tools)
    assert len(failed) == 2
    assert told(tools) == [w.DAVE]
    later = at(tools, tools.now() + timedelta(minutes=1))
    assert work_off(later) == []
    with tools.store.write() as connection:
        # As when the bot is killed behind the last line of its work: every row is worked on once more.
        left = tables.inbox.c.kind.in_(break_glass.KINDS)
        connection.execute(tables.inbox.update().where(left).values(due_at=tools.now()))
    assert work_off(later) == []
    assert told(tools) == sorted([w.BOB, w.CAROL, w.DAVE])


def test_who_cannot_be_looked_up_for_a_day_is_given_up_and_that_is_in_the_audit(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    approve_alone(*inside)
    town.slack.outage.answers["users.info"] = [500] * 50
    assert len(work_off(tools)) == 6
    assert work_off(at(tools, tools.now() + break_glass.TELL_WITHIN)) == []
    assert told(tools) == []
    assert {one["code"] for one in events(tools, "notice not sent")} == {"Slack cannot be asked"}
