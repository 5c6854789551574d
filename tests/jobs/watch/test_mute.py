"""People who may create or approve requests in a project mute its groups, and nobody else does."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.domain.watched_group import Activity, Movement, WatchLimits, after_first_reading
from bot.jobs import inbox_dispatcher
from bot.jobs.context import Context
from bot.jobs.watch.mute import MUTED_FOR, mute_group
from bot.sandbox.slack.ids import ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, MIGRATIONS, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.slack.errors import GroupsUnknown
from bot.store import alerts, groups, outbox, tables
from bot.store.inbox import Kind, Message
from bot.ui.alert import moves_already, muted
from bot.ui.refusals import NO_SUCH_GROUP
from tests.support.alerts import RUNNING, item
from tests.support.in_process import context_at, store_message
from tests.support.values import GROUP

PRESSES = itertools.count()
TS = "1.0"


@pytest.fixture
def watched(inside: tuple[Sandbox, Context]) -> Context:
    """A project in which carol may create requests and the user group of dave approves, and two paused groups."""
    _, context = inside
    project = context.projects["media"].model_copy(update={"requesters": (CAROL,)})
    context = replace(context, projects={"media": project})
    now = context.now()
    with context.store.write() as connection:
        for number in (1, 2):
            one = item(number)
            groups.save(connection, [after_first_reading(one.key, "media", one.group, now, WatchLimits())])
        alerts.add_items(connection, "media", MIGRATIONS, [item(1), item(2)], now)
        stored = alerts.lock(connection, 1)
        assert stored is not None
        alerts.save(connection, replace(stored, ts=TS), None)
    return context


def press(
    context: Context, person: str, kind: Kind = Kind.MUTE_FOR_A_DAY, key: str = item(1).key, press: int = 0
) -> str:
    """Presses Mute, and returns the reply."""
    made = Message(kind, f"press {next(PRESSES)}", person, TEAM_ID, MIGRATIONS, group_key=key, message_ts=TS)
    inbox_dispatcher.handle_message(context, store_message(context, made))
    return newest_notice(context)


def newest_notice(context: Context) -> str:
    with context.store.read() as connection:
        number = max(connection.execute(select(tables.notices.c.id)).scalars())
        return outbox.get_notice(connection, number)[0].text


def mutes(context: Context) -> dict[str, datetime | None]:
    with context.store.read() as connection:
        return groups.mutes(connection, "media")


def shown(context: Context) -> list[str]:
    """The user ids of the people who muted each group of the alert; empty for a group that is not muted."""
    with context.store.write() as connection:
        stored = alerts.lock(connection, 1)
    assert stored is not None
    return [one.muted_by for one in stored.alert.items]


def audited(context: Context) -> list[tuple[str, str, dict[str, object]]]:
    columns = (tables.audit.c.event, tables.audit.c.actor, tables.audit.c.detail)
    with context.store.read() as connection:
        return [(event, actor, json.loads(detail)) for event, actor, detail in connection.execute(select(*columns))]


@pytest.mark.parametrize("person", [CAROL, DAVE])
def test_a_requester_or_an_approver_mutes_a_group_for_a_day(watched: Context, person: str) -> None:
    before = watched.now()
    text = press(watched, person)
    [(key, until)] = mutes(watched).items()
    assert key == item(1).key
    assert until is not None
    assert before + MUTED_FOR <= until <= watched.now() + MUTED_FOR
    assert text == muted(item(1).group, until)
    assert shown(watched) == [person, ""]
    [(event, actor, detail)] = audited(watched)
    assert (event, actor, detail["group"], detail["until"]) == (
        "group.muted",
        person,
        item(1).group.group_id,
        until.isoformat(),
    )


def test_a_group_is_muted_until_it_moves(watched: Context) -> None:
    assert press(watched, CAROL, Kind.MUTE_UNTIL_IT_MOVES) == muted(item(1).group, None)
    assert mutes(watched) == {item(1).key: None}
    assert shown(watched) == [CAROL, ""]


def test_a_group_that_moves_again_is_not_muted_until_it_moves(watched: Context) -> None:
    with watched.store.write() as connection:
        one = groups.get(connection, item(1).key)
        assert one is not None
        groups.save(connection, [replace(one, group=RUNNING, movement=Movement(Activity.MOVING, 1_000_000))])
    assert press(watched, CAROL, Kind.MUTE_UNTIL_IT_MOVES) == moves_already(GROUP)
    assert mutes(watched) == {}
    assert [(event, detail["why"]) for event, _, detail in audited(watched)] == [("action.refused", "moves")]


@pytest.mark.parametrize(
    ("person", "text"),
    [
        (ALICE, NO_SUCH_GROUP),
        (BOB, NO_SUCH_GROUP),
        (ERIN, "Guests can't use this app. Nothing changed."),
        (FRANK, "Deactivated accounts can't use this app. Nothing changed."),
        (GRACE, "People from other organizations can't use this app. Nothing changed."),
    ],
)
def test_a_person_who_may_neither_request_nor_approve_mutes_nothing(watched: Context, person: str, text: str) -> None:
    assert press(watched, person) == text
    assert mutes(watched) == {}
    assert shown(watched) == ["", ""]
    assert [(event, actor) for event, actor, _ in audited(watched)] == [("action.refused", person)]


def test_a_group_that_is_not_known_is_not_muted(watched: Context) -> None:
    assert press(watched, CAROL, key="") == NO_SUCH_GROUP
    assert press(watched, CAROL, key=item(3).key) == NO_SUCH_GROUP
    assert press(replace(watched, projects={}), CAROL) == NO_SUCH_GROUP
    assert mutes(watched) == {}


def test_a_click_that_is_handled_twice_counts_once(watched: Context) -> None:
    message = Message(Kind.MUTE_FOR_A_DAY, "press", CAROL, TEAM_ID, group_key=item(1).key)
    store_message(watched, message)
    mute_group(watched, message)
    until = mutes(watched)
    mute_group(context_at(watched, watched.now() + timedelta(hours=1)), message)
    assert mutes(watched) == until
    assert len(audited(watched)) == 1


def test_while_the_members_of_a_user_group_are_unknown_nothing_is_muted(
    watched: Context, inside: tuple[Sandbox, Context]
) -> None:
    sandbox, _ = inside
    sandbox.slack.outage.answers["usergroups.users.list"] = [500] * 50
    message = Message(Kind.MUTE_FOR_A_DAY, "press", DAVE, TEAM_ID, group_key=item(1).key)
    store_message(watched, message)
    with pytest.raises(GroupsUnknown):
        mute_group(watched, message)
    assert mutes(watched) == {}
