"""People act on an alert in Slack: the form opens with the group, and Mute shows who pressed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bot.domain.alert import AlertItem
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import Trouble, WatchedGroup
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, CAROL, ERIN, MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import alerts, groups
from tests.support.in_process import context_of
from tests.support.postgres import Postgres
from tests.support.sandbox import (
    CREATED,
    button_ids,
    full_text,
    open_view,
    wait_for_card,
    wait_for_reply,
    wait_for_text,
)

KEY = f"{PROJECT_ID}/{NIGHTLY_IMAGES}"


@pytest.fixture
def alerted(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> Iterator[tuple[Sandbox, Context, PostedMessage]]:
    """A sandbox with a bot, a context that shares its database, and an alert about a paused group."""
    sandbox = new_sandbox(database_url=postgres.new_database(), settings=f'notify = ["{APPROVERS_GROUP}"]')
    sandbox.start_bot()
    with context_of(sandbox) as context:
        sandbox.wait_until(lambda: watched(context) is not None, what="the first sweep")
        known = watched(context)
        assert known is not None
        assert known.group.status is GroupStatus.PAUSED
        now = context.now()
        item = AlertItem(KEY, known.group, Trouble.PAUSED, now, now)
        with context.store.write() as connection:
            alerts.add_items(connection, "media", MIGRATIONS, [item], now)
        yield sandbox, context, wait_for_card(sandbox)


def watched(context: Context) -> WatchedGroup | None:
    with context.store.read() as connection:
        return groups.get(connection, KEY)


def test_resume_on_an_alert_opens_the_form_with_the_group_and_creates_a_request(
    alerted: tuple[Sandbox, Context, PostedMessage],
) -> None:
    sandbox, _, alert = alerted
    assert f"<!subteam^{APPROVERS_GROUP}>" in full_text(alert)
    form = open_view(sandbox, ALICE, lambda: sandbox.people.press(ALICE, alert, "request", KEY))
    assert f"'initial_value': '{NIGHTLY_IMAGES}'" in str(sandbox.workspace.view(form).view)
    assert sandbox.people.submit(ALICE, form, {"reason": "network is back"}).payload is None
    wait_for_reply(sandbox, ALICE, CREATED)


def test_mute_on_an_alert_shows_who_pressed_it_and_people_without_rights_mute_nothing(
    alerted: tuple[Sandbox, Context, PostedMessage],
) -> None:
    sandbox, context, alert = alerted
    sandbox.people.press(ERIN, alert, "mute")
    wait_for_reply(sandbox, ERIN, "Guests can't use this app.")
    sandbox.people.press(CAROL, alert, "mute_until_it_moves")
    wait_for_reply(sandbox, CAROL, "is muted until it moves")
    wait_for_text(sandbox, alert, f"Muted by <@{CAROL}> until it moves")
    assert button_ids(alert) == ["request"]
    with context.store.read() as connection:
        assert groups.mutes(connection, "media") == {KEY: None}
    assert sandbox.workspace.private_texts(BOB) == []
