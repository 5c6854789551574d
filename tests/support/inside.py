"""The bot's own parts in this process, put together as `serve` does, between the stand-ins of a town."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from bot.app import Service
from bot.config import load
from bot.request.model import Request
from bot.sandbox.oms_world import PAUSED, PROJECT_ID, Group
from bot.sandbox.ports import free_port
from bot.sandbox.slack import world as w
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from bot.slack.cards import card as card_message
from bot.store import inbox, outbox, requests, tables
from bot.store.audit import Event
from bot.store.claims import Claim
from bot.store.inbox import Kind, Message
from bot.store.outbox import Card
from bot.work import cards, follow, vote
from bot.work.settings import plan_now
from bot.work.tools import Tools
from tests.support.story import whole
from tests.support.values import request

_PRESSES = itertools.count()


@contextmanager
def tools_of(town: Town) -> Iterator[Tools]:
    """What every step works with. Nothing runs by itself: no loop, no connection to Slack."""
    service = Service(load(town.environment() | {"OPS_PORT": str(free_port())}))
    try:
        yield service._tools
    finally:
        service.store.close()


@contextmanager
def town_and_tools(projects: int = 1) -> Iterator[tuple[Town, Tools]]:
    """A town, and what every step in it works with: for tests of one file to share."""
    town = Town(projects=projects)
    try:
        town.open()
        with tools_of(town) as tools:
            yield town, tools
    finally:
        town.close()


def at(tools: Tools, now: datetime) -> Tools:
    """The same at another time."""
    return replace(tools, now=lambda: now)


def asked(town: Town, tools: Tools, number: int = 1, **changes: object) -> tuple[Request, Posted]:
    """A request that alice asks now for a paused group of its own, stored, its card in the channel."""
    group_id = f"3c3c3c3c-0000-4000-8000-{number:012d}"
    town.world.groups[group_id] = Group(group_id, f"group {number}", PAUSED, bytes_per_second=10_000_000_000)
    project, now = tools.projects["media"], tools.now()
    made = replace(
        request(number=number),
        team_id=w.TEAM_ID,
        policy=project.policy,
        channel=project.channel,
        group=replace(request().group, group_id=group_id),
        requester=w.ALICE,
        asked_at=now,
        expires_at=now + project.expiry,
    )
    plan = project.plan("media", PROJECT_ID, project.source_path(made.group.source.bucket))
    made = replace(made, plan=plan, **changes)  # type: ignore[arg-type]
    assert plan_now(tools, made) == plan
    said = card_message(made)
    posted = town.workspace.add_message(w.MIGRATIONS, w.BOT_USER_ID, said.text, list(said.blocks), None)
    link = f"https://sandbox.slack.com/archives/{posted.channel}/p{posted.ts.replace('.', '')}"
    with tools.store.write() as connection:
        requests.add(connection, made, Event("asked", w.ALICE, made.id), now)
        outbox.card_shown(connection, Card(made.id, posted.channel, posted.ts, link, made.version), None)
    return made, posted


def press(tools: Tools, kind: Kind, person: str, made: Request, posted: Posted, **more: str) -> Request:
    """A button of the card, pressed and worked on to its end; the request as it then is."""
    key = f"press {next(_PRESSES)}"
    message = Message(kind, key, person, w.TEAM_ID, posted.channel, request_id=made.id, message_ts=posted.ts, **more)
    taken(tools, message)
    vote.work(tools, message)
    return stored(tools, made.id)


def taken(tools: Tools, message: Message) -> Claim:
    """A message that somebody sent, written down and claimed, as the door leaves it."""
    with tools.store.write() as connection:
        claim = inbox.put(connection, message, tools.owner, tools.now())
    assert claim is not None
    return claim


def follow_once(tools: Tools, request_id: str, tries: int = 0) -> Request:
    """One step of a request that is due, after so many that failed; the request as it then is."""
    follow.work(tools, Claim(tables.requests.name, request_id, tries))
    return stored(tools, request_id)


def stored(tools: Tools, request_id: str) -> Request:
    with tools.store.read() as connection:
        found = requests.get(connection, request_id)
    assert found is not None
    return found


def shown(tools: Tools, posted: Posted, request_id: str) -> str:
    """All that the card says in Slack, once it was brought up to date."""
    cards.work_on_card(tools, Claim(tables.cards.name, request_id, 0))
    return whole(posted)
