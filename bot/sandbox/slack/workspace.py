"""The state behind the Slack stand-in: users, channels, messages, views, and how long triggers and URLs are valid.

Pure but for the clock that it is given. HTTP and sockets are left to `server`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.slack.checks import problems_of_blocks
from bot.sandbox.slack.elements import state_values, with_block_ids
from bot.sandbox.slack.ids import APP_ID, BOT_ID, BOT_USER_ID, SCOPES, TEAM_ID

TRIGGER_LIFETIME = timedelta(seconds=3)
RESPONSE_URL_LIFETIME, RESPONSE_URL_USES = timedelta(minutes=30), 5
FORMATTING = ("parse", "link_names", "mrkdwn", "unfurl_links", "unfurl_media")

Json = dict[str, Any]


class ApiError(Exception):
    """An error response of the Web API.

    Arguments:
        code: Slack's name of the error.
        messages: the details that Slack gives for some errors.
        retry_after: seconds, for a call over a rate limit.
    """

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
class PostedMessage:
    """A message in a channel, with its latest text and blocks.

    Arguments:
        choices: what each user chose in its selects and radio buttons. A choice is visible only to that user.
        formatting: how the app asked to format its latest text, such as `parse`. Empty for a message of a user.
    """

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[Json]
    thread_ts: str | None
    choices: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    formatting: Json = field(default_factory=dict)


@dataclass
class EphemeralMessage:
    """A message that only one person sees: from the bot, or from Slack when the app does not answer.

    Arguments:
        formatting: as in `PostedMessage`. Empty for the acknowledgement of a command, which cannot have any.
    """

    person: str
    channel: str
    text: str
    at: datetime
    blocks: list[Json] = field(default_factory=list)
    formatting: Json = field(default_factory=dict)

    @property
    def ts(self) -> str:
        return f"{self.at.timestamp():.6f}"


@dataclass
class OpenView:
    """A modal that is open for a person, or that person's App Home. Each update changes the hash."""

    id: str
    person: str
    view: Json
    hash: str
    choices: dict[tuple[str, str], str] = field(default_factory=dict)

    def as_json(self) -> Json:
        """The view as responses and payloads carry it."""
        return self.view | {
            "id": self.id,
            "team_id": TEAM_ID,
            "app_installed_team_id": TEAM_ID,
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
class _ResponseUrl:
    person: str
    channel: str
    issued_at: datetime
    uses: int = 0


@dataclass
class Workspace:
    """A workspace in which the bot's app is installed."""

    now: Callable[[], datetime]
    scopes: frozenset[str] = SCOPES
    users: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: list[PostedMessage] = field(default_factory=list)
    ephemerals: list[EphemeralMessage] = field(default_factory=list)
    views: dict[str, OpenView] = field(default_factory=dict)
    homes: dict[str, OpenView] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _triggers: dict[str, _Trigger] = field(default_factory=dict)
    _response_urls: dict[str, _ResponseUrl] = field(default_factory=dict)
    _last_ts: int = 0  # in microseconds

    def new_trigger(self, person: str) -> str:
        trigger = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[trigger] = _Trigger(person, self.now())
        return trigger

    def use_trigger(self, trigger_id: str) -> str:
        """Uses a trigger up, and returns the person it was issued for.

        Raises:
            ApiError: it is unknown, used, or older than TRIGGER_LIFETIME.
        """
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise ApiError("invalid_trigger_id")
        if trigger.used:
            raise ApiError("exchanged_trigger_id")
        if self.now() - trigger.issued_at > TRIGGER_LIFETIME:
            raise ApiError("expired_trigger_id")
        trigger.used = True
        return trigger.person

    def open_view(self, person: str, view: Json) -> OpenView:
        """Opens a modal for a person."""
        opened = OpenView(f"V{secrets.token_hex(6).upper()}", person, with_block_ids(view), self._new_hash())
        self.views[opened.id] = opened
        return opened

    def publish_home(self, person: str, view: Json) -> OpenView:
        """Publishes the App Home of a person for the first time."""
        home = OpenView(f"V{secrets.token_hex(6).upper()}", person, with_block_ids(view), self._new_hash())
        self.homes[person] = home
        return home

    def change_view(self, opened: OpenView, view: Json) -> None:
        """Replaces the content of a view. Choices remain for elements that are still in it."""
        opened.view, opened.hash = with_block_ids(view), self._new_hash()

    def view(self, view_id: str) -> OpenView:
        """The modal or App Home with this id.

        Raises:
            ApiError: there is none.
        """
        for opened in (*self.views.values(), *self.homes.values()):
            if opened.id == view_id:
                return opened
        raise ApiError("not_found")

    def _new_hash(self) -> str:
        return f"{int(self.now().timestamp())}.{secrets.token_hex(4)}"

    def new_response_url(self, person: str, channel: str) -> str:
        """The key of a new response_url."""
        key = secrets.token_hex(12)
        self._response_urls[key] = _ResponseUrl(person, channel, self.now())
        return key

    def post_to_response_url(self, key: str, body: Json) -> int:
        """Shows a message to the person of a response_url. Returns the HTTP status of the answer."""
        with self.lock:
            found = self._response_urls.get(key)
            is_expired = found is not None and self.now() - found.issued_at > RESPONSE_URL_LIFETIME
            if found is None or is_expired or found.uses >= RESPONSE_URL_USES:
                return 404
            found.uses += 1
            text, blocks = str(body.get("text") or ""), body.get("blocks") or []
            if (not text and not blocks) or problems_of_blocks(blocks):
                return 400
            blocks = with_block_ids({"blocks": blocks})["blocks"]
            shown = EphemeralMessage(found.person, found.channel, text, self.now(), blocks, formatting_in(body))
            self.ephemerals.append(shown)
            return 200

    def show_ephemeral(self, person: str, channel: str, text: str) -> None:
        """Shows a message to one person."""
        with self.lock:
            self.ephemerals.append(EphemeralMessage(person, channel, text, self.now()))

    def channel_for_post(self, channel_id: str) -> Channel:
        """The channel, if the bot may write to it. The id of a user stands for the direct messages with that user.

        Direct messages to a deactivated user are possible.

        Raises:
            ApiError: as chat.postMessage.
        """
        if channel_id in self.users:
            if self.users[channel_id].get("is_bot"):
                raise ApiError("cannot_dm_bot")
            direct = direct_channel(channel_id)
            return self.channels.setdefault(direct, Channel(direct, "direct", {channel_id, BOT_USER_ID}))
        channel = self.channels.get(channel_id)
        if channel is None:
            raise ApiError("channel_not_found")
        if channel.archived:
            raise ApiError("is_archived")
        if BOT_USER_ID not in channel.members:
            raise ApiError("not_in_channel")
        return channel

    def add_message(
        self, channel: str, user: str, text: str, blocks: list[Json], thread_ts: str | None
    ) -> PostedMessage:
        with self.lock:
            self._last_ts = max(int(self.now().timestamp() * 1_000_000), self._last_ts + 1)
            seconds, microseconds = divmod(self._last_ts, 1_000_000)
            posted = PostedMessage(f"{seconds}.{microseconds:06d}", channel, user, text, blocks, thread_ts)
            self.messages.append(posted)
            return posted

    def message(self, channel: str, ts: str) -> PostedMessage:
        """The message with this timestamp.

        Raises:
            ApiError: there is none.
        """
        for posted in self.messages:
            if (posted.channel, posted.ts) == (channel, ts):
                return posted
        raise ApiError("message_not_found")

    def delete(self, channel: str, ts: str) -> None:
        """Deletes a message, as a person does."""
        with self.lock:
            self.messages.remove(self.message(channel, ts))

    def messages_in(self, channel: str, thread_ts: str | None = None) -> list[PostedMessage]:
        """The messages of a channel, or the replies of a thread, oldest first."""
        with self.lock:
            return [one for one in self.messages if one.channel == channel and one.thread_ts == thread_ts]

    def private_texts(self, person: str) -> list[str]:
        """The text of every ephemeral message to a person, then of every direct message."""
        with self.lock:
            direct = [one.text for one in self.messages if one.channel == direct_channel(person)]
            return [one.text for one in self.ephemerals if one.person == person] + direct

    def clear(self) -> None:
        """Removes every message, view, trigger and response_url. Users, groups and channels remain."""
        with self.lock:
            for kept in (
                self.messages,
                self.ephemerals,
                self.views,
                self.homes,
                self._triggers,
                self._response_urls,
            ):
                kept.clear()


def direct_channel(user_id: str) -> str:
    """The id of the channel with the direct messages between a user and the bot."""
    return f"D{user_id[1:]}"


def formatting_in(arguments: Json) -> Json:
    """Those arguments of a call that say how Slack formats the text."""
    return {name: arguments[name] for name in FORMATTING if name in arguments}
