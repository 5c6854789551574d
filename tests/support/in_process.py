"""The bot's own parts in this process, put together as `serve` does, between the stand-ins of a town."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from bot.app import Service
from bot.config.settings import load
from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request
from bot.jobs import request_dispatcher
from bot.jobs.context import Context
from bot.jobs.current_settings import current_plan
from bot.jobs.decide import apply_action
from bot.jobs.notify import cards
from bot.sandbox.oms_state import PAUSED, PROJECT_ID, Group
from bot.sandbox.ports import free_port
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.workspace import Posted
from bot.sandbox.system import Sandbox
from bot.store import inbox, outbox, requests, tables
from bot.store.audit import Event
from bot.store.inbox import Kind, Message
from bot.store.outbox import Card
from bot.store.queue import Claim
from bot.ui.card import card as card_message
from tests.support.sandbox import full_text
from tests.support.values import request

_PRESSES = itertools.count()


@contextmanager
def context_of(sandbox: Sandbox) -> Iterator[Context]:
    """What every step works with. Nothing runs by itself: no loop, no connection to Slack."""
    service = Service(load(sandbox.environment() | {"OPS_PORT": str(free_port())}))
    try:
        yield service.context
    finally:
        service.store.close()


@contextmanager
def sandbox_and_context(projects: int = 1) -> Iterator[tuple[Sandbox, Context]]:
    """A town, and what every step in it works with: for tests of one file to share."""
    sandbox = Sandbox(projects=projects)
    try:
        sandbox.open()
        with context_of(sandbox) as context:
            yield sandbox, context
    finally:
        sandbox.close()


def at(context: Context, now: datetime) -> Context:
    """The same at another time."""
    return replace(context, now=lambda: now)


def create_request(sandbox: Sandbox, context: Context, number: int = 1, **changes: object) -> tuple[Request, Posted]:
    """A request that alice asks now for a paused group of its own, stored, its card in the channel."""
    group_id = f"3c3c3c3c-0000-4000-8000-{number:012d}"
    sandbox.world.groups[group_id] = Group(group_id, f"group {number}", PAUSED, bytes_per_second=10_000_000_000)
    project, now = context.projects["media"], context.now()
    made = replace(
        request(number=number),
        team_id=w.TEAM_ID,
        policy=project.policy,
        channel=project.channel,
        group=replace(request().group, group_id=group_id),
        requester=w.ALICE,
        created_at=now,
        expires_at=now + project.expiry,
    )
    plan = project.plan("media", PROJECT_ID, project.source_path(made.group.source.bucket))
    made = replace(made, plan=plan, **changes)  # type: ignore[arg-type]
    assert current_plan(context, made) == plan
    said = card_message(made)
    posted = sandbox.workspace.add_message(w.MIGRATIONS, w.BOT_USER_ID, said.text, list(said.blocks), None)
    link = f"https://sandbox.slack.com/archives/{posted.channel}/p{posted.ts.replace('.', '')}"
    with context.store.write() as connection:
        requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, w.ALICE, made.id), now)
        outbox.save_card(connection, Card(made.id, posted.channel, posted.ts, link, made.version), None)
    return made, posted


def press(
    context: Context, kind: Kind, person: str, made: Request, posted: Posted, *, scope: str = "", reason: str = ""
) -> Request:
    """A button of the card, pressed and worked on to its end; the request as it then is."""
    key = f"press {next(_PRESSES)}"
    message = Message(
        kind,
        key,
        person,
        w.TEAM_ID,
        posted.channel,
        request_id=made.id,
        message_ts=posted.ts,
        scope=scope,
        reason=reason,
    )
    stored_message(context, message)
    apply_action.handle_action(context, message)
    return stored_request(context, made.id)


def stored_message(context: Context, message: Message) -> Claim:
    """Stores a message and claims it, as the receiver does."""
    with context.store.write() as connection:
        claim = inbox.put(connection, message, context.owner, context.now())
    assert claim is not None
    return claim


def advance_once(context: Context, request_id: str, tries: int = 0) -> Request:
    """One step of a request that is due, after so many that failed; the request as it then is."""
    request_dispatcher.advance_request(context, Claim(tables.requests.name, request_id, tries))
    return stored_request(context, request_id)


def stored_request(context: Context, request_id: str) -> Request:
    with context.store.read() as connection:
        found = requests.get(connection, request_id)
    assert found is not None
    return found


def card_text(context: Context, posted: Posted, request_id: str) -> str:
    """All that the card says in Slack, once it was brought up to date."""
    cards.update_card(context, Claim(tables.cards.name, request_id, 0))
    return full_text(posted)
