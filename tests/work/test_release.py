"""Between the approval and the PUT nothing goes out that is no longer wanted, and what was read is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.request.model import AttemptState, Request, State
from bot.sandbox import oms_world as ow
from bot.sandbox.oms_server import Answer, Drop, Raw
from bot.sandbox.slack import world as w
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from bot.store import requests, tables
from bot.store.audit import links
from bot.store.inbox import Kind
from bot.work.caller import Callers
from bot.work.tools import Tools
from tests.support.inside import asked, at, follow_once, press, shown, tools_of
from tests.support.story import starts
from tests.support.values import GROUP


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools


def late_from(tools: Tools, request: Request, attempt_state: AttemptState, late_by: timedelta) -> Tools:
    """Time stands still until the attempt is there, and then has passed, as for a process that was stopped."""
    begun = tools.now()

    def now() -> datetime:
        with tools.store.read() as connection:
            query = select(tables.attempts.c.state).where(tables.attempts.c.request_id == request.id)
            state = connection.execute(query).scalar()
        return begun + late_by if state == attempt_state else begun

    return replace(tools, now=now)


def events(tools: Tools, request: Request) -> list[str]:
    with tools.store.read() as connection:
        return [link.event for link in links(connection, request.id)]


def approve(tools: Tools, request: Request, card: Posted) -> Request:
    return press(tools, Kind.APPROVE, w.CAROL, request, card)


def test_a_bot_that_was_held_up_before_the_call_does_not_send_it(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside)
    after = approve(late_from(tools, request, AttemptState.SENDING, timedelta(seconds=11)), request, card)
    assert starts(town) == []
    assert after.state is State.APPROVED
    assert events(tools, request)[-2:] == ["sending", "not sent, tried again"]
    assert "The bot was held up before it could call OMS. Nothing was started." in shown(tools, card, request.id)
    follow_once(at(tools, tools.now() + timedelta(seconds=17)), request.id)
    assert len(starts(town)) == 1


def test_an_approval_that_ran_out_while_keys_were_read_sends_nothing(
    inside: tuple[Town, Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, tools = inside
    request, card = asked(*inside)
    clock = {"late": timedelta()}
    slow = replace(tools, now=lambda: tools.now() + clock["late"])
    open_release = tools.vault.open_release

    def opened_late() -> object:
        clock["late"] = timedelta(hours=8)
        return open_release()

    monkeypatch.setattr(tools.vault, "open_release", opened_late)
    approve(slow, request, card)
    assert starts(town) == []
    assert events(tools, request)[-2:] == ["vault opened", "vault closed"]
    assert follow_once(slow, request.id).state is State.LAPSED


def test_an_identity_of_another_project_is_not_used_for_what_was_approved(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside)
    media = {"media": tools.projects["media"].model_copy(update={"project_id": None})}
    left_to_iam = replace(tools, projects=media, callers=Callers(tools.vault, media, tools.store, tools.now))
    elsewhere = {"projects": [{"id": "f" * 32, "name": ow.REGION}]}
    town.oms.fault("projects", Raw(200, json.dumps(elsewhere).encode(), {"Content-Type": "application/json"}))
    after = approve(left_to_iam, request, card)
    assert after.state is State.NOT_STARTED
    assert "is of another Huawei Cloud project than before. Nothing was started." in shown(tools, card, request.id)
    assert [call for call in town.journal.since() if call.service == "oms"] == []


@pytest.mark.parametrize("fault", [Answer(429, "APIG.0308"), Answer(503, "APIG.0202"), Drop(done=False)])
def test_oms_that_cannot_be_asked_how_the_group_stands_is_asked_again(
    inside: tuple[Town, Tools], fault: Answer | Drop
) -> None:
    town, tools = inside
    request, card = asked(*inside)
    town.oms.fault("show", fault)
    after = approve(tools, request, card)
    assert after.attempt is not None
    assert (after.state, after.attempt.tries) == (State.APPROVED, 1)
    follow_once(at(tools, tools.now() + timedelta(seconds=6)), request.id)
    assert len(starts(town)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"source": replace(GROUP.source, bucket="other-bucket")},
        {"destination": replace(GROUP.destination, bucket="other-archive")},
        {"overwrite_mode": "FULL_OVERWRITE"},
        {"restores_archives": True},
    ],
)
def test_a_group_that_moves_something_else_than_was_approved_is_not_started(
    inside: tuple[Town, Tools], change: dict[str, object]
) -> None:
    town, tools = inside
    request, card = asked(*inside)
    # What OMS shows now is as before; it is the approved one that was otherwise.
    other = replace(request, group=replace(request.group, **change))  # type: ignore[arg-type]
    with tools.store.write() as connection:
        requests.save(connection, request, other, tools.now())
    after = approve(tools, other, card)
    assert (after.state, starts(town)) == (State.VOID, [])
    assert "no longer moves what was approved" in shown(tools, card, request.id)
    assert "vault opened" not in events(tools, request)


def test_what_was_said_of_the_call_outlives_what_is_said_of_later_looks(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside)
    town.oms.fault("start", Answer(400, "OMS.1039", "Not paused"))
    assert approve(tools, request, card).state is State.UNKNOWN
    for tries in range(3):
        town.oms.fault("show", Answer(503, "APIG.0202", "Backend unavailable"))
        follow_once(at(tools, tools.now() + timedelta(seconds=4 * tries + 4)), request.id, tries)
    said = shown(tools, card, request.id)
    assert "OMS.1039" in said
    assert "cannot see how the group gets on" in said
    after = follow_once(at(tools, tools.now() + timedelta(seconds=70)), request.id)
    assert after.state is State.NOT_STARTED
    assert after.trouble is not None
    assert after.trouble.code == "OMS.1039"
