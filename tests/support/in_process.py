"""The parts of the bot in this process, assembled as `serve` does it, in front of the stand-ins of a sandbox."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from bot.app import authenticate, open_context
from bot.clients import slack_route
from bot.config.settings import load
from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request
from bot.huawei.wire import read_group
from bot.jobs import request_dispatcher
from bot.jobs.context import Context
from bot.jobs.current_settings import current_plan
from bot.jobs.decide import apply_action
from bot.jobs.notify import cards
from bot.sandbox.huawei.credentials import PROJECT_ID, REGION
from bot.sandbox.huawei.group import PAUSED, Group
from bot.sandbox.slack.ids import ALICE, BOT_USER_ID, MIGRATIONS, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.slack.transport import new_client
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
    """The context of a bot whose workers and connection to Slack are not started."""
    settings = load(sandbox.environment())
    environment = settings.environment
    client = new_client(environment.slack_bot_token, environment.slack_api_url, route=slack_route(settings.network))
    our_app, _ = authenticate(client, environment.slack_app_token)
    context = open_context(settings, client, our_app.team_id)
    try:
        yield context
    finally:
        context.store.close()


@contextmanager
def sandbox_and_context(projects: int = 1) -> Iterator[tuple[Sandbox, Context]]:
    """An open sandbox and the context of a bot in it, for the tests of one file to share."""
    sandbox = Sandbox(projects=projects)
    try:
        sandbox.open()
        with context_of(sandbox) as context:
            yield sandbox, context
    finally:
        sandbox.close()


def context_at(context: Context, now: datetime) -> Context:
    """The same context with a fixed time."""
    return replace(context, now=lambda: now)


def create_request(
    sandbox: Sandbox, context: Context, number: int = 1, **changes: object
) -> tuple[Request, PostedMessage]:
    """Stores a request of alice for a new paused group, and posts its card. Returns the request and the card.

    Arguments:
        changes: replace fields of the request. `project` is the name of its project, instead of "media".
    """
    name = str(changes.pop("project", "media"))
    group_id = f"3c3c3c3c-0000-4000-8000-{number:012d}"
    group = Group(group_id, f"group {number}", PAUSED, bytes_per_second=10_000_000_000, records_failed_objects=True)
    sandbox.oms.state.groups[group_id] = group
    project, now = context.projects[name], context.now()
    made = replace(
        request(number=number),
        team_id=TEAM_ID,
        policy=project.policy,
        channel=project.channel,
        group=read_group(group.as_json(REGION)),
        requester=ALICE,
        created_at=now,
        expires_at=now + project.expiry,
    )
    plan = project.plan(name, PROJECT_ID, project.source_path(made.group.source.bucket))
    made = replace(made, plan=plan, **changes)  # type: ignore[arg-type]
    assert current_plan(context, made) == plan
    message = card_message(made)
    posted = sandbox.workspace.add_message(MIGRATIONS, BOT_USER_ID, message.text, list(message.blocks), None)
    link = f"https://sandbox.slack.com/archives/{posted.channel}/p{posted.ts.replace('.', '')}"
    with context.store.write() as connection:
        requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, ALICE, made.id), now)
        outbox.save_card(connection, Card(made.id, posted.channel, posted.ts, link, made.version), None)
    return made, posted


def press_button(
    context: Context,
    kind: Kind,
    person: str,
    made: Request,
    posted: PostedMessage,
    *,
    scope: str = "",
    reason: str = "",
) -> Request:
    """Handles a press of a button of the card, and returns the request afterwards."""
    key = f"press {next(_PRESSES)}"
    message = Message(
        kind,
        key,
        person,
        TEAM_ID,
        posted.channel,
        request_id=made.id,
        message_ts=posted.ts,
        scope=scope,
        reason=reason,
        received_at=context.now(),
    )
    store_message(context, message)
    apply_action.handle_action(context, message)
    return stored_request(context, made.id)


def store_message(context: Context, message: Message) -> Claim:
    """Stores a message in the inbox and claims it, as the listeners do."""
    with context.store.write() as connection:
        claim = inbox.put(connection, message, context.owner, context.now())
    assert claim is not None
    return claim


def advance_once(context: Context, request_id: str, tries: int = 0) -> Request:
    """Advances a request that is due by one step, and returns it afterwards.

    Arguments:
        tries: how many tries of this step have failed before.
    """
    request_dispatcher.advance_request(context, Claim(tables.requests.name, request_id, tries))
    return stored_request(context, request_id)


def stored_request(context: Context, request_id: str) -> Request:
    """The request as the database has it."""
    with context.store.read() as connection:
        found = requests.get(connection, request_id)
    assert found is not None
    return found


def card_text(context: Context, posted: PostedMessage, request_id: str) -> str:
    """Brings the card up to date, and returns every text of it."""
    cards.update_card(context, Claim(tables.cards.name, request_id, 0))
    return full_text(posted)
