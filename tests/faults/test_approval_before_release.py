"""Keys are released only while the approval still counts, and the PUT follows what OMS showed seconds ago."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Thread

import pytest

from bot.domain.request import Policy, Request, State
from bot.jobs.context import Context
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Drop, Hold
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOT_TOKEN, CAROL, DAVE, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.slack.transport import new_client
from bot.slack.users import OUTSIDER_SECONDS, RECENT_SECONDS, Users
from bot.store import audit, requests
from bot.store.audit import rows
from bot.store.inbox import Kind
from bot.ui.problem_texts import APPROVERS_NOT_CONFIRMED
from tests.support.in_process import (
    advance_once,
    card_text,
    context_at,
    context_of,
    create_request,
    press_button,
    stored_request,
)
from tests.support.postgres import Postgres
from tests.support.sandbox import key_reads, put_calls, run_concurrently

TWO = Policy(("*",), ((CAROL, DAVE),) * 2, self_approval=False)
GROUP_ONLY = Policy(("*",), ((APPROVERS_GROUP,),), self_approval=False)
CAROL_AND_GROUP = Policy(("*",), ((CAROL,), (APPROVERS_GROUP,)), self_approval=False)
SELF = Policy(("*",), ((ALICE,),), self_approval=True)
SELF_APPROVAL = {"approvers": (ALICE,), "self_approval": True}


class Scheduled:
    """A request that was approved an hour before its start time."""

    def __init__(self, sandbox: Sandbox, context: Context, policy: Policy, *approvers: str) -> None:
        self.sandbox, self.seconds = sandbox, 0.0
        # Called with the body of each look-up once Slack has answered it.
        self.on_answer: Callable[[str], None] = lambda body: None
        self.context = self.with_own_answers_of_slack(context)
        self.start_at = context.now() + timedelta(hours=1)
        self.request: Request
        self.posted: PostedMessage
        self.request, self.posted = create_request(sandbox, self.context, policy=policy, start_at=self.start_at)
        for person in approvers:
            self.press(Kind.APPROVE, person)
        assert self.request.state is State.APPROVED

    def with_own_answers_of_slack(self, context: Context) -> Context:
        """The context of a process that has looked up nobody so far."""
        client = new_client(Secret(BOT_TOKEN), self.sandbox.slack.api_url)
        client.session.hooks["response"].append(lambda answer, **_: self.on_answer(str(answer.request.body)))
        return replace(context, people=Users(client, TEAM_ID, lambda: self.seconds))

    def press(self, kind: Kind, person: str) -> Request:
        self.request = press_button(self.context, kind, person, self.request, self.posted)
        return self.request

    def at_start(self, context: Context) -> Context:
        """The context at the start time of the request, at the earliest."""
        return context_at(context, max(context.now(), self.start_at))

    def start(self, seconds_later: float = RECENT_SECONDS) -> Request:
        """Advances the request at its start time, this long after the last look-ups."""
        self.seconds += seconds_later
        self.context = self.at_start(self.context)
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

    def audit_details(self, event: str) -> list[dict[str, object]]:
        with self.context.store.read() as connection:
            return [json.loads(row.detail) for row in rows(connection, self.request.id) if row.event == event]

    def assert_void_once(self, void: list[str], counted: list[str]) -> None:
        """Asserts that the audit says once which approvals no longer count, and which still do."""
        [event] = self.audit_details("approval.void")
        assert (event["void approvals"], event["approved by"]) == (void, counted)

    def looked_up(self) -> list[str]:
        """The users and user groups that Slack was asked about so far."""
        calls = [call for call in self.sandbox.call_log.since() if call.service == "slack"]
        return [call.note for call in calls if call.path in ("users.info", "usergroups.users.list")]

    def assert_nothing_released(self) -> None:
        assert (put_calls(self.sandbox), key_reads(self.sandbox)) == ([], [])


def with_project(context: Context, **changes: object) -> Context:
    """The context with another table of the project in bot.toml."""
    return replace(context, projects={"media": context.projects["media"].model_copy(update=changes)})


@pytest.fixture
def approved(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[Callable[..., Scheduled]]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield lambda policy, *approvers, **project: Scheduled(
            sandbox, with_project(context, **project), policy, *approvers
        )


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
    one.assert_void_once([CAROL], [DAVE])


def test_an_approver_who_counts_again_can_approve_again(approved: Callable[..., Scheduled]) -> None:
    one = approved(TWO, CAROL, DAVE)
    one.sandbox.workspace.users[CAROL]["deleted"] = True
    assert one.start().state is State.PENDING
    one.sandbox.workspace.users[CAROL]["deleted"] = False
    one.seconds += OUTSIDER_SECONDS - 0.1
    assert one.press(Kind.APPROVE, CAROL).state is State.PENDING, "the verdict about an outsider counts for a minute"
    one.seconds += 0.1
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
    one.context = with_project(one.context, approvers=(DAVE,))
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


@pytest.mark.parametrize("status", [500, 429])
@pytest.mark.parametrize("method", ["users.info", "usergroups.users.list"])
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
    before = one.looked_up()
    assert one.start(seconds_later=RECENT_SECONDS - 0.1).state is State.ACCEPTED
    assert one.looked_up() == before


def test_releases_that_are_due_together_share_one_look_up_of_each_person(approved: Callable[..., Scheduled]) -> None:
    one = approved(CAROL_AND_GROUP, CAROL, DAVE)
    due = [one.request]
    for number in (2, 3, 4):
        made, posted = create_request(one.sandbox, one.context, number, policy=CAROL_AND_GROUP, start_at=one.start_at)
        for person in (CAROL, DAVE):
            made = press_button(one.context, Kind.APPROVE, person, made, posted)
        due.append(made)
    before = len(one.looked_up())
    one.seconds += RECENT_SECONDS
    context = one.at_start(one.context)
    run_concurrently(*(partial(advance_once, context, request.id) for request in due))
    assert {stored_request(context, request.id).state for request in due} == {State.ACCEPTED}
    assert sorted(one.looked_up()[before:]) == sorted([CAROL, DAVE, APPROVERS_GROUP])


def test_a_requester_who_may_approve_is_looked_up_again_as_well(approved: Callable[..., Scheduled]) -> None:
    one = approved(SELF, ALICE, **SELF_APPROVAL)
    before = len(one.looked_up())
    assert one.start().state is State.ACCEPTED
    assert one.looked_up()[before:] == [ALICE]


@pytest.mark.parametrize("cause", ["deactivated", "forbidden in bot.toml"])
def test_the_approval_of_a_requester_no_longer_counts(approved: Callable[..., Scheduled], cause: str) -> None:
    one = approved(SELF, ALICE, **SELF_APPROVAL)
    if cause == "deactivated":
        one.sandbox.workspace.users[ALICE]["deleted"] = True
    else:
        one.context = with_project(one.context, self_approval=False)
    assert one.start().state is State.PENDING
    one.assert_void_once([ALICE], [])
    one.assert_nothing_released()


def test_an_approver_who_left_while_iam_hung_no_longer_counts(approved: Callable[..., Scheduled]) -> None:
    one = approved(TWO, CAROL, DAVE)
    one.sandbox.vault.write("oms/media/caller", CALLERS["password"])
    hold = Hold()
    one.sandbox.oms.faults.add("token", hold)
    starting = Thread(target=one.start, args=(0.1,))
    starting.start()
    assert hold.reached.wait(20)
    # The answers of the approvals were young enough when the release began.
    one.sandbox.workspace.users[CAROL]["deleted"] = True
    one.seconds += RECENT_SECONDS
    hold.released.set()
    starting.join(60)
    assert one.request.state is State.PENDING
    one.assert_nothing_released()


@pytest.mark.parametrize("slow_answers", [1, 50])
def test_an_approver_who_left_while_slack_was_slow_about_another_no_longer_counts(
    approved: Callable[..., Scheduled], slow_answers: int
) -> None:
    one = approved(TWO, CAROL, DAVE)
    left = slow_answers

    def answer_slowly(body: str) -> None:
        nonlocal left
        if DAVE in body and left:
            left -= 1
            # Slack had already answered about Carol.
            one.sandbox.workspace.users[CAROL]["deleted"] = True
            one.seconds += 8

    one.on_answer = answer_slowly
    # While the answers are never recent together, nothing is decided.
    assert one.start().state is (State.PENDING if slow_answers == 1 else State.APPROVED)
    one.assert_nothing_released()
    if slow_answers == 1:
        one.assert_void_once([CAROL], [DAVE])
    else:
        assert f"{APPROVERS_NOT_CONFIRMED} Nothing was started." in one.card()
        one.on_answer = lambda body: None
        assert one.retry_after_wait().state is State.PENDING
    one.assert_nothing_released()


def test_the_vote_of_an_approver_counts_whom_another_process_saw_as_a_guest(
    approved: Callable[..., Scheduled],
) -> None:
    one = approved(replace(TWO, slots=((DAVE,),)), DAVE)
    one.context = one.at_start(one.context)
    user = one.sandbox.workspace.users[CAROL]
    made, posted = create_request(one.sandbox, one.context, 2, policy=TWO)
    user["is_restricted"] = True
    assert press_button(one.context, Kind.APPROVE, CAROL, made, posted).vote_progress is None
    user["is_restricted"] = False
    one.seconds += RECENT_SECONDS
    other = one.with_own_answers_of_slack(one.context)
    made = press_button(other, Kind.APPROVE, CAROL, made, posted)
    assert made.vote_progress is not None
    # The first process still keeps its verdict, and must not use it about a vote.
    assert press_button(one.context, Kind.APPROVE, DAVE, made, posted).state is State.ACCEPTED


@pytest.fixture
def by_replicas(new_sandbox: Callable[..., Sandbox], postgres: Postgres) -> Iterator[tuple[Scheduled, Context]]:
    """A request that one replica approved, and the context of the other replica at the start time."""
    sandbox = new_sandbox(database_url=postgres.new_database())
    with context_of(sandbox) as first, context_of(sandbox) as second:
        for replica in (first, second):
            # Afterwards, a release reads no credentials of the bot itself.
            replica.identity.call("media", lambda oms: oms.show(NIGHTLY_IMAGES))
        one = Scheduled(sandbox, first, TWO, CAROL, DAVE)
        yield one, one.at_start(second)


def test_two_replicas_at_the_release_send_one_put(by_replicas: tuple[Scheduled, Context]) -> None:
    one, second = by_replicas
    one.seconds += RECENT_SECONDS
    first = one.at_start(one.context)
    run_concurrently(*(partial(advance_once, replica, one.request.id) for replica in (first, second)))
    assert stored_request(second, one.request.id).state is State.ACCEPTED
    assert len(put_calls(one.sandbox)) == 1


def test_two_replicas_at_the_release_void_an_approval_once(by_replicas: tuple[Scheduled, Context]) -> None:
    one, second = by_replicas
    one.sandbox.workspace.users[CAROL]["deleted"] = True
    one.seconds += RECENT_SECONDS
    first = one.at_start(one.context)
    run_concurrently(*(partial(advance_once, replica, one.request.id) for replica in (first, second)))
    assert stored_request(second, one.request.id).state is State.PENDING
    one.assert_void_once([CAROL], [DAVE])
    one.assert_nothing_released()


def test_a_replica_sends_nothing_once_the_other_found_the_approver_gone(by_replicas: tuple[Scheduled, Context]) -> None:
    one, second = by_replicas
    one.sandbox.vault.delay_seconds = 1.6
    starting = Thread(target=one.start, args=(RECENT_SECONDS,))
    starting.start()
    # The first replica has looked everybody up, and reads the keys.
    one.sandbox.call_log.wait_for(lambda call: call.service == "vault" and call.path.endswith("/source"))
    one.sandbox.workspace.users[CAROL]["deleted"] = True
    assert advance_once(second, one.request.id).state is State.PENDING
    starting.join(60)
    assert stored_request(second, one.request.id).state is State.PENDING
    assert put_calls(one.sandbox) == []
    [closed] = one.audit_details("vault.closed")
    assert closed["token given back"] is True


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
