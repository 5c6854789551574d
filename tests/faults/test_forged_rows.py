"""With SELECT, INSERT and UPDATE in the database, nobody gets keys read or a PUT sent that people did not approve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import delete, func, insert, select, update

from bot.domain.command import ResumeGroups
from bot.domain.request import Attempt, Decision, KeyCheck, Pause, Policy, Problem, Request, State, Verb, VoteProgress
from bot.domain.request_record import Authenticity
from bot.domain.task_group import GroupStatus, Scope
from bot.jobs import inbox_dispatcher, request_dispatcher
from bot.jobs.context import WAIT_FOR_KEY, Context
from bot.jobs.notify import cards, notices
from bot.jobs.worker import Failed, Finished, Rescheduled
from bot.listeners.receiver import Receiver
from bot.redaction import Secret
from bot.sandbox.huawei.example_groups import VIDEO_MASTERS
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, CAROL, DAVE, GENERAL, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import inbox, outbox, requests, tables
from bot.store.audit import newest, row_hash
from bot.store.database import Store, open_to_read
from bot.store.inbox import Kind, Message
from bot.store.queue import Claim
from bot.store.reports import report_on
from bot.store.state_keys import StateKeys
from bot.store.verification import Broken, verify
from bot.ui.problem_texts import UNVERIFIED, bug_problem
from bot.ui.report import report_message
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
from tests.support.sandbox import button_ids, key_reads, put_calls
from tests.support.values import GROUP

TWO = Policy(("*",), ((CAROL, APPROVERS_GROUP), (CAROL, APPROVERS_GROUP)), self_approval=False)
LATER = timedelta(hours=2)


@pytest.fixture
def inside(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield sandbox, context


def overwrite(context: Context, forged: Request, row_of: Request | None = None) -> None:
    """Writes a request as the bot would, but without its audit rows, and makes it due.

    Arguments:
        row_of: the request whose row is written; by default `forged`.
    """
    body = TypeAdapter(Request).dump_python(forged, mode="json")
    values = {"body": body, "state": forged.state.value, "version": forged.version, "due_at": forged.created_at}
    with context.store.write() as connection:
        connection.execute(
            update(tables.requests).where(tables.requests.c.id == (row_of or forged).id).values(**values)
        )


def approved(made: Request, *people: str) -> Request:
    attempt = Attempt(1, people[-1], made.created_at)
    decided = replace(made, decision=Decision(people, made.created_at), attempt=attempt, vote_progress=None)
    return replace(decided.with_state(State.APPROVED, at=made.created_at), version=made.version + 1)


def insert_message(context: Context, kind: Kind, person: str, made: Request, posted: PostedMessage, **more: Any) -> int:
    """Inserts a row into the inbox without the key."""
    body = {"team_id": TEAM_ID, "channel": posted.channel, "request_id": made.id, "message_ts": posted.ts}
    row = {"key": "forged", "kind": kind.value, "person": person, "body": body, "received_at": made.created_at}
    with context.store.write() as connection:
        number: int = connection.execute(
            insert(tables.inbox).values(**row | more).returning(tables.inbox.c.id)
        ).scalar_one()
    return number


def handle(context: Context, number: int) -> None:
    """Handles a message a minute later. Until then, another replica may know its key."""
    later = context_at(context, context.now() + timedelta(minutes=1))
    inbox_dispatcher.handle_message(later, Claim(tables.inbox.name, number, 0))


def stored_rows(context: Context, request_id: str, event: str) -> list[Any]:
    with context.store.read() as connection:
        chosen = (tables.audit.c.request_id == request_id, tables.audit.c.event == event)
        return list(connection.execute(select(tables.audit).where(*chosen).order_by(tables.audit.c.seq)).mappings())


def insert_audit(context: Context, **fields: Any) -> None:
    """Inserts an audit row with a right hash, by default at the end, and moves the head to a row at the end."""
    with context.store.write() as connection:
        head = newest(connection)
        assert head is not None
        row = {"seq": head.seq + 1, "previous": head.hash, **fields}
        covered = (row[name] for name in ("seq", "at", "request_id", "actor", "event", "detail", "previous"))
        row["hash"] = row_hash(*covered)
        connection.execute(insert(tables.audit).values(**row))
        if row["seq"] > head.seq:
            connection.execute(update(tables.audit_head).values(seq=row["seq"], hash=row["hash"]))


def assert_void_as_tampered(inside: tuple[Sandbox, Context], made: Request, posted: PostedMessage) -> None:
    sandbox, context = inside
    assert stored_request(context, made.id).state is State.VOID
    assert "Void, tampered with" in card_text(context, posted, made.id)
    assert stored_rows(context, made.id, "request.tampered")
    assert not key_reads(sandbox)
    assert not put_calls(sandbox)


def test_a_forged_approval_without_the_key_has_no_effect(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    handle(context, insert_message(context, Kind.APPROVE, CAROL, made, posted))
    assert stored_request(context, made.id) == made
    assert stored_rows(context, made.id, "message.not_authentic")
    assert not key_reads(sandbox)


def test_a_forged_approval_with_the_mac_of_another_message_voids_the_request(
    inside: tuple[Sandbox, Context], caplog: pytest.LogCaptureFixture
) -> None:
    _, context = inside
    made, posted = create_request(*inside, policy=TWO)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    with context.store.read() as connection:
        mac = connection.execute(select(tables.inbox.c.mac)).scalar_one()
    handle(context, insert_message(context, Kind.APPROVE, DAVE, made, posted, mac=mac))
    assert_void_as_tampered(inside, made, posted)
    assert [record.levelname for record in caplog.records if "changed it in the database" in record.message] == [
        "ERROR",
        "ERROR",
    ]


def test_a_request_edited_to_approved_is_void(inside: tuple[Sandbox, Context]) -> None:
    made, posted = create_request(*inside)
    overwrite(inside[1], approved(made, CAROL))
    advance_once(inside[1], made.id)
    assert_void_as_tampered(inside, made, posted)


@pytest.mark.parametrize(
    "changed",
    ["group", "shown name", "shown bucket", "shown keys", "vault path", "policy", "requester", "approver", "start"],
)
def test_an_approved_request_that_was_changed_before_its_start_is_void(
    inside: tuple[Sandbox, Context], changed: str
) -> None:
    _, context = inside
    made, posted = create_request(*inside, start_at=context.now() + LATER)
    waiting = press_button(context, Kind.APPROVE, CAROL, made, posted)
    assert waiting.state is State.APPROVED
    forged = {
        "group": replace(waiting, group=replace(waiting.group, group_id="00878453-3402-4a86-9e2a-5d5217cd35b2")),
        "shown name": replace(waiting, group=replace(waiting.group, description="test")),
        "shown bucket": replace(
            waiting, group=replace(waiting.group, destination=replace(waiting.group.destination, bucket="test"))
        ),
        "shown keys": replace(waiting, keys=(KeyCheck("oms/test", 1, ("ak", "sk")),)),
        "approver": replace(waiting, decision=Decision((DAVE,), made.created_at)),
        "start": replace(waiting, start_at=made.created_at),
        "vault path": replace(waiting, plan=replace(waiting.plan, source_path="oms/other/source")),
        "policy": replace(waiting, policy=Policy(("*",), ((ALICE,),), True)),
        "requester": replace(waiting, requester=DAVE),
    }[changed]
    overwrite(context, forged)
    later = replace(context, now=lambda: made.created_at + LATER)
    advance_once(later, made.id)
    assert_void_as_tampered(inside, made, posted)


def test_a_withdrawn_vote_that_is_pressed_again_by_resetting_its_mark_does_not_count(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside, policy=TWO)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    press_button(context, Kind.WITHDRAW, CAROL, made, posted)
    with context.store.write() as connection:
        old = connection.execute(select(tables.inbox.c.id).order_by(tables.inbox.c.id)).scalars().first()
        connection.execute(update(tables.inbox).values(mark=None))
    assert old is not None
    handle(context, old)
    assert press_button(context, Kind.APPROVE, DAVE, made, posted).state is State.PENDING
    assert len(stored_rows(context, made.id, "vote.added")) == 2
    assert not key_reads(sandbox)


def hold_approval(context: Context, made: Request, posted: PostedMessage) -> int:
    """Stores an approval of carol, and makes it due much later, as a person who can write to the database can."""
    held = Message(Kind.APPROVE, "held", CAROL, TEAM_ID, posted.channel, request_id=made.id, message_ts=posted.ts)
    number = int(store_message(context, held).key)
    with context.store.write() as connection:
        row = update(tables.inbox).where(tables.inbox.c.id == number)
        connection.execute(row.values(due_at=made.created_at + LATER, claimed_by=None, claimed_until=None))
    return number


def test_an_approval_that_was_held_back_until_the_person_withdrew_does_not_count(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside, policy=TWO)
    number = hold_approval(context, made, posted)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    press_button(context, Kind.WITHDRAW, CAROL, made, posted)
    press_button(context, Kind.APPROVE, DAVE, made, posted)
    with context.store.write() as connection:
        much_later = {"received_at": made.created_at + LATER}
        connection.execute(update(tables.inbox).where(tables.inbox.c.id == number).values(**much_later))
    handle(context, number)
    assert stored_request(context, made.id).state is State.PENDING
    [refused] = stored_rows(context, made.id, "action.refused")
    assert '"why":"too old"' in refused["detail"]
    assert not key_reads(sandbox)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    assert stored_rows(context, made.id, "attempt.opened"), "she approves again"


def test_an_approval_that_was_held_back_until_the_scope_changed_does_not_count(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    group = replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True)
    made, posted = create_request(*inside, verb=Verb.RETRY, scope=Scope.ALL_OBJECTS, group=group)
    number = hold_approval(context, made, posted)
    press_button(context, Kind.CHOOSE_SCOPE, ALICE, made, posted, scope=Scope.FAILED_OBJECTS.value)
    handle(context, number)
    assert stored_request(context, made.id).state is State.PENDING
    assert not key_reads(sandbox)


def test_a_changed_time_in_the_body_of_a_message_is_forged(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    number = hold_approval(context, made, posted)
    with context.store.write() as connection:
        row = tables.inbox.c.id == number
        body = connection.execute(select(tables.inbox.c.body).where(row)).scalar_one()
        assert "received_at" in body
        moved = body | {"received_at": (made.created_at + LATER).isoformat()}
        connection.execute(update(tables.inbox).where(row).values(body=moved))
        assert inbox.get(connection, number).authenticity is Authenticity.FORGED


def test_a_card_never_shows_what_someone_changed_in_the_database(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    harmless = replace(made, group=replace(made.group, description="harmless test"), version=made.version + 1)
    overwrite(context, harmless)
    assert "Void, tampered with" in card_text(context, posted, made.id)
    assert_void_as_tampered(inside, made, posted)
    assert button_ids(posted) == ["request"]
    overwrite(context, replace(made, version=made.version + 3))
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    assert not key_reads(sandbox), "what was void stays void"


def test_an_approval_from_before_the_scope_changed_does_not_count_again_by_resetting_its_mark(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    group = replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True)
    made, posted = create_request(*inside, policy=TWO, verb=Verb.RETRY, scope=Scope.ALL_OBJECTS, group=group)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    press_button(context, Kind.CHOOSE_SCOPE, ALICE, made, posted, scope=Scope.FAILED_OBJECTS.value)
    with context.store.write() as connection:
        old = connection.execute(select(tables.inbox.c.id).order_by(tables.inbox.c.id)).scalars().first()
        connection.execute(update(tables.inbox).values(mark=None))
    assert old is not None
    handle(context, old)
    assert press_button(context, Kind.APPROVE, DAVE, made, posted).state is State.PENDING
    assert not key_reads(sandbox)


class LateExecutor(Executor):
    """Runs what was submitted only when it is told to."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.run = partial(fn, *args, **kwargs)
        return Future()


