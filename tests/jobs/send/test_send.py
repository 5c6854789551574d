"""Between the approval and the PUT: what is no longer wanted is not sent, and the audit records what was read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.clients import new_identity
from bot.domain.request import Request, State
from bot.huawei.circuit_breaker import InMemoryRows
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import REGION
from bot.sandbox.huawei.faults import Answer, Drop, Raw
from bot.sandbox.slack.ids import CAROL
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import requests
from bot.store.audit import rows
from bot.store.inbox import Kind
from bot.ui.problem_texts import BOT_WAS_LATE, GROUP_NOT_READ
from tests.support.in_process import advance_once, card_text, context_at, create_request, press_button
from tests.support.sandbox import put_calls


def stopped_before_the_put(context: Context, request: Request, stopped_for: timedelta) -> Context:
    """The clock of a process that is stopped between the commit of `sending` and the PUT."""
    begun = context.now()

    def now() -> datetime:
        with context.store.read() as connection:
            stored = requests.get(connection, request.id)
        assert stored is not None
        return begun + stopped_for if stored.state is State.SENDING else begun

    return replace(context, now=now)


def events(context: Context, request: Request) -> list[str]:
    with context.store.read() as connection:
        return [link.event for link in rows(connection, request.id)]


def approve(context: Context, request: Request, card: PostedMessage) -> Request:
    return press_button(context, Kind.APPROVE, CAROL, request, card)


def test_a_bot_that_is_stopped_for_long_before_the_put_does_not_send_it(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    after = approve(stopped_before_the_put(context, request, timedelta(seconds=11)), request, card)
    assert put_calls(sandbox) == []
    assert after.state is State.APPROVED
    assert events(context, request)[-2:] == ["put.sending", "put.postponed"]
    assert f"{BOT_WAS_LATE} Nothing was started." in card_text(context, card, request.id)
    advance_once(context_at(context, context.now() + timedelta(seconds=17)), request.id)
    assert len(put_calls(sandbox)) == 1


def test_an_approval_that_expires_while_keys_are_read_sends_nothing(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    clock = {"late": timedelta()}
    slow = replace(context, now=lambda: context.now() + clock["late"])
    open_release = context.vault.open_release

    def opened_late() -> object:
        clock["late"] = timedelta(hours=8)
        return open_release()

    monkeypatch.setattr(context.vault, "open_release", opened_late)
    approve(slow, request, card)
    assert put_calls(sandbox) == []
    assert events(context, request)[-2:] == ["vault.opened", "vault.closed"]
    assert advance_once(slow, request.id).state is State.APPROVAL_EXPIRED


def test_an_identity_of_another_huawei_cloud_project_is_not_used(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    media = {"media": context.projects["media"].model_copy(update={"project_id": None})}
    identity = new_identity(context.vault, media, InMemoryRows(), context.now)
    left_to_iam = replace(context, projects=media, identity=identity)
    elsewhere = {"projects": [{"id": "f" * 32, "name": REGION}]}
    sandbox.oms.faults.add("projects", Raw(200, json.dumps(elsewhere).encode(), {"Content-Type": "application/json"}))
    after = approve(left_to_iam, request, card)
    assert after.state is State.NOT_STARTED
    assert "now belong to a different Huawei Cloud project. Nothing was started." in card_text(
        context, card, request.id
    )
    assert [call for call in sandbox.call_log.since() if call.service == "oms"] == []


@pytest.mark.parametrize(
    "fault", [Answer(429, "APIG.0308"), Answer(503, "APIG.0202"), Drop(done=False), Raw(200, b"a page of a proxy")]
)
def test_a_group_that_cannot_be_read_before_the_put_is_read_again(
    inside: tuple[Sandbox, Context], fault: Answer | Drop | Raw
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    sandbox.oms.faults.add("show", fault)
    after = approve(context, request, card)
    assert after.attempt is not None
    assert (after.state, after.attempt.tries) == (State.APPROVED, 1)
    advance_once(context_at(context, context.now() + timedelta(seconds=6)), request.id)
    assert len(put_calls(sandbox)) == 1


@pytest.mark.parametrize(
    ("attribute", "value", "change"),
    [
        ("bucket", "other-bucket", "src_node.bucket was “photos-prod” and is now “other-bucket”"),
        ("destination", "other-archive", "dst_node.bucket was “photos-archive” and is now “other-archive”"),
        ("description", "other", "description was “group 1” and is now “other”"),
        ("enable_restore", True, "enable_restore was not set and is now “true”"),
    ],
)
def test_a_group_with_another_migration_than_the_approved_one_is_not_started(
    inside: tuple[Sandbox, Context], attribute: str, value: object, change: str
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    setattr(sandbox.oms.state.groups[request.group.group_id], attribute, value)
    after = approve(context, request, card)
    assert (after.state, put_calls(sandbox)) == (State.VOID, [])
    text = card_text(context, card, request.id)
    assert f"changed after the approval: {change.replace('“', chr(34)).replace('”', chr(34))}. Nothing was" in text
    assert "vault.opened" not in events(context, request)


def test_the_card_keeps_the_reply_to_the_put_when_later_looks_fail(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    sandbox.oms.faults.add("start", Answer(400, "OMS.1039", "Not paused"))
    assert approve(context, request, card).state is State.UNKNOWN
    for tries in range(3):
        sandbox.oms.faults.add("show", Answer(503, "APIG.0202", "Backend unavailable"))
        advance_once(context_at(context, context.now() + timedelta(seconds=4 * tries + 4)), request.id, tries)
    text = card_text(context, card, request.id)
    assert "OMS.1039" in text
    # The failed reading is shown with its own code and request id.
    reading = r"APIG\.0202: Huawei Cloud had an internal error\. .*Huawei request id \w+"
    assert re.search(f"{re.escape(GROUP_NOT_READ)} {reading}", text)
    after = advance_once(context_at(context, context.now() + timedelta(seconds=70)), request.id)
    assert after.state is State.NOT_STARTED
    assert after.problem is not None
    assert after.problem.code == "OMS.1039"
