"""A vote that was written down stays so, whatever happens to what comes after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.request.model import State
from bot.sandbox.oms_server import Answer
from bot.sandbox.slack import world as w
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from bot.store import requests, tables
from bot.store.inbox import Kind, Message
from bot.work import release, vote
from bot.work.caller import KeyRests
from bot.work.tools import Tools
from tests.support.inside import asked, at, follow_once, press, taken, tools_of
from tests.support.story import starts


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools


def approval(request_id: str, card: Posted) -> Message:
    return Message(Kind.APPROVE, "1", w.CAROL, w.TEAM_ID, card.channel, request_id=request_id, message_ts=card.ts)


def is_claimed(tools: Tools, request_id: str) -> bool:
    with tools.store.read() as connection:
        query = select(tables.requests.c.claimed_by).where(tables.requests.c.id == request_id)
        return connection.execute(query).scalar() is not None


@pytest.mark.parametrize("fault", [RuntimeError("a fault"), requests.Stale("R-00000001")])
def test_a_release_that_fails_leaves_the_request_free_for_the_loop(
    inside: tuple[Town, Tools], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    _, tools = inside
    request, card = asked(*inside)
    claimed: list[bool] = []

    def fail(*_: object) -> None:
        claimed.append(is_claimed(tools, request.id))
        raise fault

    monkeypatch.setattr(release, "advance", fail)
    message = approval(request.id, card)
    taken(tools, message)
    if isinstance(fault, requests.Stale):
        vote.work(tools, message)  # somebody else was quicker: no fault of this person's
    else:
        with pytest.raises(RuntimeError):
            vote.work(tools, message)
    assert claimed == [True]
    assert not is_claimed(tools, request.id)
    with tools.store.read() as connection:
        approved = requests.get(connection, request.id)
    assert approved is not None
    assert approved.state is State.APPROVED


def test_who_retries_what_was_to_start_at_a_time_wakes_the_key(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    start_at = tools.now() + timedelta(hours=1)
    request, card = asked(town, tools, start_at=start_at)
    assert press(tools, Kind.APPROVE, w.CAROL, request, card).state is State.APPROVED
    assert starts(town) == [], "not before its time"
    then = at(tools, start_at)
    town.oms.fault("show", Answer(401, "APIG.0301"))
    assert follow_once(then, request.id).state is State.NOT_STARTED
    with pytest.raises(KeyRests):
        tools.callers.call("media", lambda oms: oms.show(request.group.group_id))
    assert press(then, Kind.RETRY, w.CAROL, request, card).state is State.ACCEPTED
    assert [call.status for call in starts(town)] == [200]