def test_a_message_that_was_discarded_has_no_effect_after_its_mark_is_reset(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    click = Message(Kind.APPROVE, "late", CAROL, TEAM_ID, posted.channel, request_id=made.id, message_ts=posted.ts)
    writer = LateExecutor()
    receiver = Receiver(context.store, context.owner, context.now, lambda claim: None, 0.0, writer)
    assert receiver.accept(click) is None
    writer.run()
    assert stored_rows(context, made.id, "message.discarded")
    with context.store.write() as connection:
        number = connection.execute(select(tables.inbox.c.id)).scalar_one()
        connection.execute(update(tables.inbox).values(mark=None))
    handle(context, number)
    assert stored_request(context, made.id) == made


@pytest.mark.parametrize("changed", ["origin key", "id"])
def test_a_command_that_is_handled_again_by_resetting_its_mark_creates_no_second_request(
    inside: tuple[Sandbox, Context], changed: str
) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    press_button(context, Kind.CANCEL, ALICE, made, posted)
    command = ResumeGroups(group_ids=(made.group.group_id,), reason="network is back", project=None, at=None)
    claim = store_message(
        context, Message(Kind.CREATE_REQUEST, "typed", ALICE, TEAM_ID, posted.channel, command=command)
    )
    assert inbox_dispatcher.handle_message(context, claim) == Finished()
    with context.store.read() as connection:
        request = requests.find_by_origin(connection, "typed", made.group.group_id)
    assert request is not None
    with context.store.write() as connection:
        values: dict[str, str | None] = {"origin_key": None, "open_key": None}
        if changed == "id":
            connection.execute(delete(tables.cards).where(tables.cards.c.request_id == request.id))
            values["id"] = "R-00000000"
        connection.execute(update(tables.requests).where(tables.requests.c.id == request.id).values(**values))
        connection.execute(update(tables.inbox).values(mark=None))
    inbox_dispatcher.handle_message(context, claim)
    with context.store.read() as connection:
        number = connection.execute(select(func.count()).select_from(tables.requests)).scalar_one()
    assert number == 2, "the cancelled one, and the first one of the command"
    assert len(stored_rows(context, request.id, "request.created")) == 1


@pytest.mark.parametrize("mac", [None, "wrong"])
def test_a_forged_message_about_no_request_has_no_effect(inside: tuple[Sandbox, Context], mac: str | None) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    if mac is not None:
        press_button(context, Kind.APPROVE, BOB, made, posted)
        with context.store.read() as connection:
            mac = connection.execute(select(tables.inbox.c.mac)).scalar_one()
    nothing = replace(made, id="R-00000000")
    for kind in (Kind.APPROVE, Kind.CREATE_REQUEST, Kind.NOTIFY_APPROVERS, Kind.FOREIGN_PAYLOAD):
        handle(context, insert_message(context, kind, CAROL, nothing, posted, mac=mac, key=kind.value))
    with context.store.read() as connection:
        events = connection.execute(select(tables.audit.c.event, tables.audit.c.request_id)).all()
    refused = [request_id for event, request_id in events if event == "message.not_authentic"]
    assert refused == [None] * 4
    assert stored_request(context, made.id) == made
    assert not key_reads(sandbox)


def test_the_bot_signs_no_message_that_it_did_not_write(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    number = insert_message(context, Kind.APPROVE, CAROL, made, posted, mark=inbox.DECIDED)
    with context.store.write() as connection:
        row = tables.inbox.c.id == number
        body = connection.execute(select(tables.inbox.c.body).where(row)).scalar_one()
        with_url = body | {"response_url": "https://hooks.example/1"}
        connection.execute(update(tables.inbox).where(row).values(body=with_url))
    handle(context, number)
    with context.store.read() as connection:
        assert inbox.get(connection, number).authenticity is Authenticity.UNKNOWN_KEY


def test_a_bug_report_is_not_sent_to_the_address_in_a_row_that_the_bot_did_not_write(
    inside: tuple[Sandbox, Context],
) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    body = {"team_id": TEAM_ID, "request_id": made.id, "response_url": "https://hooks.example/attacker"}
    number = insert_message(context, Kind.APPROVE, CAROL, made, posted, body=body)
    inbox_dispatcher.report_bug(context, Claim(tables.inbox.name, number, 0), "F-1")
    with context.store.read() as connection:
        assert connection.execute(select(tables.notices)).all() == []
    [event] = stored_rows(context, made.id, "bug")
    assert '"reference":"F-1"' in event["detail"]


@pytest.mark.parametrize("mark", [None, inbox.DECIDED])
def test_a_row_with_an_unknown_key_loses_its_response_url(inside: tuple[Sandbox, Context], mark: str | None) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    body = {"team_id": TEAM_ID, "request_id": made.id, "response_url": "https://hooks.example/1"}
    mac = "0badc0de 00"
    number = insert_message(context, Kind.APPROVE, CAROL, made, posted, body=body, mac=mac, mark=mark)
    handle(context, number)
    with context.store.read() as connection:
        stored = inbox.get(connection, number)
    assert (stored.message.response_url, stored.authenticity) == ("", Authenticity.UNKNOWN_KEY)


def test_a_click_that_was_refused_for_its_unknown_key_does_not_count_once_the_key_is_known(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    old, new = Secret("the token before"), Secret("the token after")
    made, posted = create_request(sandbox, with_keys(context, new))
    click = Message(Kind.APPROVE, "click", CAROL, TEAM_ID, posted.channel, request_id=made.id, message_ts=posted.ts)
    claim = store_message(with_keys(context, old), click)
    handle(with_keys(context, new), int(claim.key))
    assert stored_rows(context, made.id, "message.not_authentic")
    with context.store.write() as connection:
        connection.execute(update(tables.inbox).values(mark=None))
    handle(with_keys(context, new, old), int(claim.key))
    assert stored_request(context, made.id).state is State.PENDING
    assert not stored_rows(context, made.id, "vote.added")
    assert not key_reads(sandbox)


@pytest.mark.parametrize("of", ["same request", "other request", "without mac"])
def test_a_vote_copied_in_the_chain_releases_nothing(inside: tuple[Sandbox, Context], of: str) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside, policy=TWO)
    other, other_posted = create_request(*inside, number=2, policy=TWO)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    press_button(context, Kind.WITHDRAW, CAROL, made, posted)
    press_button(context, Kind.APPROVE, CAROL, other, other_posted)
    [vote] = stored_rows(context, (other if of == "other request" else made).id, "vote.added")
    copied = {name: vote[name] for name in ("at", "actor", "event", "detail")}
    mac = None if of == "without mac" else vote["mac"]
    insert_audit(context, **copied, request_id=made.id, mac=mac)
    decided = press_button(context, Kind.APPROVE, DAVE, made, posted)
    if of == "without mac":
        assert decided.state is State.PENDING
        assert not key_reads(sandbox)
    else:
        assert_void_as_tampered(inside, made, posted)
        with context.store.read() as connection:
            assert isinstance(verify(connection), Broken)


def test_a_request_put_back_after_its_put_sends_no_second_one(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    sent = press_button(context, Kind.APPROVE, CAROL, made, posted)
    assert len(put_calls(sandbox)) == 1
    reads = len(key_reads(sandbox))
    overwrite(context, replace(approved(made, CAROL), version=sent.version))
    advance_once(context, made.id)
    assert stored_request(context, made.id).state is State.VOID
    assert len(put_calls(sandbox)) == 1
    assert len(key_reads(sandbox)) == reads


@pytest.mark.parametrize(("speed", "state"), [(1_000, State.MOVING), (10_000_000_000, State.DONE)])
def test_a_group_that_moved_is_not_started_again_by_a_request_put_back_to_an_unclear_call(
    inside: tuple[Sandbox, Context], speed: int, state: State
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    group = sandbox.oms.state.groups[made.group.group_id]
    group.bytes_per_second, group.status_lag = speed, timedelta()
    later = context_at(context, context.now() + timedelta(minutes=2))
    sandbox.oms.state.now = context.now
    sent = press_button(context, Kind.APPROVE, CAROL, made, posted)
    sandbox.oms.state.now = later.now
    moved = advance_once(later, made.id)
    assert moved.state is state
    group.status = GroupStatus.PAUSED
    assert sent.attempt is not None
    unclear = replace(sent.attempt, answered_at=None, unanswered_at=made.created_at)
    put_back = replace(sent, attempt=unclear, last_seen=None, version=moved.version)
    overwrite(context, put_back.with_state(State.UNKNOWN, at=made.created_at))
    assert advance_once(later, made.id).state is State.NOT_STARTED
    press_button(later, Kind.RETRY, ALICE, made, posted)
    assert stored_request(context, made.id).state is State.VOID
    assert len(put_calls(sandbox)) == 1
    assert len(key_reads(sandbox)) == 2, "source and destination, for the first call"


def test_a_denied_request_put_back_to_pending_cannot_be_approved(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    denied = press_button(context, Kind.DENY, CAROL, made, posted)
    overwrite(context, replace(made, version=denied.version))
    press_button(context, Kind.APPROVE, DAVE, made, posted)
    assert_void_as_tampered(inside, made, posted)


def test_pause_stops_no_other_group_than_the_one_that_was_approved(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    group = sandbox.oms.state.groups[made.group.group_id]
    group.bytes_per_second, group.status_lag = 1_000, timedelta()
    running = press_button(context, Kind.APPROVE, CAROL, made, posted)
    later = context_at(context, context.now() + timedelta(seconds=5))
    overwrite(context, replace(running, group=replace(running.group, group_id=VIDEO_MASTERS)))
    press_button(later, Kind.PAUSE, ALICE, made, posted)
    after = advance_once(later, made.id)
    assert (after.state, len(put_calls(sandbox))) == (running.state, 1), "the start, and no stop"
    assert "Not paused:* Someone changed this request" in card_text(later, posted, made.id)
    overwrite(context, replace(running, version=after.version))
    press_button(later, Kind.PAUSE, ALICE, made, posted)
    assert advance_once(later, made.id).state is State.PAUSING
    assert [call.path.split("/")[-2:] for call in put_calls(sandbox)[1:]] == [[made.group.group_id, "stop"]]


@pytest.mark.parametrize("state", [State.PENDING, State.DENIED])
def test_a_request_edited_to_pausing_pauses_nothing(inside: tuple[Sandbox, Context], state: State) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    sandbox.oms.state.groups[made.group.group_id].status = GroupStatus.MONITORING
    before = press_button(context, Kind.DENY, CAROL, made, posted) if state is State.DENIED else made
    pause = Pause(ALICE, made.created_at, State.MOVING)
    forged = replace(approved(made, CAROL), pause=pause, version=before.version, ended_at=None)
    overwrite(context, replace(forged, state=State.PAUSING))
    advance_once(context, made.id)
    assert not put_calls(sandbox)


def test_retry_on_a_request_with_the_body_of_another_one_sends_nothing(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    rejected = Answer(403, "OMS.0072")
    sandbox.oms.faults.add("start", rejected, rejected)
    one, one_posted = create_request(*inside)
    other, other_posted = create_request(*inside, number=2)
    one = press_button(context, Kind.APPROVE, CAROL, one, one_posted)
    other = press_button(context, Kind.APPROVE, CAROL, other, other_posted)
    assert (one.state, other.state) == (State.NOT_STARTED, State.NOT_STARTED)
    calls = len(put_calls(sandbox))
    overwrite(context, one, row_of=other)
    press_button(context, Kind.RETRY, ALICE, other, other_posted)
    assert len(put_calls(sandbox)) == calls
    assert stored_request(context, one.id) == one
    assert stored_request(context, other.id).state is State.VOID


def test_deny_and_approve_on_a_request_with_the_body_of_another_one_leave_the_other_one(
    inside: tuple[Sandbox, Context],
) -> None:
    _, context = inside
    one, _ = create_request(*inside)
    for number, kind in enumerate((Kind.DENY, Kind.APPROVE), start=2):
        other, other_posted = create_request(*inside, number=number)
        overwrite(context, one, row_of=other)
        press_button(context, kind, CAROL, other, other_posted)
        assert stored_request(context, one.id) == one
        assert_void_as_tampered(inside, other, other_posted)
    assert not stored_rows(context, one.id, "vote.added")


@pytest.mark.parametrize("shown", ["approvals", "fewer needed", "others needed", "void approval", "problem", "bug"])
def test_a_pending_card_shows_no_forged_approval_and_no_forged_sentence(
    inside: tuple[Sandbox, Context], shown: str
) -> None:
    _, context = inside
    made, posted = create_request(*inside, policy=TWO)
    voted = press_button(context, Kind.APPROVE, CAROL, made, posted)
    sentence = Problem("", "", "", "Security checked this request.", "Approve it.")
    assert voted.vote_progress is not None
    forged = {
        "approvals": replace(voted, vote_progress=VoteProgress((DAVE,), ((CAROL,),))),
        "fewer needed": replace(voted, vote_progress=replace(voted.vote_progress, missing=())),
        "others needed": replace(voted, vote_progress=replace(voted.vote_progress, missing=((BOB,),))),
        "void approval": replace(voted, void_approvals=(DAVE,)),
        "problem": replace(voted, problem=sentence),
        "bug": replace(voted, problem=bug_problem("F-1 approve it")),
    }[shown]
    overwrite(context, replace(forged, version=voted.version + 1))
    assert "Security" not in card_text(context, posted, made.id)
    assert_void_as_tampered(inside, made, posted)


def test_a_pending_card_shows_that_the_bot_failed_and_its_buttons_still_count(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    request_dispatcher.report_bug(context, Claim(tables.requests.name, made.id, 0), "F-12AB34CD")
    assert "F-12AB34CD" in card_text(context, posted, made.id)
    assert press_button(context, Kind.APPROVE, CAROL, made, posted).state is State.ACCEPTED


def with_keys(context: Context, current: Secret, former: Secret | None = None) -> Context:
    """The context of a replica with these keys."""
    return replace(context, store=Store(context.store.engine, keys=StateKeys(lambda: current, former)))


def test_with_an_unknown_key_an_approved_request_needs_approval_again_and_then_starts(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside, start_at=context.now() + LATER)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    rotated = replace(
        with_keys(context, Secret("another bot token")), now=lambda: made.created_at + LATER + WAIT_FOR_KEY
    )
    pending = advance_once(rotated, made.id)
    assert pending.state is State.PENDING
    assert "The bot's signing key is new" in card_text(rotated, posted, made.id)
    assert "tampered" not in card_text(rotated, posted, made.id)
    assert not key_reads(sandbox)
    press_button(rotated, Kind.APPROVE, DAVE, made, posted)
    assert len(put_calls(sandbox)) == 1


def insert_request(context: Context, forged: Request, mac: str | None, **audit_fields: Any) -> None:
    """Inserts a request with its card and one audit row, without the key."""
    request_row: dict[str, Any] = {
        "id": forged.id,
        "project": forged.plan.project,
        "group_id": forged.group.group_id,
        "requester": forged.requester,
        "created_at": forged.created_at,
        "version": forged.version,
        "state": forged.state.value,
        "open_key": forged.group_key,
        "due_at": forged.expires_at,
        "body": TypeAdapter(Request).dump_python(forged, mode="json"),
    }
    card_row = {"request_id": forged.id, "channel": forged.channel, "due_at": forged.created_at}
    with context.store.write() as connection:
        connection.execute(insert(tables.requests).values(**request_row))
        connection.execute(insert(tables.cards).values(**card_row))
    fields = {"at": "x", "request_id": forged.id, "actor": "bot", "event": "reminder.sent", "detail": "{}"}
    insert_audit(context, **fields, mac=mac, **audit_fields)


def void_after_approval(inside: tuple[Sandbox, Context], forged: Request) -> Request:
    """Posts the card of a request, and presses Approve on it. Returns the request, which is void then."""
    sandbox, context = inside
    cards.update_card(context, Claim(tables.cards.name, forged.id, 0))
    with context.store.read() as connection:
        card = outbox.get_card(connection, forged.id)
    assert card is not None
    [posted] = [message for message in sandbox.workspace.messages_in(card.channel) if message.ts == card.ts]
    return press_button(context, Kind.APPROVE, CAROL, forged, posted)


@pytest.mark.parametrize("mac", [None, "01234567 00"])
@pytest.mark.parametrize("is_approved", [False, True])
def test_an_inserted_request_is_never_asked_again(
    inside: tuple[Sandbox, Context], mac: str | None, is_approved: bool
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    press_button(context, Kind.CANCEL, ALICE, made, posted)
    shown = replace(made.group, description="harmless test")
    forged = replace(made, id="R-0000ATTK", group=shown, requester=BOB)
    insert_request(context, approved(forged, CAROL) if is_approved else forged, mac)
    if is_approved:
        advance_once(context_at(context, context.now() + WAIT_FOR_KEY), forged.id)
        void = stored_request(context, forged.id)
    else:
        void = void_after_approval(inside, forged)
    assert (void.state, void.problem) == (State.VOID, UNVERIFIED)
    assert not key_reads(sandbox)
    assert not put_calls(sandbox)


def test_an_audit_row_that_is_inserted_before_the_first_one_proves_nothing(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    press_button(context, Kind.CANCEL, ALICE, made, posted)
    forged = replace(made, id="R-0000ATTK", requester=BOB)
    insert_request(context, forged, None, seq=0, previous="0" * 64)
    assert void_after_approval(inside, forged).problem == UNVERIFIED


def test_a_request_from_before_the_key_is_asked_again_after_other_requests_have_rows_of_the_new_key(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    rotated = with_keys(context, Secret("another bot token"))
    create_request(sandbox, rotated, number=2)
    assert press_button(rotated, Kind.APPROVE, CAROL, made, posted).state is State.PENDING
    assert press_button(rotated, Kind.APPROVE, CAROL, made, posted).state is State.ACCEPTED


def test_a_replica_that_knows_the_former_key_sends_what_was_approved_under_it(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    old, new = Secret("the token before"), Secret("the token after")
    before = with_keys(context, old)
    made, posted = create_request(sandbox, before, start_at=context.now() + LATER)
    press_button(before, Kind.APPROVE, CAROL, made, posted)
    after = replace(with_keys(context, new, old), now=lambda: made.created_at + LATER)
    advance_once(after, made.id)
    assert len(put_calls(sandbox)) == 1


def test_a_token_that_is_read_again_signs_and_the_one_before_is_still_checked() -> None:
    token = Secret("the token before")
    keys = StateKeys(lambda: token)
    before = keys.sign("audit", "x")
    token = Secret("the token after")
    after = keys.sign("audit", "x")
    assert before != after
    assert {keys.check(mac, "audit", "x").value for mac in (before, after)} == {"authentic"}
    assert keys.check(before, "audit", "y").value == "forged"
    assert keys.check(before, "inbox", "x").value == "forged"


@pytest.mark.parametrize(("at", "detail"), [("x", "{}"), ("2026-11-27T12:00:00+00:00", "not json")])
def test_without_a_key_a_row_that_the_bot_does_not_write_is_named(
    inside: tuple[Sandbox, Context], at: str, detail: str
) -> None:
    sandbox, context = inside
    row = {"at": at, "request_id": "R-00000000", "actor": "bot", "event": "vote.added", "detail": detail}
    insert_audit(context, **row, mac="any mac")
    store = open_to_read(sandbox.environment()["DATABASE_URL"])
    with store.read() as connection:
        found = verify(connection)
    store.close()
    assert isinstance(found, Broken)
    assert "wasn't written by the bot: its time or its detail can't be read" in found.problem


def test_a_forged_notice_is_not_sent(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    created_at = context.now() - timedelta(minutes=2)
    row = {"delivery": "direct", "address": ALICE, "text": "Approve this.", "created_at": created_at}
    with context.store.write() as connection:
        number = connection.execute(insert(tables.notices).values(**row).returning(tables.notices.c.id)).scalar_one()
    notices.send_notice(context, Claim(tables.notices.name, number, 0))
    assert not sandbox.workspace.private_texts(ALICE)


def test_an_answer_that_is_pointed_at_another_address_is_not_sent(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside)
    press_button(context, Kind.APPROVE, BOB, made, posted)
    with context.store.write() as connection:
        number = connection.execute(select(tables.notices.c.id)).scalar_one()
        connection.execute(update(tables.notices).values(delivery="channel", address=GENERAL))
    before = len(sandbox.workspace.messages)
    notices.send_notice(context, Claim(tables.notices.name, number, 0))
    assert len(sandbox.workspace.messages) == before
    [event] = stored_rows(context, made.id, "notice.not_sent")
    assert '"code":"forged"' in event["detail"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_while_the_key_is_replaced_a_message_and_a_notice_wait_for_a_replica_that_knows_their_key(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    old, new = Secret("the token before"), Secret("the token after")
    first, second = with_keys(context, old), with_keys(context, new, old)
    made, posted = create_request(sandbox, first)
    click = Message(Kind.APPROVE, "click", BOB, TEAM_ID, posted.channel, request_id=made.id, message_ts=posted.ts)
    claim = store_message(second, click)
    assert isinstance(inbox_dispatcher.handle_message(first, claim), Failed)
    assert inbox_dispatcher.handle_message(second, claim) == Finished()
    with context.store.read() as connection:
        number = connection.execute(select(tables.notices.c.id)).scalar_one()
    answer = Claim(tables.notices.name, number, 0)
    assert isinstance(notices.send_notice(first, answer), Failed)
    assert not sandbox.workspace.private_texts(BOB)
    notices.send_notice(second, answer)
    assert "You can't approve or deny this" in sandbox.workspace.private_texts(BOB)[0]
    late = context_at(first, context.now() + timedelta(minutes=2))
    assert notices.send_notice(late, answer) == Rescheduled()


def test_an_approval_that_someone_inserted_is_not_in_the_report(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    at = context.now().isoformat()
    insert_audit(context, at=at, request_id=made.id, actor=DAVE, event="vote.added", detail=f'{{"team":"{TEAM_ID}"}}')
    with context.store.read() as connection:
        report = report_on(connection, made.id, context.now())
    assert report is not None
    assert [vote.person for vote in report.approvals] == [CAROL]
    assert report.unverified_rows == 1
    assert "The bot didn't write every audit row of this request." in str(report_message(report).blocks)
