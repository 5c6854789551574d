"""Whoever can still decide is reminded twice and then left alone; what can no longer be decided is said."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.redaction import Secret
from bot.request.model import Policy, Request, State
from bot.request.next_step import reminders_at
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.slack.people import People
from bot.slack.transport import new_client
from bot.store import claims, outbox, requests, tables
from bot.store.claims import Share
from bot.store.outbox import Notice, Way
from bot.work import follow, remind
from bot.work.loop import Failed, Kept, Result
from bot.work.notices import work_on_notice
from bot.work.quorum import out_of_reach
from bot.work.tools import Tools
from tests.support.inside import asked, at, tools_of


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town(settings="approvals = 2")
    with tools_of(town) as tools:
        yield town, tools


def work(tools: Tools, request: Request) -> Result:
    """One look at the request, as the loop takes it."""
    with tools.store.write() as connection:
        assert claims.claim_one(connection, tables.requests, request.id, tools.owner)
    claim = claims.Claim(tables.requests.name, request.id, 0)
    result = follow.work(tools, claim)
    with tools.store.write() as connection:
        claims.release(connection, claim, tools.owner)
    return result


def stored(tools: Tools, request: Request) -> Request:
    with tools.store.read() as connection:
        found = requests.get(connection, request.id)
    assert found is not None
    return found


def notices(tools: Tools) -> list[Notice]:
    with tools.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id).order_by(tables.notices.c.id)).scalars().all()
        return [outbox.get_notice(connection, number)[0] for number in numbers]


def test_the_thread_is_reminded_twice_and_the_card_is_left_as_it_is(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    request, _ = asked(*inside)
    half, last = reminders_at(request)
    work(at(tools, half - timedelta(seconds=1)), request)
    assert notices(tools) == []
    for _ in range(3):
        work(at(tools, half), request)
    [first] = notices(tools)
    assert (first.way, first.request_id) == (Way.THREAD, request.id)
    assert f"Still missing: 2 of <@{w.CAROL}>, <!subteam^{w.APPROVERS_GROUP}>" in first.text
    for _ in range(3):
        work(at(tools, last), request)
    [_, second] = notices(tools)
    assert second.text.startswith(f"<@{w.ALICE}>: this is still not decided")
    assert "subteam" not in second.text, "nobody is rung twice"
    assert stored(tools, request).version == request.version, "no edit of a card that would read the same"
    work(at(tools, request.expires_at), request)
    assert stored(tools, request).state is State.EXPIRED


def test_who_slept_through_half_time_is_reminded_once(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    request, _ = asked(*inside)
    late = at(tools, reminders_at(request)[1])
    work(late, request)
    work(late, request)
    assert len(notices(tools)) == 1
    assert stored(tools, request).reminders == 2


def test_a_reminder_that_comes_too_late_is_none(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    request, _ = asked(*inside)
    claim = claims.Claim(tables.requests.name, request.id, 0)
    half = at(tools, reminders_at(request)[0])
    for _ in range(2):  # as two replicas may, of which one has lost its lease
        assert remind.work(half, request, claim) == Kept()
    assert len(notices(tools)) == 1


def test_where_there_is_no_card_no_thread_is_reminded_and_the_requester_is_told_all_the_same(
    inside: tuple[Town, Tools],
) -> None:
    town, tools = inside
    request, card = asked(*inside)
    with tools.store.write() as connection:
        outbox.card_shown(connection, outbox.Card(request.id, card.channel, None, None, 0), None)
    half, last = reminders_at(request)
    work(at(tools, half), request)
    assert notices(tools) == []
    town.workspace.users[w.DAVE]["deleted"] = True
    work(at(tools, last), request)
    [notice] = notices(tools)
    assert (notice.way, notice.address) == (Way.DIRECT, w.ALICE)


def test_who_must_approve_alone_and_gave_no_reason_is_no_quorum(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    alone = Policy(("*",), ((w.ALICE,),), self_approval=True)
    assert out_of_reach(tools, alone, alone, w.ALICE, "network is back") == ()
    assert out_of_reach(tools, alone, alone, w.ALICE, "  ") == alone.places


def test_when_too_few_approvers_are_left_the_requester_is_told_instead(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside)
    town.workspace.users[w.DAVE]["deleted"] = True
    work(at(tools, reminders_at(request)[0]), request)
    [notice] = notices(tools)
    assert (notice.way, notice.address) == (Way.DIRECT, w.ALICE)
    assert "nobody is left" in notice.text
    assert "bot.toml" in notice.text
    work_on_notice(tools, claims.Claim(tables.notices.name, 1, 0))
    [told] = town.workspace.told(w.ALICE)
    assert card.ts.replace(".", "") in told


def test_while_slack_cannot_be_asked_nobody_is_told_that_nobody_is_left(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    # As if some seconds had passed between one look and the next: a failure is remembered for so long.
    seconds = itertools.count(step=10)
    client = new_client(Secret(w.BOT_TOKEN), town.slack.api_url)
    people = People(client, w.TEAM_ID, [w.APPROVERS_GROUP], lambda: float(next(seconds)))
    tools = replace(tools, people=people)
    request, _ = asked(*inside)
    town.slack.outage.status = 500
    assert isinstance(work(at(tools, reminders_at(request)[0]), request), Failed)
    assert notices(tools) == []
    town.slack.outage.status = None
    assert work(at(tools, reminders_at(request)[0]), request) == Kept()
    assert len(notices(tools)) == 1


def test_a_reminder_of_what_is_no_longer_set_so_makes_it_void(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    request, _ = asked(*inside)
    elsewhere = replace(tools, projects={})
    work(at(elsewhere, reminders_at(request)[0]), request)
    assert stored(tools, request).state is State.VOID


def test_what_cannot_be_told_to_a_requester_who_left_is_dropped_and_in_the_audit(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, _ = asked(*inside)
    del town.workspace.users[w.ALICE]
    with tools.store.write() as connection:
        outbox.add_notice(connection, Notice(Way.DIRECT, w.ALICE, "hello", request.id), tools.now())
    with tools.store.write() as connection:
        [claim] = claims.claim_due(connection, Share(tables.notices), tools.owner, tools.now(), 1)
    assert work_on_notice(tools, claim) == Kept()
    with tools.store.read() as connection:
        assert claims.next_due(connection, [Share(tables.notices)]) == {}
    with tools.store.read() as connection:
        events = connection.execute(select(tables.audit.c.event)).scalars().all()
    assert "notice not sent" in events
