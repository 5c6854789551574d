"""Alerts are posted to Slack once and edited there. After an outage, they show the current state."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot.domain.alert import MERGE_WITHIN, AlertItem
from bot.domain.task_group import ErrorReason
from bot.domain.watched_group import Trouble
from bot.huawei.wire import read_group
from bot.jobs.context import CHECK_KEY_EVERY, WAIT_FOR_KEY, Context
from bot.jobs.watch.alerts import MAX_EXPLAINED, show_alert
from bot.jobs.worker import Failed, Finished
from bot.sandbox.huawei import console
from bot.sandbox.huawei.credentials import PROJECT_ID, REGION
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING, Failure, Group
from bot.sandbox.slack.ids import APPROVERS_GROUP, GENERAL, MIGRATIONS, SCOPES
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.slack.errors import SlackError
from bot.store import alerts, tables
from bot.store.queue import Claim
from bot.ui.problem_texts import MAY_NOT_LIST_TASKS
from tests.support.alerts import FAILED, item, over
from tests.support.in_process import context_at, context_of
from tests.support.postgres import Postgres
from tests.support.sandbox import button_ids, full_text
from tests.support.simulated_time import Clock, run_for, simulated_time

MENTION = f"<!subteam^{APPROVERS_GROUP}>"


@pytest.fixture
def watched(inside: tuple[Sandbox, Context]) -> Iterator[tuple[Sandbox, Context, Clock]]:
    """A sandbox, a context with simulated time whose project mentions the approvers, and the clock."""
    sandbox, _ = inside
    with simulated_time(*inside) as (context, clock):
        project = context.projects["media"].model_copy(update={"notify": (APPROVERS_GROUP,)})
        yield sandbox, replace(context, projects={**context.projects, "media": project}), clock


def add(context: Context, *items: AlertItem) -> None:
    with context.store.write() as connection:
        alerts.add_items(connection, "media", context.projects["media"].channel, items, context.now())


def posted(sandbox: Sandbox) -> list[PostedMessage]:
    return sandbox.workspace.messages_in(MIGRATIONS)


def groups_in(message: PostedMessage) -> set[int]:
    """The numbers of the groups that a message shows."""
    shown = full_text(message)
    return {number for number in range(1, 100) if item(number).group.group_id in shown}


def audited(context: Context) -> list[tuple[str, str]]:
    with context.store.read() as connection:
        return [
            (row.event, json.loads(row.detail)["code"])
            for row in connection.execute(select(tables.audit.c.event, tables.audit.c.detail))
        ]


def test_an_alert_is_posted_with_its_buttons_and_the_mention(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    add(context, item(1), item(2, Trouble.FAILED))
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    assert groups_in(message) == {1, 2}
    assert button_ids(message).count("request") == 2
    assert full_text(message).count(MENTION) == 1
    assert "failed with TRF.0151" in full_text(message)
    assert "Then press Retry." in full_text(message)


def failed_in_parts(sandbox: Sandbox, number: int) -> AlertItem:
    """An item about a group in OMS that failed for two reasons."""
    group_id = f"5e5e5e5e-0000-4000-8000-{number:012d}"
    group = Group(group_id, f"group {number}", MONITORING, complete_bytes=0, sub_tasks=6, bytes_per_second=0)
    sandbox.oms.state.groups[group.id] = group
    failures = (Failure("TRF.0159", "too fast", 4), Failure("TRF.0156", "not found", 2))
    console.fail_in_parts(sandbox.oms.state, group.id, failures, 37)
    group.status, group.error = MIGRATION_FAILED, ("TRF.0159", "too fast")
    return item(number, Trouble.FAILED, key=f"{PROJECT_ID}/{group.id}", group=read_group(group.as_json(REGION)))


def calls(sandbox: Sandbox, name: str) -> int:
    return sum(call.path.endswith(name) for call in sandbox.call_log.since())


def test_the_edit_after_the_post_says_why_sub_tasks_failed_and_where_the_failed_objects_are(
    watched: tuple[Sandbox, Context, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context, clock = watched
    failed = [failed_in_parts(sandbox, number) for number in range(1, MAX_EXPLAINED + 2)]
    first: list[str] = []
    post = context.messenger.post

    def post_and_look(*arguments: object) -> str:
        ts = post(*arguments)  # type: ignore[arg-type]
        first.append(full_text(posted(sandbox)[-1]))
        return ts

    monkeypatch.setattr(context.messenger, "post", post_and_look)
    add(context, *failed)
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    [at_first] = first
    assert at_first.count("6 failed sub-tasks.") == len(failed)
    assert "TRF.0156" not in at_first
    shown = full_text(message)
    assert shown.count("*TRF.0159: 4 failed sub-tasks*, explained above") == MAX_EXPLAINED
    assert shown.count("*TRF.0156: 2 failed sub-tasks* · the source storage") == MAX_EXPLAINED
    assert shown.count("OMS put the list of 37 failed objects in the destination bucket photos-archive") == len(failed)
    assert (calls(sandbox, "/tasks"), calls(sandbox, "chat.update")) == (MAX_EXPLAINED, 1)


def test_without_the_right_to_list_sub_tasks_the_alert_says_so(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    sandbox.oms.state.may_list_tasks = False
    add(context, failed_in_parts(sandbox, 1))
    run_for(context, clock, 5)
    add(context, item(2))
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    assert full_text(message).count(MAY_NOT_LIST_TASKS) == 1
    assert calls(sandbox, "/tasks") == 1


def test_a_temporary_failure_of_oms_leaves_the_causes_to_the_next_edit(
    watched: tuple[Sandbox, Context, Clock],
) -> None:
    sandbox, context, clock = watched
    sandbox.oms.faults.add("tasks", *[Answer(503, "APIG.0601")] * 9)
    add(context, failed_in_parts(sandbox, 1))
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    assert "6 failed sub-tasks." in full_text(message)
    sandbox.oms.faults.clear()
    add(context, item(2))
    run_for(context, clock, 5)
    assert "*TRF.0156: 2 failed sub-tasks*" in full_text(message)


def test_items_found_within_a_minute_are_edited_into_the_message(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    add(context, item(1))
    run_for(context, clock, MERGE_WITHIN.total_seconds() - 10)
    add(context, item(2, Trouble.FAILED))
    run_for(context, clock, 10)
    [message] = posted(sandbox)
    assert groups_in(message) == {1, 2}
    add(context, item(3))
    run_for(context, clock, 10)
    assert [groups_in(one) for one in posted(sandbox)] == [{1, 2}, {3}]


def test_trouble_that_is_over_loses_its_button(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    add(context, item(1))
    run_for(context, clock, 86_400)
    add(context, over(1))
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    assert "was paused outside this bot and was running again" in full_text(message)
    assert button_ids(message) == []
    run_for(context, clock, 3_600)
    assert sum(call.path == "chat.update" for call in sandbox.call_log.since()) == 1, "nothing else is edited"


def test_after_a_day_without_slack_one_message_shows_the_current_state(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    sandbox.slack.outage.status = 503
    for number in range(1, 25):
        add(context, item(number))
        if number % 2:
            add(context, over(number))
        run_for(context, clock, 5)
        clock.time += timedelta(hours=1)
    sandbox.slack.outage.status = None
    run_for(context, clock, 60)
    [message] = posted(sandbox)
    assert groups_in(message) == set(range(2, 25, 2))
    assert "running again" not in full_text(message)


def test_after_an_outage_nothing_is_posted_if_all_trouble_is_over(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    sandbox.slack.outage.status = 503
    add(context, item(1))
    run_for(context, clock, 3_600)
    add(context, over(1))
    sandbox.slack.outage.status = None
    run_for(context, clock, 60)
    assert posted(sandbox) == []
    add(context, item(2))
    run_for(context, clock, 5)
    assert [groups_in(one) for one in posted(sandbox)] == [{2}]


def find_during_post(context: Context, monkeypatch: pytest.MonkeyPatch, *found: AlertItem) -> None:
    """Adds items, one sweep for each, while the next message is posted."""
    post = context.messenger.post

    def post_slowly(*arguments: object) -> str:
        monkeypatch.setattr(context.messenger, "post", post)
        ts = post(*arguments)  # type: ignore[arg-type]
        for one in found:
            add(context, one)
        return ts

    monkeypatch.setattr(context.messenger, "post", post_slowly)


def test_an_item_that_is_found_while_the_message_is_posted_is_added_to_it(
    watched: tuple[Sandbox, Context, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context, clock = watched
    add(context, item(1))
    find_during_post(context, monkeypatch, item(2), over(1))
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    assert groups_in(message) == {1, 2}
    assert "was running again" in full_text(message)


def test_trouble_that_is_found_while_a_message_without_trouble_is_posted_is_a_message_of_its_own(
    watched: tuple[Sandbox, Context, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context, clock = watched
    add(context, item(1, None))
    find_during_post(context, monkeypatch, item(2))
    run_for(context, clock, 5)
    assert [groups_in(one) for one in posted(sandbox)] == [{1}, {2}], "Slack notifies nobody of an edit"


@pytest.mark.parametrize("status", [429, 500])
def test_a_refused_post_is_tried_again_and_posted_once(watched: tuple[Sandbox, Context, Clock], status: int) -> None:
    sandbox, context, clock = watched
    sandbox.slack.outage.answers["chat.postMessage"] = [status]
    add(context, item(1))
    run_for(context, clock, 30)
    assert [groups_in(one) for one in posted(sandbox)] == [{1}]


def test_an_alert_waits_for_its_channel_and_the_audit_says_once_that_it_could_not_be_sent(
    watched: tuple[Sandbox, Context, Clock],
) -> None:
    sandbox, context, clock = watched
    sandbox.workspace.channels[MIGRATIONS].archived = True
    add(context, item(1))
    run_for(context, clock, 3_600)
    sandbox.workspace.channels[MIGRATIONS].archived = False
    run_for(context, clock, 600)
    assert [groups_in(one) for one in posted(sandbox)] == [{1}]
    assert audited(context) == [("notice.not_sent", "is_archived")]


def test_after_its_message_was_deleted_an_alert_is_posted_again_with_lasting_trouble_only(
    watched: tuple[Sandbox, Context, Clock],
) -> None:
    sandbox, context, clock = watched
    add(context, item(1), item(2))
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    sandbox.workspace.delete(message.channel, message.ts)
    add(context, over(1))
    run_for(context, clock, 5)
    assert [groups_in(one) for one in posted(sandbox)] == [{2}]
    [again] = posted(sandbox)
    sandbox.workspace.delete(again.channel, again.ts)
    add(context, over(2))
    run_for(context, clock, 5)
    assert posted(sandbox) == []


def test_an_alert_that_slack_refuses_for_another_reason_is_retried_less_and_less_often(
    watched: tuple[Sandbox, Context, Clock],
) -> None:
    sandbox, context, clock = watched
    sandbox.workspace.scopes = sandbox.workspace.scopes - {"chat:write"}
    add(context, item(1))
    run_for(context, clock, 3_600)
    assert sum(call.path == "chat.postMessage" for call in sandbox.call_log.since()) < 20
    sandbox.workspace.scopes = SCOPES
    run_for(context, clock, 600)
    assert [groups_in(one) for one in posted(sandbox)] == [{1}]


def test_an_edit_that_slack_refuses_permanently_is_not_retried(
    watched: tuple[Sandbox, Context, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context, clock = watched
    add(context, item(1))
    run_for(context, clock, 100)

    def refuse(*_: object) -> None:
        raise SlackError("edit_window_closed")

    monkeypatch.setattr(context.messenger, "update", refuse)
    add(context, over(1))
    run_for(context, clock, 3_600)
    assert audited(context) == [("notice.not_sent", "edit_window_closed")]
    assert len(posted(sandbox)) == 1


def test_an_alert_that_someone_changed_in_the_database_is_not_sent(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    add(context, item(1))
    with context.store.write() as connection:
        connection.execute(update(tables.alerts).values(channel=GENERAL))
    run_for(context, clock, 3_600)
    assert audited(context) == [("notice.not_sent", "forged")]
    assert [*posted(sandbox), *sandbox.workspace.messages_in(GENERAL)] == []


def test_on_postgresql_an_alert_waits_a_minute_for_a_replica_that_knows_its_key(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    with context_of(sandbox) as context:
        add(context, item(1))
        with context.store.write() as connection:
            connection.execute(update(tables.alerts).values(mac="another key"))
        now, claim = context.now(), Claim(tables.alerts.name, 1, 0)
        assert show_alert(context_at(context, now), claim) == Failed(now + CHECK_KEY_EVERY)
        assert audited(context) == []
        assert show_alert(context_at(context, now + WAIT_FOR_KEY), claim) == Finished()
        assert audited(context) == [("notice.not_sent", "unknown key")]
    assert posted(sandbox) == []


def test_an_alert_of_a_project_that_is_no_longer_in_bot_toml_is_not_sent(
    watched: tuple[Sandbox, Context, Clock],
) -> None:
    sandbox, context, _ = watched
    add(context, item(1))
    removed = replace(context, projects={})
    claim = Claim(tables.alerts.name, 1, 0)
    assert show_alert(removed, claim) == Finished()
    assert show_alert(context, replace(claim, key=7)) == Finished(), "a row that was deleted"
    assert posted(sandbox) == []


def test_a_failure_that_oms_does_not_explain_is_posted_as_well(watched: tuple[Sandbox, Context, Clock]) -> None:
    sandbox, context, clock = watched
    unexplained = replace(FAILED, error=None, group_id=item(1).group.group_id)
    vague = replace(FAILED, error=ErrorReason("", "<!channel>"), group_id=item(2).group.group_id)
    add(context, item(1, Trouble.FAILED, group=unexplained), item(2, Trouble.FAILED, group=vague))
    run_for(context, clock, 5)
    [message] = posted(sandbox)
    assert "gives no reason" in full_text(message)
    assert "<!channel>" not in full_text(message)


def test_an_alert_for_an_archived_channel_is_retried_less_often_after_ten_minutes(
    watched: tuple[Sandbox, Context, Clock],
) -> None:
    sandbox, context, clock = watched
    sandbox.workspace.channels[MIGRATIONS].archived = True
    add(context, item(1))
    claim = Claim(tables.alerts.name, 1, 3)
    for passed, wait in ((timedelta(0), timedelta(seconds=10)), (timedelta(hours=1), timedelta(minutes=10))):
        now = clock() + passed
        assert show_alert(context_at(context, now), claim) == Failed(now + wait)
