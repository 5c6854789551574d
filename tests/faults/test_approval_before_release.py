"""Keys are released only while the approval still counts, and the PUT follows what OMS showed seconds ago."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest

from bot.config.bot_toml import Project
from bot.domain.request import Policy, Request, State
from bot.jobs.context import Context
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.huawei.faults import Answer, Drop
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOT_TOKEN, CAROL, DAVE, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.slack.transport import new_client
from bot.slack.users import RECENT_SECONDS, Users
from bot.store import audit, requests
from bot.store.audit import rows
from bot.store.inbox import Kind
from bot.ui.problem_texts import APPROVERS_NOT_CONFIRMED
from tests.support.in_process import advance_once, card_text, context_at, context_of, create_request, press_button
from tests.support.sandbox import key_reads, put_calls

TWO = Policy(("*",), ((CAROL, DAVE),) * 2, self_approval=False)
GROUP_ONLY = Policy(("*",), ((APPROVERS_GROUP,),), self_approval=False)


class Scheduled:
    """A request that was approved an hour before its start time."""

    def __init__(self, sandbox: Sandbox, context: Context, policy: Policy, *approvers: str) -> None:
        self.sandbox, self.seconds = sandbox, 0.0
        client = new_client(Secret(BOT_TOKEN), sandbox.slack.api_url)
        self.context = replace(context, people=Users(client, TEAM_ID, lambda: self.seconds))
        self.start_at = context.now() + timedelta(hours=1)
        self.request: Request
        self.posted: PostedMessage
        self.request, self.posted = create_request(sandbox, self.context, policy=policy, start_at=self.start_at)
        for person in approvers:
            self.press(Kind.APPROVE, person)
        assert self.request.state is State.APPROVED

    def press(self, kind: Kind, person: str) -> Request:
        self.request = press_button(self.context, kind, person, self.request, self.posted)
        return self.request

    def start(self, seconds_later: float = RECENT_SECONDS) -> Request:
        """Advances the request at its start time, this long after the last look-ups."""
        self.seconds += seconds_later
        self.context = context_at(self.context, max(self.context.now(), self.start_at))
        self.request = advance_once(self.context, self.request.id)
        return self.request

    def retry_after_wait(self) -> Request:
        assert self.request.attempt is not None
        assert self.request.attempt.not_before is not None
        self.context = context_at(self.context, self.request.attempt.not_before)
        return self.start()

    def card(self) -> str:
        return card_text(self.context, self.posted, self.request.id)

    def voters(self) -> list[str]:
        with self.context.store.read() as connection:
            return [vote.person for vote in audit.record_of(connection, self.request.id).votes]

    def assert_nothing_released(self) -> None:
        assert (put_calls(self.sandbox), key_reads(self.sandbox)) == ([], [])


@pytest.fixture
def approved(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[Callable[..., Scheduled]]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield lambda policy, *approvers: Scheduled(sandbox, context, policy, *approvers)


@pytest.mark.parametrize("change", [{"deleted": True}, {"is_restricted": True}, {"team_id": "T0OTHER001"}])
def test_a_scheduled_start_without_an_approver_needs_approval_again(
    approved: Callable[..., Scheduled], change: dict[str, object]
) -> None:
    one = approved(TWO, CAROL, DAVE)
    one.sandbox.workspace.users[CAROL].update(change)
    after = one.start()
    one.assert_nothing_released()
    assert (after.state, after.decision, after.start_at) == (State.PENDING, None, one.start_at)
    assert after.expires_at == max(after.created_at + timedelta(hours=8), one.start_at + timedelta(hours=1))
    assert after.vote_progress is not None
    assert (after.vote_progress.people, one.voters()) == ((DAVE,), [DAVE])
    text = one.card()
    assert f"1 of 2 approved (<@{DAVE}>). Still needed: <@{CAROL}>. <@{CAROL}>'s approval no longer counts." in text
    assert not [word for word in ("deactivated", "guest", "organization") if word in text.lower()]
    with one.context.store.read() as connection:
        [event] = [json.loads(row.detail) for row in rows(connection) if row.event == "approval.void"]
    assert event == {"approved by": [DAVE], "void approvals": [CAROL]}


def test_an_approver_who_counts_again_can_approve_again(approved: Callable[..., Scheduled]) -> None:
    one = approved(TWO, CAROL, DAVE)
    one.sandbox.workspace.users[CAROL]["deleted"] = True
    assert one.start().state is State.PENDING
    one.sandbox.workspace.users[CAROL]["deleted"] = False
    after = one.press(Kind.APPROVE, CAROL)
    assert (after.state, after.void_approvals) == (State.ACCEPTED, ())
    assert len(put_calls(one.sandbox)) == 1


def test_an_approver_who_left_the_user_group_no_longer_counts(approved: Callable[..., Scheduled]) -> None:
    one = approved(GROUP_ONLY, DAVE)
    one.sandbox.workspace.groups[APPROVERS_GROUP] = []
    assert one.start().state is State.PENDING
    one.assert_nothing_released()
    assert f"<@{DAVE}>'s approval no longer counts." in one.card()


def test_a_vote_does_not_count_seconds_after_its_owner_left_the_user_group(approved: Callable[..., Scheduled]) -> None:
    one = approved(GROUP_ONLY, DAVE)
    other, posted = create_request(one.sandbox, one.context, 2, policy=GROUP_ONLY)
    one.sandbox.workspace.groups[APPROVERS_GROUP] = []
    one.seconds += RECENT_SECONDS
    assert press_button(one.context, Kind.APPROVE, DAVE, other, posted).state is State.PENDING


def test_an_approver_removed_from_the_settings_no_longer_counts(approved: Callable[..., Scheduled]) -> None:
    one = approved(replace(TWO, slots=((CAROL, DAVE),)), CAROL)
    project = one.context.projects["media"]
    changed = project.model_dump() | {"requesters": list(project.requesters), "approvers": [DAVE]}
    one.context = replace(one.context, projects={"media": Project.model_validate(changed)})
    assert one.start().state is State.PENDING
    one.assert_nothing_released()


def test_the_retry_of_a_requester_releases_nothing_without_the_approver(approved: Callable[..., Scheduled]) -> None:
    one = approved(replace(TWO, slots=((CAROL, DAVE),)), CAROL)
    one.sandbox.oms.faults.add("show", Answer(403, "OMS.0072"))
    assert one.start().state is State.NOT_STARTED
    one.sandbox.workspace.users[CAROL]["deleted"] = True
    one.seconds += RECENT_SECONDS
    assert one.press(Kind.RETRY, ALICE).state is State.PENDING
    one.assert_nothing_released()


@pytest.mark.parametrize(("method", "status"), [("users.info", 500), ("usergroups.users.list", 500)])
def test_nothing_is_released_while_slack_does_not_confirm_the_approvers(
    approved: Callable[..., Scheduled], method: str, status: int
) -> None:
    one = approved(GROUP_ONLY, DAVE)
    one.sandbox.slack.outage.answers[method] = [status] * 50
    assert one.start().state is State.APPROVED
    text = one.card()
    assert f"{APPROVERS_NOT_CONFIRMED} Nothing was started." in text
    assert "The bot retries automatically until" in text
    one.assert_nothing_released()
    one.sandbox.slack.outage.answers.clear()
    assert one.retry_after_wait().state is State.ACCEPTED
    assert len(put_calls(one.sandbox)) == 1


def test_the_look_ups_of_the_last_approval_count_for_its_release(approved: Callable[..., Scheduled]) -> None:
    one = approved(GROUP_ONLY, DAVE)
    before = len([call for call in one.sandbox.call_log.since() if call.service == "slack"])
    assert one.start(seconds_later=RECENT_SECONDS - 0.1).state is State.ACCEPTED
    assert len([call for call in one.sandbox.call_log.since() if call.service == "slack"]) == before


@pytest.mark.parametrize("is_changed", [True, False])
def test_the_group_is_read_again_if_vault_takes_long(
    new_sandbox: Callable[..., Sandbox], database_url: str, is_changed: bool
) -> None:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        made, posted = create_request(sandbox, context)
        context.identity.call("media", lambda oms: oms.show(made.group.group_id))
        sandbox.vault.delay_seconds = 1.6
        group = sandbox.oms.state.groups[made.group.group_id]
        pressed = Thread(target=press_button, args=(context, Kind.APPROVE, CAROL, made, posted))
        pressed.start()
        # Set while the bot reads the keys.
        sandbox.call_log.wait_for(lambda call: call.service == "vault" and call.path.endswith("/source"))
        if is_changed:
            group.destination = "other-archive"
        pressed.join(60)
        with context.store.read() as connection:
            after = requests.get(connection, made.id)
            events = [row.event for row in rows(connection, made.id)]
    assert after is not None
    assert after.state is (State.VOID if is_changed else State.ACCEPTED)
    assert len(put_calls(sandbox)) == (0 if is_changed else 1)
    if is_changed:
        assert "vault.closed" in events


def test_no_key_is_read_while_iam_does_not_log_the_bot_in(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.vault.write("oms/media/caller", CALLERS["password"])
    with context_of(sandbox) as context:
        made, posted = create_request(sandbox, context)
        sandbox.oms.faults.add("token", *[Drop(done=False)] * 4)
        after = press_button(context, Kind.APPROVE, CAROL, made, posted)
    assert after.state is State.APPROVED
    assert (key_reads(sandbox), put_calls(sandbox)) == ([], [])
