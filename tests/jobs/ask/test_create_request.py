"""One message creates one request for each group, even if the process is killed or the request has ended meanwhile.

A message that waits for a group to pause also waits for errors that may pass, and ends with any other error. The audit
event of a refusal names the project, so that it counts as activity there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.domain.command import ResumeGroups
from bot.domain.request import Request, State
from bot.domain.slack_budget import post_to
from bot.jobs.ask import create_request, preflight
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.huawei.example_groups import LEDGERS, NIGHTLY_IMAGES, WEB_ASSETS
from bot.sandbox.huawei.faults import Answer, Raw
from bot.sandbox.huawei.group import PAUSED, Group
from bot.sandbox.slack.ids import ALICE, CAROL, ERIN, MIGRATIONS, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.slack.errors import LookupFailed
from bot.store import audit, inbox, outbox, requests, slack_budget, tables
from bot.store.inbox import Kind, Message
from bot.ui import replies
from tests.support.in_process import context_at, context_of, press_button, store_message
from tests.support.simulated_time import run_for, simulated_time

PAUSING = 7
UNKNOWN, DONE = "9f9f9f9f-0000-4000-8000-000000000001", WEB_ASSETS


class Killed(BaseException):
    """Stands for kill -9: no `except Exception` catches it."""


NIGHTLY = ResumeGroups((NIGHTLY_IMAGES,), "network is back")


def resume_message(key: str = "trigger-1") -> Message:
    return Message(Kind.CREATE_REQUEST, key, ALICE, TEAM_ID, "C0TEST0001", command=NIGHTLY)


def kill_before_the_answer(context: Context, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(create_request, "reply", die)
        with pytest.raises(Killed):
            create_request.create_requests(context, message, NIGHTLY, context.now())


def all_requests(context: Context) -> list[Request]:
    with context.store.read() as connection:
        ids = connection.execute(select(tables.requests.c.id)).scalars().all()
        return [found for found in (requests.get(connection, one) for one in ids) if found is not None]


def deny(sandbox: Sandbox, context: Context) -> Request:
    [made] = all_requests(context)
    [card] = sandbox.workspace.messages_in(MIGRATIONS)
    return press_button(context, Kind.DENY, CAROL, made, card, reason="not today")


def answers(context: Context) -> list[str]:
    with context.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id).order_by(tables.notices.c.id)).scalars().all()
        notices = [outbox.get_notice(connection, number)[0] for number in numbers]
    return [notice.text for notice in notices if notice.address == ALICE]


def test_a_card_is_posted_later_if_slack_takes_no_more_posts_to_the_channel(inside: tuple[Sandbox, Context]) -> None:
    sandbox, _ = inside
    with simulated_time(*inside) as (context, clock):
        with context.store.write() as connection:
            while slack_budget.spend(connection, post_to(MIGRATIONS), clock()):
                pass
        store_message(context, resume_message())
        create_request.create_requests(context, resume_message(), NIGHTLY, context.now())
        assert sandbox.workspace.messages_in(MIGRATIONS) == []
        [made] = all_requests(context)
        assert answers(context) == [replies.card_not_posted_yet(made)]
        run_for(context, clock, 2)
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1


def test_a_message_creates_no_second_request_after_its_first_was_denied(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    message = resume_message()
    store_message(context, message)
    kill_before_the_answer(context, message, monkeypatch)
    ended = deny(sandbox, context)
    create_request.create_requests(context, message, NIGHTLY, context.now())
    assert [(one.id, one.state) for one in all_requests(context)] == [(ended.id, State.DENIED)]
    answer = answers(context)[-1]
    [card] = sandbox.workspace.messages_in(MIGRATIONS)
    assert answer.startswith(f"{ended.id} · Denied")
    assert card.ts.replace(".", "") in answer
    second = resume_message("trigger-2")
    store_message(context, second)
    create_request.create_requests(context, second, NIGHTLY, context.now())
    assert len(all_requests(context)) == 2, "a second command creates a second request"


def test_a_message_that_waited_for_a_group_to_pause_creates_one_request(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    message = resume_message()
    store_message(context, message)
    sandbox.oms.state.groups[NIGHTLY_IMAGES].status = PAUSING
    kill_before_the_answer(context, message, monkeypatch)
    sandbox.oms.state.groups[NIGHTLY_IMAGES].status = PAUSED
    waits = replace(message, kind=Kind.CREATE_ONCE_PAUSED, key=f"trigger-1/{NIGHTLY_IMAGES}")
    assert create_request.create_once_paused(context, waits, NIGHTLY, context.now()) is None
    deny(sandbox, context)
    create_request.create_requests(context, message, NIGHTLY, context.now())
    assert [one.state for one in all_requests(context)] == [State.DENIED]


def test_two_workers_that_handle_one_message_create_one_request(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    message = resume_message()
    store_message(context, message)
    check_keys = preflight.check_keys

    def create_and_deny_first(*arguments: Any) -> object:
        # The other worker creates the request first, and carol denies it.
        monkeypatch.setattr(preflight, "check_keys", check_keys)
        kill_before_the_answer(context, message, monkeypatch)
        deny(sandbox, context)
        return check_keys(*arguments)

    monkeypatch.setattr(preflight, "check_keys", create_and_deny_first)
    create_request.create_requests(context, message, NIGHTLY, context.now())
    assert [one.state for one in all_requests(context)] == [State.DENIED]
    assert "Denied" in answers(context)[-1]


@pytest.fixture
def two_projects(new_sandbox: Callable[..., Sandbox]) -> Iterator[Context]:
    with context_of(new_sandbox(projects=2)) as context:
        yield context


@pytest.fixture
def one_project(new_sandbox: Callable[..., Sandbox]) -> Iterator[Context]:
    with context_of(new_sandbox()) as context:
        yield context


def refusal_detail(context: Context, command: ResumeGroups, person: str = ALICE) -> dict[str, object]:
    """The detail of the audit event of a message that creates no request."""
    message = Message(Kind.CREATE_REQUEST, "trigger-1", person, TEAM_ID, MIGRATIONS, command=command)
    store_message(context, message)
    create_request.create_requests(context, message, command, context.now())
    with context.store.read() as connection:
        [row] = connection.execute(select(tables.audit.c.event, tables.audit.c.detail)).all()
    assert row.event == "request.not_created"
    detail: dict[str, object] = json.loads(row.detail)
    return detail


def activity(context: Context) -> dict[str, int]:
    with context.store.read() as connection:
        return {name: audit.count_of_project(connection, name, 0, 9) for name in context.projects}


def test_a_refusal_counts_in_the_project_that_the_group_is_in(two_projects: Context) -> None:
    detail = refusal_detail(two_projects, ResumeGroups((DONE,), "why not"))
    assert (detail["groups"], detail["project"]) == ([DONE], "media")
    assert activity(two_projects) == {"media": 1, "archive": 0}


def test_a_group_that_is_not_found_counts_in_the_only_project_that_was_searched(two_projects: Context) -> None:
    assert refusal_detail(two_projects, ResumeGroups((NIGHTLY_IMAGES,), "", "archive"))["project"] == "archive"
    assert activity(two_projects) == {"media": 0, "archive": 1}


def test_a_group_that_is_found_in_none_of_several_projects_counts_in_none(two_projects: Context) -> None:
    assert "project" not in refusal_detail(two_projects, ResumeGroups((UNKNOWN,), ""))
    assert activity(two_projects) == {"media": 0, "archive": 0}


def test_a_refusal_in_a_named_project_counts_there(one_project: Context) -> None:
    assert refusal_detail(one_project, ResumeGroups((NIGHTLY_IMAGES,), "", "media"), ERIN)["project"] == "media"
    assert activity(one_project) == {"media": 1}


def test_a_name_that_is_not_in_the_settings_counts_in_no_project(one_project: Context) -> None:
    assert "project" not in refusal_detail(one_project, ResumeGroups((LEDGERS,), "", "nowhere"))


def pausing_group_message(sandbox: Sandbox, context: Context) -> Message:
    sandbox.oms.state.groups[NIGHTLY_IMAGES].status = PAUSING
    url = sandbox.slack.response_url(ALICE, MIGRATIONS)
    message = Message(Kind.CREATE_ONCE_PAUSED, "1", ALICE, TEAM_ID, MIGRATIONS, command=NIGHTLY, response_url=url)
    store_message(context, message)
    return message


def seal_vault(sandbox: Sandbox) -> None:
    sandbox.oms.state.groups[NIGHTLY_IMAGES].status = PAUSED
    sandbox.vault.seal()


# A read is tried once more.
TWICE_503 = [Answer(503, "APIG.0601")] * 2
TWICE_429 = [Answer(429, "APIG.0308", retry_after=1)] * 2

PASSING_ERRORS: dict[str, Callable[[Sandbox], None]] = {
    "OMS fails": lambda sandbox: sandbox.oms.faults.add("show", *TWICE_503),
    "OMS asks to slow down": lambda sandbox: sandbox.oms.faults.add("show", *TWICE_429),
    "a proxy answers in place of OMS": lambda sandbox: sandbox.oms.faults.add("show", Raw(200, b"<html></html>")),
    "Vault is sealed": seal_vault,
}


@pytest.mark.parametrize("error", PASSING_ERRORS)
def test_an_error_that_may_pass_is_waited_for_half_an_hour_and_then_answered(
    inside: tuple[Sandbox, Context], error: str
) -> None:
    sandbox, context = inside
    message, received_at = pausing_group_message(sandbox, context), context.now()
    PASSING_ERRORS[error](sandbox)
    assert create_request.create_once_paused(context, message, NIGHTLY, received_at) is not None
    assert sandbox.workspace.private_texts(ALICE) == []
    PASSING_ERRORS[error](sandbox)
    later = context_at(context, received_at + timedelta(minutes=30))
    assert create_request.create_once_paused(later, message, NIGHTLY, received_at) is None


def test_a_failed_lookup_of_the_person_is_tried_again_for_half_an_hour(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    message, received_at = pausing_group_message(sandbox, context), context.now()
    sandbox.slack.outage.answers["users.info"] = [500] * 10
    try_again_at = create_request.create_once_paused(context_at(context, received_at), message, NIGHTLY, received_at)
    assert try_again_at == received_at + timedelta(seconds=10)
    later = context_at(context, received_at + timedelta(minutes=30))
    with pytest.raises(LookupFailed):
        create_request.create_once_paused(later, message, NIGHTLY, received_at)


def test_a_request_is_created_once_the_error_has_passed(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    message = pausing_group_message(sandbox, context)
    sandbox.oms.faults.add("show", *TWICE_503)
    assert create_request.create_once_paused(context, message, NIGHTLY, context.now()) is not None
    sandbox.oms.state.groups[NIGHTLY_IMAGES].status = PAUSED
    assert create_request.create_once_paused(context, message, NIGHTLY, context.now()) is None
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1, "the card"


def test_an_error_that_does_not_pass_ends_the_wait_at_once(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    message = pausing_group_message(sandbox, context)
    sandbox.oms.faults.add("show", Answer(403, "OMS.0072"))
    assert create_request.create_once_paused(context, message, NIGHTLY, context.now()) is None


def test_the_message_for_a_pausing_group_keeps_the_command(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    sandbox.oms.state.groups[NIGHTLY_IMAGES].status = PAUSING
    command = ResumeGroups((DONE, NIGHTLY_IMAGES), "a <b> & project=x", "media", (23, 5))
    message = replace(resume_message(), command=command)
    store_message(context, message)
    typed_at = context.now() - timedelta(seconds=40)
    create_request.create_requests(context, message, command, typed_at)
    with context.store.read() as connection:
        kind = tables.inbox.c.kind == Kind.CREATE_ONCE_PAUSED
        number = connection.execute(select(tables.inbox.c.id).where(kind)).scalar_one()
        stored = inbox.get(connection, number)
    later = stored.message
    assert stored.received_at == typed_at, "the start time is the next one after the command was typed"
    assert later.command == replace(command, group_ids=(NIGHTLY_IMAGES,))
    assert (later.person, later.origin_key) == (ALICE, message.key)


def test_six_requests_log_in_at_iam_once(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    sandbox.vault.write("oms/media/caller", CALLERS["password"])
    group_ids = [group.id for group in paused_groups(sandbox, 6)]
    for number, group_id in enumerate(group_ids):
        command = ResumeGroups((group_id,), "network is back")
        message = replace(resume_message(f"trigger-{number}"), command=command)
        store_message(context, message)
        create_request.create_requests(context, message, command, context.now())
    assert {request.group.group_id for request in all_requests(context)} == set(group_ids)
    logins = [call for call in sandbox.call_log.since() if (call.service, call.method) == ("iam", "POST")]
    assert len(logins) == 1


def paused_groups(sandbox: Sandbox, count: int) -> list[Group]:
    made = [Group(f"3c3c3c3c-0000-4000-8000-{number:012d}", f"group {number}", PAUSED) for number in range(count)]
    sandbox.oms.state.groups.update({group.id: group for group in made})
    return made


def test_a_late_start_leaves_the_voting_as_long_as_expires_after(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    now = datetime(2026, 3, 1, 23, 41, tzinfo=UTC)  # 07:41 for alice
    command = replace(NIGHTLY, at=(22, 30))
    message = replace(resume_message(), command=command)
    create_request.create_requests(context_at(context, now), message, command, now)
    request = created_by(context, message)
    assert request.start_at == datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    assert request.expires_at == now + timedelta(hours=8)
    assert request.approval_valid_until == request.start_at + timedelta(hours=1)


def test_nobody_can_vote_when_an_hour_has_passed_since_the_start(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    now = datetime(2026, 3, 1, 23, 41, tzinfo=UTC)
    command = replace(NIGHTLY, at=(8, 0))
    message = replace(resume_message(), command=command)
    create_request.create_requests(context_at(context, now), message, command, now)
    request = created_by(context, message)
    assert request.start_at == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    assert request.expires_at == request.approval_valid_until == request.start_at + timedelta(hours=1)


def created_by(context: Context, message: Message) -> Request:
    with context.store.read() as connection:
        request = requests.find_by_origin(connection, message.origin_key, NIGHTLY_IMAGES)
    assert request is not None
    return request
