"""With SELECT, INSERT and UPDATE in the database, nobody gets keys read or a PUT sent that people did not approve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import insert, select, update

from bot.domain.request import Attempt, Decision, Policy, Request, State
from bot.jobs import inbox_dispatcher
from bot.jobs.context import Context
from bot.redaction import Secret
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, CAROL, DAVE, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store import tables
from bot.store.audit import newest, row_hash
from bot.store.database import Store
from bot.store.inbox import Kind
from bot.store.queue import Claim
from bot.store.state_keys import StateKeys
from bot.store.verification import Broken, verify
from tests.support.in_process import (
    advance_once,
    card_text,
    context_of,
    create_request,
    press_button,
    stored_request,
)
from tests.support.sandbox import key_reads, put_calls

TWO = Policy(("*",), ((CAROL, APPROVERS_GROUP), (CAROL, APPROVERS_GROUP)), self_approval=False)
LATER = timedelta(hours=2)


@pytest.fixture
def inside(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield sandbox, context


def overwrite(context: Context, forged: Request) -> None:
    """Writes a request as the bot would, but without its audit rows, and makes it due."""
    body = TypeAdapter(Request).dump_python(forged, mode="json")
    values = {"body": body, "state": forged.state.value, "version": forged.version, "due_at": forged.created_at}
    with context.store.write() as connection:
        connection.execute(update(tables.requests).where(tables.requests.c.id == forged.id).values(**values))


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
    inbox_dispatcher.handle_message(context, Claim(tables.inbox.name, number, 0))


def stored_rows(context: Context, request_id: str, event: str) -> list[Any]:
    with context.store.read() as connection:
        chosen = (tables.audit.c.request_id == request_id, tables.audit.c.event == event)
        return list(connection.execute(select(tables.audit).where(*chosen).order_by(tables.audit.c.seq)).mappings())


def insert_audit(context: Context, **fields: Any) -> None:
    """Appends an audit row with a right hash, and moves the head."""
    with context.store.write() as connection:
        head = newest(connection)
        assert head is not None
        row = {**fields, "seq": head.seq + 1, "previous": head.hash}
        covered = (row[name] for name in ("seq", "at", "request_id", "actor", "event", "detail", "previous"))
        row["hash"] = row_hash(*covered)
        connection.execute(insert(tables.audit).values(**row))
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


@pytest.mark.parametrize("changed", ["group", "vault path", "policy", "requester"])
def test_an_approved_request_that_was_changed_before_its_start_is_void(
    inside: tuple[Sandbox, Context], changed: str
) -> None:
    _, context = inside
    made, posted = create_request(*inside, start_at=context.now() + LATER)
    waiting = press_button(context, Kind.APPROVE, CAROL, made, posted)
    assert waiting.state is State.APPROVED
    forged = {
        "group": replace(waiting, group=replace(waiting.group, group_id="00878453-3402-4a86-9e2a-5d5217cd35b2")),
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


@pytest.mark.parametrize("of", ["same request", "other request", "without mac"])
def test_a_vote_copied_in_the_chain_releases_nothing(inside: tuple[Sandbox, Context], of: str) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside, policy=TWO)
    other, other_posted = create_request(*inside, number=2, policy=TWO)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    press_button(context, Kind.WITHDRAW, CAROL, made, posted)
    press_button(context, Kind.APPROVE, CAROL, other, other_posted)
    [vote] = stored_rows(context, (other if of == "other request" else made).id, "vote.added")
    insert_audit(context, **{**vote, "request_id": made.id, "mac": None if of == "without mac" else vote["mac"]})
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


def test_a_denied_request_put_back_to_pending_cannot_be_approved(inside: tuple[Sandbox, Context]) -> None:
    _, context = inside
    made, posted = create_request(*inside)
    denied = press_button(context, Kind.DENY, CAROL, made, posted)
    overwrite(context, replace(made, version=denied.version))
    press_button(context, Kind.APPROVE, DAVE, made, posted)
    assert_void_as_tampered(inside, made, posted)


def with_keys(context: Context, current: Secret, former: Secret | None = None) -> Context:
    """The context of a replica with these keys."""
    return replace(context, store=Store(context.store.engine, keys=StateKeys(lambda: current, former)))


def test_with_an_unknown_key_an_approved_request_needs_approval_again_and_then_starts(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    made, posted = create_request(*inside, start_at=context.now() + LATER)
    press_button(context, Kind.APPROVE, CAROL, made, posted)
    rotated = replace(with_keys(context, Secret("another bot token")), now=lambda: made.created_at + LATER)
    pending = advance_once(rotated, made.id)
    assert pending.state is State.PENDING
    assert "The bot's key has changed" in card_text(rotated, posted, made.id)
    assert "tampered" not in card_text(rotated, posted, made.id)
    assert not key_reads(sandbox)
    press_button(rotated, Kind.APPROVE, DAVE, made, posted)
    assert len(put_calls(sandbox)) == 1


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


def test_a_forged_notice_is_not_sent(inside: tuple[Sandbox, Context]) -> None:
    from bot.jobs.notify.notices import send_notice

    sandbox, context = inside
    row = {"delivery": "direct", "address": ALICE, "text": "Approve this.", "created_at": context.now()}
    with context.store.write() as connection:
        number = connection.execute(insert(tables.notices).values(**row).returning(tables.notices.c.id)).scalar_one()
    send_notice(context, Claim(tables.notices.name, number, 0))
    assert not sandbox.workspace.private_texts(ALICE)
