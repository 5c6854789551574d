"""A notice is sent, or given up, and done with in one step; what cannot be sent keeps nothing else waiting for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.store import claims, outbox, tables
from bot.store.claims import Claim, Share
from bot.store.outbox import Notice, Way
from bot.work.loop import Failed, Kept
from bot.work.notices import NOTICES_WAIT_FOR, work_on_notice
from bot.work.tools import Tools
from tests.support.inside import asked, at, tools_of


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools


def leave(tools: Tools, *notices: Notice) -> None:
    with tools.store.write() as connection:
        for notice in notices:
            outbox.add_notice(connection, notice, tools.now())


def claim_due(tools: Tools) -> list[Claim]:
    with tools.store.write() as connection:
        return claims.claim_due(connection, Share(tables.notices), tools.owner, tools.now(), 10)


def send_due(tools: Tools) -> None:
    """Sends what is due by now, as the loop does, until nothing is left but what failed."""
    tools = at(tools, tools.now())
    while found := claim_due(tools):
        for claim in found:
            result = work_on_notice(tools, claim)
            with tools.store.write() as connection:
                if isinstance(result, Failed):
                    claims.postpone(connection, claim, tools.owner, result.due_at)
                else:
                    claims.release(connection, claim, tools.owner)


def left(tools: Tools) -> list[tuple[str, str, datetime | None]]:
    """Of every notice its text, its address, and when it is due."""
    columns = (tables.notices.c.text, tables.notices.c.address, tables.notices.c.due_at)
    with tools.store.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(tables.notices.c.id))]


def told_of(tools: Tools) -> list[str]:
    with tools.store.read() as connection:
        return list(connection.execute(select(tables.audit.c.event)).scalars())


def answer(town: Town, text: str = "hello") -> Notice:
    return Notice(Way.ANSWER, f"{town.slack.answer_url(w.ALICE, w.MIGRATIONS)} {w.ALICE}", text)


def test_an_answer_is_done_with_when_its_address_is_forgotten(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    leave(tools, answer(town))
    [claim] = claim_due(tools)
    # Nothing after this is written down: the bot is killed.
    assert work_on_notice(tools, claim) == Kept()
    assert left(tools) == [("hello", "", None)]
    assert town.workspace.told(w.ALICE) == ["hello"]


def test_an_answer_whose_address_is_forgotten_was_sent(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    leave(tools, Notice(Way.ANSWER, "", "hello"))
    send_due(tools)
    assert left(tools) == [("hello", "", None)]
    assert town.workspace.told(w.ALICE) == []
    assert told_of(tools) == []


def test_an_answer_that_was_given_up_keeps_no_address_either(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    leave(tools, answer(town))
    send_due(at(tools, tools.now() + NOTICES_WAIT_FOR + timedelta(seconds=1)))
    assert left(tools) == [("hello", "", None)]
    assert told_of(tools) == ["notice not sent"]


def test_a_line_that_slack_refuses_is_given_up_and_the_thread_goes_on(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(town, tools)
    for text in ("x" * 40_001, "moving", "done"):
        leave(tools, Notice(Way.THREAD, "", text, request.id))
    send_due(tools)
    assert [one.text for one in town.workspace.of(w.MIGRATIONS, card.ts)] == ["moving", "done"]
    assert told_of(tools) == ["asked", "notice not sent"]


def test_a_line_that_never_gets_through_holds_its_thread_for_a_day_at_most_and_no_other(
    inside: tuple[Town, Tools],
) -> None:
    town, tools = inside
    (stuck, stuck_card), (other, other_card) = asked(town, tools, 1), asked(town, tools, 2)
    leave(tools, Notice(Way.THREAD, "", "never", stuck.id))
    town.slack.outage.answers["chat.postMessage"] = [500]
    send_due(tools)
    later = at(tools, tools.now() + NOTICES_WAIT_FOR - timedelta(minutes=1))
    leave(later, Notice(Way.THREAD, "", "later", stuck.id), Notice(Way.THREAD, "", "of another", other.id))
    town.slack.outage.answers["chat.postMessage"] = [500]
    send_due(later)
    assert town.workspace.of(w.MIGRATIONS, stuck_card.ts) == []
    assert [one.text for one in town.workspace.of(w.MIGRATIONS, other_card.ts)] == ["of another"]
    send_due(at(tools, later.now() + timedelta(minutes=2)))
    assert [one.text for one in town.workspace.of(w.MIGRATIONS, stuck_card.ts)] == ["later"]
    assert told_of(tools).count("notice not sent") == 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_line_that_waits_is_followed_by_the_later_ones_in_their_order(
    inside: tuple[Town, Tools], status: int
) -> None:
    town, tools = inside
    request, card = asked(town, tools)
    leave(tools, *(Notice(Way.THREAD, "", text, request.id) for text in ("approved", "accepted", "moving")))
    town.slack.outage.answers["chat.postMessage"] = [status]
    send_due(tools)
    assert town.workspace.of(w.MIGRATIONS, card.ts) == []
    send_due(at(tools, tools.now() + timedelta(minutes=5)))
    assert [one.text for one in town.workspace.of(w.MIGRATIONS, card.ts)] == ["approved", "accepted", "moving"]
