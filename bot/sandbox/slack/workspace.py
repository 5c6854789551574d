"""The workspace behind the Slack stand-in: people, channels, messages, forms, and what is good for how long.

Pure but for the clock that comes in. HTTP and sockets are left to the modules beside this one.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.slack.elements import state_values

TEAM_ID, APP_ID = "T0SANDBOX1", "A0SANDBOX1"
BOT_USER_ID, BOT_ID = "U0TASKBOT1", "B0TASKBOT1"
BOT_TOKEN, APP_TOKEN = "xoxb-sandbox-bot-token", "xapp-1-A0SANDBOX1-sandbox-app-token"
SIGNING_SECRET = "sandbox-signing-secret"
SCOPES = frozenset({"commands", "chat:write", "users:read", "usergroups:read"})
MIGRATIONS, GENERAL, OLD = "C0MIGRATE1", "C0GENERAL1", "C0OLDMIGR1"
APPROVERS_GROUP = "S0MIGRATE1"
ALICE, BOB, CAROL, DAVE = "U0ALICE001", "U0BOB00001", "U0CAROL001", "U0DAVE0001"
ERIN, FRANK, GRACE = "U0ERIN0001", "U0FRANK001", "U0GRACE001"

TRIGGER_SERVES = timedelta(seconds=3)
ANSWER_SERVES, ANSWER_USES = timedelta(minutes=30), 5

Json = dict[str, Any]


class ApiError(Exception):
    """An error answer of the Web API: Slack's own name for it, and more words where Slack gives them."""

    def __init__(self, code: str, messages: list[str] | None = None, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages or []
        self.retry_after = retry_after


@dataclass
class Channel:
    id: str
    name: str
    members: set[str]
    archived: bool = False


@dataclass
class Posted:
    """A message as it now is."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[Json]
    thread_ts: str | None
    # What people chose in its selects, each for themselves alone.
    choices: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)


@dataclass
class Private:
    """What one person alone was shown: an ephemeral message, or Slack's own word that a command failed."""

    person: str
    channel: str
    text: str
    at: datetime


@dataclass
class OpenView:
    """A form that stands open before a person, or their App Home. The hash changes with each update."""

    id: str
    person: str
    view: Json
    hash: str
    choices: dict[tuple[str, str], str] = field(default_factory=dict)

    def as_json(self) -> Json:
        """As answers and payloads carry it."""
        return self.view | {
            "id": self.id,
            "team_id": TEAM_ID,
            "app_id": APP_ID,
            "bot_id": BOT_ID,
            "hash": self.hash,
            "root_view_id": self.id,
            "previous_view_id": None,
            "state": {"values": state_values(self.view["blocks"], self.choices)},
        }


@dataclass
class _Trigger:
    person: str
    issued_at: datetime
    used: bool = False


@dataclass
class _AnswerUrl:
    person: str
    channel: str
    issued_at: datetime
    uses: int = 0


@dataclass
class Workspace:
    """One workspace with the bot's app installed in it."""

    now: Callable[[], datetime]
    scopes: frozenset[str] = SCOPES
    users: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: list[Posted] = field(default_factory=list)
    privates: list[Private] = field(default_factory=list)
    views: dict[str, OpenView] = field(default_factory=dict)
    homes: dict[str, OpenView] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _triggers: dict[str, _Trigger] = field(default_factory=dict)
    _answers: dict[str, _AnswerUrl] = field(default_factory=dict)
    _last_ts: float = 0.0

    def new_trigger(self, person: str) -> str:
        trigger = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[trigger] = _Trigger(person, self.now())
        return trigger

    def use_trigger(self, trigger_id: str) -> None:
        """
        Raises:
            ApiError: it is unknown, older than 3 s, or was used.
        """
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise ApiError("invalid_trigger_id")
        if trigger.used:
            raise ApiError("exchanged_trigger_id")
        if self.now() - trigger.issued_at > TRIGGER_SERVES:
            raise ApiError("expired_trigger_id")
        trigger.used = True

    def presser_of(self, trigger_id: str) -> str:
        """Whose trigger it is."""
        return self._triggers[trigger_id].person

    def open_view(self, person: str, view: Json) -> OpenView:
        """A form opens before a person."""
        opened = OpenView(f"V{secrets.token_hex(6).upper()}", person, with_block_ids(view), self._new_hash())
        self.views[opened.id] = opened
        return opened

    def publish_home(self, person: str, view: Json) -> OpenView:
        """The App Home of a person is there for the first time."""
        home = OpenView(f"V{secrets.token_hex(6).upper()}", person, with_block_ids(view), self._new_hash())
        self.homes[person] = home
        return home

    def change_view(self, opened: OpenView, view: Json) -> None:
        """Other content in the same place; what was chosen stays where the same element is still there."""
        opened.view, opened.hash = with_block_ids(view), self._new_hash()

    def view(self, view_id: str) -> OpenView:
        """
        Raises:
            ApiError: neither a form nor an App Home has this id.
        """
        for opened in (*self.views.values(), *self.homes.values()):
            if opened.id == view_id:
                return opened
        raise ApiError("not_found")

    def _new_hash(self) -> str:
        return f"{int(self.now().timestamp())}.{secrets.token_hex(4)}"

    def new_answer_url(self, person: str, channel: str) -> str:
        key = secrets.token_hex(12)
        self._answers[key] = _AnswerUrl(person, channel, self.now())
        return key

    def answer(self, key: str, body: Json) -> int:
        """What a post to a response_url does; the HTTP status of its answer."""
        with self.lock:
            found = self._answers.get(key)
            if found is None or found.uses >= ANSWER_USES or self.now() - found.issued_at > ANSWER_SERVES:
                return 404
            found.uses += 1
            text = str(body.get("text") or "")
            if not text and not body.get("blocks"):
                return 400
            self.privates.append(Private(found.person, found.channel, text, self.now()))
            return 200

    def channel_for_post(self, channel_id: str) -> Channel:
        """The channel that the bot may write to; a user's id opens their direct messages, a deactivated one's too.

        Raises:
            ApiError: as chat.postMessage.
        """
        if channel_id in self.users:
            if self.users[channel_id].get("is_bot"):
                raise ApiError("cannot_dm_bot")
            direct = f"D{channel_id[1:]}"
            return self.channels.setdefault(direct, Channel(direct, "direct", {channel_id, BOT_USER_ID}))
        channel = self.channels.get(channel_id)
        if channel is None:
            raise ApiError("channel_not_found")
        if channel.archived:
            raise ApiError("is_archived")
        if BOT_USER_ID not in channel.members:
            raise ApiError("not_in_channel")
        return channel

    def add_message(self, channel: str, user: str, text: str, blocks: list[Json], thread_ts: str | None) -> Posted:
        with self.lock:
            stamp = max(self.now().timestamp(), self._last_ts + 0.000_001)
            self._last_ts = stamp
            posted = Posted(f"{stamp:.6f}", channel, user, text, blocks, thread_ts)
            self.messages.append(posted)
            return posted

    def message(self, channel: str, ts: str) -> Posted:
        """
        Raises:
            ApiError: it is not there.
        """
        for posted in self.messages:
            if (posted.channel, posted.ts) == (channel, ts):
                return posted
        raise ApiError("message_not_found")

    def delete(self, channel: str, ts: str) -> None:
        """Somebody deletes a message."""
        with self.lock:
            self.messages.remove(self.message(channel, ts))

    def of(self, channel: str, thread_ts: str | None = None) -> list[Posted]:
        """The messages of a channel, or the replies of a thread, in order."""
        with self.lock:
            return [one for one in self.messages if one.channel == channel and one.thread_ts == thread_ts]

    def start_over(self) -> None:
        """Nobody has said anything yet."""
        with self.lock:
            for kept in (self.messages, self.privates, self.views, self.homes, self._triggers, self._answers):
                kept.clear()

    def told(self, person: str) -> list[str]:
        """What one person alone was told: ephemeral and direct messages, in order of each."""
        with self.lock:
            direct = [one.text for one in self.messages if one.channel == f"D{person[1:]}"]
            return [one.text for one in self.privates if one.person == person] + direct


def with_block_ids(said: Json) -> Json:
    """What has blocks, each block with an id: Slack makes up those that are left out."""
    return said | {"blocks": [{"block_id": secrets.token_urlsafe(4)} | block for block in said["blocks"]]}


def _user(user_id: str, name: str, **more: object) -> Json:
    return {
        "id": user_id,
        "team_id": TEAM_ID,
        "name": name,
        "real_name": name.capitalize(),
        "deleted": False,
        "is_bot": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_stranger": False,
        "tz": "Asia/Singapore",
        "tz_offset": 28800,
    } | more


def demo_workspace(now: Callable[[], datetime]) -> Workspace:
    """Seven people, of whom four are full members; three channels, in one of which the bot is."""
    users = [
        _user(ALICE, "alice"),
        _user(BOB, "bob"),
        _user(CAROL, "carol"),
        _user(DAVE, "dave"),
        _user(ERIN, "erin", is_restricted=True),
        _user(FRANK, "frank", deleted=True),
        _user(GRACE, "grace", team_id="T0ELSEWHER", is_stranger=True),
        _user(BOT_USER_ID, "taskgroup-bot", is_bot=True),
    ]
    everybody = {str(user["id"]) for user in users} - {FRANK}
    return Workspace(
        now,
        users={str(user["id"]): user for user in users},
        groups={APPROVERS_GROUP: [DAVE]},
        channels={
            MIGRATIONS: Channel(MIGRATIONS, "migrations", everybody),
            GENERAL: Channel(GENERAL, "general", everybody - {BOT_USER_ID}),
            OLD: Channel(OLD, "old-migrations", everybody, archived=True),
        },
    )
