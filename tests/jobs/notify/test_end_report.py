"""The report at the end of a request: once, after the other lines, with a chart where the workspace takes charts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.domain.audit_events import AuditEvent
from bot.domain.request import LastSeen, Request, State
from bot.domain.watched_group import WatchLimits, after_first_reading
from bot.jobs.context import Context, save_and_notify
from bot.sandbox.slack.ids import MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import groups, tables
from bot.store.audit import BOT, Event
from bot.store.outbox import Delivery, Notice
from bot.store.reports import report_on
from bot.ui.report import report_message, report_message_with_chart
from tests.jobs.notify.test_notices import audit_events, send_due, store
from tests.support.in_process import context_at, create_request
from tests.support.values import HALF, request

MINUTES = 30


def end(
    sandbox: Sandbox, context: Context, number: int = 1, state: State = State.DONE
) -> tuple[Request, PostedMessage, Context]:
    """A request whose group ran for half an hour and has just ended, its card, and a context at the end."""
    sample = request(State.MOVING)
    started_at = context.now()
    assert sample.attempt is not None
    attempt = replace(sample.attempt, answered_at=started_at)
    made, card = create_request(
        sandbox, context, number, state=State.MOVING, decision=sample.decision, attempt=attempt, last_seen=None
    )
    later = context_at(context, started_at + timedelta(minutes=MINUTES))
    with context.store.write() as connection:
        for minute in range(1, MINUTES):
            progress = replace(HALF, complete_bytes=HALF.complete_bytes + minute * 100_000_000)
            seen_at = started_at + timedelta(minutes=minute)
            group = replace(made.group, progress=progress)
            groups.add_samples(
                connection, [after_first_reading(made.group_key, "media", group, seen_at, WatchLimits())]
            )
        seen = LastSeen(later.now(), replace(HALF, complete_bytes=HALF.total_bytes))
        ended = replace(made, last_seen=seen).with_state(state, at=later.now())
        saved = save_and_notify(connection, made, ended, later.now(), Event(AuditEvent.REQUEST_DONE, BOT, made.id))
    return saved, card, later


def thread(sandbox: Sandbox, card: PostedMessage) -> list[PostedMessage]:
    return sandbox.workspace.messages_in(MIGRATIONS, card.ts)


def block_types(posted: PostedMessage) -> list[str]:
    return [block["type"] for block in posted.blocks]


def posts(sandbox: Sandbox) -> int:
    """How many messages the bot tried to post."""
    return sum(call.path == "chat.postMessage" for call in sandbox.call_log.since())


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.PAUSED_AGAIN])
def test_a_group_that_ran_ends_with_one_message_that_has_a_chart(inside: tuple[Sandbox, Context], state: State) -> None:
    sandbox, context = inside
    made, card, later = end(sandbox, context, state=state)
    send_due(later)
    [posted] = thread(sandbox, card)
    assert block_types(posted) == ["section", "section", "data_visualization", "context"]
    assert "Moved: 6.0 GB this time, " in posted.text
    with context.store.read() as connection:
        assert groups.samples_of(connection, made.group_key, made.created_at, later.now())
    send_due(later)
    assert len(thread(sandbox, card)) == 1


def test_the_report_comes_after_the_other_lines_of_the_thread(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    made, card = create_request(sandbox, context)
    store(context, Notice(Delivery.THREAD, "", "moving", made.id), Notice(Delivery.REPORT, "", "", made.id))
    sandbox.slack.outage.answers["chat.postMessage"] = [500]
    send_due(context)
    assert thread(sandbox, card) == []
    send_due(context_at(context, context.now() + timedelta(minutes=5)))
    first, second = thread(sandbox, card)
    assert first.text == "moving"
    assert "Requested by" in second.text


def test_a_workspace_without_charts_gets_bars_and_no_chart_for_a_day(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    sandbox.slack.api.takes_charts = False
    _, card, later = end(sandbox, context)
    send_due(later)
    [posted] = thread(sandbox, card)
    assert block_types(posted) == ["section", "section", "section", "context"]
    assert "Rate over time" in posted.blocks[2]["text"]["text"]
    assert posts(sandbox) == 2
    sandbox.slack.api.takes_charts = True
    _, second_card, second_end = end(sandbox, context, 2)
    send_due(second_end)
    assert "data_visualization" not in block_types(thread(sandbox, second_card)[0])
    assert posts(sandbox) == 3, "no chart is tried"
    _, third_card, third_end = end(sandbox, context_at(context, later.now() + timedelta(days=1)), 3)
    send_due(third_end)
    assert "data_visualization" in block_types(thread(sandbox, third_card)[0])


def test_an_error_that_is_not_about_the_chart_is_not_remembered(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    _, card, later = end(sandbox, context)
    with monkeypatch.context() as all_rejected:
        all_rejected.setattr("bot.sandbox.slack.web_api.problems_of_blocks", lambda _: ["another problem"])
        send_due(later)
    assert thread(sandbox, card) == []
    assert audit_events(context)[-1] == "notice.not_sent"
    _, second_card, second_end = end(sandbox, context, 2)
    send_due(second_end)
    assert "data_visualization" in block_types(thread(sandbox, second_card)[0])


@pytest.mark.parametrize("chart_is_refused", [False, True])
def test_an_outage_does_not_count_as_a_refused_chart(
    inside: tuple[Sandbox, Context], *, chart_is_refused: bool
) -> None:
    sandbox, context = inside
    _, card, later = end(sandbox, context)
    sandbox.slack.api.takes_charts = not chart_is_refused
    sandbox.slack.outage.answers["chat.postMessage"] = [None, 500] if chart_is_refused else [500]
    send_due(later)
    assert thread(sandbox, card) == []
    sandbox.slack.api.takes_charts = True
    send_due(context_at(context, later.now() + timedelta(minutes=5)))
    [posted] = thread(sandbox, card)
    assert "data_visualization" in block_types(posted)


def test_a_report_has_nothing_that_only_its_row_says(inside: tuple[Sandbox, Context]) -> None:
    """Nobody can change what a report says by changing its notice."""
    sandbox, context = inside
    _, card, later = end(sandbox, context)
    with context.store.write() as connection:
        assert set(connection.execute(select(tables.notices.c.text, tables.notices.c.address))) == {("", "")}
        connection.execute(tables.notices.update().values(text="send your keys to evil.example"))
    send_due(later)
    assert thread(sandbox, card) == []
    assert audit_events(context)[-1] == "notice.not_sent"


def test_the_posted_report_is_the_one_that_the_pure_functions_make(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    made, card, later = end(sandbox, context)
    with context.store.read() as connection:
        report = report_on(connection, made.id, later.now())
    assert report is not None
    with_chart = report_message_with_chart(report)
    assert with_chart is not None
    assert with_chart.text == report_message(report).text
    send_due(later)
    assert thread(sandbox, card)[0].text == with_chart.text
