"""An action is applied once, together with its votes, notices and audit events, and is decided on current data."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.config.bot_toml import Project
from bot.domain.request import Policy, Request, State, Verb
from bot.domain.task_group import GroupStatus, Scope
from bot.huawei.errors import Suspended
from bot.jobs import request_dispatcher
from bot.jobs.context import Context
from bot.jobs.decide import apply_action
from bot.jobs.lanes import APPROVED_REQUESTS
from bot.jobs.send import send
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, BOT_USER_ID, CAROL, DAVE, GENERAL, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import outbox, queue, requests, tables
from bot.store.audit import record_of, rows
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.store.queue import Claim
from bot.ui import refusals
from bot.ui.blocks import text_message
from tests.support.in_process import advance_once, context_at, create_request, press_button, store_message
from tests.support.sandbox import put_calls
from tests.support.values import GROUP

NARROW = Policy((ALICE,), ((CAROL,),), self_approval=False)
TWO = Policy(("*",), ((CAROL, DAVE),) * 2, self_approval=False)


def with_settings(context: Context, **changes: object) -> Context:
    """The context after a restart with these changes in bot.toml."""
    project = context.projects["media"]
    changed = Project.model_validate(
        project.model_dump() | {"requesters": list(project.requesters), "notify": []} | changes
    )
    return replace(context, projects={"media": changed})


def approval(request_id: str, card: PostedMessage) -> Message:
    return Message(Kind.APPROVE, "1", CAROL, TEAM_ID, card.channel, request_id=request_id, message_ts=card.ts)


def is_claimed(context: Context, request_id: str) -> bool:
    with context.store.read() as connection:
        query = select(tables.requests.c.claimed_by).where(tables.requests.c.id == request_id)
        return connection.execute(query).scalar() is not None


def notices(context: Context) -> list[Notice]:
    with context.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id).order_by(tables.notices.c.id)).scalars().all()
        return [outbox.get_notice(connection, number)[0] for number in numbers]


def audit_rows(context: Context, *events: str) -> list[tuple[str, dict[str, Any]]]:
    """The actor and the detail of each audit event with one of these names."""
    with context.store.read() as connection:
        return [(link.actor, json.loads(link.detail)) for link in rows(connection) if link.event in events]


def voters(context: Context, request: Request) -> list[str]:
    with context.store.read() as connection:
        return [vote.person for vote in record_of(connection, request.id).votes]


@pytest.mark.parametrize("person", [CAROL, BOB])
def test_a_message_that_is_handled_twice_has_one_effect(inside: tuple[Sandbox, Context], person: str) -> None:
    _, context = inside
    request, card = create_request(*inside, policy=TWO)
    message = Message(Kind.APPROVE, "1", person, TEAM_ID, card.channel, request_id=request.id, message_ts=card.ts)
    store_message(context, message)
    apply_action.handle_action(context, message)
    apply_action.handle_action(context, message)
    assert len(audit_rows(context, "vote.added", "action.refused")) == 1
    assert voters(context, request) == ([CAROL] if person == CAROL else [])
    assert len(notices(context)) == 1, "a receipt or a refusal"


def test_an_accepted_action_has_one_receipt_that_only_the_person_sees(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    request, card = create_request(*inside, policy=TWO)
    message = replace(approval(request.id, card), response_url="https://hooks.example/1")
    store_message(context, message)
    apply_action.handle_action(context, message)
    apply_action.handle_action(context, message)
    text = 'Your approval of "group 1" is recorded. 1 more is needed.'
    assert notices(context) == [
        Notice(Delivery.EPHEMERAL, f"https://hooks.example/1 {CAROL}", text, request.id),
    ]


def test_a_guest_gets_the_same_answer_for_an_existing_and_a_missing_request(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    sandbox.workspace.users[BOB]["is_restricted"] = True
    press_button(context, Kind.APPROVE, BOB, request, card)
    message = Message(Kind.APPROVE, "1", BOB, TEAM_ID, card.channel, request_id="R-00000099", message_ts=card.ts)
    store_message(context, message)
    apply_action.handle_action(context, message)
    assert [notice.text for notice in notices(context)] == ["Guests can't use this app. Nothing changed."] * 2
    assert [notice.request_id for notice in notices(context)] == [None, None]


def test_a_duplicate_card_is_revealed_only_to_people_who_may_see_the_project(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside, policy=NARROW)
    duplicate = sandbox.workspace.add_message(GENERAL, BOT_USER_ID, "a copy", [], None)
    press_button(context, Kind.APPROVE, BOB, request, duplicate)
    [answer] = notices(context)
    assert (answer.text, answer.request_id) == (refusals.NO_SUCH_REQUEST, None)
    same_ts = PostedMessage(GENERAL, card.ts, BOT_USER_ID, "a copy", [], None)
    for posted in (duplicate, same_ts):
        press_button(context, Kind.APPROVE, CAROL, request, posted)
        [answer, replacement] = notices(context)[-2:]
        assert (answer.text, answer.request_id) == (refusals.DUPLICATE_CARD, request.id)
        assert (replacement.delivery, replacement.address) == (Delivery.DUPLICATE, f"{posted.channel} {posted.ts}")
    assert voters(context, request) == []
    assert [detail["why"] for _, detail in audit_rows(context, "action.refused")] == ["not a reader", "copy", "copy"]


def test_all_voters_are_looked_up_again_at_the_last_vote(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    request, card = create_request(*inside, policy=TWO)
    assert press_button(context, Kind.APPROVE, CAROL, request, card).state is State.PENDING
    approved = press_button(context, Kind.APPROVE, DAVE, request, card)
    assert approved.state is State.ACCEPTED
    assert approved.decision is not None
    assert approved.decision.people == (CAROL, DAVE)
    [(_, opened)] = audit_rows(context, "attempt.opened")
    assert opened["approved by"] == [CAROL, DAVE]
    other, card = create_request(*inside, 2, policy=TWO)
    press_button(context, Kind.APPROVE, CAROL, other, card)
    sandbox.workspace.users[CAROL]["deleted"] = True
    assert press_button(context, Kind.APPROVE, DAVE, other, card).state is State.PENDING


def test_a_withdrawn_vote_does_not_count(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    request, card = create_request(*inside, policy=TWO)
    press_button(context, Kind.APPROVE, CAROL, request, card)
    without = press_button(context, Kind.WITHDRAW, CAROL, request, card)
    assert (without.vote_progress, voters(context, request)) == (None, [])
    assert press_button(context, Kind.APPROVE, DAVE, request, card).state is State.PENDING


def test_changing_the_scope_removes_the_votes_and_the_thread_names_the_voters(
    inside: tuple[Sandbox, Context],
) -> None:
    _, context = inside
    failed = Scope.FAILED_OBJECTS
    group = replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True)
    request, card = create_request(*inside, policy=TWO, verb=Verb.RETRY, scope=Scope.ALL_OBJECTS, group=group)
    press_button(context, Kind.APPROVE, CAROL, request, card)
    assert press_button(context, Kind.CHOOSE_SCOPE, ALICE, request, card, scope=failed.value).scope is failed
    assert voters(context, request) == []
    [(actor, detail)] = audit_rows(context, "request.scope_chosen")
    assert (actor, detail["scope"], detail["void approvals"]) == (ALICE, failed.value, [CAROL])
    assert notices(context)[-1].text.endswith(
        f"The approval by <@{CAROL}> for the other choice no longer counts. The request needs approval again."
    )


def test_a_request_that_is_cancelled_before_its_start_time_is_never_sent(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    start_at = context.now() + timedelta(hours=1)
    request, card = create_request(*inside, start_at=start_at)
    assert press_button(context, Kind.APPROVE, CAROL, request, card).state is State.APPROVED
    assert not is_claimed(context, request.id)
    assert press_button(context, Kind.CANCEL, ALICE, request, card).state is State.CANCELLED
    assert advance_once(context_at(context, start_at), request.id).state is State.CANCELLED
    assert put_calls(sandbox) == []


def test_a_denial_is_sent_to_the_requester_and_recorded_with_its_reason(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    request, card = create_request(*inside)
    denied = press_button(context, Kind.DENY, CAROL, request, card, reason="not <!channel> today")
    assert denied.state is State.DENIED
    [direct] = [notice for notice in notices(context) if notice.address == ALICE]
    assert direct.delivery is Delivery.DIRECT
    assert text_message(direct.text).text.endswith(
        f'denied {request.id} for "group 1". Reason: not &lt;!channel&gt; today'
    )
    [(actor, detail)] = audit_rows(context, "request.denied")
    assert (actor, detail["reason"]) == (CAROL, "not <!channel> today")


def test_an_approver_who_was_removed_from_the_settings_cannot_approve(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    later = with_settings(context, approvers=[DAVE, BOB])
    assert press_button(later, Kind.APPROVE, CAROL, request, card) == request
    assert "no longer an approver" in notices(context)[-1].text
    assert put_calls(sandbox) == []
    assert press_button(later, Kind.APPROVE, DAVE, request, card).decision is not None
    assert len(put_calls(sandbox)) == 1


def test_an_approval_leaves_sending_to_the_worker_while_its_project_is_at_the_limit(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    request, card = create_request(*inside)
    for number in range(APPROVED_REQUESTS.max_per_key or 0):
        context.active_claims.add(Claim(tables.requests.name, f"R-1000000{number}", 0, State.APPROVED, "media"))
    assert press_button(context, Kind.APPROVE, CAROL, request, card).state is State.APPROVED
    assert put_calls(sandbox) == []
    with context.store.write() as connection:
        [claim] = queue.claim_due(connection, APPROVED_REQUESTS, context.owner, context.now(), 10)
    request_dispatcher.advance_request(context, claim)
    assert len(put_calls(sandbox)) == 1


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_self_approval_queues_one_notification(inside: tuple[Sandbox, Context], is_alone: bool) -> None:
    sandbox, context = inside
    approvers = [ALICE, CAROL, APPROVERS_GROUP]
    context = with_settings(context, approvers=approvers, approvals=1 if is_alone else 2, self_approval=True)
    request, card = create_request(sandbox, context)
    own = press_button(context, Kind.APPROVE, ALICE, request, card)
    assert own.state is (State.ACCEPTED if is_alone else State.PENDING)
    [(actor, detail)] = audit_rows(context, "vote.self_approved")
    assert (actor, detail) == (ALICE, {"reason": request.reason})
    assert queued_notifications(context) == 1
    if not is_alone:
        assert press_button(context, Kind.APPROVE, CAROL, request, card).state is State.ACCEPTED
        assert len(audit_rows(context, "vote.self_approved")) == 1
        assert queued_notifications(context) == 1


def queued_notifications(context: Context) -> int:
    with context.store.read() as connection:
        query = select(func.count()).where(tables.inbox.c.kind == Kind.NOTIFY_APPROVERS)
        return connection.execute(query).scalar_one()


def test_retry_allows_one_more_try_of_a_suspended_identity(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    sandbox.oms.faults.add("show", Answer(401, "APIG.0301"))
    request, card = create_request(*inside)
    refused = press_button(context, Kind.APPROVE, CAROL, request, card)
    assert (refused.state, put_calls(sandbox)) == (State.NOT_STARTED, [])
    with pytest.raises(Suspended):
        context.identity.call("media", lambda oms: oms.show(request.group.group_id))
    assert press_button(context, Kind.RETRY, ALICE, request, card).state is State.ACCEPTED


@pytest.mark.parametrize("error", [RuntimeError("a bug"), requests.Stale("R-00000001")])
def test_a_failed_send_releases_the_claim_of_the_request(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _, context = inside
    request, card = create_request(*inside)
    claimed: list[bool] = []

    def fail(*_: object) -> None:
        claimed.append(is_claimed(context, request.id))
        raise error

    monkeypatch.setattr(send, "send_request", fail)
    message = approval(request.id, card)
    store_message(context, message)
    if isinstance(error, requests.Stale):
        # Another worker has changed the request first, which is no error.
        apply_action.handle_action(context, message)
    else:
        with pytest.raises(RuntimeError):
            apply_action.handle_action(context, message)
    assert claimed == [True]
    assert not is_claimed(context, request.id)
    with context.store.read() as connection:
        approved = requests.get(connection, request.id)
    assert approved is not None
    assert approved.state is State.APPROVED


def test_retry_of_a_scheduled_request_allows_one_more_try_of_a_suspended_identity(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    start_at = context.now() + timedelta(hours=1)
    request, card = create_request(sandbox, context, start_at=start_at)
    assert press_button(context, Kind.APPROVE, CAROL, request, card).state is State.APPROVED
    assert put_calls(sandbox) == [], "not before its start time"
    then = context_at(context, start_at)
    sandbox.oms.faults.add("show", Answer(401, "APIG.0301"))
    assert advance_once(then, request.id).state is State.NOT_STARTED
    with pytest.raises(Suspended):
        context.identity.call("media", lambda oms: oms.show(request.group.group_id))
    assert press_button(then, Kind.RETRY, CAROL, request, card).state is State.ACCEPTED
    assert [call.status for call in put_calls(sandbox)] == [200]
