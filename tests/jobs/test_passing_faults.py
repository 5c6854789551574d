"""While Vault, OMS or Slack fail for a short time, messages are handled again, and no click waits for the others."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from bot.clients import new_identity
from bot.domain.audit_events import AuditEvent
from bot.domain.command import ResumeGroups
from bot.domain.policy import Person
from bot.domain.request import Attempt, Decision, Request, State
from bot.huawei.circuit_breaker import InMemoryRows
from bot.huawei.errors import HuaweiError
from bot.jobs import inbox_dispatcher, request_dispatcher
from bot.jobs.ask.create_request import create_requests
from bot.jobs.context import Context
from bot.jobs.inbox_dispatcher import ANSWER_WITHIN
from bot.jobs.lanes import APPROVED_REQUESTS
from bot.jobs.worker import Failed, Finished, Handler, Result, Worker
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, CAROL, DAVE, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import queue, requests
from bot.store.audit import Event, rows
from bot.store.inbox import Kind, Message
from bot.store.tables import notices
from bot.ui import refusals
from bot.vault.client import TIMEOUT_SECONDS
from tests.support.in_process import context_at, context_of, create_request, press_button, store_message, stored_request
from tests.support.sandbox import put_calls
from tests.support.wire import Wire, answer_of

NUMBERS = itertools.count()
# Less than one call to a Vault that hangs.
ANSWERED_WITHIN_SECONDS = TIMEOUT_SECONDS - 0.5


def press(kind: Kind, person: str, made: Request, posted: PostedMessage) -> Message:
    key = f"click {next(NUMBERS)}"
    return Message(kind, key, person, TEAM_ID, posted.channel, request_id=made.id, message_ts=posted.ts)


def typed(*group_ids: str) -> Message:
    command = ResumeGroups(group_ids, "network is back")
    return Message(Kind.CREATE_REQUEST, f"typed {next(NUMBERS)}", ALICE, TEAM_ID, command=command)


def answers(context: Context) -> list[str]:
    """The texts of the replies so far."""
    with context.store.read() as connection:
        query = select(notices.c.text).where(notices.c.delivery == "direct").order_by(notices.c.id)
        return list(connection.execute(query).scalars())


def handled(context: Context, message: Message) -> tuple[Result, list[float]]:
    """Handles a message as often as it is due. Returns the last result, and when it was due, in seconds."""
    claim, began = store_message(context, message), context.now()
    due: list[float] = []
    result = inbox_dispatcher.handle_message(context_at(context, began), claim)
    while isinstance(result, Failed):
        due.append((result.due_at - began).total_seconds())
        claim = replace(claim, tries=claim.tries + 1)
        result = inbox_dispatcher.handle_message(context_at(context, result.due_at), claim)
    return result, due


@pytest.mark.parametrize("status", [500, 503, 429])
def test_one_failed_lookup_delays_a_vote_by_a_second_at_most(inside: tuple[Sandbox, Context], status: int) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    sandbox.slack.outage.answers["users.info"] = [status]
    sandbox.slack.outage.answers["usergroups.users.list"] = [status]
    assert handled(context, press(Kind.APPROVE, CAROL, made, posted)) == (Finished(), [])
    assert stored_request(context, made.id).state is State.ACCEPTED


@pytest.mark.parametrize("failures", [2, 5, 8])
def test_a_vote_is_handled_again_while_slack_does_not_tell_who_the_person_is(
    inside: tuple[Sandbox, Context], failures: int
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    sandbox.slack.outage.answers["users.info"] = [500] * failures
    result, due = handled(context, press(Kind.APPROVE, CAROL, made, posted))
    assert result == Finished()
    assert due, "it was postponed, and its thread was free"
    assert stored_request(context, made.id).state is State.ACCEPTED
    assert refusals.LOOKUP_FAILED not in answers(context)


def test_a_vote_is_handled_again_while_slack_does_not_tell_the_members_of_a_group(
    inside: tuple[Sandbox, Context],
) -> None:
    _, context = inside
    policy = replace(context.projects["media"].policy, slots=((APPROVERS_GROUP,),))
    made, posted = create_request(*inside, policy=policy)
    context = replace(context, people=_Unknown(context.people, failures=2))  # type: ignore[arg-type]
    result, due = handled(context, press(Kind.APPROVE, DAVE, made, posted))
    assert (result, len(due)) == (Finished(), 2)
    assert stored_request(context, made.id).state is State.ACCEPTED
    assert refusals.GROUPS_UNKNOWN not in answers(context)


@pytest.mark.parametrize("kind", [Kind.APPROVE, Kind.WITHDRAW])
def test_a_vote_is_handled_again_while_the_user_groups_of_an_earlier_voter_are_unknown(
    inside: tuple[Sandbox, Context], kind: Kind
) -> None:
    """Nothing looks at the votes again until the next vote, so a voter who is left out would be missing for good."""
    sandbox, context = inside
    slots = ((APPROVERS_GROUP,), (CAROL,)) if kind is Kind.APPROVE else ((APPROVERS_GROUP,), (CAROL,), (CAROL, DAVE))
    made, posted = create_request(*inside, policy=replace(context.projects["media"].policy, slots=slots))
    press_button(context, Kind.APPROVE, DAVE, made, posted)
    if kind is Kind.WITHDRAW:
        press_button(context, Kind.APPROVE, CAROL, made, posted)
    unknown = replace(context, people=_Unknown(context.people, failures=4))  # type: ignore[arg-type]
    result, due = handled(unknown, press(kind, CAROL, made, posted))
    assert result == Finished()
    assert due, "it was postponed"
    after = stored_request(context, made.id)
    if kind is Kind.APPROVE:
        assert after.state is State.ACCEPTED
        assert len(put_calls(sandbox)) == 1
    else:
        assert after.vote_progress is not None
        assert after.vote_progress.people == (DAVE,)


class _Unknown:
    """Looks people up as usual, but without their user groups for the first times."""

    def __init__(self, people: object, failures: int) -> None:
        self._people, self._failures = people, failures

    def denial_behind(self, error: object) -> None:
        """Slack refuses no method."""

    def confirm(self, user_id: str, names: Iterable[str], max_age_seconds: float) -> object:
        return self._seen(self._people.confirm(user_id, names, max_age_seconds))  # type: ignore[attr-defined]

    def confirm_all(self, user_ids: Iterable[str], names: Iterable[str]) -> list[Person]:
        return [self._seen(person) for person in self._people.confirm_all(user_ids, names)]  # type: ignore[attr-defined]

    def look_up_now(self, user_id: str, names: Iterable[str] = ()) -> object:
        return self._seen(self._people.look_up_now(user_id, names))  # type: ignore[attr-defined]

    def _seen(self, person: Person) -> Person:
        self._failures -= 1
        return person if self._failures < 0 else replace(person, groups=frozenset(), groups_known=False)


@pytest.mark.parametrize("kind", [Kind.APPROVE, Kind.LIST, Kind.CREATE_REQUEST])
def test_a_person_whom_slack_does_not_tell_is_answered_after_20_seconds(
    inside: tuple[Sandbox, Context], kind: Kind
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    sandbox.slack.outage.answers["users.info"] = [500] * 200
    message = typed(NIGHTLY_IMAGES) if kind is Kind.CREATE_REQUEST else press(kind, CAROL, made, posted)
    result, due = handled(context, message)
    assert result == Finished()
    assert answers(context) == [refusals.LOOKUP_FAILED]
    assert due[-1] > ANSWER_WITHIN.total_seconds() - 4
    assert due[-1] <= ANSWER_WITHIN.total_seconds()
    assert due[0] == 0.5
    assert stored_request(context, made.id).state is State.PENDING
    with context.store.read() as connection:
        assert [link.event for link in rows(connection)][-1] == "action.refused"


def test_a_lookup_that_hangs_is_not_begun_when_its_answer_could_come_too_late(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    sandbox.slack.outage.answers["users.info"] = [500] * 200
    claim, began = store_message(context, press(Kind.APPROVE, CAROL, made, posted)), context.now()
    times = iter([began, *[began + timedelta(seconds=10)] * 50])
    # A try that takes 10 s of the 20 s.
    slow = replace(context, now=lambda: next(times))
    assert inbox_dispatcher.handle_message(slow, claim) == Finished()
    assert answers(context) == [refusals.LOOKUP_FAILED]


# A command


def test_a_command_is_handled_again_while_oms_or_vault_cannot_serve_it(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    wire = Wire(sandbox.vault.url)
    sandbox.extra_environment = {"VAULT_ADDR": wire.url}
    with context_of(sandbox) as context:
        wire.answers = [answer_of(500, b'{"errors": ["local node not active"]}')] * 4
        sandbox.oms.faults.add("show", *[Answer(503, "APIG.0202")] * 4)
        result, due = handled(context, typed(NIGHTLY_IMAGES))
        assert (result, len(due)) == (Finished(), 4)
        [text] = answers(context)
        assert text.startswith("Created R-")
    wire.cut()


def test_a_command_for_several_groups_creates_each_request_once(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    group = sandbox.oms.state.groups[NIGHTLY_IMAGES]
    other = "3c3c3c3c-0000-4000-8000-000000000077"
    sandbox.oms.state.groups[other] = replace(group, id=other)
    message = typed(NIGHTLY_IMAGES, other)
    # The first group is found. The second is not, because both calls for it fail.
    claim = store_message(context, message)
    assert message.command is not None
    sandbox.oms.faults.add("show", *[Answer(503, "APIG.0202")] * 2)
    first = inbox_dispatcher.handle_message(context, claim)
    assert isinstance(first, Failed)
    assert answers(context) == []
    assert inbox_dispatcher.handle_message(context, replace(claim, tries=1)) == Finished()
    [text] = answers(context)
    assert text.count("Created R-") == 2


@pytest.mark.parametrize("failed_lookups", [0, 2, 4])
def test_a_command_allows_one_try_of_a_suspended_identity_although_its_first_lookups_fail(
    inside: tuple[Sandbox, Context], failed_lookups: int
) -> None:
    sandbox, context = inside
    refuse_identity(sandbox, context)
    sandbox.slack.outage.answers["users.info"] = [500] * failed_lookups
    handled(context, typed(NIGHTLY_IMAGES))
    [text] = answers(context)
    assert text.startswith("Created R-")


def test_a_command_that_is_handled_again_after_a_refusal_does_not_try_the_identity_again(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    refuse_identity(sandbox, context)
    message, received_at = typed(NIGHTLY_IMAGES), context.now()
    assert isinstance(message.command, ResumeGroups)
    sandbox.oms.faults.add("show", Answer(401, "APIG.0301"))
    for _ in range(3):
        create_requests(context, message, message.command, received_at)
    refusals_of_oms = [call for call in sandbox.call_log.since() if call.service == "oms" and call.status == 401]
    assert len(refusals_of_oms) == 2, "one suspended the identity, and the command allowed one more"


def refuse_identity(sandbox: Sandbox, context: Context) -> None:
    sandbox.oms.faults.add("show", Answer(401, "APIG.0301"))
    with pytest.raises(HuaweiError):
        context.identity.call("media", lambda oms: oms.show(NIGHTLY_IMAGES))


# Many approvals during an outage


@pytest.fixture
def behind_relay(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context, Wire]]:
    """A bot, and the relay between it and Vault."""
    sandbox = new_sandbox()
    sandbox.slack.api.enforces_rate_limits = False
    wire = Wire(sandbox.vault.url)
    sandbox.extra_environment = {"VAULT_ADDR": wire.url}
    with context_of(sandbox) as context:
        yield sandbox, context, wire
    wire.cut()


@pytest.fixture
def twelve_projects(behind_relay: tuple[Sandbox, Context, Wire]) -> tuple[Sandbox, Context, Wire]:
    sandbox, context, wire = behind_relay
    projects = {f"media-{number}": context.projects["media"] for number in range(12)}
    identity = new_identity(context.vault, projects, InMemoryRows(), context.now)
    return sandbox, replace(context, projects=projects | dict(context.projects), identity=identity), wire


def test_twelve_approvals_while_vault_hangs_do_not_hold_up_a_click_and_all_are_sent_later(
    twelve_projects: tuple[Sandbox, Context, Wire],
) -> None:
    sandbox, context, wire = twelve_projects
    made = [create_request(sandbox, context, number + 1, project=f"media-{number}") for number in range(12)]
    last, last_posted = create_request(sandbox, context, 99)
    with working(context) as worker:
        wire.hang()
        for number, (request, posted) in enumerate(made):
            worker.submit(store_message(context, press(Kind.APPROVE, (CAROL, DAVE)[number % 2], request, posted)))
        wait_until(lambda: all(stored_request(context, one.id).decision for one, _ in made), 20)
        began = time.monotonic()
        worker.submit(store_message(context, press(Kind.CANCEL, ALICE, last, last_posted)))
        wait_until(lambda: stored_request(context, last.id).state is State.CANCELLED, 20)
        assert time.monotonic() - began < ANSWERED_WITHIN_SECONDS
        assert put_calls(sandbox) == []
        wire.mend()
        wait_until(lambda: len(put_calls(sandbox)) == 12, 60)
    assert {call.status for call in put_calls(sandbox)} == {200}


def test_a_running_group_is_paused_at_once_while_200_approved_requests_wait_for_vault(
    behind_relay: tuple[Sandbox, Context, Wire],
) -> None:
    sandbox, context, wire = behind_relay
    running, posted = create_request(sandbox, context)
    sandbox.oms.state.groups[running.group.group_id].bytes_per_second = 1000
    press_button(context, Kind.APPROVE, CAROL, running, posted)
    for number in range(2, 202):
        made, _ = create_request(sandbox, context, number)
        decided = replace(made, decision=Decision((CAROL,), made.created_at))
        attempted = replace(decided, attempt=Attempt(1, CAROL, made.created_at))
        waiting = attempted.with_state(State.APPROVED, at=made.created_at)
        vote = Event(AuditEvent.VOTE_ADDED, CAROL, made.id)
        opened = Event(AuditEvent.ATTEMPT_OPENED, CAROL, made.id, {"number": 1, "approved by": [CAROL]})
        with context.store.write() as connection:
            requests.save(connection, made, waiting, context.now(), vote, opened)
    wire.hang()
    with working(context) as worker:
        wait_until(lambda: len(context.active_claims.all()) >= (APPROVED_REQUESTS.max_per_key or 0), 20)
        began = time.monotonic()
        worker.submit(store_message(context, press(Kind.PAUSE, ALICE, running, posted)))
        wait_until(lambda: is_pause_sent(stored_request(context, running.id)), 20)
        assert time.monotonic() - began < ANSWERED_WITHIN_SECONDS
        assert len(put_calls(sandbox)) == 2, "the start and the pause of the running group"


def is_pause_sent(request: Request) -> bool:
    return request.pause is not None and request.pause.sent_at is not None


@contextmanager
def working(context: Context) -> Iterator[Worker]:
    """Runs a worker that handles messages and requests. Cards, notices and maintenance end at once."""
    handlers: dict[str, Handler] = {table.name: lambda _: Finished() for table in queue.TABLES}
    handlers["inbox"] = partial(inbox_dispatcher.handle_message, context)
    handlers["requests"] = partial(request_dispatcher.advance_request, context)
    worker = Worker(context.store, context.owner, context.now, handlers, lambda *_: None, context.active_claims)
    worker.start()
    try:
        yield worker
    finally:
        assert worker.stop(20)


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
