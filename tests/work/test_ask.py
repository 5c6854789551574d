"""One message asks once for each group, whatever kills the bot and whatever becomes of the request meanwhile.

Where nobody is asked, the audit says of which project: so it counts as activity there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from bot.request.model import Request, State
from bot.sandbox.oms_demo import LEDGERS, NIGHTLY_IMAGES, an
from bot.sandbox.oms_world import PAUSED
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.store import audit, outbox, requests, tables
from bot.store.inbox import Kind, Message
from bot.work import ask, preflight
from bot.work.tools import Tools
from tests.support.inside import press, taken, tools_of

PAUSING = 7
UNKNOWN, DONE = "9f9f9f9f-0000-4000-8000-000000000001", an(3)


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools


class Killed(BaseException):
    """As kill -9: nothing catches it."""


def typed(key: str = "trigger-1") -> Message:
    return Message(Kind.ASK, key, w.ALICE, w.TEAM_ID, "C0TEST0001", text=f"{NIGHTLY_IMAGES} network is back")


def killed_before_its_answer(tools: Tools, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ask, "reply", die)
        with pytest.raises(Killed):
            ask.ask(tools, message)


def all_requests(tools: Tools) -> list[Request]:
    with tools.store.read() as connection:
        ids = connection.execute(select(tables.requests.c.id)).scalars().all()
        return [found for found in (requests.get(connection, one) for one in ids) if found is not None]


def denied(town: Town, tools: Tools) -> Request:
    [made] = all_requests(tools)
    [card] = town.workspace.of(w.MIGRATIONS)
    return press(tools, Kind.DENY, w.CAROL, made, card, text="not today")


def answers(tools: Tools) -> list[str]:
    with tools.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id).order_by(tables.notices.c.id)).scalars().all()
        notices = [outbox.get_notice(connection, number)[0] for number in numbers]
    return [notice.text for notice in notices if notice.address == w.ALICE]


def test_what_was_denied_before_it_was_answered_is_not_asked_again_by_the_same_message(
    inside: tuple[Town, Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, tools = inside
    message = typed()
    taken(tools, message)
    killed_before_its_answer(tools, message, monkeypatch)
    ended = denied(town, tools)
    ask.ask(tools, message)
    assert [(one.id, one.state) for one in all_requests(tools)] == [(ended.id, State.DENIED)]
    answer = answers(tools)[-1]
    [card] = town.workspace.of(w.MIGRATIONS)
    assert answer.startswith(f"{ended.id}: Denied")
    assert card.ts.replace(".", "") in answer
    again = typed("trigger-2")
    taken(tools, again)
    ask.ask(tools, again)
    assert len(all_requests(tools)) == 2, "who types it once more asks once more"


def test_a_message_that_waited_for_a_group_to_pause_asks_once_as_well(
    inside: tuple[Town, Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, tools = inside
    message = typed()
    taken(tools, message)
    town.world.groups[NIGHTLY_IMAGES].status = PAUSING
    killed_before_its_answer(tools, message, monkeypatch)
    town.world.groups[NIGHTLY_IMAGES].status = PAUSED
    waits = Message(Kind.ASK_ONCE_PAUSED, f"trigger-1/{NIGHTLY_IMAGES}", w.ALICE, w.TEAM_ID, text=message.text)
    assert ask.ask_once_paused(tools, waits, tools.now())
    denied(town, tools)
    ask.ask(tools, message)
    assert [one.state for one in all_requests(tools)] == [State.DENIED]


def test_of_two_who_work_on_one_message_at_once_one_asks(
    inside: tuple[Town, Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, tools = inside
    message = typed()
    taken(tools, message)
    check_keys = preflight.check_keys

    def meanwhile(*arguments: Any) -> object:
        # The other is quicker, by a whole request, and carol has denied it.
        monkeypatch.setattr(preflight, "check_keys", check_keys)
        killed_before_its_answer(tools, message, monkeypatch)
        denied(town, tools)
        return check_keys(*arguments)

    monkeypatch.setattr(preflight, "check_keys", meanwhile)
    ask.ask(tools, message)
    assert [one.state for one in all_requests(tools)] == [State.DENIED]
    assert "Denied" in answers(tools)[-1]


@pytest.fixture
def of_two(new_town: Callable[..., Town]) -> Iterator[Tools]:
    with tools_of(new_town(projects=2)) as tools:
        yield tools


@pytest.fixture
def of_one(new_town: Callable[..., Town]) -> Iterator[Tools]:
    with tools_of(new_town()) as tools:
        yield tools


def not_asked(tools: Tools, text: str, person: str = w.ALICE) -> dict[str, object]:
    """What the audit says of a message by which nobody is asked."""
    message = Message(Kind.ASK, text, person, w.TEAM_ID, w.MIGRATIONS, text=text)
    taken(tools, message)
    ask.ask(tools, message)
    with tools.store.read() as connection:
        [row] = connection.execute(select(tables.audit.c.event, tables.audit.c.detail)).all()
    assert row.event == "not asked"
    detail: dict[str, object] = json.loads(row.detail)
    return detail


def activity(tools: Tools) -> dict[str, int]:
    with tools.store.read() as connection:
        return {name: audit.count_of_project(connection, name, 0, 9) for name in tools.projects}


def test_a_group_that_cannot_be_asked_for_counts_in_the_project_that_it_is_in(of_two: Tools) -> None:
    detail = not_asked(of_two, f"{DONE} why not")
    assert (detail["groups"], detail["project"]) == ([DONE], "media")
    assert activity(of_two) == {"media": 1, "archive": 0}


def test_a_group_that_is_nowhere_counts_in_the_one_project_where_it_was_looked_for(of_two: Tools) -> None:
    assert not_asked(of_two, f"{NIGHTLY_IMAGES} project=archive")["project"] == "archive"
    assert activity(of_two) == {"media": 0, "archive": 1}


def test_a_group_that_is_in_none_of_several_projects_counts_in_none(of_two: Tools) -> None:
    assert "project" not in not_asked(of_two, UNKNOWN)
    assert activity(of_two) == {"media": 0, "archive": 0}


def test_who_names_a_project_and_may_not_ask_there_counts_there(of_one: Tools) -> None:
    assert not_asked(of_one, f"{NIGHTLY_IMAGES} project=media", w.ERIN)["project"] == "media"
    assert activity(of_one) == {"media": 1}


def test_a_name_that_is_no_project_is_not_taken_for_one(of_one: Tools) -> None:
    assert "project" not in not_asked(of_one, f"{LEDGERS} project=nowhere")
