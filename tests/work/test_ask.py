"""One message asks once for each group, whatever kills the bot and whatever becomes of the request meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from bot.request.model import Request, State
from bot.sandbox.oms_world import NIGHTLY_IMAGES, PAUSED
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.store import outbox, requests, tables
from bot.store.inbox import Kind, Message
from bot.work import ask, preflight
from bot.work.tools import Tools
from tests.support.inside import press, taken, tools_of

PAUSING = 7


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
