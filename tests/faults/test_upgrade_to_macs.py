"""A database from before rows had a MAC is upgraded with open requests in it. Nothing starts without new approvals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import inspect, text

from bot.domain.request import State
from bot.jobs import inbox_dispatcher
from bot.jobs.context import WAIT_FOR_KEY, Context
from bot.jobs.notify import notices
from bot.jobs.worker import Rescheduled
from bot.sandbox.huawei.faults import Drop
from bot.sandbox.slack.ids import ALICE, BOB, CAROL, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.store.database import Store
from bot.store.inbox import Kind, Message
from bot.store.migrations import NEWEST_SCHEMA
from bot.store.queue import Claim
from bot.ui import refusals
from tests.support.in_process import (
    advance_once,
    card_text,
    context_at,
    context_of,
    create_request,
    press_button,
    store_message,
    stored_request,
)
from tests.support.sandbox import key_reads, put_calls

LATER = timedelta(hours=2)


def return_to_schema_0002(store: Store) -> None:
    """Removes what the later schemas added, and adds the table of votes."""
    with store.write() as connection:
        for table in ("groups", "samples", "sweeps", "alerts"):
            connection.execute(text(f"DROP TABLE {table}"))
        for index in ("requests_open", "requests_ended"):
            connection.execute(text(f"DROP INDEX {index}"))
        connection.execute(text("ALTER TABLE requests DROP COLUMN ended_at"))
        connection.execute(text("ALTER TABLE slack_budget DROP COLUMN chart_refused_at"))
        connection.execute(text("DELETE FROM maintenance WHERE name IN ('digest', 'thin')"))
        for table in ("inbox", "notices", "audit"):
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN mac"))
        connection.execute(
            text("CREATE TABLE votes (id BIGINT PRIMARY KEY, request_id VARCHAR(16), person VARCHAR(32))")
        )
        connection.execute(text("INSERT INTO votes VALUES (1, 'R-00000001', 'UCAROL00')"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))


@pytest.fixture
def sandbox(new_sandbox: Callable[..., Sandbox], database_url: str) -> Sandbox:
    return new_sandbox(database_url=database_url)


def test_an_approved_request_needs_approval_again_after_the_upgrade(sandbox: Sandbox) -> None:
    with context_of(sandbox) as before:
        made, posted = create_request(sandbox, before, start_at=before.now() + LATER)
        press_button(before, Kind.APPROVE, CAROL, made, posted)
        return_to_schema_0002(before.store)
    with context_of(sandbox) as after:
        with after.store.read() as connection:
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == NEWEST_SCHEMA
            assert not inspect(connection).has_table("votes")
        later = context_at(after, made.created_at + LATER + WAIT_FOR_KEY)
        assert advance_once(later, made.id).state is State.PENDING
        assert "can't verify earlier approvals" in card_text(later, posted, made.id)
        assert not key_reads(sandbox)
        press_button(later, Kind.APPROVE, CAROL, made, posted)
    assert len(put_calls(sandbox)) == 1


def test_a_pending_request_needs_its_approvals_again_after_the_upgrade(sandbox: Sandbox) -> None:
    with context_of(sandbox) as before:
        made, posted = create_request(sandbox, before)
        return_to_schema_0002(before.store)
    with context_of(sandbox) as after:
        assert press_button(after, Kind.APPROVE, CAROL, made, posted).state is State.PENDING
        assert not key_reads(sandbox)
        assert press_button(after, Kind.APPROVE, CAROL, made, posted).state is State.ACCEPTED
    assert len(put_calls(sandbox)) == 1


def test_a_running_group_is_followed_after_the_upgrade_but_not_paused_by_the_bot(sandbox: Sandbox) -> None:
    with context_of(sandbox) as before:
        made, posted = create_request(sandbox, before)
        sandbox.oms.state.groups[made.group.group_id].bytes_per_second = 1_000_000_000
        press_button(before, Kind.APPROVE, CAROL, made, posted)
        return_to_schema_0002(before.store)
    with context_of(sandbox) as after:
        later = context_at(after, after.now() + timedelta(seconds=5))
        advance_once(later, made.id)
        press_button(later, Kind.PAUSE, ALICE, made, posted)
        advance_once(later, made.id)
        assert "it can't verify this request. Nothing was paused." in card_text(later, posted, made.id)
        assert len(put_calls(sandbox)) == 1
        sandbox.oms.state.now = lambda: after.now() + timedelta(minutes=1)
        assert advance_once(context_at(after, after.now() + timedelta(minutes=1)), made.id).state is State.DONE


def test_a_call_without_an_answer_is_settled_after_the_upgrade(sandbox: Sandbox) -> None:
    sandbox.oms.faults.add("start", Drop(done=True))
    with context_of(sandbox) as before:
        made, posted = create_request(sandbox, before)
        assert press_button(before, Kind.APPROVE, CAROL, made, posted).state is State.UNKNOWN
        return_to_schema_0002(before.store)
    with context_of(sandbox) as after:
        minute_later = context_at(after, after.now() + timedelta(minutes=1))
        sandbox.oms.state.now = minute_later.now
        assert advance_once(minute_later, made.id).state is State.DONE
    assert len(put_calls(sandbox)) == 1


def test_a_message_and_a_notice_from_before_the_upgrade_have_no_effect_and_the_person_is_told(
    sandbox: Sandbox,
) -> None:
    with context_of(sandbox) as before:
        made, posted = create_request(sandbox, before)
        press_button(before, Kind.APPROVE, BOB, made, posted)
        click = Message(Kind.APPROVE, "click", CAROL, TEAM_ID, posted.channel, request_id=made.id, message_ts=posted.ts)
        claim = store_message(before, click)
        return_to_schema_0002(before.store)
    with context_of(sandbox) as after:
        later = context_at(after, after.now() + timedelta(minutes=2))
        inbox_dispatcher.handle_message(later, claim)
        assert stored_request(after, made.id) == made
        numbers = notice_numbers(after)
        for number in numbers:
            assert notices.send_notice(later, Claim("notices", number, 0)) == Rescheduled()
    assert sandbox.workspace.private_texts(BOB) == []
    assert sandbox.workspace.private_texts(CAROL) == [refusals.MESSAGE_KEY_CHANGED]


def notice_numbers(context: Context) -> list[int]:
    with context.store.read() as connection:
        return list(connection.execute(text("SELECT id FROM notices ORDER BY id")).scalars())
